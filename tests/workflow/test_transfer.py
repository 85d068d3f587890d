"""``dlcli transfer`` from end to end: on networks of keras.applications, runs and model files."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import processes  # type: ignore[import-not-found]
import pytest
from PIL import Image

from dlcli.rundir.tables import read_csv

SIDE = 64


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of MobileNet 0.25 without its top, none of them a first one."""
    keras.utils.set_random_seed(3)
    model = keras.applications.MobileNet(alpha=0.25, include_top=False, weights=None, input_shape=(SIDE, SIDE, 3))
    rng = np.random.default_rng(3)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            gamma, beta, mean, variance = layer.get_weights()
            layer.set_weights([gamma + 0.1, beta, mean + rng.normal(0, 0.1, mean.shape), variance * 1.5])
    path: Path = tmp_path_factory.mktemp("base") / "base.weights.h5"
    model.save_weights(path)
    return path


@pytest.fixture
def folder(tmp_path: Path, base: Path) -> Path:
    """A user's folder: photos of two classes, and weights."""
    make_photos(tmp_path / "photos")
    shutil.copy(base, tmp_path / "base.weights.h5")
    return tmp_path


def make_photos(root: Path, number: int = 20) -> None:
    rng = np.random.default_rng(0)
    for name, shade in (("dark", 60), ("light", 190)):
        (root / name).mkdir(parents=True)
        for i in range(number):
            pixels = np.clip(rng.normal(shade, 40, (70, 80, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{i}.png")


def run(*arguments: object, folder: Path, status: int = 0, prepare: processes.Prepare | None = None) -> Any:
    return processes.run(*arguments, folder=folder, prepare=prepare or processes.without_plots).expect(status)


def weights_of(model: Path) -> dict[str, np.ndarray]:
    """The arrays of a .keras file by layer and weight, in Keras's own loading."""
    loaded = keras.saving.load_model(model)
    return {weight.path: weight.numpy() for layer in loaded.layers for weight in layer.weights}


# The verb -------------------------------------------------------------------------------------------------------------

VERB = ("transfer", "--base", "mobilenet", "--base-option", "alpha=0.25", "--image-size", SIDE)
QUICK = ("--epochs", 2, "--fine-tune-epochs", 1, "--batch-size", 9)


@dataclass(frozen=True)
class Transferred:
    """A run of the verb on photos, of which some are copies and some cannot be read."""

    folder: Path
    stdout: str
    stderr: list[str]

    @property
    def run(self) -> Path:
        return self.folder / "runs" / "transfer_mobilenet"


@pytest.fixture(scope="module")
def transferred(tmp_path_factory: pytest.TempPathFactory, base: Path) -> Transferred:
    folder: Path = tmp_path_factory.mktemp("transferred")
    make_photos(folder / "photos")
    Image.new("P", (30, 30)).save(folder / "photos" / "dark" / "not_found.gif")
    (folder / "photos" / "light" / "broken.jpg").write_bytes(b"no image")
    shutil.copy(folder / "photos" / "light" / "1.png", folder / "photos" / "light" / "21.png")
    for i in range(22, 42):
        Image.new("RGB", (60, 50), (200, i, i)).save(folder / "photos" / "light" / f"{i}.png")
    done = run(*VERB, *QUICK, "--data", "photos", "--weights", base, "--augment", "flip", folder=folder)
    return Transferred(folder, done.stdout, done.stderr.splitlines())


def mobilenet(base: Path) -> keras.Model:
    model = keras.applications.MobileNet(
        alpha=0.25, include_top=False, weights=None, input_shape=(SIDE, SIDE, 3), pooling="avg"
    )
    model.load_weights(base)
    return model


def test_transfer_on_photos_from_end_to_end(transferred: Transferred) -> None:
    lines = transferred.stderr
    assert lines[0] == "data: photos"
    assert any(line.startswith("train: ") and "dark" in line and "light" in line for line in lines)
    skipped = next(line for line in lines if line.startswith("skipped "))
    assert "dark/not_found.gif (excluded by '*.gif')" in skipped
    assert "light/broken.jpg" in skipped
    assert any(line.startswith("base: mobilenet, 218,544 parameters, pretrained weights: ") for line in lines)
    assert "trainable parameters: 514; frozen: 218,544" in lines
    assert any(line.startswith("trainable parameters: 102,274; frozen: 116,784") for line in lines)
    assert "confusion matrix of test (rows: label; columns: prediction)" in transferred.stdout
    assert "mistakes: runs/transfer_mobilenet/plots/mistakes.png" in transferred.stdout
    recipe = (transferred.run / "recipe.yaml").read_text()
    assert recipe.startswith("# Written by: dlcli transfer --base mobilenet")


def test_frozen_weights_and_all_statistics_stay_bit_for_bit(transferred: Transferred, base: Path) -> None:
    model = mobilenet(base)
    before = {weight.path: weight.numpy() for layer in model.layers for weight in layer.weights}
    after = weights_of(transferred.run / "model.keras")
    same = {path for path, array in before.items() if np.array_equal(array, after[path])}
    changed = set(before) - same
    last_stage = [layer.name for layer in model.layers]
    last_stage = last_stage[last_stage.index("conv_dw_12") :]
    assert {path.split("/")[0] for path in changed} <= set(last_stage)
    assert all("kernel" in path for path in changed)  # no scale, shift or statistic of batch normalization
    kernels = {path for path in before if "kernel" in path and path.split("/")[0] in last_stage}
    assert changed == kernels  # and all of these


def test_cached_features_are_the_outputs_of_the_network(transferred: Transferred, base: Path) -> None:
    """The features that the head was trained on, and those of Keras's own network."""
    model = keras.saving.load_model(transferred.run / "model.keras")
    rows = [row for row in read_csv(transferred.run / "split.csv") if row["split"] == "validation"]
    files = [transferred.folder / "photos" / row["file"] for row in rows]
    size, filter_ = (SIDE, SIDE), Image.Resampling.BILINEAR
    images = np.stack([np.asarray(Image.open(file).resize(size, filter_), np.float32) for file in files])
    kept = [np.load(path) for path in (transferred.run.parent / ".features").glob("*.npy")]
    mine = next(array for array in kept if len(array) == len(rows))
    close = {"rtol": 1e-4, "atol": 1e-5}
    np.testing.assert_allclose(mine, mobilenet(base)(images / 127.5 - 1, training=False), **close)
    # the last stage was trained since, so the features of the finished network differ
    pooled = keras.Model(model.input, model.get_layer("head_average").output)
    assert not np.allclose(mine, pooled(images, training=False), **close)


def test_the_class_folders_of_this_folder_are_the_default(folder: Path) -> None:
    photos = folder / "photos"
    sequential(folder / "theirs.keras")
    for name in ("transfer_theirs", "transfer_theirs-2"):  # the second time beside a folder of runs
        options = ("--base", "../theirs.keras", "--unfreeze", "none", "--epochs", 1)
        done = run("transfer", *options, folder=photos)
        assert done.stderr.startswith(f"data: the class folders in the current folder, {photos}")
        info = json.loads((photos / "runs" / name / "run.json").read_text())
        assert info["data"]["classes"] == ["dark", "light"]


@pytest.mark.slow
def test_without_class_folders_the_digits_are_the_default(tmp_path: Path, base: Path) -> None:
    done = run(
        *("transfer", "--base", "mobilenet", "--base-option", "alpha=0.25", "--weights", base, "--limit", 40),
        *("--unfreeze", "none", "--epochs", 1),
        folder=tmp_path,
    )
    assert done.stderr.splitlines()[0] == (
        "data: the bundled digits, because the current folder has no class folders (use --data PATH for other data)"
    )
    config = (tmp_path / "runs" / "transfer_mobilenet" / "config.yaml").read_text()
    assert "kind: digits" in config
    assert "image_size: [96, 96]" in config
    assert "augment: null" in config


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--base", "resnet5"), "--base resnet5: no such network in keras.applications; did you mean 'resnet50'?"),
        (("--base", "ResNet-50", "--weights", "no.h5", "--data", "photos"), "--weights no.h5: model.weights: "),
        (("--base", "vgg16", "--base-option", "alpha=1"), "--base-option alpha=1: model.alpha: vgg16 has no such"),
        (("--base", "vgg16", "--base-option", "alpha"), "--base-option alpha: expected KEY=VALUE, such as alpha=0.35."),
        (("--base", "vgg16", "--head", "big"), "--head big: expected linear or the units of dense layers"),
        (("--base", "vgg16", "--unfreeze", "some"), "--unfreeze some: expected a number of layers, a stage"),
        (("--base", "vgg16", "--epochs", "none"), "--epochs none: train.stages.0.epochs: expected a whole number > 0"),
        (("--base", "vgg16", "--fine-tune-epochs", "-1"), "--fine-tune-epochs -1: expected a whole number."),
        (("--base", "vgg16", "--image-size", "big"), "--image-size big: expected a number of pixels, or HEIGHTxWIDTH."),
        (("--base", "vgg16", "--data", "nowhere"), "--data nowhere: no such file or folder."),
        (("--base", "vgg16", "--data", "transfer.yaml"), "--data transfer.yaml: expected a folder of class folders"),
        (("--base", "run:nothing"), "nothing: no such run in runs."),
        (("--base", "nothing.keras"), "nothing.keras: no such model file (.keras)."),
        (("--base", "run:nothing", "--weights", "x.h5"), "--weights is for networks of keras.applications."),
        (("--base", "vgg16", "--unfreeze", "none", "--rate-decay", "0.5"), "--rate-decay is for fine-tuning"),
        (("--base", "vgg16", "--class-index", "x.json"), "--class-index is for --top imagenet."),
        (("--base", "vgg16", "--top", "imagenet", "--epochs", "3"), "--epochs is for training; with --top imagenet"),
        (("--base", "vgg16", "--top", "imagenet", "--dry-run"), "--dry-run is for training; with --top imagenet"),
        (("--base", "vgg16", "--top", "imagenet", "--head", "9"), "--head is for training; with --top imagenet"),
        (("--base", "run:x", "--top", "imagenet"), "--top is for networks of keras.applications."),
        (("--base", "run:runs/x"), "--base run:runs/x: expected run: followed by the name of a run in runs."),
        (("--base", ""), "--base : no such network in keras.applications. List the available ones with: dlcli models."),
        (("--base", "vgg16", "--weights", "run:x"), "model.weights: x: no such run in runs."),
        (
            ("--base", "vgg16", "--top", "imagenet", "--weights", "none"),
            "--weights none: --top imagenet requires the pretrained weights.",
        ),
        ((), "missing option '--base'"),
    ],
)
def test_refused_options(transferred: Transferred, tmp_path: Path, options: tuple[str, ...], message: str) -> None:
    (tmp_path / "photos").symlink_to(transferred.folder / "photos")
    (tmp_path / "transfer.yaml").write_text("no folder")
    refused = run("transfer", *options, folder=tmp_path, status=2)
    assert message in refused.stderr
    assert refused.stdout == ""
    assert not (tmp_path / "runs").exists()


def test_an_unknown_stage(folder: Path) -> None:
    options = ("--weights", "base.weights.h5", "--data", "photos", "--unfreeze", "stage9")
    refused = run(*VERB, *options, folder=folder, status=2)
    assert refused.stderr.splitlines()[-1] == (
        "dlcli transfer: train.stages.1.trainable: this network has no such stage: expected all, head, a number of "
        "layers, or one of stage1, stage2, stage3, stage4, stage5. Received stage9."
    )


def test_mismatched_weights_are_reported_with_layer_and_shapes(folder: Path) -> None:
    refused = run(
        *("transfer", "--base", "mobilenet", "--weights", "base.weights.h5", "--data", "photos"),
        folder=folder,
        status=2,
    )
    told = r"base\.weights\.h5: its weights do not fit mobilenet: layer '\w+' has weights of shape [0-9x]+ here and"
    assert re.search(told, refused.stderr)
    assert not (folder / "runs").exists()


# Downloads ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Download:
    """Keras's downloads give a file, or fail as without a network."""

    file: str | None

    def __call__(self) -> None:
        processes.without_plots()
        import keras.src.utils.file_utils as file_utils

        def get_file(fname: str, origin: str, **keys: Any) -> str:
            print(f"Downloading data from {origin}")
            if self.file is None:
                raise Exception(f"URL fetch failure on {origin}: None -- [Errno -3] no name")
            print("100%")
            return self.file

        file_utils.get_file = get_file


@pytest.mark.slow
def test_imagenet_weights_are_downloaded_by_keras(folder: Path) -> None:
    options = ("--data", "photos", "--unfreeze", "none", "--epochs", 1)
    done = run(*VERB, *options, folder=folder, prepare=Download(str(folder / "base.weights.h5")))
    assert "Downloading data from https://storage.googleapis.com/" in done.stderr
    assert "100%" in done.stderr
    assert "Downloading" not in done.stdout
    kept = weights_of(folder / "runs" / "transfer_mobilenet" / "model.keras")["conv1/kernel"]
    with h5py.File(folder / "base.weights.h5") as file:
        arrays: list[np.ndarray] = []
        file.visititems(lambda name, item: arrays.append(item[()]) if isinstance(item, h5py.Dataset) else None)
    assert any(np.array_equal(kept, array) for array in arrays)


def test_without_a_network_nothing_is_trained(folder: Path) -> None:
    refused = run(*VERB, "--data", "photos", folder=folder, status=2, prepare=Download(None))
    last = refused.stderr.splitlines()[-1]
    assert last.startswith("dlcli transfer: model.weights: the ImageNet weights of mobilenet are not in ")
    assert "mobilenet_2_5_" in last
    assert last.endswith("(--weights PATH), or train from random weights with none.")
    assert "Downloading" not in refused.stderr
    assert not (folder / "runs").exists()


@pytest.mark.slow  # the small base of the other tests is quick
@pytest.mark.parametrize("way", ["file", "download"])
def test_resnet50_from_end_to_end(tmp_path: Path, way: str) -> None:
    make_photos(tmp_path / "photos")
    keras.utils.set_random_seed(1)
    base = keras.applications.ResNet50(include_top=False, weights=None, input_shape=(SIDE, SIDE, 3), pooling="avg")
    base.save_weights(tmp_path / "resnet50.weights.h5")
    options = ("--data", "photos", "--image-size", SIDE, "--epochs", 1, "--unfreeze", "none")
    file = str(tmp_path / "resnet50.weights.h5")
    if way == "file":
        done = run("transfer", "--base", "resnet50", "--weights", file, *options, folder=tmp_path)
    else:
        done = run("transfer", "--base", "resnet50", *options, folder=tmp_path, prepare=Download(file))
    assert "base: resnet50, 23,587,712 parameters, pretrained weights: " in done.stderr
    model = keras.saving.load_model(tmp_path / "runs" / "transfer_resnet50" / "model.keras")
    pixels = np.random.default_rng(0).uniform(0, 255, (2, SIDE, SIDE, 3)).astype(np.float32)
    features = keras.Model(model.input, model.get_layer("head_average").output)(pixels)
    expected = base(keras.applications.resnet50.preprocess_input(pixels.copy()))
    np.testing.assert_allclose(features, expected, rtol=1e-3, atol=1e-4 * float(np.abs(expected).max()))


def test_resnet50_as_typed_without_a_network(tmp_path: Path) -> None:
    refused = run("transfer", "--base", "resnet50", folder=tmp_path, status=2, prepare=Download(None))
    first, last = refused.stderr.splitlines()
    assert first.startswith("data: the bundled digits")
    assert "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5 cannot be reached. Download that file" in last
    assert not (tmp_path / "runs").exists()


# Runs and files as bases ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a completed run of digits."""
    folder: Path = tmp_path_factory.mktemp("digits")
    (folder / "digits.yaml").write_text(
        "task: classification\n"
        "data: {kind: digits, image_size: [16, 16], limit: 60}\n"
        "model: {kind: convnet, blocks: [{filters: 4, batch_norm: true}, {filters: 6}], dense: [12], dropout: 0.2}\n"
        "train: {epochs: 2, batch_size: 16}\n"
    )
    run("train", "digits.yaml", folder=folder)
    return folder


@pytest.mark.slow
def test_a_run_as_the_base(digits: Path, tmp_path: Path) -> None:
    shutil.copytree(digits / "runs", tmp_path / "runs")
    done = run(*("transfer", "--base", "run:digits", "--limit", 50), *QUICK, folder=tmp_path)
    assert "base: saved, " in done.stderr
    made = tmp_path / "runs" / "transfer_digits"
    before, after = weights_of(tmp_path / "runs" / "digits" / "model.keras"), weights_of(made / "model.keras")
    assert before.keys() == after.keys()
    assert np.array_equal(
        before["stage1_conv/kernel" if "stage1_conv/kernel" in before else next(iter(before))],
        after[next(iter(before))],
    )
    assert not np.array_equal(before["logits/kernel"], after["logits/kernel"])
    again = run("train", made / "recipe.yaml", "--json", folder=tmp_path)  # the recipe that the verb wrote
    assert json.loads(again.stdout)["final"] == json.loads((made / "run.json").read_text())["final"]
    shutil.rmtree(tmp_path / "runs" / "digits")
    run("evaluate", "transfer_digits", folder=tmp_path)  # which needs no base


def test_a_file_as_the_base_and_other_classes(digits: Path, tmp_path: Path) -> None:
    shutil.copy(digits / "runs" / "digits" / "model.keras", tmp_path / "my model.keras")
    make_photos(tmp_path / "photos")
    options = ("--data", "photos", "--head", "7,5", "--dropout", "0.3", "--unfreeze", 2, *QUICK)
    done = run("transfer", "--base", "my model.keras", *options, "--rate-decay", "0.5", folder=tmp_path)
    loaded = keras.saving.load_model(tmp_path / "runs" / "transfer_my_model" / "model.keras")
    assert loaded.input_shape == (None, 16, 16, 1)
    assert loaded.output_shape == (None, 2)
    assert [layer.name for layer in loaded.layers[-6:]] == [
        *("new_head_dense1", "new_head_dropout1", "new_head_dense2", "new_head_dropout2", "logits", "probabilities")
    ]
    assert done.stderr.count("trainable parameters: ") == 2


def test_a_foreign_model_as_the_base(tmp_path: Path) -> None:
    make_photos(tmp_path / "photos")
    inner = keras.Sequential([keras.Input((24, 24, 3)), keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization()])
    inputs = keras.Input((24, 24, 3))
    x = keras.layers.GlobalAveragePooling2D()(inner(keras.layers.Rescaling(1 / 255)(inputs)))
    keras.Model(inputs, keras.layers.Dense(5, activation="softmax")(x)).save(tmp_path / "theirs.keras")
    done = run("transfer", "--base", "theirs.keras", "--data", "photos", "--unfreeze", "all", *QUICK, folder=tmp_path)
    assert "nothing scales the pixels" not in done.stderr
    before = keras.saving.load_model(tmp_path / "theirs.keras")
    after = keras.saving.load_model(tmp_path / "runs" / "transfer_theirs" / "model.keras")
    inside = before.layers[2].layers
    norm = next(layer for layer in after.layers if isinstance(layer, keras.layers.BatchNormalization))
    for weight, kept in zip(inside[-1].weights, norm.weights, strict=True):  # of a model inside of the model
        np.testing.assert_array_equal(weight, kept)
    convolution = next(layer for layer in after.layers if isinstance(layer, keras.layers.Conv2D))
    assert not np.array_equal(inside[0].weights[0], convolution.weights[0])


def sequential(path: Path) -> None:
    keras.Sequential(
        [keras.Input((24, 24, 3)), keras.layers.Conv2D(4, 3), keras.layers.Flatten(), keras.layers.Dense(3)]
    ).save(path)


def nested(path: Path) -> None:
    base = keras.applications.MobileNetV2(alpha=0.35, include_top=False, weights=None, input_shape=(32, 32, 3))
    inputs = keras.Input((32, 32, 3))
    x = base(keras.layers.Rescaling(1 / 127.5, offset=-1)(inputs), training=False)
    keras.Model(inputs, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(x))).save(path)


