"""The plain convolutional network: a stage in NumPy, strides, and inputs that are too small."""

import keras
import numpy as np
import pytest

from dlcli.errors import InputError
from dlcli.models.images import convnet
from dlcli.recipe.sections.image_model import ConvBlock, Convnet


def test_the_strides_are_the_first_convolutions(build_classifier) -> None:
    section = Convnet(kind="convnet", blocks=(ConvBlock(filters=2, strides=2, repeat=3, pool="none"),))
    assert tuple(build_classifier(section, (16, 12, 1), 2).get_layer("stage1").output.shape[1:]) == (8, 6, 2)


def small(**keys) -> Convnet:
    return Convnet(kind="convnet", blocks=(ConvBlock(filters=1, **keys),) * 5, pooling="average")


@pytest.mark.parametrize(
    ("keys", "smallest", "where", "left"),
    [
        ({}, 32, "the pooling of stage 5 has a window of 2", "1x1 is left"),
        ({"padding": "valid"}, 94, "the pooling of stage 5 has a window of 2", "2x1 is left"),
        (
            {"padding": "valid", "pool": "none", "strides": 2},
            63,
            "the convolution of stage 5 has a window of 3",
            "2x2 is left",
        ),
        ({"pool_size": 3}, 243, "the pooling of stage 5 has a window of 3", "2x2 is left"),
        ({"repeat": 2, "padding": "valid"}, 156, "the pooling of stage 5 has a window of 2", "2x1 is left"),
    ],
)
def test_the_smallest_side_is_named_and_is_the_smallest(build_classifier, keys, smallest, where, left) -> None:
    section = small(**keys)
    model = build_classifier(section, (smallest, smallest + 1, 1), 2)
    assert model.get_layer("logits").output.shape == (None, 2)
    with pytest.raises(InputError) as error:
        build_classifier(section, (smallest, smallest - 1, 1), 2)
    message = str(error.value)
    assert f"every side must be at least {smallest}: {where}" in message
    assert f"Received {smallest}x{smallest - 1}." in message
    assert "data.image_size" in message
    assert "\n" not in message


def test_a_convnet_takes_any_side_when_it_pools_globally() -> None:
    block = convnet.Block(
        **ConvBlock(filters=3).model_dump(),
    )
    x = convnet.features(
        keras.Input((None, None, 1)),
        rank=2,
        blocks=[block],
        pooling="average",
        dense=(),
        activation="relu",
        dropout=0.0,
    )
    assert x.shape == (None, 3)
    with pytest.raises(ValueError, match=r"rank 1 takes inputs \[batch, 1 sides, channels\]"):
        convnet.features(
            keras.Input((8, 8, 1)),
            rank=1,
            blocks=[block],
            pooling="average",
            dense=(),
            activation="relu",
            dropout=0.0,
        )


def convolve(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Cross-correlation of [batch, *sides, channels] with zeros around, as Goodfellow et al. 2016, eq. 9.6, has it."""
    sides = x.shape[1:-1]
    before = [(size - 1) // 2 for size in kernel.shape[:-2]]
    after = [size - 1 - margin for size, margin in zip(kernel.shape[:-2], before, strict=True)]
    padded = np.pad(x, [(0, 0), *zip(before, after, strict=True), (0, 0)])
    y = np.zeros((*x.shape[:-1], kernel.shape[-1]))
    for offset in np.ndindex(*kernel.shape[:-2]):
        window = tuple(slice(start, start + side) for start, side in zip(offset, sides, strict=True))
        y += padded[(slice(None), *window)] @ kernel[offset]
    return y + bias


@pytest.mark.parametrize(("rank", "kernel_size"), [(1, 4), (2, 5), (3, 3)])
def test_a_stage_is_its_definition_in_numpy(build_classifier, rank, kernel_size) -> None:
    block = ConvBlock(filters=3, kernel_size=kernel_size, pool="none")
    section = Convnet(kind="convnet", rank=rank, preprocessing="none", blocks=(block,))
    shape = (7, 6, 5)[:rank]
    model = build_classifier(section, (*shape, 2), 2)
    convolution = model.get_layer("stage1_conv1")
    rng = np.random.default_rng(0)
    kernel, bias = rng.normal(size=(*(kernel_size,) * rank, 2, 3)), rng.normal(size=3)
    convolution.set_weights([kernel, bias])
    x = rng.normal(size=(2, *shape, 2))
    y = keras.Model(model.input, model.get_layer("stage1").output)(x.astype("float32"))
    np.testing.assert_allclose(y, np.maximum(convolve(x, kernel, bias), 0), atol=1e-4)
