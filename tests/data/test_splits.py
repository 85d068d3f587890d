import numpy as np
import pytest

from dlcli.data.splits import TEST, TRAIN, VALIDATION, draw_splits, limit_evenly, split_named, split_word_in
from dlcli.errors import InputError


def draw(
    labels: np.ndarray, groups: list[str] | None = None, contents: list[str] | None = None, **changes: object
) -> np.ndarray:
    names = [f"file{i}" for i in range(len(labels))]
    options = {"num_classes": int(labels.max()) + 1, "validation": 0.1, "test": 0.2, "seed": 0, **changes}
    return draw_splits(names, labels, groups, contents, **options)  # type: ignore[arg-type]


def labels_of(*counts: int) -> np.ndarray:
    return np.repeat(np.arange(len(counts)), counts).astype(np.int32)


def test_every_class_gets_its_proportion() -> None:
    labels = labels_of(100, 50, 33)
    splits = draw(labels)
    for split, proportion in ((TRAIN, 0.7), (VALIDATION, 0.1), (TEST, 0.2)):
        for label, count in enumerate((100, 50, 33)):
            assert abs(np.sum((splits == split) & (labels == label)) - proportion * count) < 1.01
    assert np.sum(splits == VALIDATION) == 18  # 18.3 in all
    assert np.sum(splits == TEST) == 37  # 36.6


def test_small_classes_together_reach_the_proportion() -> None:
    splits = draw(labels_of(*[3] * 100))
    assert np.sum(splits == VALIDATION) == 30
    assert np.sum(splits == TEST) == 60


def test_a_class_keeps_a_sample_to_train_on() -> None:
    labels = labels_of(1, 2, 40)
    splits = draw(labels, validation=0.45, test=0.45)
    assert set(labels[splits == TRAIN]) == {0, 1, 2}


def test_the_seed_determines_the_split() -> None:
    labels = labels_of(50, 50)
    assert np.array_equal(draw(labels, seed=3), draw(labels, seed=3))
    assert not np.array_equal(draw(labels, seed=3), draw(labels, seed=4))


def test_the_split_is_the_same_on_every_machine() -> None:
    assert draw(labels_of(10, 10), validation=0.2, test=0.2).tolist() == [
        2,
        0,
        0,
        2,
        0,
        1,
        0,
        1,
        0,
        0,
        1,
        0,
        0,
        1,
        0,
        2,
        0,
        2,
        0,
        0,
    ]


def test_the_order_of_the_files_does_not_matter() -> None:
    labels = labels_of(30, 20)
    names = [f"file{i}" for i in range(50)]
    shuffled = np.random.default_rng(0).permutation(50)
    options = {"num_classes": 2, "validation": 0.1, "test": 0.2, "seed": 0}
    straight = draw_splits(names, labels, None, None, **options)  # type: ignore[arg-type]
    mixed = draw_splits([names[i] for i in shuffled], labels[shuffled], None, None, **options)  # type: ignore[arg-type]
    assert np.array_equal(straight[shuffled], mixed)


def test_most_samples_keep_their_split_when_others_are_added() -> None:
    before = draw(labels_of(200))
    after = draw(labels_of(210))[:200]
    assert np.mean(before == after) > 0.9


def test_test_does_not_depend_on_the_validation_proportion() -> None:
    labels = labels_of(40, 60)
    assert np.array_equal(draw(labels, validation=0.0) == TEST, draw(labels, validation=0.3) == TEST)


def test_no_proportion_no_split() -> None:
    assert (draw(labels_of(10, 10), validation=0.0, test=0.0) == TRAIN).all()


def test_proportions_must_leave_something() -> None:
    with pytest.raises(InputError, match=r"together less than 1. Received 0.5 and 0.5."):
        draw(labels_of(10, 10), validation=0.5, test=0.5)


# Groups -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_every_group_is_in_one_split(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = labels_of(150, 100, 50)
    groups = [f"patient{i}" for i in rng.integers(0, 60, 300)]
    splits = draw(labels, groups, seed=seed)
    sides: dict[str, set[int]] = {}
    for group, split in zip(groups, splits, strict=True):
        sides.setdefault(group, set()).add(int(split))
    assert all(len(side) == 1 for side in sides.values())
    for split, proportion in ((VALIDATION, 0.1), (TEST, 0.2)):
        for label, count in enumerate((150, 100, 50)):
            assert abs(np.sum((splits == split) & (labels == label)) - proportion * count) <= 0.06 * count + 2


def test_groups_of_one_class_each_are_stratified() -> None:
    labels = np.repeat(np.arange(2), 100).astype(np.int32)
    groups = [f"scene{i // 5}" for i in range(200)]  # twenty scenes with five images each, for each class
    splits = draw(labels, groups)
    for label in (0, 1):
        assert np.sum((splits == TEST) & (labels == label)) == 20
        assert np.sum((splits == VALIDATION) & (labels == label)) == 10