def ends_in_a_convolution(path: Path) -> None:
    """A classifier with the last layers of MobileNet's."""
    inputs = x = keras.Input((32, 32, 3))
    for strides in (2, 2, 2):
        x = keras.layers.Conv2D(8, 3, strides=strides, padding="same", use_bias=False)(x)
        x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    x = keras.layers.Dropout(0.1)(keras.layers.GlobalAveragePooling2D(keepdims=True)(x))
    x = keras.layers.Reshape((5,))(keras.layers.Conv2D(5, 1)(x))
    keras.Model(inputs, keras.layers.Softmax()(x)).save(path)


def with_its_top(path: Path) -> None:
    keras.applications.MobileNet(alpha=0.25, weights=None, input_shape=(32, 32, 3)).save(path)


@pytest.mark.parametrize(
    "make",
    [
        sequential,
        ends_in_a_convolution,
        *(pytest.param(slow, marks=pytest.mark.slow) for slow in (nested, with_its_top)),
    ],
)
def test_bases_of_every_form(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "theirs.keras")
    make_photos(tmp_path / "photos")
    unfreeze = "all" if make is sequential else "last_stage"
    done = run(
        *("transfer", "--base", "theirs.keras", "--data", "photos", "--unfreeze", unfreeze, *QUICK), folder=tmp_path
    )
    assert ("its first layer takes values from" in done.stderr) == (make is not nested)
    lines = [line.split() for line in done.stderr.splitlines() if line.startswith("trainable parameters: ")]
    trained, frozen = (int(lines[1][position].replace(",", "").rstrip(";")) for position in (2, 4))
    if make is not sequential:  # a part of the base's own layers
        assert 0.2 < trained / (trained + frozen) < 0.9
    before = keras.saving.load_model(tmp_path / "theirs.keras")
    after = keras.saving.load_model(tmp_path / "runs" / "transfer_theirs" / "model.keras")
    assert after.input_shape == before.input_shape
    assert after.output_shape == (None, 2)


