"""Cells as lists of choices."""

import numpy as np
import pytest

from dlcli.search.cells import cell_space, choices_of, genotype
from dlcli.search.method import random_choices

OPERATIONS = ("identity", "sep3", "avg3")


def test_the_space_has_an_input_and_an_operation_for_each_half_of_a_combination() -> None:
    assert cell_space(OPERATIONS, 2) == (2, 3, 2, 3, 3, 3, 3, 3) * 2


def test_choices_are_written_as_a_genotype() -> None:
    normal = (0, 1, 1, 0, 2, 2, 0, 1, 0, 0, 1, 0)  # s2 is used, s3 and s4 are not
    reduction = (0, 0, 0, 0, 2, 0, 2, 1, 3, 2, 3, 2)
    assert genotype((*normal, *reduction), OPERATIONS) == {
        "normal": {
            "states": [["sep3(s0)", "identity(s1)"], ["avg3(s2)", "sep3(s0)"], ["identity(s0)", "identity(s1)"]],
            "concatenate": ["s3", "s4"],
        },
        "reduction": {
            "states": [["identity(s0)", "identity(s0)"], ["identity(s2)", "sep3(s2)"], ["avg3(s3)", "avg3(s3)"]],
            "concatenate": ["s4"],
        },
    }


@pytest.mark.parametrize("combinations", [1, 5])
def test_choices_are_read_back(combinations: int) -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        choices = random_choices(cell_space(OPERATIONS, combinations), random)
        cells = genotype(choices, OPERATIONS)
        assert choices_of(cells, OPERATIONS) == choices
        for cell in cells.values():
            assert cell["concatenate"], "the last state is never used"
    with pytest.raises(ValueError, match="not in list"):
        choices_of(cells, ["identity"])