def test_the_seed_determines_the_split_of_groups() -> None:
    labels = labels_of(60, 60)
    groups = [f"scene{i // 4}" for i in range(120)]
    assert np.array_equal(draw(labels, groups, seed=1), draw(labels, groups, seed=1))
    assert not np.array_equal(draw(labels, groups, seed=1), draw(labels, groups, seed=2))


def test_few_groups_fill_every_split() -> None:
    groups = ["a"] * 50 + ["b"] * 30 + ["c"] * 20
    splits = draw(labels_of(50, 50), groups)
    assert set(splits) == {TRAIN, VALIDATION, TEST}
    assert splits[0] == TRAIN  # the largest


def test_fewer_groups_than_splits_are_refused() -> None:
    with pytest.raises(InputError, match=r"at least as many groups as splits \(3\). Received 2."):
        draw(labels_of(5, 5), ["a"] * 5 + ["b"] * 5)
    splits = draw(labels_of(5, 5), ["a"] * 5 + ["b"] * 5, validation=0.0)
    assert set(splits) == {TRAIN, TEST}


# Limit --------------------------------------------------------------------------------------------------------------


def limited(labels: np.ndarray, limit: int, seed: int = 0) -> np.ndarray:
    names = [f"file{i}" for i in range(len(labels))]
    return limit_evenly(names, labels, num_classes=int(labels.max()) + 1, limit=limit, seed=seed)


def test_a_limit_spreads_over_the_classes() -> None:
    labels = labels_of(100, 50, 3)
    index = limited(labels, 20)
    assert np.bincount(labels[index]).tolist() == [9, 8, 3]
    assert (np.diff(index) > 0).all()
    assert len(limited(labels, 2)) == 2
    assert len(limited(labels, 1000)) == 153


def test_limits_are_nested_and_follow_the_seed() -> None:
    labels = labels_of(100, 50)
    assert set(limited(labels, 10)) <= set(limited(labels, 30))
    assert not np.array_equal(limited(labels, 10), limited(labels, 10, seed=1))


# Copies -------------------------------------------------------------------------------------------------------------


def test_samples_with_the_same_content_stay_together() -> None:
    labels = labels_of(60, 60)
    contents = [str(i // 3) for i in range(120)]
    splits = draw(labels, contents=contents)
    for start in range(0, 120, 3):
        assert len(set(splits[start : start + 3])) == 1
    assert np.sum(splits == TEST) == 24
    assert np.sum(splits == VALIDATION) == 12
    assert {label for label, split in zip(labels, splits, strict=True) if split == TEST} == {0, 1}


def test_distinct_contents_do_not_change_the_split() -> None:
    labels = labels_of(30, 40)
    assert np.array_equal(draw(labels), draw(labels, contents=[str(i) for i in range(70)]))


def test_groups_that_share_a_content_stay_together() -> None:
    labels = labels_of(50, 50)
    groups = [f"group{i // 5}" for i in range(100)]  # 20 groups
    contents = [str(i) for i in range(100)]
    contents[0], contents[7], contents[95] = "one", "one", "one"  # groups 0, 1 and 19
    contents[8], contents[51] = "other", "other"  # and 10
    splits = draw(labels, groups, contents)
    together = [
        split
        for group, split in zip(groups, splits, strict=True)
        if group in ("group0", "group1", "group10", "group19")
    ]
    assert len(together) == 20
    assert len(set(together)) == 1
    for group in set(groups):
        assert len({split for own, split in zip(groups, splits, strict=True) if own == group}) == 1


@pytest.mark.parametrize(
    ("split", "names"),
    [
        (
            "train",
            ("train", "TRAIN", "Training", "training_set", "train set", "train-data", "tr", " train ", "train2017"),
        ),
        ("train", ("trainval", "train_val", "TrainVal_2012")),
        (
            "validation",
            ("val", "Valid", "validation", "dev", "dev_set", "Eval", "evaluation", "VALIDATION-SET", "val2017"),
        ),
        ("test", ("test", "Testing", "test_set", "test.images")),
        (None, ("", "trains", "tests", "valley", "cats", "set", "test2", "train12017", "seg_train", "training wheels")),
    ],
)
def test_names_of_splits(split: str | None, names: tuple[str, ...]) -> None:
    assert {split_named(name) for name in names} == {split}


def test_words_of_splits_in_longer_names() -> None:
    assert [split_word_in(name) for name in ("seg_train", "en-ud-dev", "BasicMotions_TEST", "train_or_test", "x")] == [
        "train",
        "validation",
        "test",
        None,
        None,
    ]
