"""Weights of torchvision's networks: all of them are taken, at their places; outputs are equal where torch is there."""

from typing import Any

import keras
import numpy as np
import pytest

from dlcli.models.images import dpn, resnet, resnext, senet, vgg
from dlcli.models.images.torch_names import Place, dual_path_place, residual_place, vgg_places
from dlcli.models.images.torch_weights import assign_torch_weights
from dlcli.models.images.weight_files import DoNotFit

SIZE = (64, 64, 3)
NETWORKS: dict[str, Any] = {
    "resnet18": lambda x: resnet.features(x, depth=18, version=1, stem="imagenet", width=1.0),
    "resnet50": lambda x: resnet.features(x, depth=50, version=1, stem="imagenet", width=1.0, downsample="3x3"),
    "resnext50_32x4d": lambda x: resnext.features(x, variant="50_32x4d", width=1.0),
    "vgg11": lambda x: vgg.features(x, depth=11, batch_norm=False, width=1.0),
    "vgg11_bn": lambda x: vgg.features(x, depth=11, batch_norm=True, width=1.0),
}
OF_TIMM: dict[str, Any] = {
    "seresnet50": lambda x: senet.features(x, variant="se_resnet50", width=1.0, downsample="3x3"),
    "seresnext50_32x4d": lambda x: senet.features(x, variant="se_resnext50_32x4d", width=1.0),
    "dpn68": lambda x: dpn.features(x, depth=68, width=1.0),
    "dpn68b": lambda x: dpn.features(x, depth=68, width=1.0),
    "dpn92": lambda x: dpn.features(x, depth=92, width=1.0),
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
        name = residual_place(layer.name).name
        if isinstance(layer, keras.layers.BatchNormalization):
            for part in ("weight", "bias", "running_mean", "running_var"):
                found[f"{name}.{part}"] = generator.uniform(0.5, 1, layer.gamma.shape).astype(np.float32)
            found[f"{name}.num_batches_tracked"] = np.int64(3)
        else:
            height, width, taken, given = layer.kernel.shape
            found[f"{name}.weight"] = generator.normal(size=(given, taken, height, width)).astype(np.float32)
    return found | {"fc.weight": np.zeros((10, 5)), "fc.bias": np.zeros(10)}


def test_names_of_layers() -> None:
    assert residual_place("stem_norm") == Place("bn1")
    assert residual_place("stage2_block1_shortcut_conv") == Place("layer2.0.downsample.0")
    assert residual_place("stage4_block3_2_norm") == Place("layer4.2.bn2")
    assert residual_place("stage1_block2_se_excite") == Place("layer1.1.se.fc2")
    assert residual_place("stage1") is None
    layers = ["stage1_conv1", "stage1_norm1", "stage2_conv1", "stage2_norm1", "stage3_conv1", "stage3_norm1"]
    assert list(vgg_places(layers).values()) == [Place(f"features.{position}") for position in (0, 1, 4, 5, 8, 9)]
    plain = ["stage1_conv1", "stage1_conv2", "stage2_conv1"]
    assert list(vgg_places(plain).values()) == [Place("features.0"), Place("features.2"), Place("features.5")]
    assert dual_path_place("stage2_dense_conv") == Place("features.conv3_1.c1x1_w_s2.conv", "rest")
    assert dual_path_place("stage1_block2_2_norm") == Place("features.conv2_2.c3x3_b.bn")
    assert dual_path_place("stage1") is None


def test_every_weight_is_taken_at_its_place(model: keras.Model) -> None:
    arrays = arrays_of(model)
    assign_torch_weights(model, {f"module.{name}": values for name, values in arrays.items()}, naming="residual")
    kernel = model.get_layer("stage2_block1_shortcut_conv").kernel.numpy()
    np.testing.assert_array_equal(kernel, arrays["layer2.0.downsample.0.weight"].transpose(2, 3, 1, 0))
    norm = model.get_layer("stage3_block2_1_norm")
    np.testing.assert_array_equal(norm.moving_variance.numpy(), arrays["layer3.1.bn1.running_var"])


def test_the_backbone_of_a_detector_is_taken(model: keras.Model) -> None:
    """Its frozen batch normalization has no counters of batches."""
    arrays = {name: values for name, values in arrays_of(model).items() if not name.endswith("num_batches_tracked")}
    of_detector = {f"backbone.body.{name}": values for name, values in arrays.items()}
    further = {"backbone.fpn.inner_blocks.0.0.weight": np.zeros((2, 2, 1, 1)), "rpn.head.conv.0.0.bias": np.zeros(2)}
    assign_torch_weights(model, of_detector | further, naming="residual")
    np.testing.assert_array_equal(model.get_layer("stem_norm").gamma.numpy(), arrays["bn1.weight"])
    with pytest.raises(DoNotFit, match=r"the file has no 'conv1\.weight'"):
        assign_torch_weights(model, further, naming="residual")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"conv1.weight": None}, "the file has no 'conv1.weight'"),
        ({"conv1.weight": np.zeros((2, 1, 7, 7))}, "'conv1.weight' has the shape 7x7x1x2 there and 7x7x3x2 here"),
        ({"bn1.bias": np.full(2, np.nan)}, "'bn1.bias' holds values that are not finite"),
        ({"layer0.conv1.weight": np.zeros(2)}, "timm's legacy networks, whose first pooling pads one side"),
        ({"layer1.2.conv1.weight": np.zeros(2)}, "the file has 'layer1.2.conv1.weight', which this network does not"),
    ],
)
def test_weights_of_other_networks_are_refused(model: keras.Model, change: dict[str, Any], message: str) -> None:
    arrays = {name: values for name, values in (arrays_of(model) | change).items() if values is not None}
    with pytest.raises(DoNotFit, match=message):
        assign_torch_weights(model, arrays, naming="residual")


