"""Batches: the same images from memory and files and from any step; mixed samples and labels; targets."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from dlcli.data.augmentation.augmentation import Augmentation
from dlcli.data.augmentation.mixup import Mixing
from dlcli.data.boxes.targets import BoxTarget
from dlcli.data.images.batches import Batches

NUM_SAMPLES, BATCH_SIZE = 21, 8
PIXELS = np.random.default_rng(1).integers(0, 256, (NUM_SAMPLES, 12, 10, 3), np.uint8)
LABELS = (np.arange(NUM_SAMPLES) % 3).astype(np.int32)


def make(*, in_memory: bool, **options: Any) -> Batches:
    known: dict[str, Any] = {"seed": 3, "augmentation": None, "mixing": None, **options}
    return Batches(
        labels=LABELS,
        pixels=PIXELS if in_memory else None,
        load=lambda index: PIXELS[index],
        shape=(12, 10, 3),
        batch_size=BATCH_SIZE,
        num_classes=3,
        **known,
    )


def read(data: Batches, epoch: int, first_step: int = 0) -> list[dict[str, Any]]:
    """The batches of an epoch from a step on, as the training step reads them."""
    compiled = reader(data)
    source = data.source(epoch, first_step)
    steps = range(first_step, data.num_steps)
    return [tf.nest.map_structure(np.asarray, compiled(source, tf.constant(step, tf.int64))) for step in steps]


@functools.lru_cache(maxsize=8)
def reader(data: Batches) -> Callable[..., Any]:
    """What makes a batch of a source and a step, as one graph, which takes long to trace."""
    return tf.function(lambda source, step: data.assemble(data.element(source, step)), autograph=False)


def equal(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> bool:
    pairs = zip(tf.nest.flatten(one), tf.nest.flatten(other), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


@pytest.fixture(params=["plain", "augmented", "mixed"])
def options(request: pytest.FixtureRequest, everything: Augmentation) -> dict[str, Any]:
    return {
        "plain": {},
        "augmented": {"augmentation": everything},
        "mixed": {"augmentation": everything, "mixing": Mixing(0.3, 1.0)},
    }[request.param]


def test_an_epoch_is_the_same_from_memory_and_files_and_from_any_step_on(options: dict[str, Any]) -> None:
    from_memory, from_files = (make(in_memory=in_memory, **options) for in_memory in (True, False))
    whole = read(from_memory, 2)
    assert [len(batch["weight"]) for batch in whole] == [8, 8, 5]
    assert sorted(np.concatenate([batch["index"] for batch in whole]).tolist()) == list(range(NUM_SAMPLES))
    assert equal(whole, read(from_files, 2))
    for data in (from_memory, from_files):
        assert equal(whole[1:], read(data, 2, first_step=1))
    assert not equal(whole, read(from_memory, 3))


def test_a_share_of_each_batch_is_read() -> None:
    asked: list[int] = []

    def load(index: np.ndarray) -> np.ndarray:
        asked.append(len(index))
        return PIXELS[index]

    whole = make(in_memory=False)
    shared = make(in_memory=False)
    shared.load_by(load)
    shared.read_only(lambda number: slice(number // 2, number))
    for batch, own in zip(read(whole, 2), read(shared, 2), strict=True):
        half = len(batch["index"]) // 2
        assert equal([{**batch, "x": 0}], [{**own, "x": 0}])
        assert np.array_equal(batch["x"][half:], own["x"][half:])
        assert not own["x"][:half].any()
    assert asked == [4, 4, 3]
    assert shared.at(2, np.arange(3))["x"].numpy().any(axis=(1, 2, 3)).all()
    mixed = make(in_memory=False, mixing=Mixing(0.3, 1.0))
    mixed.read_only(lambda number: slice(0, 1))
    assert mixed.share is None  # a batch is mixed as a whole


def test_each_sample_is_augmented_independently(everything: Augmentation) -> None:
    """A sample of an epoch gets the same pixels in any batch."""
    large = read(make(in_memory=True, augmentation=everything), 0)
    small_batches = make(in_memory=True, augmentation=everything)
    small_batches.batch_size, small_batches.num_steps = 5, 5
    by_index = {int(i): x for batch in read(small_batches, 0) for i, x in zip(batch["index"], batch["x"], strict=True)}
    assert len(by_index) == NUM_SAMPLES
    for batch in large:
        for i, x in zip(batch["index"], batch["x"], strict=True):
            np.testing.assert_allclose(x, by_index[int(i)], atol=1e-3)


def test_balanced_draws_are_the_same_from_memory_and_files_and_each_is_augmented_by_itself(
    everything: Augmentation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{__name__}.LABELS", (np.arange(NUM_SAMPLES) == 0).astype(np.int32))  # sample 0 is alone
    boxes = np.sort(np.random.default_rng(0).random((NUM_SAMPLES, 2, 2)), axis=1).reshape(-1, 4).astype(np.float32)
    options: dict[str, Any] = {"augmentation": everything, "balanced": True, "targets": [BoxTarget(boxes)]}
    from_memory, from_files = (make(in_memory=in_memory, **options) for in_memory in (True, False))
    whole = read(from_memory, 2)
    assert equal(whole, read(from_files, 2))
    for data in (from_memory, from_files):
        assert equal(whole[1:], read(data, 2, first_step=1))
    index, x, box = (np.concatenate([batch[key] for batch in flat(whole)]) for key in ("index", "x", "box"))
    assert np.sum(index == 0) in (NUM_SAMPLES // 2, NUM_SAMPLES // 2 + 1)
    for values in (x[index == 0], box[index == 0]):
        assert len({value.tobytes() for value in values}) == len(values)  # a box moves with its own pixels


def flat(batches: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**batch, **batch["y"]} for batch in batches]


def test_augmentation_and_mixing_need_a_seed(everything: Augmentation) -> None:
    with pytest.raises(ValueError, match="need a seed"):
        make(in_memory=True, seed=None, augmentation=everything)


@pytest.mark.parametrize("mixing", [Mixing(0.3, None), Mixing(None, 1.0), Mixing(0.3, 1.0)])
def test_labels_follow_the_pixels(mixing: Mixing, monkeypatch: pytest.MonkeyPatch) -> None:
    """A label's weight is the proportion of the sample's own pixels."""
    values = np.arange(NUM_SAMPLES, dtype=np.uint8) * 12
    monkeypatch.setattr(f"{__name__}.PIXELS", np.broadcast_to(values[:, None, None, None], PIXELS.shape))
    shares = set()
    for epoch in range(4):
        plain, mixed = (read(make(in_memory=True, mixing=chosen), epoch) for chosen in (None, mixing))
        for before, after in zip(plain, mixed, strict=True):
            labels = np.eye(3)[before["y"]["class"]]
            for i, image in enumerate(after["x"]):
                own, partner = before["x"][i], before["x"][::-1][i]
                if own[0, 0, 0] == partner[0, 0, 0]:  # the middle of an odd batch is its own partner
                    np.testing.assert_allclose(image, own, rtol=1e-5)
                    continue
                share = float(((image - partner) / (own - partner)).mean())
                expected = labels[i] * share + labels[::-1][i] * (1 - share)
                np.testing.assert_allclose(after["y"]["class"][i], expected, atol=1e-4)
                shares.add(round(share, 3))
    assert len(shares) > 5


def test_with_mixup_and_cutmix_each_batch_uses_one() -> None:
    drawn = Mixing(0.3, 1.0).draw(seed=0, epoch=0, num_batches=2000, height=20, width=30)
    is_cut = (drawn["cut"] != 0).any(axis=1)
    assert (drawn["blend"][is_cut] == 1).all()
    assert 0.4 < is_cut.mean() < 0.6
    left, top, right, bottom = drawn["cut"].T
    assert (left <= right).all()
    assert (top <= bottom).all()
    assert right.max() <= 30
    assert bottom.max() <= 20


@pytest.mark.parametrize("in_memory", [True, False])
def test_seeds_of_the_step_are_a_function_of_seed_epoch_and_sample(in_memory: bool) -> None:
    def by_sample(seed: int | None, epoch: int, first_step: int = 0) -> dict[int, list[int]]:
        found = read(make(in_memory=in_memory, seed=seed), epoch, first_step)
        return {int(i): row.tolist() for batch in found for i, row in zip(batch["index"], batch["draws"], strict=True)}

    once = by_sample(3, 0)
    assert once == by_sample(3, 0)
    assert len({tuple(row) for row in once.values()}) == NUM_SAMPLES
    later = by_sample(3, 0, first_step=1)
    assert later == {index: once[index] for index in later}
    assert not {tuple(row) for row in once.values()} & {tuple(row) for row in by_sample(3, 1).values()}
    assert not {tuple(row) for row in once.values()} & {tuple(row) for row in by_sample(4, 0).values()}
    assert by_sample(None, 0) == by_sample(None, 1)
