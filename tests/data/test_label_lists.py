"""Labels in lists: their names, which of them apply, and names that are refused."""

import numpy as np
import pytest

from dlcli.data.label_lists import applied, labels_in, listed, refuse_between
from dlcli.errors import InputError


def test_labels_are_those_of_train_in_order() -> None:
    lists = [listed(" b; a;;", ";"), [], ["c", "a"]]
    assert lists[0] == ["b", "a"]
    names, errors = labels_in(lists, ["train", "train", "test"], source="a.csv", samples="a text", trained=None)
    assert names == ("a", "b")
    assert errors == [(2, "a label must be in train too. Received 'c': correct it, or remove it. Labels: 'a', 'b'.")]
    np.testing.assert_array_equal(applied(lists[:2], names), [[1, 1], [0, 0]])


def test_other_labels_than_those_of_a_trained_model_are_named() -> None:
    _, errors = labels_in([["A"]], ["train"], source="a.csv", samples="a text", trained=("a", "b"))
    assert errors == [
        (
            0,
            "a label must be one of the trained model's. Received 'A', which differs from 'a' only in case: correct "
            "it, or remove it. Labels: 'a', 'b'.",
        )
    ]


def test_lists_without_labels_and_unusable_names_are_refused() -> None:
    with pytest.raises(InputError, match=r"a\.csv: there must be a label that applies to a text of train\."):
        labels_in([[]], ["train"], source="a.csv", samples="a text", trained=None)
    with pytest.raises(InputError, match="a label name must be on one line"):
        labels_in([["a\x1b"]], ["train"], source="a.csv", samples="a text", trained=None)
    with pytest.raises(InputError, match=r"'a\|b': a label must not contain '\|'"):
        refuse_between(["a|b"], source="a.csv")
