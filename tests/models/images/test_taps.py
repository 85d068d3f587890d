"""The last feature maps at each stride, of every network and at two sizes."""

from collections.abc import Callable
from typing import Any

import keras
import pytest

from dlcli.errors import InputError
from dlcli.models.images import convnet, dpn, keras_application, lenet5, mlp, polynet, resnet, resnext, senet, vgg
from dlcli.models.images.taps import check_strides, first_maps, taps
from dlcli.runtime.startup import without_weights

Build = Callable[[Any], Any]


def resnet_of(depth: int, version: int = 1, stem: str = "imagenet") -> Build:
    return lambda x: resnet.features(x, depth=depth, version=version, stem=stem, width=0.125)


def application(name: str) -> Build:
    return lambda x: keras_application.features(x, network=name, with_top=False).maps


def slow(*values: object) -> Any:
    return pytest.param(*values, marks=pytest.mark.slow)


FIVE = (2, 4, 8, 16, 32)
BUILDERS: dict[str, tuple[Build, tuple[int, ...]]] = {
    "vgg": (lambda x: vgg.features(x, depth=16, batch_norm=True, width=0.125), (1, *FIVE)),
    "resnet18": (resnet_of(18), FIVE),
    "resnet50": (resnet_of(50), FIVE),
    "resnet50 version 2": (resnet_of(50, 2), FIVE),
    "resnet18 small": (resnet_of(18, stem="small"), (1, 2, 4, 8)),
    "resnet20": (resnet_of(20), (1, 2, 4)),
    "resnet20 version 2": (resnet_of(20, 2), (1, 2, 4)),
    "resnext": (lambda x: resnext.features(x, variant="50_32x4d", width=0.125), FIVE),
    "senet": (lambda x: senet.features(x, variant="se_resnet50", width=0.125), FIVE),
    "senet154": (lambda x: senet.features(x, variant="senet154", width=0.125), FIVE),
    "dpn": (lambda x: dpn.features(x, depth=68, width=0.125), FIVE),
    "polynet": (lambda x: polynet.features(x, width=0.1, num_modules=(1, 2, 2)), FIVE),
}
QUICK_BUILDERS = ("vgg", "resnet18", "resnet20")
QUICK_APPLICATIONS = ("mobilenet", "vgg16", "convnexttiny")


def strides_of_application(name: str) -> tuple[int, ...]:
    if name.startswith("convnext"):
        return FIVE[1:]  # their first convolution has a stride of 4
    return (1, *FIVE) if name.startswith("vgg") else FIVE