def test_a_base_is_needed_until_the_first_checkpoint_and_must_be_the_same(tmp_path: Path) -> None:
    sequential(tmp_path / "theirs.keras")
    make_photos(tmp_path / "photos")
    command = ("transfer", "--base", "theirs.keras", "--data", "photos", "--name", "t", *QUICK)
    processes.run(*command, folder=tmp_path, prepare=processes.KillAtCheckpoint(1))
    keras.utils.set_random_seed(99)
    sequential(tmp_path / "theirs.keras")
    refused = run("train", "--resume", "t", folder=tmp_path, status=2)
    assert "theirs.keras: has changed since the run was started, and runs/t has no checkpoint yet." in refused.stderr
    (tmp_path / "theirs.keras").unlink()
    refused = run("train", "--resume", "t", folder=tmp_path, status=2)
    assert "theirs.keras: no longer exists, and runs/t has no checkpoint yet." in refused.stderr


@pytest.mark.slow
def test_a_run_with_checkpoints_needs_no_base(tmp_path: Path) -> None:
    sequential(tmp_path / "theirs.keras")
    make_photos(tmp_path / "photos")
    command = ("transfer", "--base", "theirs.keras", "--data", "photos", *QUICK)
    run(*command, "--name", "whole", folder=tmp_path)
    processes.run(*command, "--name", "t", folder=tmp_path, prepare=processes.KillAtCheckpoint(3))
    (tmp_path / "theirs.keras").unlink()
    run("train", "--resume", "t", folder=tmp_path)
    rows = [[r["val_loss"] for r in read_csv(tmp_path / "runs" / name / "metrics.csv")] for name in ("whole", "t")]
    assert rows[0] == rows[1]
    run("train", "--extend", "t", "--epochs", 4, folder=tmp_path)
    run("summary", "t", folder=tmp_path)


