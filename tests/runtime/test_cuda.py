"""The check of CUDA's libraries, with a loader that has only some of them."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dlcli.runtime import cuda
from dlcli.runtime.cuda import DRIVER, OF_CUDA_12, examine_cuda

BUILD = {"is_cuda_build": True, "cuda_version": "12.5.1", "cudnn_version": "9"}
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="TensorFlow uses NVIDIA GPUs on Linux alone")


def only(*files: str) -> Callable[[str], None]:
    """A loader that opens these files."""

    def open_library(path: str) -> None:
        if path not in files:
            raise OSError(f"{path}: cannot open shared object file: No such file or directory")

    return open_library


def test_all_libraries_are_found() -> None:
    found = examine_cuda(BUILD, only(*OF_CUDA_12.values(), "libcudnn.so.9", DRIVER))
    assert found is not None
    assert not found.missing
    assert found.notes() == []


def test_what_is_missing_is_named_with_its_file() -> None:
    files = set(OF_CUDA_12.values()) - {"libcufft.so.11"}
    found = examine_cuda(BUILD, only(*files, DRIVER))
    assert found is not None
    assert list(found.missing) == ["cuFFT (libcufft.so.11)", "cuDNN (libcudnn.so.9)"]
    assert found.missing["cuDNN (libcudnn.so.9)"].startswith("libcudnn.so.9: cannot open shared object file")
    assert found.notes() == [
        "TensorFlow was built for CUDA 12.5.1 and cuDNN 9; it cannot open cuFFT (libcufft.so.11), cuDNN "
        "(libcudnn.so.9). For an NVIDIA GPU on Linux: pip install 'tensorflow[and-cuda]'"
    ]


def test_a_machine_without_driver() -> None:
    found = examine_cuda(BUILD, only(*OF_CUDA_12.values(), "libcudnn.so.9"))
    assert found is not None
    assert found.notes() == ["no NVIDIA driver: libcuda.so.1 cannot be opened. For an NVIDIA GPU, install its driver"]


def test_libraries_of_another_cuda_are_those_whose_names_are_known() -> None:
    found = examine_cuda({**BUILD, "cuda_version": "13.0", "cudnn_version": "10.1"}, only(DRIVER))
    assert found is not None
    assert list(found.missing) == ["CUDA runtime (libcudart.so.13)", "cuDNN (libcudnn.so.10)"]


def test_libraries_in_nvidias_packages_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = tmp_path / "nvidia" / "cudnn" / "lib" / "libcudnn.so.9"
    library.parent.mkdir(parents=True)
    library.touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "nvidia", raising=False)
    assert cuda._in_packages("libcudnn.so.9") == [str(library)]
    assert examine_cuda(BUILD, only(*OF_CUDA_12.values(), str(library), DRIVER)).missing == {}  # type: ignore[union-attr]


def test_a_build_without_cuda() -> None:
    assert examine_cuda({"is_cuda_build": False}) is None
