"""MNIST, Fashion-MNIST, CIFAR-10 and CIFAR-100: through Keras, which downloads and verifies them, or from a copy."""

import contextlib
import gzip
import hashlib
import io
import math
import os
import pickle
import struct
import sys
import tarfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Unpack

import numpy as np
from numpy.typing import NDArray

from dlcli.data.images.dataset import CommonKeys, assemble_images
from dlcli.data.images.samples import Dataset
from dlcli.data.images.sources.npz import BRING_TO_RANGE, list_arrays, to_samples
from dlcli.data.npz_archive import SUFFIXES, Arrays, read_splits
from dlcli.data.splits import LeftOut
from dlcli.errors import InputError
from dlcli.files import open_input

Kind = Literal["mnist", "fashion_mnist", "cifar10", "cifar100"]


@dataclass(frozen=True)
class Origin:
    """Where a data set comes from, and its classes."""

    url: str
    cached: str  # its path in Keras's cache
    sha256: str | None  # of the file, if Keras verifies it
    classes: tuple[str, ...]


GOOGLE = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
TORONTO = "https://www.cs.toronto.edu/~kriz/"
CIFAR100_CLASSES = """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
    caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant
    flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree
    motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate
    poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider
    squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle
    wardrobe whale willow_tree wolf woman worm
"""
ORIGINS: dict[Kind, Origin] = {
    "mnist": Origin(
        url=GOOGLE + "mnist.npz",
        cached="datasets/mnist.npz",
        sha256="731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
        classes=tuple("0123456789"),
    ),
    "fashion_mnist": Origin(
        url=GOOGLE + "{train,t10k}-{images-idx3,labels-idx1}-ubyte.gz",
        cached="datasets/fashion-mnist/",
        sha256=None,
        classes=(
            *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
            *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        ),
    ),
    "cifar10": Origin(
        url=TORONTO + "cifar-10-python.tar.gz",
        cached="datasets/cifar-10-batches-py-target_archive",
        sha256="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
        classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    ),
    "cifar100": Origin(
        url=TORONTO + "cifar-100-python.tar.gz",
        cached="datasets/cifar-100-python-target_archive",
        sha256="85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
        classes=tuple(CIFAR100_CLASSES.split()),
    ),
}
IDX_FILES = {
    "x_train": "train-images-idx3-ubyte.gz",
    "y_train": "train-labels-idx1-ubyte.gz",
    "x_test": "t10k-images-idx3-ubyte.gz",
    "y_test": "t10k-labels-idx1-ubyte.gz",
}
COPIES = {
    "mnist": "an .npz file, or the folder with the four original .gz files",
    "fashion_mnist": "an .npz file, or the folder with the four original .gz files",
    "cifar10": "an .npz file, or the original .tar.gz file",
    "cifar100": "an .npz file, or the original .tar.gz file",
}
MAX_BYTES = 2**30  # of an archive or an unpacked array


def read_keras_dataset(
    *, kind: Kind, path: str | Path | None, exclude: Sequence[str] = (), **common: Unpack[CommonKeys]
) -> Dataset:
    """One of Keras's image data sets, with its own train and test splits.

    Args:
        path: a copy: an .npz with x_train, y_train, x_test and y_test; for MNIST and Fashion-MNIST also the folder with
            the four original .gz files; for CIFAR also the original archive. Without it Keras's cache is used, or the
            data are downloaded, with progress on stderr.

    Raises:
        InputError: the data cannot be found or downloaded, or the copy is not this data set.
    """
    origin = ORIGINS[kind]
    left_out: list[LeftOut] = []
    if path is None:
        source: str = kind
        arrays = _load_through_keras(kind, origin)
    else:
        source = str(path)
        arrays, left_out = _read_copy(Path(path), kind, origin)
    listings = {}
    for split, suffix in SUFFIXES.items():
        if f"x_{suffix}" in arrays:
            where = f"{source}: x_{suffix}"
            x = to_samples(arrays[f"x_{suffix}"], where, layout="image", value_range=(0, 255), remedy=BRING_TO_RANGE)
            labels = _check_labels(arrays[f"y_{suffix}"], len(origin.classes), f"{source}: y_{suffix}")
            listings[split] = list_arrays(split, x, labels, where)
    return assemble_images(listings, origin.classes, source=source, exclude=exclude, left_out=left_out, common=common)


def _check_labels(y: NDArray[Any], num_classes: int, source: str) -> NDArray[np.int32]:
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1 or y.dtype.kind not in "iu" or (len(y) and not 0 <= y.min() <= y.max() < num_classes):
        raise InputError(
            f"{source} must be labels [n] from 0 to {num_classes - 1}. Received others: check that it is this data set."
        )
    return y.astype(np.int32)


# Through Keras ------------------------------------------------------------------------------------------------------