def regression(path: Path) -> None:
    inputs = keras.Input((8, 8, 3))
    keras.Model(inputs, keras.layers.Conv2D(1, 3)(inputs)).save(path)


def two_inputs(path: Path) -> None:
    inputs = [keras.Input((8, 8, 3)), keras.Input((8, 8, 3))]
    flat = keras.layers.Flatten()(keras.layers.Add()(inputs))
    keras.Model(inputs, keras.layers.Dense(2)(flat)).save(path)


def of_vectors(path: Path) -> None:
    inputs = keras.Input((8,))
    keras.Model(inputs, keras.layers.Dense(2)(inputs)).save(path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (regression, "is not a classifier: its last layer with weights must be a Dense layer. Found a Conv2D"),
        (two_inputs, "is not a functional or sequential model with one input and one output."),
        (of_vectors, "does not take images [batch, height, width, channels]: its input has shape [None, 8]."),
        (lambda path: path.write_bytes(b"x" * 100), "is not a Keras model file, or is corrupt"),
    ],
)
def test_unusable_base_files(tmp_path: Path, make: Callable[[Path], object], message: str) -> None:
    make(tmp_path / "theirs.keras")
    refused = run("transfer", "--base", "theirs.keras", folder=tmp_path, status=2)
    assert message in refused.stderr
    assert "theirs.keras" in refused.stderr
    assert not (tmp_path / "runs").exists()


