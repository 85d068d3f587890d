"""Networks of sequences against their equations, and what comes after a sequence's end against what must not matter."""

from typing import Any, get_args

import numpy as np
import pytest
from small_steps import (
    BATCH,
    CONVOLUTIONAL,
    INCEPTION,
    LENGTHS,
    MASK,
    RECURRENT,
    STEPS,
    TRANSFORMER,
    VALUES,
    build,
    run,
)  # type: ignore[import-not-found]

from dlcli.models.sequences import convolutional, inception_time, recurrent, series_convnets, transformer

RNG = np.random.default_rng(0)


# What comes after the end ---------------------------------------------------------------------------------------------

NETWORKS = [
    *(
        (recurrent.steps, RECURRENT, {"cell": cell, "bidirectional": both})
        for cell in get_args(recurrent.Cell)
        for both in (0, 1)
    ),
    (recurrent.steps, RECURRENT, {"cell": "leaky", "learn_decay": True}),
    (recurrent.steps, RECURRENT, {"layers": 2, "residual": True, "layer_norm": True, "bidirectional": True}),
    (recurrent.steps, RECURRENT, {"last_only": True, "bidirectional": True, "layers": 2}),
    (convolutional.steps, CONVOLUTIONAL, {}),
    (convolutional.steps, CONVOLUTIONAL, {"causal": True, "layer_norm": True, "residual": False}),
    (transformer.steps, TRANSFORMER, {}),
    (transformer.steps, TRANSFORMER, {"causal": True}),
    (inception_time.steps, INCEPTION, {}),
    (series_convnets.fcn_steps, {"filters": (2, 3, 2)}, {}),
    (series_convnets.resnet_steps, {"filters": (2, 3, 3)}, {}),
]


@pytest.mark.parametrize(("steps", "options", "changes"), NETWORKS)
def test_padding_after_a_sequences_end_changes_nothing(steps: Any, options: Any, changes: Any) -> None:
    model = build(steps, options, **changes)
    outputs = run(model)
    noise = np.where(MASK[..., None], VALUES, 100 * RNG.normal(size=VALUES.shape)).astype(np.float32)
    np.testing.assert_array_equal(run(model, noise), outputs)
    for sample, length in enumerate(LENGTHS):  # alone, without any padding
        alone = run(model, VALUES[sample : sample + 1, :length], np.ones((1, length), bool))
        own = outputs[sample] if outputs.ndim == 2 else outputs[sample, :length]
        np.testing.assert_allclose(alone[0], own, atol=2e-6)
    if outputs.ndim == 3:
        assert not outputs[~MASK].any()


@pytest.mark.parametrize(("steps", "options", "changes"), NETWORKS)
def test_every_variable_has_a_gradient(steps: Any, options: Any, changes: Any) -> None:
    import tensorflow as tf

    model = build(steps, options, **changes)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.sin(3.0 * model([VALUES, MASK], training=True)))
    gradients = tape.gradient(loss, [variable.value for variable in model.trainable_variables])
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        assert gradient is not None, variable.path
        if "key/bias" not in variable.path:  # which moves all of a softmax's inputs alike
            assert np.abs(tf.convert_to_tensor(gradient)).max() > 0, variable.path


CAUSAL = [
    (recurrent.steps, RECURRENT, {"layers": 2}),
    (convolutional.steps, CONVOLUTIONAL, {"causal": True}),
    (transformer.steps, TRANSFORMER, {"causal": True}),
]


@pytest.mark.parametrize(("steps", "options", "changes"), CAUSAL)
def test_a_causal_network_does_not_see_what_follows(steps: Any, options: Any, changes: Any) -> None:
    model = build(steps, options, **changes)
    mask = np.ones((BATCH, STEPS), bool)
    later = VALUES.copy()
    later[:, 4:] += 1
    before, after = run(model, mask=mask), run(model, later, mask)
    np.testing.assert_allclose(after[:, :4], before[:, :4], atol=1e-6)
    assert np.abs(after[:, 4:] - before[:, 4:]).min(axis=-1).max() > 1e-4
    open_ = build(
        steps, options, **changes | ({"bidirectional": True} if steps is recurrent.steps else {"causal": False})
    )
    assert np.abs(run(open_, later, mask)[:, :4] - run(open_, mask=mask)[:, :4]).max() > 1e-4
