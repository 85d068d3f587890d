"""Loading a run's model.keras, safely: bounded sizes, no code from the file."""

import json
import zipfile
from pathlib import Path

import keras

from dlcli.errors import InputError
from dlcli.rundir import RunDir

MAX_CONFIG_BYTES = 64 * 2**20
MEMBERS = {"metadata.json", "config.json", "model.weights.h5"}


def load_model(run: RunDir) -> keras.Model:
    """The best model of a run, float32, raw values in and probabilities out.

    Raises:
        InputError: there is none yet, or it is damaged or not a model file of Keras.
    """
    if not run.model.exists():
        raise InputError(
            f"{run.path}: has no model.keras: its training is not complete. Go on with: dlcli train --resume {run.path}"
        )
    return load_keras_file(run.model)


def load_keras_file(path: Path) -> keras.Model:
    """Loads a .keras file without running anything that it brings.

    Raises:
        InputError: it is damaged, unreasonably large inside, holds code, or needs layers that Keras does not have.
    """
    _check_archive(path)
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises many kinds for what may be wrong in a file; none is a fault of ours
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"{path}: cannot be loaded as a model ({reason[:300]}).") from None


def _check_archive(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            strangers = [
                m.filename for m in members if m.filename not in MEMBERS and not m.filename.startswith("assets/")
            ]
            if strangers:
                raise InputError(f"{path}: is no Keras model file: it holds {strangers[0]!r}.")
            size = path.stat().st_size
            if any(m.compress_type != zipfile.ZIP_STORED and m.file_size > MAX_CONFIG_BYTES for m in members):
                raise InputError(f"{path}: a member would unpack to more than {MAX_CONFIG_BYTES >> 20} MiB: refused.")
            if sum(m.file_size for m in members) > 2 * size + MAX_CONFIG_BYTES:
                raise InputError(f"{path}: would unpack to far more than its {size:,} bytes: refused.")
            if archive.testzip() is not None:
                raise InputError(
                    f"{path}: is damaged: {archive.testzip()} does not have the checksum it was written with."
                )
            json.loads(archive.read("config.json"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file.") from None
    except (zipfile.BadZipFile, KeyError, ValueError, RecursionError, OSError) as error:
        raise InputError(f"{path}: is no Keras model file, or is damaged ({error}).") from None