def test_a_recipe_that_starts_from_the_weights_of_a_run(digits: Path, tmp_path: Path) -> None:
    shutil.copytree(digits / "runs", tmp_path / "runs")
    recipe = (digits / "digits.yaml").read_text().replace("dropout: 0.2}", "dropout: 0.2, weights: run:digits}")
    (tmp_path / "warm.yaml").write_text(recipe)
    run("train", "warm.yaml", "-s", "train.optimizer={kind: sgd, learning_rate: 1e-12}", folder=tmp_path)
    before, after = (weights_of(tmp_path / "runs" / name / "model.keras") for name in ("digits", "warm"))
    kernel = next(path for path in before if path.endswith("kernel"))
    np.testing.assert_array_equal(before[kernel], after[kernel])
    assert not np.array_equal(before["logits/kernel"], after["logits/kernel"])
    config = (tmp_path / "runs" / "warm" / "config.yaml").read_text()
    assert f"weights: {tmp_path / 'runs' / 'digits' / 'model.keras'}" in config
    (tmp_path / "warm.yaml").write_text(recipe.replace("filters: 4", "filters: 5"))
    refused = run("train", "warm.yaml", folder=tmp_path, status=2)
    assert "has weights of shape 3x3x1x5" in refused.stderr
    (tmp_path / "warm.yaml").write_text(recipe.replace("run:digits", "run:other"))
    refused = run("train", "warm.yaml", folder=tmp_path, status=2)
    assert "warm.yaml:3:" in refused.stderr
    assert "model.weights: other: no such run in runs." in refused.stderr


