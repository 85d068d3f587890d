"""What is reported about copies of images, and what to leave out."""

import numpy as np

from dlcli.data.images.probable_copies import ProbableCopy
from dlcli.tasks.images.copies import Copies, copy_findings, names_to_exclude
from dlcli.tasks.inspection import NamedSamples

NAMES = ("train/b.jpg", "train/a[1].jpg", "train/c.jpg", "validation/d.jpg", "test/e.jpg", "test/f.jpg")
SPLITS = ("train", "train", "train", "validation", "test", "test")
LABELS = ("ant", "ant", "bee", "ant", "ant", "bee")


def found(
    identical: tuple[list[int], ...] = (),
    near: tuple[list[int], ...] = (),
    probable: tuple[ProbableCopy, ...] = (),
    num_crowded: int = 0,
) -> Copies:
    named = NamedSamples(NAMES, SPLITS, LABELS)
    boxes = np.full((len(NAMES), 4), np.nan)
    return Copies(named, boxes, list(identical), list(near), list(probable), num_crowded)


def test_probable_copies_are_notes_by_split_pair() -> None:
    probable = (
        ProbableCopy((0, 1), 0.95, False),
        ProbableCopy((0, 3), 0.97, False),
        ProbableCopy((1, 4), 1.00001, True),
        ProbableCopy((2, 4), 0.96, False),
    )
    findings = list(copy_findings(found(probable=probable, num_crowded=12)))
    assert not any(finding.is_problem for finding in findings)
    assert [finding.kind for finding in findings] == [
        *["probable copies across splits"] * 2,
        "probable copies within a split",
        "many alike",
    ]
    assert [finding.text for finding in findings[:3]] == [
        "1 pair across train and validation: probably the same image: "
        "train/b.jpg and validation/d.jpg (correlation 0.97)",
        "2 pairs across train and test: probably the same image: "
        "train/a[1].jpg and test/e.jpg (correlation 1.00, mirrored); "
        "train/c.jpg and test/e.jpg (correlation 0.96, labels bee and ant)",
        "1 pair within train: probably the same image: train/b.jpg and train/a[1].jpg (correlation 0.95)",
    ]
    assert findings[1].samples == (("train/a[1].jpg", "test/e.jpg"), ("train/c.jpg", "test/e.jpg"))
    assert "12 images are like 5 or more others" in findings[3].text


def test_the_copy_in_train_is_left_out_and_the_later_of_one_split() -> None:
    assert names_to_exclude(found()) == []
    assert names_to_exclude(found(identical=([0, 3, 4],))) == ["train/b.jpg", "validation/d.jpg"]
    assert names_to_exclude(found(near=([4, 5],))) == ["test/f.jpg"]
    assert names_to_exclude(found(probable=(ProbableCopy((0, 1), 0.95, False),))) == ["train/b.jpg"]
    assert names_to_exclude(found(probable=(ProbableCopy((1, 4), 0.95, False),))) == ["train/a[[]1].jpg"]


def test_one_of_each_pair_is_left_out_and_no_more_than_needed() -> None:
    assert names_to_exclude(found(near=([0, 2], [0, 4]))) == ["train/b.jpg"]
