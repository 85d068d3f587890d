"""The space of cells (Zoph et al. 2018): a normal and a reduction cell, each of some combinations of two inputs.

A cell has the states s0 and s1, the outputs of the two cells before it. Each combination adds a state: the sum of an
operation on one earlier state and an operation on another, or the same. The states that no combination uses are
concatenated.
"""

from collections.abc import Sequence
from typing import Any

from dlcli.search.method import Choices, Space

CELLS = ("normal", "reduction")
NUM_INPUTS = 2  # states before the first combination


def cell_space(operations: Sequence[str], combinations: int) -> Space:
    """The choices of both cells: for each combination input, operation, input, operation.

    Args:
        operations: the names of the operations, such as ``sep3``.
        combinations: number of new states of a cell.
    """
    one: list[int] = []
    for number in range(combinations):
        one += [NUM_INPUTS + number, len(operations)] * 2
    return (*one, *one)


def genotype(choices: Choices, operations: Sequence[str]) -> dict[str, Any]:
    """The two cells in the written form of ``model.genotype``, as plain dicts, lists and strings."""
    half = len(choices) // 2
    return {cell: _cell(choices[half * number : half * (number + 1)], operations) for number, cell in enumerate(CELLS)}


def _cell(choices: Choices, operations: Sequence[str]) -> dict[str, Any]:
    states = [
        [
            f"{operations[operation]}(s{source})"
            for source, operation in (choices[start : start + 2], choices[start + 2 : start + 4])
        ]
        for start in range(0, len(choices), 4)
    ]
    used = {*choices[0::4], *choices[2::4]}
    unused = [f"s{state}" for state in range(NUM_INPUTS, NUM_INPUTS + len(states)) if state not in used]
    return {"states": states, "concatenate": unused}


def choices_of(cells: dict[str, Any], operations: Sequence[str]) -> Choices:
    """The choices that a genotype of this space was made of.

    Raises:
        ValueError: it has an operation of another space.
    """
    found: list[int] = []
    for cell in CELLS:
        for state in cells[cell]["states"]:
            for term in state:
                name, _, source = term.removesuffix(")").partition("(s")
                found += [int(source), list(operations).index(name)]
    return tuple(found)