# The top of ImageNet --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def with_top(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with weights of MobileNet 0.25 with its top, a class index, and images in folders of numbers."""
    folder: Path = tmp_path_factory.mktemp("top")
    keras.utils.set_random_seed(5)
    keras.applications.MobileNet(alpha=0.25, weights=None).save_weights(folder / "top.weights.h5")
    index = {str(i): [f"n{i:08d}", f"thing_{i}"] for i in range(1000)}
    index["7"][1] = index["8"][1] = "crane"
    (folder / "index.json").write_text(json.dumps(index))
    rng = np.random.default_rng(0)
    for name in ("n00000003", "thing_5", "crane (n00000008)"):
        (folder / "photos" / name).mkdir(parents=True)
        for i in range(3):
            Image.fromarray(rng.integers(0, 256, (90, 120, 3), np.uint8)).save(folder / "photos" / name / f"{i}.png")
    return folder


def test_an_imagenet_classifier_becomes_a_run(with_top: Path) -> None:
    options = ("--base-option", "alpha=0.25", "--weights", "top.weights.h5", "--class-index", "index.json")
    done = run("transfer", "--base", "mobilenet", "--top", "imagenet", *options, folder=with_top)
    assert "mobilenet_imagenet: mobilenet with 1,000 classes, 475,544 parameters" in done.stdout
    made = with_top / "runs" / "mobilenet_imagenet"
    reference = keras.applications.MobileNet(alpha=0.25, weights=None)
    reference.load_weights(with_top / "top.weights.h5")
    x = np.random.default_rng(1).uniform(0, 255, (2, 224, 224, 3)).astype(np.float32)
    mine = keras.saving.load_model(made / "model.keras")(x)
    np.testing.assert_allclose(mine, reference(x / 127.5 - 1), rtol=1e-4, atol=1e-7)

    photo = with_top / "photos" / "thing_5" / "0.png"
    predicted = json.loads(run("predict", "mobilenet_imagenet", photo, "--json", folder=with_top).stdout)
    assert predicted["predictions"][0]["predicted"].startswith(("thing_", "crane"))
    evaluated = json.loads(run("evaluate", "--data", "photos", "--json", folder=with_top).stdout)
    assert evaluated["samples"] == 9
    refused = run("evaluate", folder=with_top, status=2)
    assert "there are no samples. Give some" in refused.stderr
    assert "mobilenet_imagenet" in run("runs", "list", folder=with_top).stdout
    run("runs", "show", folder=with_top)
    refused = run("train", made / "config.yaml", folder=with_top, status=2)
    assert "there are no samples" in refused.stderr


