"""Samples shared between splits, and classes that a split lacks."""

from dataclasses import dataclass

import numpy as np
import pytest

from dlcli.data.leakage import refuse_copies, warn_of_absent_classes
from dlcli.data.splits import Labels
from dlcli.errors import InputError


@dataclass(frozen=True)
class Part:
    names: tuple[str, ...]
    labels: Labels
    digests: tuple[str, ...]


def part(*labels: int, digests: str) -> Part:
    return Part(tuple(f"{digest}.png" for digest in digests), np.array(labels, np.int32), tuple(digests))


def test_copies_between_splits() -> None:
    splits = {"train": part(0, 1, digests="ab"), "validation": part(0, digests="c"), "test": part(1, 1, digests="bd")}
    message = "1 sample is both in test and in train: b.png equals b.png."
    with pytest.raises(InputError, match=f"^s: {message} A score on them"):
        refuse_copies(splits, source="s", allow_leakage=False)
    (warning,) = refuse_copies(splits, source="s", allow_leakage=True)
    assert (warning.kind, warning.text) == ("leakage", message)


def test_copies_within_a_split_are_allowed() -> None:
    splits = {"train": part(0, 0, digests="aa"), "test": part(0, 0, digests="bb")}
    assert refuse_copies(splits, source="s", allow_leakage=False) == []


def test_absent_classes() -> None:
    splits = {
        "train": part(0, 1, 2, digests="abc"),
        "test": part(1, digests="d"),
        "validation": part(0, 1, digests="ef"),
    }
    warnings = warn_of_absent_classes(splits, ("x", "y", "z"))
    assert [warning.text for warning in warnings] == [
        "test has no sample of 2 of the 3 classes: 'x', 'z'.",
        "validation has no sample of class 'z'.",
    ]
    assert {warning.kind for warning in warnings} == {"classes"}
