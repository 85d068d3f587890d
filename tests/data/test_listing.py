"""Listings: from rows to classes and splits."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from dlcli.data.annotations import Items, find
from dlcli.data.listing import (
    NO_CLASSES,
    Listing,
    SplitKeys,
    check_groups,
    divide,
    index_labels,
    list_rows,
    name_some,
    refuse,
)
from dlcli.errors import InputError

COMMON: SplitKeys = {"validation": 0.0, "test": 0.0, "split_seed": 0, "limit": None, "allow_leakage": False}


@dataclass(frozen=True)
class Row:
    line: int
    name: str
    label: str
    split: str = "train"
    group: str = ""


ROWS = [Row(2, "a", "x"), Row(3, "b", "y"), Row(4, "c", "x", "test"), Row(5, "d", "y")]


def listed(rows: list[Row], **options: Any) -> tuple[tuple[str, ...], dict[str, Listing]]:
    known: dict[str, Any] = {"source": "t.csv", "rule": "there must be rows.", "has_groups": False, **options}
    return list_rows(
        rows,
        complete=lambda listing, part: replace(listing, annotations={"lines": Items(tuple(row.line for row in part))}),
        **known,
    )


def test_rows_become_listings_by_split() -> None:
    classes, listings = listed(ROWS)
    assert classes == ("x", "y")
    assert list(listings) == ["train", "test"]
    assert listings["train"].names == ("a", "b", "d")
    assert listings["train"].labels.tolist() == [0, 1, 1]
    assert listings["train"].groups is None
    lines = find(listings["test"].annotations, "lines", Items)
    assert lines is not None
    assert lines.values == (4,)


def test_rows_without_classes() -> None:
    classes, listings = listed(ROWS, has_classes=False)
    assert classes == NO_CLASSES
    assert listings["train"].labels.tolist() == [0, 0, 0]


def test_classes_of_a_trained_model_and_their_aliases() -> None:
    classes, listings = listed(ROWS, trained=("y", "z"), aliases={"x": "z"})
    assert classes == ("y", "z")
    assert listings["train"].labels.tolist() == [1, 0, 0]


def test_rows_without_a_training_split() -> None:
    with pytest.raises(InputError, match=r"^t\.csv: there must be rows\. Received none\.$"):
        listed([Row(1, "a", "x", "test")])


def test_a_group_must_be_in_one_split() -> None:
    rows = [Row(2, "a", "x", group="g"), Row(3, "b", "y", group="h"), Row(4, "c", "x", "test", group="g")]
    with pytest.raises(InputError, match=r"^t\.csv:4: a group must be in one split\. Group 'g' is in test here and in"):
        listed(rows, has_groups=True)
    check_groups("t.csv", rows[:2])


def test_classes_must_be_in_train() -> None:
    labels = {"train": ["a", "b"], "test": ["b", "c", "d"]}
    with pytest.raises(InputError, match=r"every class in test must also be in train\. Received 'c', 'd': correct"):
        index_labels(labels, ("a", "b"), source="s", trained=None)
    with pytest.raises(InputError, match=r"^s: there must be at least two classes\. Received one: 'a'\.$"):
        index_labels({"train": ["a"]}, ("a",), source="s", trained=None)
    assert index_labels({"train": ["a"]}, ("a",), source="s", trained=None, least=1)[0] == ("a",)
    with pytest.raises(InputError, match=r"s: a class name must be valid Unicode\. Received 'b\\ud800'\."):
        index_labels({"train": ["a", "b\ud800"]}, ("a", "b\ud800"), source="s", trained=None)


@pytest.mark.parametrize("name", ["two\nlines", "nul\0", "\x1b[31m", "line\u2028separator"])
def test_names_of_classes_have_no_control_characters(name: str) -> None:
    with pytest.raises(
        InputError, match=r"^s: a class name must be on one line, without control characters\. Received"
    ):
        index_labels({"train": ["a", name]}, ("a", name), source="s", trained=None)
    assert index_labels({"train": ["é 🚲"]}, ("é 🚲",), source="s", trained=None, least=1)[0] == ("é 🚲",)


def listing(num: int) -> Listing:
    return Listing(
        names=tuple(map(str, range(num))),
        labels=(np.arange(num) % 2).astype(np.int32),
        annotations={"texts": Items(tuple(f"text {i}" for i in range(num)))},
    )


def test_annotations_follow_their_samples_into_drawn_and_limited_splits() -> None:
    common: SplitKeys = {**COMMON, "validation": 0.2, "limit": 9}
    divided, warnings = divide(
        {"train": listing(20)}, digests=lambda part: part.names, num_classes=2, source="s", common=common
    )
    assert {split: len(part) for split, part in divided.items()} == {"train": 9, "validation": 4}
    assert not warnings
    for part in divided.values():
        texts = find(part.annotations, "texts", Items)
        assert texts is not None
        assert texts.values == tuple(f"text {name}" for name in part.names)


def test_a_split_that_would_be_empty_is_warned_of() -> None:
    common: SplitKeys = {**COMMON, "validation": 0.1}
    _, warnings = divide(
        {"train": listing(2)}, digests=lambda part: part.names, num_classes=2, source="s", common=common
    )
    assert [warning.kind for warning in warnings] == ["splits"]
    assert str(warnings[0]) == "2 samples are too few for validation: 0.1. There is no validation split."


def test_a_split_far_from_its_proportion_is_warned_of() -> None:
    names = tuple(f"{i:02}" for i in range(40))
    listings = {"train": Listing(names, np.zeros(40, np.int32))}

    def divided(contents: list[str]) -> tuple[int, list[str]]:
        common = {**COMMON, "test": 0.25}
        splits, warnings = divide(listings, digests=lambda _: contents, num_classes=1, source="t.csv", common=common)
        return len(splits["test"]), [warning.text for warning in warnings]

    assert divided(list(names)) == (10, [])
    num_test, warnings = divided(["same"] * 36 + list(names[36:]))
    assert num_test in (1, 37)  # the copies are one content of five
    assert warnings == [
        f"test has {num_test} of 40 samples, not 0.25 of them: groups and copies of a sample stay in one split, and "
        "each class keeps a sample in train."
    ]


def test_a_proportion_of_a_given_split_is_refused() -> None:
    given = {"train": listing(8), "test": listing(2)}
    with pytest.raises(InputError, match=r"data\.test must be left out or null, because the data has its own test"):
        divide(given, digests=lambda part: part.names, num_classes=2, source="s", common={**COMMON, "test": 0.5})


def test_each_sample_that_is_not_for_the_test_is_held_out_in_one_fold() -> None:
    held_out, tests = [], set()
    for number in (1, 2, 3):
        common: SplitKeys = {**COMMON, "validation": 0.5, "test": 0.25, "fold": (number, 3)}
        splits, warnings = divide(
            {"train": listing(24)}, digests=lambda part: part.names, num_classes=2, source="s", common=common
        )
        assert {split: len(part) for split, part in splits.items()} == {"train": 12, "validation": 6, "test": 6}
        assert not {*splits["train"].names} & {*splits["validation"].names}
        assert not warnings
        held_out += splits["validation"].names
        tests.add(splits["test"].names)
    assert len(tests) == 1
    assert sorted([*held_out, *tests.pop()], key=int) == [str(i) for i in range(24)]


def test_folds_do_not_replace_a_validation_split_of_the_source() -> None:
    given = {"train": listing(8), "validation": listing(2)}
    common: SplitKeys = {**COMMON, "validation": None, "fold": (1, 2)}
    with pytest.raises(InputError, match=r"the data has its own validation split\. Move its samples into the training"):
        divide(given, digests=lambda part: part.names, num_classes=2, source="s", common=common)


def test_many_names_are_counted() -> None:
    assert name_some(["a", "b"]) == "'a', 'b'"
    assert name_some([str(i) for i in range(11)]).endswith("'9', … (11 in all)")


def test_no_errors_no_refusal() -> None:
    refuse([], "Correct it.")
    with pytest.raises(InputError, match=r"^a\nb\nCorrect it\.$"):
        refuse(["a", "b"], "Correct it.")
