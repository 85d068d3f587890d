"""Batches of sequences of different lengths: every sample once, padded, and reproducible from any step."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from dlcli.data.sequences.batches import POOL, SequenceBatches, by_length
from dlcli.data.sequences.ragged import Ragged

RNG = np.random.default_rng(0)


def ragged(num: int, *, features: int | None = None, longest: int = 30) -> Ragged:
    lengths = RNG.integers(1, longest + 1, num)
    if features is None:
        return Ragged.join([RNG.integers(2, 50, length).astype(np.int32) for length in lengths])
    return Ragged.join([RNG.normal(size=(length, features)).astype(np.float32) for length in lengths])


def batches_of(inputs: Ragged, **options: Any) -> SequenceBatches:
    targets = {"class": np.arange(len(inputs), dtype=np.int32)}
    return SequenceBatches(inputs=inputs, targets=targets, **{"batch_size": 8, **options})


def all_batches(data: SequenceBatches, epoch: int, first_step: int = 0) -> list[dict[str, Any]]:
    source = data.source(epoch, first_step)
    compiled = tf.function(lambda step: data.assemble(data.element(source, step)), autograph=False)
    return [
        tf.nest.map_structure(lambda values: values.numpy(), compiled(tf.constant(step, tf.int64)))
        for step in range(first_step, data.num_steps)
    ]


@pytest.mark.parametrize("features", [None, 3])
@pytest.mark.parametrize("seed", [None, 5])
@pytest.mark.parametrize("buckets", [True, False])
def test_every_sample_occurs_once_with_its_steps(features: int | None, seed: int | None, buckets: bool) -> None:
    inputs = ragged(45, features=features)
    data = batches_of(inputs, seed=seed, buckets=buckets)
    seen = []
    for batch in all_batches(data, 0):
        assert batch["x"].shape[1] == inputs.lengths[batch["index"]].max()
        for x, index, label in zip(batch["x"], batch["index"], batch["y"]["class"], strict=True):
            length = inputs.lengths[index]
            np.testing.assert_array_equal(x[:length], inputs[int(index)])
            assert not x[length:].any() if features is None else np.isnan(x[length:]).all()
            assert label == index
            seen.append(int(index))
        assert batch["weight"].tolist() == [1.0] * len(batch["index"])
    assert sorted(seen) == list(range(45))
    assert data.num_steps == 6


def test_each_epoch_has_its_own_reproducible_order() -> None:
    inputs = ragged(60)
    data = batches_of(inputs, seed=1)
    assert data.order(3).tolist() == batches_of(inputs, seed=1).order(3).tolist()
    assert data.order(3).tolist() != data.order(4).tolist()
    assert data.order(3).tolist() != batches_of(inputs, seed=2).order(3).tolist()
    whole = all_batches(data, 3)
    for later, batch in zip(all_batches(data, 3, 4), whole[4:], strict=True):
        np.testing.assert_array_equal(later["x"], batch["x"])


def test_balanced_draws_are_reproducible_from_any_step_and_still_batched_by_length() -> None:
    inputs = ragged(1000)
    labels = (np.arange(1000) < 50).astype(np.int32)
    data = batches_of(inputs, seed=1, balanced_by=labels)
    order = data.order(3)
    assert np.bincount(labels[order]).tolist() == [500, 500]
    assert order.tolist() == batches_of(inputs, seed=1, balanced_by=labels).order(3).tolist()
    assert order.tolist() != data.order(4).tolist()
    spread = np.ptp(inputs.lengths[order].reshape(-1, 8), axis=1).mean()
    assert spread < np.ptp(inputs.lengths[np.sort(order)].reshape(-1, 8), axis=1).mean() / 2


def test_buckets_save_padding_and_keep_the_order_random() -> None:
    inputs = ragged(8 * POOL * 2, longest=100)
    padding = []
    for buckets in (False, True):
        data = batches_of(inputs, seed=0, buckets=buckets)
        widths = [inputs.lengths[data.order(0)[i : i + 8]].max() * 8 for i in range(0, len(inputs), 8)]
        padding.append(sum(widths) / inputs.lengths.sum())
    assert padding[0] > 1.6
    assert padding[1] < 1.05
    lengths = inputs.lengths[batches_of(inputs, seed=0).order(0)[::8]]
    assert np.abs(np.corrcoef(lengths[:-1], lengths[1:])[0, 1]) < 0.3  # batches are not sorted by length


def test_batches_by_length() -> None:
    lengths = np.array([5, 1, 9, 1, 4])
    assert [index.tolist() for index in by_length(lengths, 2)] == [[1, 3], [4, 0], [2]]
