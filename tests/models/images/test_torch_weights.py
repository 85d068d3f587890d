"""Weights of torchvision's networks: all of them are taken, at their places; outputs are equal where torch is there."""

from typing import Any

import keras
import numpy as np
import pytest

from dlcli.models.images import resnet, resnext, vgg
from dlcli.models.images.torch_weights import assign_torch_weights, residual_name, vgg_names
from dlcli.models.images.weight_files import DoNotFit

SIZE = (64, 64, 3)
NETWORKS: dict[str, Any] = {
    "resnet18": lambda x: resnet.features(x, depth=18, version=1, stem="imagenet", width=1.0),
    "resnet50": lambda x: resnet.features(x, depth=50, version=1, stem="imagenet", width=1.0, downsample="3x3"),
    "resnext50_32x4d": lambda x: resnext.features(x, variant="50_32x4d", width=1.0),
    "vgg11": lambda x: vgg.features(x, depth=11, batch_norm=False, width=1.0),
    "vgg11_bn": lambda x: vgg.features(x, depth=11, batch_norm=True, width=1.0),
}


def network(build: Any) -> keras.Model:
    inputs = keras.Input(SIZE)
    return keras.Model(inputs, build(inputs))


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """A narrow ResNet-18."""
    return network(lambda x: resnet.features(x, depth=18, version=1, stem="imagenet", width=0.03125))


def arrays_of(model: keras.Model) -> dict[str, np.ndarray]:
    """Random arrays with the names and shapes that PyTorch has."""
    generator = np.random.default_rng(0)
    found = {}
    for layer in (layer for layer in model.layers if layer.weights):
        name = residual_name(layer.name)
        if isinstance(layer, keras.layers.BatchNormalization):
            for part in ("weight", "bias", "running_mean", "running_var"):
                found[f"{name}.{part}"] = generator.uniform(0.5, 1, layer.gamma.shape).astype(np.float32)
            found[f"{name}.num_batches_tracked"] = np.int64(3)
        else:
            height, width, taken, given = layer.kernel.shape
            found[f"{name}.weight"] = generator.normal(size=(given, taken, height, width)).astype(np.float32)
    return found | {"fc.weight": np.zeros((10, 5)), "fc.bias": np.zeros(10)}


def test_names_of_layers() -> None:
    assert residual_name("stem_norm") == "bn1"
    assert residual_name("stage2_block1_shortcut_conv") == "layer2.0.downsample.0"
    assert residual_name("stage4_block3_2_norm") == "layer4.2.bn2"
    assert residual_name("stage1") is None
    layers = ["stage1_conv1", "stage1_norm1", "stage2_conv1", "stage2_norm1", "stage3_conv1", "stage3_norm1"]
    assert list(vgg_names(layers).values()) == [f"features.{position}" for position in (0, 1, 4, 5, 8, 9)]
    plain = ["stage1_conv1", "stage1_conv2", "stage2_conv1"]
    assert list(vgg_names(plain).values()) == ["features.0", "features.2", "features.5"]


def test_every_weight_is_taken_at_its_place(model: keras.Model) -> None:
    arrays = arrays_of(model)
    assign_torch_weights(model, {f"module.{name}": values for name, values in arrays.items()}, is_vgg=False)
    kernel = model.get_layer("stage2_block1_shortcut_conv").kernel.numpy()
    np.testing.assert_array_equal(kernel, arrays["layer2.0.downsample.0.weight"].transpose(2, 3, 1, 0))
    norm = model.get_layer("stage3_block2_1_norm")
    np.testing.assert_array_equal(norm.moving_variance.numpy(), arrays["layer3.1.bn1.running_var"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"conv1.weight": None}, "the file has no 'conv1.weight'"),
        ({"conv1.weight": np.zeros((2, 1, 7, 7))}, "'conv1.weight' has the shape 7x7x1x2 there and 7x7x3x2 here"),
        ({"bn1.bias": np.full(2, np.nan)}, "'bn1.bias' holds values that are not finite"),
        ({"layer1.2.conv1.weight": np.zeros(2)}, "the file has 'layer1.2.conv1.weight', which this network does not"),
    ],
)
def test_weights_of_other_networks_are_refused(model: keras.Model, change: dict[str, Any], message: str) -> None:
    arrays = {name: values for name, values in (arrays_of(model) | change).items() if values is not None}
    with pytest.raises(DoNotFit, match=message):
        assign_torch_weights(model, arrays, is_vgg=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_equal_torchvision_s(name: str) -> None:
    torch, torchvision = pytest.importorskip("torch"), pytest.importorskip("torchvision")
    torch.manual_seed(0)
    theirs = getattr(torchvision.models, name)(weights=None).eval()
    for key, values in theirs.state_dict().items():
        if key.endswith(("running_mean", "bias")):
            values.normal_(0, 0.1)
        elif key.endswith("running_var"):
            values.uniform_(0.5, 1.5)
    maps = theirs.features if hasattr(theirs, "features") else torch.nn.Sequential(*list(theirs.children())[:-2])
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = maps(images).permute(0, 2, 3, 1).numpy()
    ours = network(NETWORKS[name])
    arrays = {key: values.numpy() for key, values in theirs.state_dict().items()}
    assign_torch_weights(ours, arrays, is_vgg=name.startswith("vgg"))
    found = ours(images.permute(0, 2, 3, 1).numpy(), training=False).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
