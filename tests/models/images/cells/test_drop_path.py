"""Drop path: whole samples, the mean, its growth over cells and training, and saved models without it."""

import keras
import numpy as np
import pytest

from dlcli.models.images.cells import cells
from dlcli.models.images.cells.drop_path import DropPath, Progress, without_drop_path

CELL = {"states": [["conv1(s0)", "identity(s1)"]], "concatenate": ["s2"]}


def network(drop_path: float) -> keras.Model:
    inputs = keras.Input((4, 4, 1))
    outputs = cells.features(
        inputs,
        genotype={"normal": CELL},
        repeats=1,
        filters=2,
        stem="cifar",
        stem_filters=2,
        skip_reduction_input=False,
        drop_path=drop_path,
    )
    return keras.Model(inputs, outputs)


def test_whole_samples_are_dropped_and_the_others_scaled() -> None:
    progress = Progress()
    layer = DropPath(0.4, progress)
    x = np.ones((2000, 2, 3, 4), np.float32)
    assert np.array_equal(layer(x, training=True), x)  # at the beginning
    progress.variable.assign(0.5)
    y = np.asarray(layer(x, training=True))
    assert np.array_equal(y, np.broadcast_to(y[:, :1, :1, :1], y.shape))
    np.testing.assert_allclose(np.unique(y), [0, 1 / 0.8], rtol=1e-6)
    assert abs((y > 0).mean() - 0.8) < 0.04  # 4.5 standard deviations
    assert np.array_equal(layer(x, training=False), x)
    assert not np.array_equal(layer(x, training=True), y)


def test_the_rate_grows_from_cell_to_cell_and_leaves_identities() -> None:
    layers = [layer for layer in network(0.3).layers if isinstance(layer, DropPath)]
    assert [layer.name for layer in layers] == [f"stage{stage}_cell1_s2_1_drop_path" for stage in (1, 2, 3)]
    assert [layer.rate for layer in layers] == pytest.approx([0.1, 0.2, 0.3])
    assert len({layer.progress for layer in layers}) == 1
    assert not any(isinstance(layer, DropPath) for layer in network(0.0).layers)


def test_it_is_no_weight_but_its_generator_is_saved_in_checkpoints() -> None:
    model = network(0.3)
    assert len(model.weights) == len(network(0.0).weights)
    assert len(model.variables) == len(model.weights) + 3


def test_saved_models_do_not_have_it(tmp_path) -> None:
    model = network(0.3)
    saved = without_drop_path(model)
    assert not any(isinstance(layer, DropPath) for layer in saved.layers)
    x = np.random.default_rng(0).normal(size=(3, 4, 4, 1)).astype("float32")
    assert np.array_equal(saved(x, training=False), model(x, training=False))
    other = network(0.0)
    assert without_drop_path(other) is other
