"""Starting TensorFlow: without its chatter, on the device that was asked for.

This module imports TensorFlow only inside its functions, so that whoever calls it decides when those seconds are spent.
"""

import contextlib
import importlib
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dlcli.errors import InputError


@dataclass(frozen=True)
class Device:
    """What the run computes on: ``cpu`` or ``gpu``, and its name for people."""

    kind: str
    name: str


_started: dict[str, Device] = {}  # by what was asked for


def start_tensorflow(device: str = "auto") -> Device:
    """Imports TensorFlow and Keras and chooses the device; call it before any module that imports them.

    What TensorFlow's libraries write to file descriptor 2 while they load is held back: no setting silences all of
    it. It is shown when loading fails.

    Args:
        device: ``auto`` (a GPU where there is one), ``cpu``, ``gpu`` or ``gpu:N``.

    Raises:
        InputError: the device was demanded and is not there, or TensorFlow cannot be loaded.
    """
    if device in _started:  # TensorFlow takes no second choice
        return _started[device]
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # level 2 has errors that are none, of kernels passed over
    sys.stderr.flush()
    own_stderr = os.dup(2)
    with tempfile.TemporaryFile() as caught:
        os.dup2(caught.fileno(), 2)
        try:
            _started[device] = _choose(importlib.import_module("tensorflow"), device)
            return _started[device]
        except ImportError as error:
            caught.seek(0)
            os.write(own_stderr, caught.read())
            raise InputError(f"TensorFlow cannot be loaded ({error}). See what is missing with: dlcli doctor") from None
        finally:
            os.dup2(own_stderr, 2)
            os.close(own_stderr)


def _choose(tf: Any, device: str) -> Device:
    importlib.import_module("keras")
    tf.get_logger().setLevel("ERROR")  # its warnings are for programmers: of functions that are traced anew
    gpus = tf.config.list_physical_devices("GPU")
    if device == "cpu" or (device == "auto" and not gpus):
        tf.config.set_visible_devices([], "GPU")
        chosen = Device("cpu", f"CPU, {os.cpu_count()} cores")
    else:
        number = int(device.removeprefix("gpu:")) if device.startswith("gpu:") else 0
        if number >= len(gpus):
            found = f"TensorFlow sees {len(gpus)}" if gpus else "TensorFlow sees none"
            raise InputError(f"--device {device}: no such GPU; {found}. Use --device cpu, or see: dlcli doctor")
        tf.config.set_visible_devices(gpus[number], "GPU")
        tf.config.experimental.set_memory_growth(gpus[number], True)
        details = tf.config.experimental.get_device_details(gpus[number])
        chosen = Device("gpu", str(details.get("device_name", f"GPU {number}")))
    tf.zeros(1) + 1  # the first operation starts the device, and has its own lines to say
    return chosen


def set_precision(precision: str) -> None:
    """Sets the numbers that new layers compute with: float32, mixed_float16 or mixed_bfloat16."""
    importlib.import_module("keras").mixed_precision.set_dtype_policy(precision)


def set_seed(seed: int, *, deterministic: bool) -> None:
    """Seeds Python, NumPy, TensorFlow and Keras, and forgets the layers made so far.

    Args:
        deterministic: make operations that may differ from run to run on a GPU an error or choose slower ones.
    """
    keras = importlib.import_module("keras")
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    if deterministic:
        importlib.import_module("tensorflow").config.experimental.enable_op_determinism()


@contextlib.contextmanager
def without_weights() -> Iterator[None]:
    """Networks that are built in here have the shapes of their weights and no memory for them."""
    keras = importlib.import_module("keras")
    try:
        with keras.StatelessScope(initialize_variables=False):
            yield
    finally:
        keras.backend.clear_session()  # Keras would make the weights at the next occasion
