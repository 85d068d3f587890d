import gzip
import hashlib
import io
import os
import pickle
import subprocess
import sys
import tarfile
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlcli.data.images.samples import Dataset
from dlcli.data.images.sources.keras_datasets import IDX_FILES, ORIGINS, read_keras_dataset
from dlcli.errors import InputError

Common = dict[str, Any]
RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (30, 28, 28), np.uint8)
Y = np.tile(np.arange(10), 3).astype(np.uint8)
COLOR = RNG.integers(0, 256, (30, 32, 32, 3), np.uint8)


def read(common: Common, kind: str, path: Path | None) -> Dataset:
    return read_keras_dataset(kind=kind, path=path, **common)  # type: ignore[arg-type]


def error(common: Common, kind: str, path: Path | None) -> str:
    with pytest.raises(InputError) as error:
        read(common, kind, path)
    return str(error.value)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    path = tmp_path / "copy.npz"
    np.savez(path, x_train=X, y_train=Y, x_test=X[:10] ^ 1, y_test=Y[:10])
    return path


@pytest.fixture
def idx_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "idx"
    folder.mkdir()
    for key, array in {"x_train": X, "y_train": Y, "x_test": X[:10] ^ 1, "y_test": Y[:10]}.items():
        header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
        (folder / IDX_FILES[key]).write_bytes(gzip.compress(header + array.tobytes()))
    return folder


