"""Dilated networks have the values of the original networks at the positions that these compute."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from dlcli.errors import InputError
from dlcli.models.images import dpn, keras_application, polynet, resnet, resnext, vgg
from dlcli.models.images.dilation import dilated
from dlcli.models.images.strides import CONVOLUTIONS
from dlcli.models.images.taps import taps
from dlcli.runtime.startup import without_weights

Build = Callable[[Any], Any]


def resnet_of(depth: int, version: int = 1, stem: str = "imagenet") -> Build:
    return lambda x: resnet.features(x, depth=depth, version=version, stem=stem, width=0.0625)


def application(name: str, **options: Any) -> Build:
    return lambda x: keras_application.features(x, network=name, with_top=False, options=options).maps


def slow(*values: object) -> Any:
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("build", "size", "output_stride", "offset"),
    [
        # the offset of the original's positions: half a stride where Keras pads only the end of even sides
        (resnet_of(18), (64, 97), 8, 0),
        slow(resnet_of(18), (65, 96), 16, 0),
        (resnet_of(20, stem="small"), (20, 23), 2, 0),  # zero maps are not dilated
        slow(application("mobilenetv2", alpha=0.35), (64, 96), 8, 3),
        (lambda x: vgg.features(x, depth=11, batch_norm=False, width=0.125), (64, 97), 16, 0),
        slow(resnet_of(50, 2), (65, 96), 8, 0),
        slow(application("mobilenetv2", alpha=0.35), (65, 97), 16, 0),
        slow(application("mobilenet", alpha=0.25), (64, 97), 16, 1),
        slow(application("resnet50"), (64, 97), 8, 0),
        slow(application("resnet50v2"), (64, 97), 8, 0),
        slow(application("densenet121"), (64, 97), 16, 0),
        slow(application("convnexttiny"), (64, 96), 16, 0),
        slow(application("vgg16"), (64, 97), 16, 0),
        slow(lambda x: resnext.features(x, variant="50_32x4d", width=0.125), (64, 97), 8, 0),
        slow(lambda x: dpn.features(x, depth=68, width=0.125), (64, 97), 8, 0),
        slow(lambda x: polynet.features(x, width=0.1, num_modules=(1, 2, 2)), (96, 129), 16, 0),
    ],
)
def test_values_at_the_original_positions_are_kept(
    build: Build, size: tuple[int, int], output_stride: int, offset: int
) -> None:
    inputs = keras.Input((*size, 3))
    maps = build(inputs)
    original = keras.Model(inputs, maps)
    others = keras.Input((*size, 3))
    larger = keras.Model(others, dilated(inputs, maps, output_stride=output_stride, onto=others))
    assert [layer.name for layer in larger.layers[1:]] == [layer.name for layer in original.layers[1:]]
    rng = np.random.default_rng(0)
    weights = [
        weight + (0 if "variance" in variable.path else 0.05 * rng.standard_normal(weight.shape))
        for weight, variable in zip(original.get_weights(), original.weights, strict=True)
    ]
    original.set_weights(weights)
    larger.set_weights(weights)  # the same order and shapes
    assert max(taps(others, larger.output)) == output_stride

    x = rng.uniform(0, 1, (1, *size, 3)).astype("float32")
    expected, found = np.asarray(original(x)), np.asarray(larger(x))
    step = max(taps(inputs, maps)) // output_stride
    found = found[:, offset::step, offset::step]
    found = found[:, : expected.shape[1], : expected.shape[2]]
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
    assert expected.std() > 0


def test_the_network_is_as_it_was_up_to_the_stride() -> None:
    """Chen et al. 2017: the stages from the output stride on have stride 1 and rates 2, then 4."""
    with without_weights():
        inputs = keras.Input((64, 97, 3))
        model = keras.Model(inputs, dilated(inputs, resnet_of(18)(inputs), output_stride=8))
        assert model.output_shape[1:3] == (8, 13)
        rates = {
            layer.name: (layer.strides[0], layer.dilation_rate[0])
            for layer in model.layers
            if isinstance(layer, CONVOLUTIONS)
        }
    assert rates["stem_conv"] == (2, 1)
    assert rates["stage2_block1_1_conv"] == (2, 1)
    assert rates["stage3_block1_1_conv"] == (1, 1)
    assert rates["stage3_block1_2_conv"] == rates["stage4_block1_1_conv"] == (1, 2)
    assert rates["stage4_block2_2_conv"] == (1, 4)
    assert rates["stage4_block1_shortcut_conv"] == (1, 2)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in keras_application.NETWORKS if not name.startswith("vgg")])
def test_every_application_can_be_dilated_or_is_refused(name: str) -> None:
    refused = {"inceptionv3", "inceptionresnetv2", "nasnetlarge", "nasnetmobile"}
    with without_weights():
        inputs = keras.Input((96, 97, 3))
        maps = application(name)(inputs)
        weights = [weight.shape for weight in keras.Model(inputs, maps).weights]
        for stride in (16, 8):
            if stride == 8 and name in refused:
                with pytest.raises(
                    InputError, match=r"cannot have an output stride of 8, because its pooling '.*Use 16"
                ):
                    dilated(inputs, maps, output_stride=stride)
                continue
            larger = dilated(inputs, maps, output_stride=stride)
            assert list(taps(inputs, larger))[-1] == stride
            assert [weight.shape for weight in keras.Model(inputs, larger).weights] == weights


@pytest.mark.slow
def test_a_pooling_that_cannot_be_dilated_is_named() -> None:
    with without_weights():
        inputs = keras.Input((96, 97, 3))
        maps = polynet.features(inputs, width=0.1, num_modules=(1, 1, 1))
        with pytest.raises(InputError) as error:
            dilated(inputs, maps, output_stride=8)
    assert str(error.value) == (
        "the network cannot have an output stride of 8, because its pooling 'reduction_b_pool' cannot be dilated. "
        "Use 16, or another network, such as resnet."
    )


def test_strides_that_do_not_divide_each_other_are_named() -> None:
    inputs = keras.Input((81, 81, 3))
    maps = keras.layers.Conv2D(4, 3, strides=9)(keras.layers.Conv2D(4, 3, strides=3)(inputs))
    with pytest.raises(InputError, match=r"output stride of 8, because its strides are 3, 27\. Use one of them"):
        dilated(inputs, maps, output_stride=8)
    assert dilated(inputs, maps, output_stride=9).shape == (None, 9, 9, 4)
