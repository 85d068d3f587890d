"""NASNet-A with the weights of keras.applications has the same outputs, which shows how its cells are connected."""

import re
from typing import Any

import keras
import numpy as np
import pytest

from dlcli.models.images.cells import cells, operations
from dlcli.models.images.cells.published import GENOTYPES


def name_in_keras(name: str, repeats: int) -> str:
    """The name in keras.applications of a layer with weights."""
    if name in ("stem_conv", "stem_norm"):
        return {"stem_conv": "stem_conv1", "stem_norm": "stem_bn1"}[name]
    cell, rest = re.fullmatch(r"(stem_cell\d|stage\d_reduction|stage\d_cell\d+)_(.*)", name).groups()  # type: ignore[union-attr]
    stage, *number = (int(digits) for digits in re.findall(r"\d+", cell))
    kind = "normal" if number else "reduction"
    if cell.startswith("stem"):
        block = f"stem_{stage}"
    elif kind == "reduction":
        block = f"reduce_{(stage - 1) * repeats}"
    else:
        block = str((stage - 1) * repeats + number[0] - (1 if stage == 1 else 0))
    if rest.startswith("s0_"):
        return f"{kind}_{'conv' if rest == 's0_conv' else 'bn'}_1_{block}"
    if rest.startswith("s1_"):
        parts = {"s1_conv1": "conv_1", "s1_conv2": "conv_2", "s1_conv": "conv_projection", "s1_norm": "bn"}
        return f"adjust_{parts[rest]}_{block}"
    state, position, layer, twice = re.fullmatch(r"s(\d)_(\d)_(conv|norm)(\d)", rest).groups()  # type: ignore[union-attr]
    side, term = ("left", "right")[int(position) - 1], int(state) - 1
    if (kind, side, term) == ("reduction", "left", 5):
        term = 4  # as Keras numbers it
    return f"separable_conv_{twice}{'_bn' if layer == 'norm' else ''}_{kind}_{side}{term}_{block}"


def padded_with_zeros(x: Any, *, kind: str, pool_size: int, strides: int, name: str) -> Any:
    """Pooling as keras.applications has it: with stride 2 its windows count zeros around the maps."""
    layer = keras.layers.MaxPooling2D if kind == "max" else keras.layers.AveragePooling2D
    if strides == 1:
        return layer(pool_size, strides=1, padding="same")(x)
    pairs = [(side % 2, 1) for side in x.shape[1:3]]
    return layer(pool_size, strides=2)(keras.layers.ZeroPadding2D(pairs)(x))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("side", "filters", "repeats", "stem_filters", "skip"),
    [
        (35, 4, 2, 5, True),  # NASNetLarge has this connection
        (64, 4, 2, 5, False),
        (224, 44, 4, 32, False),  # NASNetMobile
    ],
)
def test_nasnet_is_that_of_keras(
    side: int, filters: int, repeats: int, stem_filters: int, skip: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the weights of the network of keras.applications its outputs are the same, up to how poolings are padded."""
    monkeypatch.setattr(operations, "pooled", padded_with_zeros)
    theirs = keras.src.applications.nasnet.NASNet(
        input_shape=(side, side, 3),
        penultimate_filters=24 * filters,
        num_blocks=repeats,
        stem_block_filters=stem_filters,
        skip_reduction=skip,
        include_top=False,
        weights=None,
        default_size=224,
    )
    inputs = keras.Input((side, side, 3))
    outputs = cells.features(
        inputs,
        genotype=GENOTYPES["nasnet_a"],
        repeats=repeats,
        filters=filters,
        stem="imagenet",
        stem_filters=stem_filters,
        skip_reduction_input=skip,
        drop_path=0.0,
    )
    ours = keras.Model(inputs, outputs)
    generator = np.random.default_rng(0)
    num_weights = 0
    for layer in ours.layers:
        if layer.weights:
            source = theirs.get_layer(name_in_keras(layer.name, repeats))
            values = [generator.normal(0.5, 0.1, v.shape) if "bn" in source.name else v for v in source.get_weights()]
            source.set_weights(values)
            layer.set_weights(values)
            num_weights += len(values)
    assert num_weights == len(theirs.weights)
    x = generator.normal(size=(2, side, side, 3)).astype("float32")
    expected = np.asarray(theirs(x, training=False))
    np.testing.assert_allclose(np.asarray(ours(x, training=False)), expected, rtol=1e-3, atol=1e-4 * expected.max())
    assert expected.std() > 0
