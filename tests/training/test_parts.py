"""How batches are divided, and what layers keep from part to part."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_problem import make_data, make_dense_model, make_objective  # type: ignore[import-not-found]

from dlcli.training import schedule
from dlcli.training.parts import SEED_STRIDE, divide, share_of
from dlcli.training.step import TrainStep


@pytest.mark.parametrize(("num_samples", "num_parts"), [(8, 1), (8, 3), (128, 100), (2, 5), (1, 6)])
@pytest.mark.parametrize("num_replicas", [1, 2, 3, 100])
def test_each_sample_is_in_one_part_of_one_replica(num_samples: int, num_parts: int, num_replicas: int) -> None:
    seen: list[int] = []
    sizes = []
    for replica in range(num_replicas):
        division = divide(num_samples, max(num_parts, num_replicas), num_replicas, replica)
        own = np.arange(num_samples)[division.samples]
        assert len(own) > 0  # an empty batch has no gradient
        read = share_of(num_samples, max(num_parts, num_replicas), num_replicas, replica)
        np.testing.assert_array_equal(np.arange(num_samples)[read], own)
        parts = [own[division.samples_of(part)] for part in range(int(division.first), int(division.last))]
        np.testing.assert_array_equal(np.concatenate(parts), own)
        if division.has_own:
            seen += own.tolist()
            sizes += [len(part) for part in parts]
    assert seen == list(range(num_samples))
    assert max(sizes) - min(sizes) <= 1
    assert len(sizes) == min(num_samples, max(num_parts, num_replicas))


def test_a_part_draws_its_own_dropout_and_averages_change_by_the_mean_over_parts() -> None:
    """Against a computation of each part by itself."""
    data = make_data(seed=2, num_samples=8)
    model = make_dense_model()
    norm, seed = model.get_layer("norm"), model.get_layer("dropout").seed_generator.state
    before = [variable.numpy() for variable in (norm.moving_mean, norm.moving_variance, seed)]
    step = TrainStep(
        model=model,
        optimizer=keras.optimizers.SGD(0.0),
        objective=make_objective(),
        data=data,
        rate=schedule.constant(learning_rate=0.0),
        clipping=None,
        num_parts=3,
        loss_scaling=False,
    )
    assert step.run(data.source(0), 0, 1)
    after = [variable.numpy() for variable in (norm.moving_mean, norm.moving_variance, seed)]
    batch = data.assemble({"index": tf.constant(data.order(0)[:8])})
    losses, means, variances = 0.0, [], []
    for part, samples in enumerate((slice(0, 2), slice(2, 5), slice(5, 8))):
        for variable, value in zip((norm.moving_mean, norm.moving_variance), before, strict=False):
            variable.assign(value)
        seed.assign(before[2] + [part * SEED_STRIDE, 0])
        logits: Any = model(batch["x"][samples], training=True)
        losses += float(
            tf.reduce_sum(keras.losses.sparse_categorical_crossentropy(batch["y"]["class"][samples], logits, True))
        )
        means.append(norm.moving_mean.numpy())
        variances.append(norm.moving_variance.numpy())
    np.testing.assert_allclose(after[0], np.mean(means, axis=0), rtol=1e-5)
    np.testing.assert_allclose(after[1], np.mean(variances, axis=0), rtol=1e-5)
    np.testing.assert_array_equal(after[2], before[2] + [0, 1])  # as after a batch in one part
    assert step.results()["loss"] == pytest.approx(losses / 8, rel=1e-5)