def _load_through_keras(kind: Kind, origin: Origin) -> Arrays:
    cached = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / origin.cached
    # If the cached file is not the expected one, Keras would download it again and, if that fails, delete it.
    if origin.sha256 is not None and os.path.isfile(cached) and _hash_file(cached) != origin.sha256:
        raise InputError(
            f"{cached}: must be the file from {origin.url}. Received another, or a part of it: "
            "remove it to download it again, or move it out of Keras's cache and name it with --data PATH."
        )
    from keras import datasets

    load = {
        "mnist": datasets.mnist.load_data,
        "fashion_mnist": datasets.fashion_mnist.load_data,
        "cifar10": datasets.cifar10.load_data,
        "cifar100": datasets.cifar100.load_data,
    }[kind]
    try:
        with contextlib.redirect_stdout(sys.stderr):  # Keras prints the download's progress on stdout
            (x_train, y_train), (x_test, y_test) = load()
    except Exception as error:  # Keras raises plain Exception
        reason = str(error).split(" -- ")[-1] or type(error).__name__
        raise InputError(
            f"{kind}: must be in Keras's cache or available from {origin.url}. Received: {reason}. "
            f"Put it at {cached}, or name a copy ({COPIES[kind]}) with --data PATH."
        ) from None
    return {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}


def _hash_file(path: Path) -> str:
    with open_input(path, "Fix its permissions or remove it.") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# From a copy --------------------------------------------------------------------------------------------------------


def _read_copy(path: Path, kind: Kind, origin: Origin) -> tuple[Arrays, list[LeftOut]]:
    is_mnist = kind in ("mnist", "fashion_mnist")
    if is_mnist and os.path.isdir(path):
        return {key: _read_idx(path / name, num_axes=3 if key[0] == "x" else 1) for key, name in IDX_FILES.items()}, []
    with open_input(path, f"A copy of {kind} is {COPIES[kind]}.") as file:
        start = file.read(2)
    if start == b"\x1f\x8b" and not is_mnist:
        return _read_cifar(path, kind, origin), []
    if start != b"PK":
        raise InputError(f"{path}: a copy of {kind} must be {COPIES[kind]}. Received another kind of file.")
    return read_splits(path)


def _read_idx(path: Path, num_axes: int) -> NDArray[np.uint8]:
    """An array in MNIST's IDX format: two zeros, type 8 (bytes), the number of axes, their lengths, the data."""
    with open_input(path, f"The folder must contain {', '.join(IDX_FILES.values())}.") as file:
        try:
            with gzip.GzipFile(fileobj=file) as unpacked:
                magic = unpacked.read(4)
                shape = struct.unpack(f">{num_axes}I", unpacked.read(4 * num_axes))
                size = math.prod(shape)
                data = unpacked.read(size + 1) if size <= MAX_BYTES else b""
        except (OSError, EOFError, zlib.error, struct.error):
            raise InputError(f"{path}: the file is corrupt or truncated. Download it again.") from None
    if magic != bytes([0, 0, 8, num_axes]) or len(data) != size:
        raise InputError(
            f"{path}: must be an IDX file of bytes with {num_axes} axes. Received another or a corrupt file."
        )
    return np.frombuffer(data, np.uint8).reshape(shape)


ALLOWED = {  # the only objects that a pickle of arrays needs, by module and name
    ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy._core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class _ArrayUnpickler(pickle.Unpickler):
    """Unpickles containers, numbers, text and NumPy arrays; refuses anything else that a pickle could call."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed")
        return ALLOWED[module, name]


def _read_cifar(path: Path, kind: Kind, origin: Origin) -> Arrays:
    """The arrays in CIFAR's archive of pickles, opened only if it is exactly the published file."""
    with open_input(path, f"A copy of {kind} is {COPIES[kind]}.") as file:
        data = file.read(MAX_BYTES + 1)
    if hashlib.sha256(data).hexdigest() != origin.sha256:
        raise InputError(f"{path}: must be the file from {origin.url}. Received another: its SHA-256 differs.")
    if kind == "cifar10":
        folder, train, label = "cifar-10-batches-py", [f"data_batch_{i}" for i in range(1, 6)], b"labels"
        test = "test_batch"
    else:
        folder, train, test, label = "cifar-100-python", ["train"], "test", b"fine_labels"
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
        parts = [_read_cifar_batch(archive, f"{folder}/{name}", label) for name in [*train, test]]
    x_train, y_train = (np.concatenate(arrays) for arrays in zip(*parts[:-1], strict=True))
    return {"x_train": x_train, "y_train": y_train, "x_test": parts[-1][0], "y_test": parts[-1][1]}


def _read_cifar_batch(archive: tarfile.TarFile, name: str, label: bytes) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    member = archive.extractfile(name)
    assert member is not None
    batch = _ArrayUnpickler(member, encoding="bytes").load()
    pixels = batch[b"data"].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)  # channels last
    return np.ascontiguousarray(pixels), np.array(batch[label], np.int64)
