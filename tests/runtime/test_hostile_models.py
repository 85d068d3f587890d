"""Model files from strangers: each loads as a plain Keras model or is refused in one line; no code of theirs runs."""

import io
import json
import os
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from dlcli.errors import InputError
from dlcli.runtime.model_files import check_weights_file, load_architecture, load_keras_file, read_config

RAN = "ran"  # a file that code in a model would make
VALUES: tuple[Any, ...] = (
    None,
    -1,
    10**12,
    1e308,
    "",
    "../../x",
    "a\x1b[31m",
    [],
    {},
    [[]] * 50,
    f"touch {RAN}",
    {"class_name": "Lambda", "module": "keras.layers", "config": {"function": f"open('{RAN}', 'w')"}},
    {"class_name": "system", "module": "os", "config": [f"touch {RAN}"], "registered_name": "system"},
    {"class_name": "function", "module": "builtins", "config": "eval", "registered_name": "function"},
    {"class_name": "__lambda__", "config": {"value": "eJw="}},
)


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The members of a small .keras file."""
    path = tmp_path_factory.mktemp("models") / "model.keras"
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(2, 3, name="conv", activation="relu")(inputs)
    x = keras.layers.Flatten(name="flatten")(keras.layers.BatchNormalization(name="norm")(x))
    keras.Model(inputs, keras.layers.Dense(2, name="logits")(x)).save(path)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def paths_in(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, inner in items for found in ((*path, key), *paths_in(inner, (*path, key)))]


def exchange(config: Any, path: tuple[Any, ...], new: Any) -> None:
    for key in path[:-1]:
        config = config[key]
    config[path[-1]] = new


def change_config(members: dict[str, bytes], random_: random.Random) -> None:
    """Exchanges one value of the configuration, half of the time one that names a class or its module."""
    config = json.loads(members["config.json"])
    paths = paths_in(config)
    if random_.random() < 0.5:
        paths = [path for path in paths if path[-1] in ("class_name", "module", "registered_name", "config")]
    exchange(config, random_.choice(paths), random_.choice(VALUES))
    members["config.json"] = json.dumps(config).encode()


def change_weights(members: dict[str, bytes], random_: random.Random) -> None:
    """Removes, links, enlarges or exchanges an array."""
    buffer = io.BytesIO(members["model.weights.h5"])
    with h5py.File(buffer, "r+") as file:
        names: list[str] = []
        file.visit(lambda name: names.append(name) if isinstance(file[name], h5py.Dataset) else None)
        name = random_.choice(names)
        shape = file[name].shape
        del file[name]
        match random_.randrange(6):
            case 0:
                file[name] = h5py.ExternalLink("/etc/passwd", "/")
            case 1:
                file[name] = h5py.SoftLink("/")
            case 2:
                file.create_dataset(name, shape=(10**6, 10**5), chunks=(1000, 1000), dtype="f4")
            case 3:
                file.create_dataset(name, data=np.full(shape, np.nan, np.float32))
            case 4:
                file.create_dataset(name, data=np.array([b"text"]))
    members["model.weights.h5"] = buffer.getvalue()


def change_bytes(members: dict[str, bytes], random_: random.Random) -> None:
    """Exchanges some bytes of a member."""
    name = random_.choice(list(members))
    content = bytearray(members[name])
    for _ in range(random_.randrange(1, 20)):
        content[random_.randrange(len(content))] = random_.randrange(256)
    members[name] = bytes(content)


def change_members(members: dict[str, bytes], random_: random.Random) -> None:
    """Removes, adds, cuts or deepens a member."""
    name = random_.choice(list(members))
    match random_.randrange(4):
        case 0:
            del members[name]
        case 1:
            members[random_.choice(("../outside", "/etc/x", "assets/code.py", "model.py"))] = b"open('ran', 'w')"
        case 2:
            members[name] = members[name][: random_.randrange(len(members[name]))]
        case 3:
            members["config.json"] = b'{"config":' * 5000 + b"1" + b"}" * 5000


CHANGES: tuple[Callable[[dict[str, bytes], random.Random], None], ...] = (
    change_config,
    change_config,
    change_weights,
    change_bytes,
    change_members,
)


def load_all(path: Path) -> None:
    """Loads a file in every way: each ends well or with one line."""
    for load in (load_keras_file, read_config, load_architecture):
        try:
            load(path)
        except InputError as error:
            assert str(error).startswith(str(path))  # noqa: PT017 - a change that harms nothing may load
            assert "\n" not in str(error)  # noqa: PT017
            assert len(str(error)) < 2000  # noqa: PT017
    assert not Path(RAN).exists()


def check(members: dict[str, bytes], seed: int) -> None:
    random_ = random.Random(seed)
    changed = dict(members)
    random_.choice(CHANGES)(changed, random_)
    load_all(write(Path("changed.keras"), changed))
    if "model.weights.h5" in changed:
        weights = Path("changed.weights.h5")
        weights.write_bytes(changed["model.weights.h5"])
        try:
            check_weights_file(weights)
        except InputError as error:
            assert "\n" not in str(error)  # noqa: PT017


@pytest.fixture(autouse=True)
def _in_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "trick",
    [
        {"module": "builtins", "class_name": "eval", "registered_name": "eval", "config": {"x": f"open('{RAN}', 'w')"}},
        {"module": "os", "class_name": "system", "registered_name": "system", "config": f"touch {RAN}"},
        {"module": "keras.layers", "class_name": "Lambda", "registered_name": None, "config": {"function": "f"}},
        {"module": "keras.src.saving", "class_name": "load_model", "registered_name": None, "config": {}},
        {"module": "keras.utils", "class_name": "get_file", "registered_name": None, "config": {"fname": RAN}},
        {"module": None, "class_name": "Custom", "registered_name": "Package>Custom", "config": {"name": "x"}},
        {"module": "hostile", "class_name": "Layer", "registered_name": "Layer", "config": {"name": "x"}},
    ],
    ids=lambda trick: f"{trick['module']}.{trick['class_name']}",
)
def test_what_is_not_a_layer_of_keras_is_refused(members: dict[str, bytes], trick: dict[str, Any]) -> None:
    Path("hostile.py").write_text(f"open({RAN!r}, 'w')\n")  # beside the model, as in a folder that was downloaded
    config = json.loads(members["config.json"])
    layer = config["config"]["layers"][1]
    layer.update({key: value for key, value in trick.items() if key != "config"})
    layer["config"] = trick["config"]
    path = write(Path("changed.keras"), members | {"config.json": json.dumps(config).encode()})
    with pytest.raises(InputError):
        load_keras_file(path)
    load_all(path)


def test_files_that_are_not_files_and_sizes_without_end(members: dict[str, bytes]) -> None:
    os.mkfifo("pipe.keras")
    os.mkfifo("pipe.h5")
    with open("hole.keras", "wb") as file:
        file.truncate(2**43)
    with open("hole.h5", "wb") as file:
        file.write(members["model.weights.h5"])
        file.truncate(2**43)
    Path("zero.keras").symlink_to("/dev/zero")
    for name in ("pipe.keras", "zero.keras"):
        with pytest.raises(InputError, match=f"{name}: a pipe or device, not a file"):
            load_keras_file(Path(name))
    with pytest.raises(InputError, match=r"hole\.keras: is not a Keras model file"):
        load_keras_file(Path("hole.keras"))
    with pytest.raises(InputError, match=r"pipe\.h5: a pipe or device, not a file"):
        check_weights_file(Path("pipe.h5"))
    with pytest.raises(InputError, match=r"hole\.h5: must fit into half of this machine's memory"):
        check_weights_file(Path("hole.h5"))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_changed_models(members: dict[str, bytes], seed: int) -> None:
    check(members, seed)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(6, 60))
def test_more_changed_models(members: dict[str, bytes], seed: int) -> None:
    check(members, seed)
