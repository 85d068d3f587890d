"""A saved network loads with Keras alone, in a program that never imports dlcli, and gives the same outputs."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from dlcli.models.images import saved_network
from dlcli.recipe.sections.image_model import (
    Application,
    ConvBlock,
    Convnet,
    Dpn,
    Lenet5,
    Mlp,
    Resnet,
    Resnext,
    Senet,
    Vgg,
)

NETWORKS = {
    "convnet": (
        Convnet(
            kind="convnet",
            preprocessing="symmetric",
            blocks=(
                ConvBlock(filters=4, batch_norm=True, dropout=0.2, activation="gelu"),
                ConvBlock(filters=4, pool="average", activation="leaky_relu"),
            ),
            pooling="max",
            dense=(8,),
            dropout=0.5,
        ),
        (12, 10, 3),
    ),
    "signal": (Convnet(kind="convnet", rank=1, preprocessing="none", blocks=(ConvBlock(filters=4),)), (20, 2)),
    "volume": (Convnet(kind="convnet", rank=3, preprocessing="none", blocks=(ConvBlock(filters=4),)), (4, 6, 8, 1)),
    "lenet5": (Lenet5(kind="lenet5"), (28, 28, 1)),
    "vgg": (Vgg(kind="vgg", depth=11, width=0.1, dense=(8,)), (32, 33, 3)),
    "resnet20": (Resnet(kind="resnet", depth=20, width=0.5), (16, 16, 1)),
    "resnet50_v2": (Resnet(kind="resnet", version=2, width=0.1, head="max"), (32, 32, 3)),
    "resnext": (Resnext(kind="resnext", width=0.1), (32, 32, 3)),
    "senet": (Senet(kind="senet", width=0.1), (32, 32, 3)),
    "dpn": (Dpn(kind="dpn", depth=68, width=0.1), (32, 32, 3)),
    "caffe": (Application(kind="application", network="mobilenet", preprocessing="caffe"), (32, 32, 3)),
    "torch": (Application(kind="application", network="mobilenetv3small", head="average"), (32, 32, 3)),
    "convnext": (Application(kind="application", network="convnexttiny"), (32, 32, 3)),
    "mlp": (Mlp(kind="mlp", batch_norm=True, dropout=0.1), (6, 6, 1)),
}

PROGRAM = """
import sys
from pathlib import Path

import keras
import numpy as np

folder = Path(sys.argv[1])
for file in sorted(folder.glob("*.keras")):
    model = keras.models.load_model(file, compile=False)  # safe_mode is on
    np.save(file.with_suffix(".loaded.npy"), model(np.load(file.with_suffix(".x.npy"))).numpy())
assert "dlcli" not in sys.modules, "dlcli was imported"
print(len(list(folder.glob("*.keras"))))
"""


SLOW = (
    "resnet20",
    "caffe",
    "resnet50_v2",
    "resnext",
    "senet",
    "dpn",
    "torch",
    "convnext",
)  # deep ones take long to build twice
GROUPS = {"quick": [name for name in NETWORKS if name not in SLOW], "slow": [*SLOW]}


@pytest.fixture(scope="module")
def loaded(request: pytest.FixtureRequest, build_classifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which another program has left the outputs of a group of networks."""
    folder = tmp_path_factory.mktemp("saved")
    names = GROUPS[request.param]
    for name in names:
        section, shape = NETWORKS[name]
        model = build_classifier(section, shape, 5)
        x = np.random.default_rng(0).uniform(0, 255, (3, *shape)).astype("float32")
        np.save(folder / f"{name}.x.npy", x)
        np.save(folder / f"{name}.y.npy", model(x).numpy())
        model.save(folder / f"{name}.keras")
    # -P and a folder elsewhere: the working tree is not on the path
    finished = subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM, str(folder)], cwd=folder, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr[-2000:]
    assert finished.stdout.strip() == str(len(names))
    return folder


@pytest.mark.parametrize(
    ("loaded", "name"),
    [
        pytest.param(group, name, marks=[pytest.mark.slow] if group == "slow" else [])
        for group, names in GROUPS.items()
        for name in names
    ],
    indirect=["loaded"],
    scope="module",
)
def test_the_loaded_network_gives_the_same_outputs(loaded, name) -> None:
    np.testing.assert_array_equal(np.load(loaded / f"{name}.loaded.npy"), np.load(loaded / f"{name}.y.npy"))


# A saved network as a base ------------------------------------------------------------------------------------------


def base(*first: keras.layers.Layer) -> keras.Model:
    """A small classifier of 8x8 images whose first layers are given."""
    keras.utils.set_random_seed(3)
    layers = [keras.layers.Conv2D(4, 3), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2)]
    return keras.Sequential([keras.Input((8, 8, 3)), *first, *layers])


@pytest.mark.parametrize("is_nested", [False, True])
def test_the_input_range_becomes_part_of_the_network(is_nested: bool) -> None:
    model = base()
    if is_nested:
        inputs = keras.Input((8, 8, 3))
        model = keras.Model(inputs, keras.layers.Dense(2)(keras.Sequential(model.layers[:-1])(inputs)))
    inputs, vector = saved_network.features(model, input_range=(-1.0, 1.0))
    scaled = keras.Model(inputs, vector)
    plain = keras.Model(*saved_network.features(model))
    scaled.set_weights(plain.get_weights())
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 8, 8, 3)).astype(np.float32)
    np.testing.assert_allclose(scaled(pixels), plain(pixels / 127.5 - 1), atol=1e-5)
    assert scaled.get_layer("input_range").output.shape == (None, 8, 8, 3)


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        ((), False),
        ((keras.layers.ZeroPadding2D(1), keras.layers.RandomFlip()), False),
        ((keras.layers.Rescaling(1 / 255),), True),
        ((keras.layers.ZeroPadding2D(1), keras.layers.Rescaling(1 / 255)), True),
        ((keras.layers.BatchNormalization(),), True),
        ((keras.layers.Normalization(mean=0.0, variance=1.0),), True),
    ],
)
def test_scaling_before_the_initial_weights_is_recognized(
    first: tuple[keras.layers.Layer, ...], expected: bool
) -> None:
    assert saved_network.scales_its_input(*saved_network.features(base(*first))) is expected


def test_arithmetic_on_the_pixels_counts_as_scaling() -> None:
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, base()(inputs / 255.0))
    assert saved_network.scales_its_input(*saved_network.features(model))
    assert saved_network.scales_its_input(*saved_network.features(base(), input_range=(0.0, 1.0)))
