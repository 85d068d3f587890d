"""Keeps the probabilities of all classes on disk while they are computed, and writes them as an .npz."""

import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

COPIED = 2**20  # bytes at a time


class ProbabilityFile:
    """Probabilities float32 ``[samples, classes]``, of which memory holds one batch at a time.

    Until they are saved they are in a file without a name, which disappears with the process.

    Args:
        folder: where that file is, on the disk that the result will be written to.
    """

    def __init__(self, folder: Path, *, num_samples: int, num_classes: int) -> None:
        self._folder = folder
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - open until the probabilities are saved
        self._shape = (num_samples, num_classes)

    def write(self, index: NDArray[np.int64], probabilities: NDArray[np.float32]) -> None:
        """Keep the probabilities of the samples at ``index``."""
        try:
            for i, row in zip(index, probabilities, strict=True):
                self._file.seek(int(i) * row.nbytes)
                self._file.write(row.tobytes())
        except OSError as error:
            error.filename = error.filename or str(self._folder)  # errors while writing do not name the file
            raise

    def save(self, path: Path, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Write an .npz with ``probabilities`` and other arrays, such as labels and names."""
        try:
            self._save(path, arrays)
        except OSError as error:
            error.filename = error.filename or str(path)
            raise
        self._file.close()

    def _save(self, path: Path, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        with zipfile.ZipFile(path, "w", allowZip64=True) as archive:
            with archive.open("probabilities.npy", "w", force_zip64=True) as member:
                header = {"descr": "<f4", "fortran_order": False, "shape": self._shape}
                np.lib.format.write_array_header_1_0(member, header)
                self._file.seek(0)
                while part := self._file.read(COPIED):
                    member.write(part)
            for name, values in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, np.asarray(values), allow_pickle=False)