CASES = [
    *(case if name in QUICK_BUILDERS else slow(*case) for name, case in BUILDERS.items()),
    *(
        (application(name), strides_of_application(name))
        if name in QUICK_APPLICATIONS
        else slow(application(name), strides_of_application(name))
        for name in keras_application.NETWORKS
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("build", "strides"), CASES, ids=[*BUILDERS, *(f"keras:{name}" for name in keras_application.NETWORKS)]
)
def test_every_stride_has_its_map_at_two_sizes(build: Build, strides: tuple[int, ...]) -> None:
    """A larger input has as many more positions as strides fit in the difference, whatever the padding."""
    size, more = (96, 97), (64, 96)
    sides = []
    for height, width in (size, (size[0] + more[0], size[1] + more[1])):
        with without_weights():
            inputs = keras.Input((height, width, 3))
            maps = build(inputs)
            found = taps(inputs, maps)
            assert found[strides[-1]] is maps
        sides.append({stride: tensor.shape[1:3] for stride, tensor in found.items()})
    assert tuple(sides[0]) == tuple(sides[1]) == strides
    for stride in strides:
        (height, width), (higher, wider) = (each[stride] for each in sides)
        assert ((higher - height) * stride, (wider - width) * stride) == more


@pytest.mark.parametrize(
    ("build", "names"),
    [
        (BUILDERS["resnet18"][0], ("stem_relu", "stage1", "stage2", "stage3", "stage4")),
        (BUILDERS["resnet20"][0], ("stage1", "stage2", "stage3")),
        (  # the first convolution and the shortcut of a stage read the maps after normalization and ReLU
            BUILDERS["resnet50 version 2"][0],
            ("stem_relu", *(f"stage{stage}_block1_1_relu" for stage in (2, 3, 4)), "last_relu"),
        ),
        (BUILDERS["vgg"][0], (*(f"stage{i}_relu{n}" for i, n in enumerate((2, 2, 3, 3, 3), start=1)), "stage5")),
        (
            application("mobilenetv2"),
            (*(f"block_{number}_expand_relu" for number in (1, 3, 6, 13)), "out_relu"),
        ),
        (
            application("vgg16"),
            (*(f"block{i}_conv{n}" for i, n in ((1, 2), (2, 2), (3, 3), (4, 3), (5, 3))), "block5_pool"),
        ),
        slow(
            application("resnet50"),
            ("conv1_relu", "conv2_block3_out", "conv3_block4_out", "conv4_block6_out", "conv5_block3_out"),
        ),
        slow(
            application("resnet50v2"),
            ("conv1_conv", "conv2_block2_out", "conv3_block3_out", "conv4_block5_out", "post_relu"),
        ),
        slow(application("densenet121"), ("conv1_relu", "pool2_conv", "pool3_conv", "pool4_conv", "relu")),
        slow(application("xception"), ("block1_conv2_act", "add", "add_1", "add_10", "block14_sepconv2_act")),
        slow(application("inceptionv3"), ("activation_2", "activation_4", "mixed2", "mixed7", "mixed10")),
        slow(
            application("nasnetmobile"),
            ("stem_bn1", "reduction_concat_stem_1", "normal_concat_3", "normal_concat_8", "activation_187"),
        ),
    ],
)  # fmt: skip
def test_the_taps_are_the_last_maps_before_downsampling(build: Build, names: tuple[str, ...]) -> None:
    with without_weights():
        inputs = keras.Input((96, 97, 3))
        found = taps(inputs, build(inputs))
        assert tuple(tensor._keras_history.operation.name for tensor in found.values()) == names


def test_strides_are_relative_to_the_inputs_of_the_network() -> None:
    with without_weights():
        pixels = keras.Input((64, 64, 3))
        scaled = keras.layers.Rescaling(1 / 255)(pixels)
        maps = resnet.features(scaled, depth=20, version=1, stem="small", width=0.5)
        assert list(taps(scaled, maps)) == list(taps(pixels, maps)) == [1, 2, 4]


def test_sides_of_any_length() -> None:
    with without_weights():
        inputs = keras.Input((None, None, 3))
        assert list(taps(inputs, resnet_of(18)(inputs))) == list(FIVE)


def test_the_first_maps_of_vgg_are_its_pooled_maps() -> None:
    with without_weights():
        inputs = keras.Input((64, 64, 3))
        found = first_maps(inputs, BUILDERS["vgg"][0](inputs))
        names = {stride: tensor._keras_history.operation.name for stride, tensor in found.items()}
        assert names == {2: "stage1", 4: "stage2", 8: "stage3", 16: "stage4", 32: "stage5"}


def block(filters: int, pool: str) -> convnet.Block:
    return convnet.Block(filters=filters, kernel_size=3, strides=1, padding="same", activation="relu", batch_norm=False,
                         repeat=1, pool=pool, pool_size=3, dropout=0.0)  # type: ignore[arg-type]  # fmt: skip


def test_strides_of_a_convnet_that_are_no_powers_of_two() -> None:
    inputs = keras.Input((30, 30, 3))
    blocks = [block(4, "max"), block(5, "none")]
    convnet.features(inputs, rank=2, blocks=blocks, pooling="flatten", dense=(), activation="relu", dropout=0.0)
    vector = convnet.features(
        inputs, rank=2, blocks=blocks, pooling="average", dense=(), activation="relu", dropout=0.0
    )
    maps = vector._keras_history.operation.input
    found = taps(inputs, maps)
    assert {stride: tensor.shape[1:] for stride, tensor in found.items()} == {1: (30, 30, 4), 3: (10, 10, 5)}


def test_a_network_without_the_maps_is_refused_in_one_line() -> None:
    inputs = keras.Input((32, 32, 1))
    lenet = lenet5.features(inputs, activation="relu", pool="max")
    (maps,) = [layer.output for layer in keras.Model(inputs, lenet).layers if layer.name == "stage2"]
    found = taps(inputs, maps)
    assert list(found) == [1, 2, 4]
    check_strides(found, (4,), network="lenet5", purpose="this")
    with pytest.raises(InputError) as error:
        check_strides(found, (8, 16, 32), network="lenet5", purpose="fcn")
    assert str(error.value) == (
        "lenet5 has no feature maps at stride 8, 16, 32, which fcn needs. Received a network with feature maps only at "
        "strides 1, 2, 4. Use another one, such as resnet or mobilenetv2."
    )
    vector = mlp.features(inputs, units=(4,), activation="relu", batch_norm=False, dropout=0.0)
    with pytest.raises(InputError, match=r"mlp has no feature maps at stride 4, .* none: its features are a vector"):
        check_strides(taps(inputs, vector), (4,), network="mlp", purpose="deeplabv3plus")
