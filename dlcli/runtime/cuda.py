"""The libraries of CUDA that TensorFlow opens when it starts on a GPU, and which of them are missing."""

import ctypes
import importlib.util
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DRIVER = "libcuda.so.1"
OF_CUDA_12 = {
    "CUDA runtime": "libcudart.so.12",
    "cuBLAS": "libcublas.so.12",
    "cuBLASLt": "libcublasLt.so.12",
    "cuFFT": "libcufft.so.11",
    "cuRAND": "libcurand.so.10",
    "cuSOLVER": "libcusolver.so.11",
    "cuSPARSE": "libcusparse.so.12",
    "NCCL": "libnccl.so.2",
}
"""The names and files of what TensorFlow opens, by https://docs.nvidia.com/cuda/archive/12.5.1; the versions in the
names of the files are those of the libraries, not of CUDA."""

Open = Callable[[str], Any]  # opens a library by its name or path; raises OSError


@dataclass(frozen=True)
class Cuda:
    """What a build of TensorFlow needs to compute on an NVIDIA GPU.

    Attributes:
        cuda, cudnn: the versions it was built for.
        missing: names of the libraries that cannot be opened, with the reason for each.
        has_driver: whether the driver's library can be opened.
    """

    cuda: str
    cudnn: str
    missing: Mapping[str, str]
    has_driver: bool

    def notes(self) -> list[str]:
        """What is missing and what to do about it, a line each."""
        notes = []
        if not self.has_driver:
            notes.append(f"no NVIDIA driver: {DRIVER} cannot be opened. For an NVIDIA GPU, install its driver")
        if self.missing:
            notes.append(
                f"TensorFlow was built for CUDA {self.cuda} and cuDNN {self.cudnn}; it cannot open "
                f"{', '.join(self.missing)}. For an NVIDIA GPU on Linux: pip install 'tensorflow[and-cuda]'"
            )
        return notes


def examine_cuda(build: Mapping[str, Any], open_library: Open = ctypes.CDLL) -> Cuda | None:
    """Try to open the libraries that a build of TensorFlow needs; None for a build without CUDA.

    Args:
        build: from ``tf.sysconfig.get_build_info()``.
        open_library: opens a library; for tests.
    """
    if not build.get("is_cuda_build") or sys.platform != "linux":
        return None
    cuda, cudnn = str(build.get("cuda_version", "")), str(build.get("cudnn_version", ""))
    major = cuda.partition(".")[0]
    files = OF_CUDA_12 if major == "12" else {"CUDA runtime": f"libcudart.so.{major}"}
    files = {**files, "cuDNN": f"libcudnn.so.{cudnn.partition('.')[0]}"}
    found = {name: _problem(file, open_library) for name, file in files.items()}
    missing = {f"{name} ({files[name]})": reason for name, reason in found.items() if reason is not None}
    return Cuda(cuda, cudnn, missing, _problem(DRIVER, open_library) is None)


def _problem(file: str, open_library: Open) -> str | None:
    """Why a library cannot be opened, by the system's search path or in NVIDIA's packages; None if it can be."""
    reason = None
    for path in (file, *_in_packages(file)):
        try:
            open_library(path)
        except OSError as error:
            reason = reason or str(error)
        else:
            return None
    return reason


def _in_packages(file: str) -> list[str]:
    """Where NVIDIA's Python packages have a library, which TensorFlow searches too."""
    spec = importlib.util.find_spec("nvidia")
    places = [] if spec is None else spec.submodule_search_locations or []
    return [str(path) for place in places for path in sorted(Path(place).glob(f"*/lib/{file}"))]
