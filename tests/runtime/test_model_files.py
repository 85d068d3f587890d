"""Loading model files: Keras's own load; hostile and corrupt ones are refused in one line."""

import copy
import io
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from dlcli.errors import InputError
from dlcli.rundir.directory import RunDir
from dlcli.rundir.reading import read_json
from dlcli.rundir.writing import replace_json
from dlcli.runtime.console import Console
from dlcli.runtime.model_files import describe_network, load_described, load_keras_file
from dlcli.tasks.run_models import load_image_model

Change = Callable[[str, bytes], bytes | None]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("models") / "model.keras"
    inputs = keras.Input((4,))
    x = keras.layers.Dense(8, name="hidden")(inputs)
    keras.Model(inputs, keras.layers.Dense(2, name="logits")(x)).save(path)
    return path


def changed(original: Path, folder: Path, change: Change, **add: bytes) -> Path:
    path = folder / "changed.keras"
    with zipfile.ZipFile(original) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            content = change(name, source.read(name))
            if content is not None:
                target.writestr(name, content)
        for name, content in add.items():
            target.writestr(name, content)
    return path


def weights_with(content: bytes, change: Callable[[h5py.File], None]) -> bytes:
    buffer = io.BytesIO(content)
    with h5py.File(buffer, "r+") as file:
        change(file)
    return buffer.getvalue()


def test_a_keras_file_loads(original: Path) -> None:
    model = load_keras_file(original)
    expected = keras.saving.load_model(original)
    x = np.ones((1, 4), np.float32)
    np.testing.assert_array_equal(model(x), expected(x))


def test_a_compiled_model_loads(tmp_path: Path) -> None:
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(2, name="logits")(inputs))
    model.compile("adam", "mse")
    x = np.ones((4, 4), np.float32)
    model.fit(x, np.ones((4, 2)), verbose=0)
    model.save(tmp_path / "x.keras")
    np.testing.assert_array_equal(load_keras_file(tmp_path / "x.keras")(x), model(x))


def test_layers_far_larger_than_the_weights_are_refused_before_building(original: Path, tmp_path: Path) -> None:
    def change(name: str, content: bytes) -> bytes:
        if name != "config.json":
            return content
        return content.replace(b'"units": 8,', b'"units": 4000000000,').replace(b"[null, 8]", b"[null, 4000000000]")

    with pytest.raises(InputError, match=r"changed\.keras: its layers would take [\d,]+ bytes"):
        load_keras_file(changed(original, tmp_path, change))


def test_weights_that_declare_more_than_they_hold_are_refused(original: Path, tmp_path: Path) -> None:
    def bomb(file: h5py.File) -> None:
        file.create_dataset("bomb", shape=(10**6, 10**4), chunks=(10**3, 10**3), dtype="f4", compression="gzip")

    path = changed(original, tmp_path, lambda n, c: weights_with(c, bomb) if n.endswith(".h5") else c)
    with pytest.raises(InputError, match="more than the file holds"):
        load_keras_file(path)


def test_external_links_in_weights_are_refused(original: Path, tmp_path: Path) -> None:
    def link(file: h5py.File) -> None:
        file["elsewhere"] = h5py.ExternalLink("/etc/passwd", "/")

    path = changed(original, tmp_path, lambda n, c: weights_with(c, link) if n.endswith(".h5") else c)
    with pytest.raises(InputError, match="link at //elsewhere"):
        load_keras_file(path)


def test_code_in_a_model_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "code.keras"
    keras.Sequential([keras.Input((3,)), keras.layers.Lambda(lambda x: x * 2)]).save(path)
    with pytest.raises(InputError, match="lambda"):
        load_keras_file(path)


@pytest.mark.parametrize(
    ("change", "add", "message"),
    [
        (lambda n, c: b"{}" if n == "config.json" else c, {}, "cannot be loaded"),
        (lambda n, c: b"[" * 100_000 if n == "config.json" else c, {}, "corrupt"),
        (lambda n, c: None if n == "config.json" else c, {}, "is not a Keras model file"),
        (lambda n, c: c[:1000] if n.endswith(".h5") else c, {}, "corrupt"),
        (lambda n, c: c, {"../outside.txt": b""}, "is not a Keras model file"),
    ],
    ids=["empty config", "nested config", "no config", "cut weights", "foreign member"],
)
def test_corrupt_archives(original: Path, tmp_path: Path, change: Change, add: dict[str, bytes], message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        load_keras_file(changed(original, tmp_path, change, **add))
    assert "\n" not in str(error.value)


def test_flipped_bytes_and_cut_files(original: Path, tmp_path: Path) -> None:
    content = original.read_bytes()
    for position in range(0, len(content), len(content) // 23):
        corrupt = bytearray(content)
        corrupt[position] ^= 0xFF
        for variant in (bytes(corrupt), content[:position]):
            path = tmp_path / "corrupt.keras"
            path.write_bytes(variant)
            try:
                load_keras_file(path)
            except InputError as error:
                assert str(error).startswith(str(path))  # noqa: PT017 - a flip that harms nothing may load


QUIET = Console(quiet=True)


def test_a_run_without_its_model_and_with_another(original: Path, tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    data = {"fingerprint": "", "samples": {}, "images": None, "shape": [4]}
    replace_json(run.info, {"status": "interrupted", "config": {}, "data": data, "best": None, "final": None})
    replace_json(run.labels, {"classes": ["a", "b"]})
    with pytest.raises(InputError, match=r"has no model\.keras yet"):
        load_image_model(run, QUIET)
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="other")]).save(run.model)
    with pytest.raises(InputError, match="no layer named 'logits'"):
        load_image_model(run, QUIET)
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="logits")]).save(run.model)
    with pytest.raises(InputError, match=r"Received \(3,\) and 2\."):
        load_image_model(run, QUIET)
    shutil.copy(original, run.model)
    assert load_image_model(run, QUIET).model.output_shape == (None, 2)


def test_the_network_of_a_checkpoint_is_built_from_its_description_alone(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="logits", dtype="mixed_float16")])
    path, arrays = tmp_path / "network.json", {"model/0000": np.ones((4, 2), np.float32), "model/0001": np.ones(2)}
    keys = {id(weight): key for weight, key in zip(model.weights, arrays, strict=True)}
    replace_json(path, describe_network(model, keys))
    loaded = load_described(path, arrays)
    np.testing.assert_array_equal(loaded(np.ones((1, 4), np.float32)), [[5.0, 5.0]])
    assert loaded.layers[-1].compute_dtype == "float32"
    description = read_json(path)
    large = copy.deepcopy(description)
    large["network"]["config"]["layers"][-1]["config"]["units"] = 10**7
    code = keras.Sequential([keras.Input((4,)), keras.layers.Lambda(lambda x: x), keras.layers.Dense(2)])
    for changed_to in (
        large,
        {"network": description["network"], "weights": ["model/0000"]},
        {"network": description["network"], "weights": ["model/0000", "model/0007"]},
        {"weights": []},
        {**description, "network": keras.saving.serialize_keras_object(code)},
    ):
        replace_json(path, changed_to)
        with pytest.raises(InputError, match=r"network\.json: is corrupt"):
            load_described(path, arrays)


# Files of a run that are lost or exchanged ----------------------------------------------------------------------------