def test_a_saved_network_as_an_imagenet_classifier(with_top: Path) -> None:
    model = keras.applications.MobileNet(alpha=0.25, weights=None)
    model.load_weights(with_top / "top.weights.h5")
    model.save(with_top / "top.keras")
    options = ("--base-option", "alpha=0.25", "--weights", "top.keras", "--class-index", "index.json", "--name", "k")
    run("transfer", "--base", "mobilenet", "--top", "imagenet", *options, folder=with_top)
    x = np.random.default_rng(1).uniform(0, 255, (2, 224, 224, 3)).astype(np.float32)
    mine = keras.saving.load_model(with_top / "runs" / "k" / "model.keras")(x)
    np.testing.assert_allclose(mine, model(x / 127.5 - 1), rtol=1e-4, atol=1e-7)
    refused = run("train", "--resume", "k", folder=with_top, status=2)
    assert "runs/k: was created without training (--top), so there is nothing to continue." in refused.stderr
    shutil.rmtree(with_top / "runs" / "k")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "nowhere.json: no such file. Give a file with the names of 1,000 classes."),
        ("{", 'nowhere.json: expected classes in the format of Keras: {"0": ["n01440764", "tench"]'),
        ('{"0": ["n1", "x"]}', "nowhere.json: expected classes in the format of Keras"),
    ],
)
def test_invalid_class_index(with_top: Path, tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "nowhere.json").write_text(content)
    options = ("--base-option", "alpha=0.25", "--weights", with_top / "top.weights.h5")
    refused = run(
        *("transfer", "--base", "mobilenet", "--top", "imagenet", *options, "--class-index", "nowhere.json"),
        folder=tmp_path,
        status=2,
    )
    assert message in refused.stderr
    assert not (tmp_path / "runs").exists()


def test_weights_without_a_top_are_refused_for_top_imagenet(with_top: Path, tmp_path: Path, base: Path) -> None:
    options = ("--base-option", "alpha=0.25", "--weights", base, "--class-index", with_top / "index.json")
    refused = run("transfer", "--base", "mobilenet", "--top", "imagenet", *options, folder=tmp_path, status=2)
    assert "do not fit mobilenet alpha=0.25 with its classifier of 1,000 classes" in refused.stderr
    assert not (tmp_path / "runs").exists()
