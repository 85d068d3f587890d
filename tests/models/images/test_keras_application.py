"""Networks of keras.applications: equality with Keras's own, and weights from files and downloads."""

import os
from collections.abc import Callable
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from dlcli.errors import InputError
from dlcli.models.images import keras_application
from dlcli.recipe.sections.image_model import Application, ApplicationName
from dlcli.runtime.model_files import check_weights_file
from dlcli.runtime.startup import without_weights
from dlcli.tasks.images.network import build_classifier
from dlcli.tasks.images.standardization import scale_input


@pytest.mark.parametrize(
    "name",
    [
        *("mobilenet", "mobilenetv3small"),
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("vgg16", "efficientnetb0", "convnexttiny")),
    ],
)
def test_an_application_is_keras_own_with_another_classifier(name: str, build_classifier) -> None:
    net = keras_application.NETWORKS[name]
    model = build_classifier(Application(kind="application", network=name), (64, 64, 3), 7)
    function = getattr(keras.applications, net.function)
    theirs = function(weights=None, classes=7, classifier_activation=None, input_shape=(64, 64, 3))
    assert [tuple(w.shape) for w in model.weights[:-2]] == [tuple(w.shape) for w in theirs.weights[:-2]]
    own_rates, their_rates = (
        [layer.rate for layer in network.layers if isinstance(layer, keras.layers.Dropout)]
        for network in (model, theirs)
    )
    assert own_rates == their_rates
    theirs.set_weights([*model.get_weights()[:-2], *(w.reshape(t.shape) for w, t in
                        zip(model.get_weights()[-2:], theirs.weights[-2:], strict=True))])  # fmt: skip
    x = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype("float32")
    scaled = keras.Model(model.input, scale_input(model.input, Application(kind="application", network=name), None))
    logits = keras.Model(model.input, model.get_layer("logits").output)
    np.testing.assert_allclose(logits(x), theirs(scaled(x)), rtol=1e-4, atol=1e-4)


def mobilenet(*, head: str = "average", shape: tuple[int, ...] = (64, 64, 3)):
    section = Application(kind="application", network="mobilenet", alpha=0.25, head=head)
    return build_classifier(section, shape=shape, num_classes=3)


def trained(*, include_top: bool) -> keras.Model:
    """Keras's network with weights that are none of the first ones."""
    model = keras.applications.MobileNet(alpha=0.25, weights=None, include_top=include_top)
    rng = np.random.default_rng(1)
    model.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in model.get_weights()])
    return model


def load_weights(target, file: Path | None, *, with_top: bool = False) -> None:
    found = keras_application.trained_model(
        "mobilenet", with_top=with_top, file=None if file is None else str(file), options={"alpha": 0.25}
    )
    keras_application.give_weights(target.features, found, with_top=with_top)


@pytest.mark.parametrize(
    ("head", "include_top", "suffix"),
    [
        ("average", True, ".weights.h5"),
        ("average", False, ".h5"),
        ("paper", True, ".h5"),
        ("paper", False, ".weights.h5"),
        *(
            pytest.param(*values, marks=pytest.mark.slow)  # each pair of values is above
            for values in (
                ("average", True, ".h5"),
                ("average", False, ".weights.h5"),
                ("paper", True, ".weights.h5"),
                ("paper", False, ".h5"),
            )
        ),
    ],
)
def test_weights_come_from_a_file(tmp_path: Path, head: str, include_top: bool, suffix: str) -> None:
    source = trained(include_top=include_top)
    file = tmp_path / f"x{suffix}"
    source.save_weights(file) if suffix == ".weights.h5" else source.save(file)
    target = mobilenet(head=head)
    if head == "paper" and not include_top:
        with pytest.raises(InputError, match=r"do not fit mobilenet alpha=0\.25 with its classifier of 1,000"):
            load_weights(target, file, with_top=True)
        return
    load_weights(target, file, with_top=head == "paper")
    expected = source.get_weights()[: len(target.features.weights)]
    for weight, other in zip(target.features.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(weight, other)
    assert len(expected) == len(target.features.weights)


def test_weights_of_another_network_and_of_colors_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.weights.h5"
    keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3), keras.layers.Conv2D(4, 3)]).save_weights(file)
    with pytest.raises(InputError, match=r"x\.weights\.h5: its weights do not fit mobilenet alpha=0\.25"):
        load_weights(mobilenet(), file)
    colors = tmp_path / "colors.weights.h5"
    trained(include_top=False).save_weights(colors)
    with pytest.raises(InputError, match=r"are for color images\. Set data\.color_mode: rgb"):
        load_weights(mobilenet(shape=(64, 64, 1)), colors)


def test_a_weight_that_is_not_finite_is_named(tmp_path: Path) -> None:
    source = trained(include_top=False)
    kernel = source.get_layer("conv1").weights[0]
    kernel.assign(np.full(kernel.shape, np.nan))
    source.save_weights(tmp_path / "x.weights.h5")
    with pytest.raises(InputError, match=r"conv1/kernel holds values that are not finite"):
        load_weights(mobilenet(), tmp_path / "x.weights.h5")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "no such weights file"),
        (Path.mkdir, "x.h5: a folder, not a file. Give a weights file (.weights.h5 or .h5)."),
        (lambda path: path.write_bytes(b"random" * 100), "is not a weights file (.weights.h5 or .h5), or is corrupt"),
    ],
)
def test_files_that_are_not_weights_are_refused(tmp_path: Path, make: Callable[[Path], object], message: str) -> None:
    make(tmp_path / "x.h5")
    with pytest.raises(InputError) as error:
        check_weights_file(tmp_path / "x.h5")
    assert message in str(error.value)


def test_weights_that_lie_elsewhere_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["weights"] = h5py.ExternalLink("/etc/passwd", "/")
    with pytest.raises(InputError, match="contain a link at"):
        check_weights_file(tmp_path / "x.h5")


def test_a_failed_download_gives_one_line_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise Exception("URL fetch failure on https://example.org/x.h5: None -- [Errno -3] no name\\nmore")

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", fail)
    with pytest.raises(InputError) as error:
        load_weights(mobilenet(), None)
    home = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()
    assert str(error.value) == (
        f"the ImageNet weights of mobilenet are not in {home / 'models'}, and https://example.org/x.h5 cannot "
        "be reached. Download that file on a machine with a network connection and copy it there, name another file "
        "with model.weights (--weights PATH), or train from random weights with none."
    )


@pytest.mark.parametrize("network", ["mobilenetv3small", "inceptionv3", "resnet50"])
def test_moving_averages_keep_up_with_few_steps(network: ApplicationName) -> None:
    """Keras's networks have momenta of up to 0.999, of which training from scratch on a small set sees nothing."""
    section = Application(kind="application", network=network)
    with without_weights():
        layers = build_classifier(section, shape=(96, 96, 3), num_classes=3).model.layers
        momenta = {layer.momentum for layer in layers if isinstance(layer, keras.layers.BatchNormalization)}
    assert momenta == {0.9}