def tar_of(members: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, content in members.items():
            data = pickle.dumps(content, protocol=3)
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return file.getvalue()


def cifar_rows(images: np.ndarray) -> np.ndarray:
    return images.transpose(0, 3, 1, 2).reshape(len(images), -1)


def trust(monkeypatch: pytest.MonkeyPatch, kind: str, data: bytes) -> None:
    """Makes an archive of the test count as the published one."""
    origin = ORIGINS[kind]  # type: ignore[index]
    changed = {**vars(origin), "sha256": hashlib.sha256(data).hexdigest()}
    monkeypatch.setitem(ORIGINS, kind, type(origin)(**changed))  # type: ignore[arg-type]


# The classes --------------------------------------------------------------------------------------------------------


def test_class_names() -> None:
    assert {kind: len(set(origin.classes)) for kind, origin in ORIGINS.items()} == {
        "mnist": 10,
        "fashion_mnist": 10,
        "cifar10": 10,
        "cifar100": 100,
    }
    assert ORIGINS["fashion_mnist"].classes[9] == "Ankle boot"
    assert ORIGINS["cifar100"].classes == tuple(sorted(ORIGINS["cifar100"].classes))


# Copies -------------------------------------------------------------------------------------------------------------


def test_an_npz_copy(copy: Path, common: Common) -> None:
    dataset = read(common, "fashion_mnist", copy)
    assert dataset.classes[0] == "T-shirt/top"
    assert dataset.shape == (28, 28, 1)
    assert {split: len(samples) for split, samples in dataset.splits.items()} == {
        "train": 27,
        "validation": 3,
        "test": 10,
    }
    pixels = dataset.splits["test"].pixels
    assert pixels is not None
    assert np.array_equal(pixels[..., 0], X[:10] ^ 1)


def test_the_four_original_files(copy: Path, idx_folder: Path, common: Common) -> None:
    for kind in ("mnist", "fashion_mnist"):
        assert read(common, kind, idx_folder).fingerprint() == read(common, kind, copy).fingerprint()


@pytest.mark.parametrize(
    "corruption",
    [
        lambda data: data[:-20],
        lambda data: b"no gzip",
        lambda data: gzip.compress(gzip.decompress(data)[:-1]),
        lambda data: gzip.compress(gzip.decompress(data) + b"\0"),
        lambda data: gzip.compress(b"\0\0\x0d\3" + gzip.decompress(data)[4:]),
        lambda data: gzip.compress(b"\0\0\x08\3" + b"\xff" * 12 + gzip.decompress(data)[16:]),
        lambda data: gzip.compress(b"\0\0"),
    ],
)
def test_corrupt_original_files(idx_folder: Path, common: Common, corruption: Any) -> None:
    path = idx_folder / IDX_FILES["x_train"]
    path.write_bytes(corruption(path.read_bytes()))
    message = error(common, "mnist", idx_folder)
    assert message.startswith(f"{path}: ")
    assert "corrupt" in message


def test_a_folder_without_the_original_files(tmp_path: Path, common: Common) -> None:
    assert error(common, "mnist", tmp_path) == (
        f"{tmp_path}/train-images-idx3-ubyte.gz: no such file. The folder must contain train-images-idx3-ubyte.gz, "
        "train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz, t10k-labels-idx1-ubyte.gz."
    )
    assert "a folder, not a file. A copy of cifar10 is an .npz file" in error(common, "cifar10", tmp_path)


def test_the_cifar10_archive(tmp_path: Path, common: Common, monkeypatch: pytest.MonkeyPatch) -> None:
    batches = {
        f"cifar-10-batches-py/data_batch_{i + 1}": {
            b"data": cifar_rows(COLOR[6 * i : 6 * i + 6]),
            b"labels": Y[6 * i : 6 * i + 6].tolist(),
        }
        for i in range(5)
    }
    test = {b"data": cifar_rows(COLOR[:10] ^ 1), b"labels": Y[:10].tolist()}
    data = tar_of({**batches, "cifar-10-batches-py/test_batch": test})
    path = tmp_path / "cifar.tar.gz"
    path.write_bytes(data)
    assert "must be the file from https://www.cs.toronto.edu" in error(common, "cifar10", path)
    trust(monkeypatch, "cifar10", data)
    dataset = read({**common, "validation": 0.0}, "cifar10", path)
    pixels = dataset.splits["train"].pixels
    assert pixels is not None
    assert np.array_equal(pixels, COLOR)
    assert dataset.splits["train"].labels.tolist() == Y.tolist()
    assert len(dataset.splits["test"]) == 10


def test_the_cifar100_archive(tmp_path: Path, common: Common, monkeypatch: pytest.MonkeyPatch) -> None:
    content = {b"data": cifar_rows(COLOR), b"fine_labels": (Y + 90).tolist(), b"coarse_labels": Y.tolist()}
    data = tar_of({"cifar-100-python/train": content, "cifar-100-python/test": content})
    path = tmp_path / "cifar.tar.gz"
    path.write_bytes(data)
    trust(monkeypatch, "cifar100", data)
    dataset = read({**common, "validation": 0.0, "allow_leakage": True}, "cifar100", path)
    assert dataset.splits["train"].labels.tolist() == (Y + 90).tolist()
    assert dataset.classes[99] == "worm"
    assert "train has no sample of 90 of the 100 classes: 'apple'" in dataset.warnings[0].text


class Bomb:
    """Fails the test if it is called by unpickling."""

    def __reduce__(self) -> Any:
        return (os.system, ("false",))


def test_only_arrays_are_unpickled(tmp_path: Path, common: Common, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tar_of({"cifar-100-python/train": Bomb()})
    path = tmp_path / "cifar.tar.gz"
    path.write_bytes(data)
    trust(monkeypatch, "cifar100", data)
    with pytest.raises(pickle.UnpicklingError, match=r"posix.system is not allowed"):
        read(common, "cifar100", path)


def test_copies_of_other_data_sets(tmp_path: Path, copy: Path, common: Common) -> None:
    text = tmp_path / "copy.txt"
    text.write_text("hello")
    assert error(common, "mnist", text) == (
        f"{text}: a copy of mnist must be an .npz file, or the folder with the four original .gz files. "
        "Received another kind of file."
    )
    missing = tmp_path / "missing.npz"
    assert error(common, "mnist", missing) == (
        f"{missing}: no such file. A copy of mnist is an .npz file, or the folder with the four original .gz files."
    )
    for labels in (Y + 90, Y[:, None] * 0.5, np.eye(10)[Y]):
        np.savez(copy, x_train=X, y_train=labels)
        assert "y_train must be labels [n] from 0 to 9. Received others: check that it is this data set." in error(
            common, "mnist", copy
        )


# Through Keras ------------------------------------------------------------------------------------------------------


def fake_keras(monkeypatch: pytest.MonkeyPatch, load_data: Any) -> None:
    """A fake Keras; the real one is tested below in a separate process."""
    module = types.SimpleNamespace(load_data=load_data)
    names = ("mnist", "fashion_mnist", "cifar10", "cifar100")
    datasets = types.SimpleNamespace(**dict.fromkeys(names, module))
    monkeypatch.setitem(sys.modules, "keras", types.SimpleNamespace(datasets=datasets))  # type: ignore[arg-type]


def test_data_loaded_by_keras(
    copy: Path,
    tmp_path: Path,
    common: Common,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def load_data() -> Any:
        print("downloading")
        return (X, Y[:, None]), (X[:10] ^ 1, Y[:10, None])

    fake_keras(monkeypatch, load_data)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert read(common, "mnist", None).fingerprint() == read(common, "mnist", copy).fingerprint()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "downloading\n"


def test_no_copy_and_no_network(tmp_path: Path, common: Common, monkeypatch: pytest.MonkeyPatch) -> None:
    def load_data() -> Any:
        raise Exception("URL fetch failure on https://x: None -- [Errno -3] Temporary failure in name resolution")

    fake_keras(monkeypatch, load_data)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert error(common, "mnist", None) == (
        "mnist: must be in Keras's cache or available from "
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz. "
        "Received: [Errno -3] Temporary failure in name resolution. "
        f"Put it at {tmp_path}/datasets/mnist.npz, or name a copy (an .npz file, or the folder with the four original "
        ".gz files) with --data PATH."
    )
    assert f"Put it at {tmp_path}/datasets/cifar-10-batches-py-target_archive, or" in error(common, "cifar10", None)


def test_an_unexpected_file_in_the_cache_is_kept(
    tmp_path: Path, common: Common, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_keras(monkeypatch, lambda: pytest.fail("Keras would replace the file"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    cached = tmp_path / "datasets" / "mnist.npz"
    cached.parent.mkdir()
    cached.write_bytes(b"another file")
    message = error(common, "mnist", None)
    assert message.startswith(f"{cached}: must be the file from https://storage.googleapis.com/")
    assert message.endswith(
        "remove it to download it again, or move it out of Keras's cache and name it with --data PATH."
    )
    assert cached.read_bytes() == b"another file"


REAL_KERAS = """
import shutil, sys, urllib.error, urllib.request
from dlcli.data.images.sources.keras_datasets import read_keras_dataset
from dlcli.errors import InputError

def fetch(url, target, report):
    if "fashion" not in target:
        raise urllib.error.URLError("no network here")
    report(0, 8192, 10000)
    report(1, 8192, 10000)
    shutil.copy(sys.argv[1] + "/" + url.rsplit("/", 1)[1], target)

urllib.request.urlretrieve = fetch
common = dict(image_size=None, color_mode=None, resize="stretch", interpolation="bilinear", antialias=True)
common |= dict(validation=None, test=None, split_seed=0, limit=None, allow_leakage=True)
dataset = read_keras_dataset(kind="fashion_mnist", path=None, **common)
assert len(dataset.splits["test"]) == 10
for kind in ("mnist", "cifar10", "cifar100"):
    try:
        read_keras_dataset(kind=kind, path=None, **common)
    except InputError as error:
        print(error, file=sys.stderr)
"""


@pytest.mark.slow  # a process that imports Keras
def test_the_real_keras(tmp_path: Path, idx_folder: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    root = str(Path(__file__).parents[4])
    done = subprocess.run(
        [sys.executable, "-c", REAL_KERAS, str(idx_folder)],
        env={**os.environ, "KERAS_HOME": str(home), "PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "Downloading data from" in done.stderr
    assert (home / ORIGINS["fashion_mnist"].cached / IDX_FILES["x_train"]).is_file()
    for kind in ("mnist", "cifar10", "cifar100"):
        origin = ORIGINS[kind]  # type: ignore[index]
        assert (
            f"{kind}: must be in Keras's cache or available from {origin.url}. Received: no network here."
            in done.stderr
        )
        assert f"Put it at {home}/{origin.cached}" in done.stderr