def two_paths() -> keras.Model:
    """The convolutions of both paths, of 2 and 3 filters, and a norm."""
    inputs = keras.Input((4, 4, 5))
    residual = keras.layers.Conv2D(2, 1, use_bias=False, name="stage1_residual_conv")(inputs)
    dense = keras.layers.Conv2D(3, 1, use_bias=False, name="stage1_dense_conv")(inputs)
    x = keras.layers.Concatenate()([residual, dense])
    return keras.Model(inputs, keras.layers.BatchNormalization(epsilon=1e-5, name="last_norm")(x))


def test_a_convolution_of_both_paths_is_divided() -> None:
    kernel = np.random.default_rng(0).normal(size=(5, 5, 1, 1)).astype(np.float32)
    norm = {f"features.conv5_bn_ac.bn.{part}": np.full(5, 0.5) for part in ("weight", "bias", "running_mean")}
    norm["features.conv5_bn_ac.bn.running_var"] = np.ones(5)
    model = two_paths()
    assign_torch_weights(model, {"features.conv2_1.c1x1_w_s1.conv.weight": kernel, **norm}, naming="dual_path")
    found = [model.get_layer(f"stage1_{path}_conv").kernel.numpy()[0, 0].T for path in ("residual", "dense")]
    np.testing.assert_array_equal(np.concatenate(found), kernel[:, :, 0, 0])
    np.testing.assert_allclose(model.get_layer("last_norm").moving_variance, 1 + 1e-3 - 1e-5)
    more = np.concatenate([kernel, kernel[:1]])
    with pytest.raises(DoNotFit, match=r"has the shape 1x1x5x6 there and 1x1x5x5 here"):
        assign_torch_weights(model, {"features.conv2_1.c1x1_w_s1.conv.weight": more, **norm}, naming="dual_path")


def test_a_dense_layer_is_a_convolution_there() -> None:
    inputs = keras.Input((1, 1, 3))
    model = keras.Model(inputs, keras.layers.Dense(2, name="stage1_block1_se_reduce")(inputs))
    kernel, bias = np.arange(6, dtype=np.float32).reshape(2, 3, 1, 1), np.array([1, 2], np.float32)
    names = ("layer1.0.se.fc1.weight", "layer1.0.se.fc1.bias")
    assign_torch_weights(model, dict(zip(names, (kernel, bias), strict=True)), naming="residual")
    np.testing.assert_array_equal(model(np.ones((1, 1, 1, 3))).numpy()[0, 0, 0], kernel.sum((1, 2, 3)) + bias)


def with_random_averages(theirs: Any) -> Any:
    """Gives the moving averages and biases of a network of PyTorch values other than 0 and 1, which hide errors."""
    for key, values in theirs.state_dict().items():
        if key.endswith(("running_mean", "bias")):
            values.normal_(0, 0.1)
        elif key.endswith("running_var"):
            values.uniform_(0.5, 1.5)
    return theirs.eval()


def assert_equal_outputs(build: Any, theirs: Any, maps: Any, naming: Any) -> None:
    """Compares the maps of both for random images, with the weights of PyTorch's."""
    torch = pytest.importorskip("torch")
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = maps(images).permute(0, 2, 3, 1).numpy()
    ours = network(build)
    assign_torch_weights(ours, {key: values.numpy() for key, values in theirs.state_dict().items()}, naming=naming)
    found = ours(images.permute(0, 2, 3, 1).numpy(), training=False).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_equal_torchvision_s(name: str) -> None:
    torch, torchvision = pytest.importorskip("torch"), pytest.importorskip("torchvision")
    torch.manual_seed(0)
    theirs = with_random_averages(getattr(torchvision.models, name)(weights=None))
    maps = theirs.features if hasattr(theirs, "features") else torch.nn.Sequential(*list(theirs.children())[:-2])
    assert_equal_outputs(NETWORKS[name], theirs, maps, "vgg" if name.startswith("vgg") else "residual")


@pytest.mark.slow
@pytest.mark.parametrize("name", OF_TIMM)
def test_outputs_equal_timm_s(name: str) -> None:
    torch, timm = pytest.importorskip("torch"), pytest.importorskip("timm")
    torch.manual_seed(0)
    theirs = with_random_averages(timm.create_model(name))
    is_dual = name.startswith("dpn")
    if is_dual:
        theirs.features[-1].bn.act = torch.nn.ReLU()  # the paper's, where timm has an ELU
    assert_equal_outputs(OF_TIMM[name], theirs, theirs.forward_features, "dual_path" if is_dual else "residual")
