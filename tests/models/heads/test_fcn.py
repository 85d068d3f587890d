"""FCN: counts of the paper's network, bilinear interpolation, sums of scores."""

import keras
import numpy as np
import pytest
from segmenters import fcn_on_vgg  # type: ignore[import-not-found]

from dlcli.models.heads.fcn import bilinear_kernel, fcn
from dlcli.runtime.startup import without_weights

VGG16_MAPS = 14_714_688  # parameters of VGG-16's convolutions (Simonyan and Zisserman 2014; keras.applications)


@pytest.mark.parametrize(
    ("stride", "scores", "num_doublings"),
    [(32, 4096 * 21 + 21, 0), (16, (4096 + 512) * 21 + 2 * 21, 1), (8, (4096 + 512 + 256) * 21 + 3 * 21, 2)],
)
def test_parameters_of_the_papers_network(stride: int, scores: int, num_doublings: int) -> None:
    """Table 1: FCN-VGG16 has 134 million parameters."""
    with without_weights():
        model = fcn_on_vgg((224, 224, 3), 21, stride=stride, width=1.0, depth=16, dense=(4096, 4096), dropout=0.5)
        found = model.count_params()
        names = [layer.name for layer in model.layers if "dropout" in layer.name]
    dense = 49 * 512 * 4096 + 4096 + 4096 * 4096 + 4096
    assert found == VGG16_MAPS + dense + scores + num_doublings * 16 * 21 * 21
    assert round(found / 1e6) in (134, 135)
    assert names == ["fcn_dropout1", "fcn_dropout2"]


def test_doubling_starts_as_bilinear_interpolation() -> None:
    layer = keras.layers.Conv2DTranspose(3, 4, strides=2, padding="same", use_bias=False)
    layer.build((None, 6, 5, 3))
    layer.set_weights([bilinear_kernel(3)])
    x = np.random.default_rng(0).normal(size=(2, 6, 5, 3)).astype("float32")
    inside = (slice(None), slice(1, -1), slice(1, -1))  # zeros lie beyond the border
    expected = keras.layers.UpSampling2D(2, interpolation="bilinear")(x)
    np.testing.assert_allclose(np.asarray(layer(x))[inside], np.asarray(expected)[inside], atol=1e-6)


def test_training_starts_from_the_coarse_scores() -> None:
    """Scores of finer maps start at zero; doublings have bilinear kernels."""
    coarse, fine = keras.Input((4, 4, 5)), keras.Input((8, 8, 3))
    logits = fcn({16: fine, 32: coarse}, size=(128, 128), stride=16, dense=(), dropout=0, num_classes=2)
    model = keras.Model([coarse, fine], logits)
    rng = np.random.default_rng(0)
    x = [rng.normal(size=(1, *tensor.shape[1:])).astype("float32") for tensor in (coarse, fine)]
    scores = keras.Model(coarse, model.get_layer("fcn_scores32").output)(x[0])
    np.testing.assert_array_equal(model.get_layer("fcn_up16").kernel, bilinear_kernel(2))
    doubled = model.get_layer("fcn_up16")(scores)
    expected = keras.layers.Resizing(128, 128)(doubled)
    np.testing.assert_allclose(model(x), expected, atol=1e-6)

    kernel = rng.normal(size=(1, 1, 3, 2)).astype("float32")
    model.get_layer("fcn_scores16").set_weights([kernel, np.ones(2)])
    expected = keras.layers.Resizing(128, 128)(doubled + x[1] @ kernel[0, 0] + 1)
    np.testing.assert_allclose(model(x), expected, atol=1e-5)
