"""Reads the arrays in files of PyTorch and of safetensors, without PyTorch and without executing what a file holds.

A ``.pth`` of PyTorch 1.6 or newer is a zip archive of a pickle, which describes the tensors, and of their values. The
pickle is read by an unpickler that knows the few names that a dictionary of tensors needs, as ``torch.load`` with
``weights_only`` does, and refuses any other.
"""

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcli.errors import InputError
from dlcli.files import BadFile, half_of_memory, open_file

MAX_PICKLE_BYTES = 2**26
WRAPPERS = ("state_dict", "model", "model_state_dict")  # keys under which training scripts store the tensors
CONVERT = "Convert it with: torch.save(torch.load(FILE, weights_only=True), FILE), or to .safetensors"
TRUST = "If you trust it, save its tensors alone: torch.save(torch.load(FILE, weights_only=False)['state_dict'], FILE)"

DTYPES: Mapping[str, str] = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
"""The types of values that are read, by the name of their storage."""


class _Refused(Exception):
    """Why a file is not read, worded to follow "FILE: "."""


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a file by their names.

    Raises:
        InputError: the file cannot be opened, is corrupt, too large, or holds anything but tensors.
    """
    try:
        with open_file(path) as file:
            if path.stat().st_size > half_of_memory():
                raise _Refused("too large: it takes more than half of this machine's memory")
            return _read_safetensors(path) if path.suffix == ".safetensors" else _read_pth(file)
    except BadFile as reason:
        raise InputError(f"{path}: {reason}.") from None
    except _Refused as reason:
        raise InputError(f"{path}: {reason}.") from None
    except Exception as error:  # pickles and headers of strangers raise nearly anything
        raise InputError(f"{path}: is corrupt ({type(error).__name__}). Restore it from a copy.") from None


def _read_safetensors(path: Path) -> dict[str, NDArray[Any]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return dict(load_file(path))
    except SafetensorError as error:
        raise _Refused(f"not a safetensors file ({str(error).splitlines()[0][:100]})") from None
    except TypeError:
        raise _Refused("holds values of a type that NumPy lacks, such as bfloat16. Convert them to float32") from None


def _read_pth(file: Any) -> dict[str, NDArray[Any]]:
    if not zipfile.is_zipfile(file):
        raise _Refused(f"not an archive of PyTorch 1.6 or newer. {CONVERT}")
    with zipfile.ZipFile(file) as archive:
        members = {name.partition("/")[2]: name for name in archive.namelist()}
        if "data.pkl" not in members or any(info.compress_type for info in archive.infolist()):
            raise _Refused(f"not an archive of PyTorch 1.6 or newer. {CONVERT}")
        if archive.getinfo(members["data.pkl"]).file_size > MAX_PICKLE_BYTES:
            raise _Refused("its description of the tensors is too large")
        with archive.open(members["data.pkl"]) as described:
            found = _Unpickler(described, lambda key: archive.read(members[f"data/{key}"])).load()
    for key in WRAPPERS:
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    arrays = {name: value for name, value in found.items() if isinstance(value, np.ndarray)} if found else {}
    if not arrays:
        raise _Refused("holds no dictionary of tensors")
    return {str(name): value for name, value in arrays.items()}


class _Unpickler(pickle.Unpickler):
    """Knows dictionaries and tensors alone.

    Args:
        read: the bytes of the storage of a key.
    """

    def __init__(self, file: Any, read: Callable[[str], bytes]) -> None:
        super().__init__(file, encoding="utf-8")
        self._read = read

    def find_class(self, module: str, name: str) -> Any:
        known: dict[tuple[str, str], Any] = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
            ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
        }
        if module == "torch" and name in DTYPES:
            return name
        if module == "torch" and name.endswith("Storage"):
            raise _Refused(f"holds values of {name}, which NumPy lacks. Convert them to float32")
        if (module, name) not in known:
            raise _Refused(f"holds {module}.{name}, which is not a tensor and may be code. {TRUST}")
        return known[module, name]

    def persistent_load(self, pid: Any) -> NDArray[Any]:
        kind, storage, key, _, size = pid
        if kind != "storage" or storage not in DTYPES:
            raise _Refused("holds something else than tensors")
        values = np.frombuffer(self._read(str(key)), DTYPES[storage])
        if len(values) < size:
            raise _Refused("is corrupt: a tensor has fewer values than it needs")
        return values


def _rebuild_tensor(
    storage: NDArray[Any], offset: int, size: tuple[int, ...], stride: tuple[int, ...], *others: Any
) -> NDArray[Any]:
    """The array of a tensor, in C order; views beyond the storage are refused."""
    last = offset + sum((side - 1) * step for side, step in zip(size, stride, strict=True))
    if offset < 0 or any(value < 0 for value in (*size, *stride)) or (0 not in size and last >= len(storage)):
        raise _Refused("is corrupt: a tensor lies outside of its values")
    if int(np.prod(size, dtype=object)) > len(storage):
        raise _Refused("is corrupt: a tensor repeats its values")
    strides = [step * storage.itemsize for step in stride]
    return np.ascontiguousarray(np.lib.stride_tricks.as_strided(storage[offset:], size, strides)).reshape(size)


def _rebuild_parameter(data: NDArray[Any], *others: Any) -> NDArray[Any]:
    return data
