"""Files of PyTorch and safetensors are read as arrays, and nothing in them is executed."""

import io
import os
import pickle
import sys
import types
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from dlcli.errors import InputError
from dlcli.runtime.torch_files import read_arrays

ARRAYS = {
    "conv1.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2),
    "bn1.running_mean": np.float64([1, 2]),
    "bn1.num_batches_tracked": np.int64(7),
    "mask": np.array([True, False]),
    "palette": np.uint8([0, 200]),
}


class Storage:
    """The values of a tensor, which are pickled by reference."""

    def __init__(self, values: Any, kind: Any) -> None:
        self.values, self.kind = values, kind


class Tensor:
    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments

    def __reduce__(self) -> Any:
        return sys.modules["torch._utils"]._rebuild_tensor_v2, self.arguments


def write_pth(file: Path, content: Any, *, compression: int = zipfile.ZIP_STORED) -> None:
    """Write a .pth as torch.save does; arrays become tensors."""
    storages: list[Storage] = []

    def tensor(values: Any) -> Any:
        if isinstance(values, dict):
            return OrderedDict((key, tensor(value)) for key, value in values.items())
        if not isinstance(values, np.ndarray | np.generic):
            return values
        names = {"f4": "FloatStorage", "f8": "DoubleStorage", "i8": "LongStorage", "b1": "BoolStorage"}
        names |= {"u1": "ByteStorage", "c8": "BFloat16Storage"}  # which NumPy lacks
        kind = getattr(sys.modules["torch"], names[np.dtype(values.dtype).str[1:]])
        size = np.asarray(values).shape
        stride = tuple(int(np.prod(size[i + 1 :])) for i in range(len(size)))
        return Tensor(Storage(np.asarray(values), kind), 0, size, stride, False, OrderedDict())

    class Pickler(pickle.Pickler):
        def persistent_id(self, value: Any) -> Any:
            if not isinstance(value, Storage):
                return None
            storages.append(value)
            return ("storage", value.kind, str(len(storages) - 1), "cpu", value.values.size)

    buffer = io.BytesIO()
    Pickler(buffer, protocol=2).dump(tensor(content))
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr("archive/data.pkl", buffer.getvalue())
        for key, storage in enumerate(storages):
            archive.writestr(f"archive/data/{key}", storage.values.tobytes())


@pytest.fixture(autouse=True)
def _names_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules with the names of PyTorch, so that what is pickled refers to them."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for name in ("FloatStorage", "DoubleStorage", "LongStorage", "BoolStorage", "ByteStorage", "BFloat16Storage"):
        setattr(torch, name, type(name, (), {"__module__": "torch"}))
    exec("def _rebuild_tensor_v2(*arguments): pass", utils.__dict__)
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)


@pytest.mark.parametrize("content", [ARRAYS, {"state_dict": ARRAYS, "epoch": 3}, {"model": ARRAYS}])
def test_arrays_are_read(tmp_path: Path, content: Any) -> None:
    write_pth(tmp_path / "w.pth", content)
    found = read_arrays(tmp_path / "w.pth")
    assert found.keys() == ARRAYS.keys()
    for name, values in ARRAYS.items():
        np.testing.assert_array_equal(found[name], values)
        assert found[name].dtype == values.dtype


def test_safetensors_are_read(tmp_path: Path) -> None:
    arrays = {name: np.atleast_1d(values) for name, values in ARRAYS.items()}
    save_file(arrays, tmp_path / "w.safetensors")
    found = read_arrays(tmp_path / "w.safetensors")
    assert all((found[name] == values).all() for name, values in arrays.items())


class Evil:
    def __reduce__(self) -> Any:
        return os.system, ("touch executed",)


class Nested:
    def __reduce__(self) -> Any:
        return eval, ("1",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"a": Evil()}, r"holds posix\.system, which is not a tensor and may be code"),
        ({"a": Nested()}, r"holds __builtin__\.eval, which is not a tensor"),
        ([1, 2], "is corrupt"),
        ({"a": np.complex64(1)}, "holds values of BFloat16Storage, which NumPy lacks. Convert them to float32"),
        ({"a": 1}, "holds no dictionary of tensors"),
        ({"a": Tensor("no storage", 0, (1,), (1,))}, "is corrupt"),
    ],
)
def test_anything_but_tensors_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: Any, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_pth(Path("w.pth"), content)
    with pytest.raises(InputError, match=f"^w.pth: {message}"):
        read_arrays(Path("w.pth"))
    assert not Path("executed").exists()


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [(3, (2,), (1,)), (0, (2, 3), (3, 1)), (-1, (1,), (1,)), (0, (2,), (-1,)), (0, (99, 99), (0, 0))],
)
def test_tensors_beyond_their_values_are_refused(tmp_path: Path, offset: int, size: Any, stride: Any) -> None:
    storage = Storage(np.zeros(4, np.float32), sys.modules["torch"].FloatStorage)
    write_pth(tmp_path / "w.pth", {"a": Tensor(storage, offset, size, stride, False, OrderedDict())})
    with pytest.raises(InputError, match="is corrupt: a tensor"):
        read_arrays(tmp_path / "w.pth")


def test_files_that_are_none(tmp_path: Path) -> None:
    write_pth(tmp_path / "packed.pth", ARRAYS, compression=zipfile.ZIP_DEFLATED)
    (tmp_path / "old.pth").write_bytes(b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.")
    (tmp_path / "bad.safetensors").write_bytes(b"\xff" * 20)
    for name in ("packed.pth", "old.pth"):
        with pytest.raises(InputError, match=r"not an archive of PyTorch 1.6 or newer\. Convert it with"):
            read_arrays(tmp_path / name)
    with pytest.raises(InputError, match=r"bad.safetensors: not a safetensors file"):
        read_arrays(tmp_path / "bad.safetensors")
    with pytest.raises(InputError, match=r"none.pth: no such file"):
        read_arrays(tmp_path / "none.pth")
