"""Start TensorFlow on the requested device, without its log output.

This module imports TensorFlow only inside its functions, so that the caller decides when to spend those seconds.
"""

import contextlib
import gc
import importlib
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dlcli.errors import InputError, raise_lost_stop, received_stop
from dlcli.runtime.cluster import refuse_cluster
from dlcli.runtime.devices import Requested, parse_device


@dataclass(frozen=True)
class Device:
    """The device or devices of a run: ``cpu`` or ``gpu``, their name for people, and their number."""

    kind: str
    name: str
    num_devices: int = 1


_started: dict[str, Device] = {}  # by requested device
_strategy: list[Any] = []  # of several devices: at most one, because the all-reduces of two would collide


def start_tensorflow(device: str = "auto") -> Device:
    """Import TensorFlow and Keras and choose the device; call it before importing any module that imports them.

    While they load, TensorFlow's libraries write to file descriptor 2, which no setting silences completely. That
    output is captured, and shown only if loading fails.

    Args:
        device: as :func:`parse_device` takes it. Of several devices, each holds the weights and computes a share of
            every batch (tf.distribute.MirroredStrategy).

    Raises:
        InputError: the requested GPU is not available, TensorFlow cannot be loaded, or this process is one of several
            in a cluster.
    """
    if device in _started:  # TensorFlow cannot change its devices later
        return _started[device]
    refuse_cluster()
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # level 2 prints errors that are harmless, about skipped kernels
    gc.disable()  # an import leaves no garbage, and looking for it takes a tenth of the import's time
    sys.stderr.flush()
    saved_stderr = os.dup(2)
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), 2)
        try:
            _started[device] = _choose_device(importlib.import_module("tensorflow"), device)
            raise_lost_stop()  # a library took it for a failed import, and went on without
            return _started[device]
        except ImportError as error:
            if received_stop() is not None:
                raise
            captured.seek(0)
            os.write(saved_stderr, captured.read())
            raise InputError(
                f"TensorFlow cannot be loaded ({error}). To see what is missing, run: dlcli doctor"
            ) from None
        finally:
            os.dup2(saved_stderr, 2)
            os.close(saved_stderr)
            gc.freeze()  # Keras collects garbage whenever a session is cleared; a million imported objects are none
            gc.enable()


def _choose_device(tf: Any, device: str) -> Device:
    importlib.import_module("keras")
    tf.get_logger().setLevel("ERROR")  # its warnings are for programmers, such as about retraced functions
    gpus = tf.config.list_physical_devices("GPU")
    requested = parse_device(device)
    if requested.kind == "cpu" or (requested.kind == "auto" and not gpus):
        chosen = _choose_cpus(tf, requested.num_virtual)
    else:
        chosen = _choose_gpus(tf, device, requested, gpus)
    tf.zeros(1) + 1  # the first operation starts the device, which also writes to stderr
    if chosen.num_devices > 1:
        names = [f"{chosen.kind.upper()}:{number}" for number in range(chosen.num_devices)]
        _strategy.append(tf.distribute.MirroredStrategy(names))
        tf.distribute.experimental_set_strategy(_strategy[0])
    return chosen


def _choose_cpus(tf: Any, number: int) -> Device:
    tf.config.set_visible_devices([], "GPU")
    if number == 1:
        return Device("cpu", f"CPU, {os.cpu_count()} cores")
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * number)
    return Device("cpu", f"{number} virtual CPUs, {os.cpu_count()} cores", number)


def _choose_gpus(tf: Any, device: str, requested: Requested, gpus: list[Any]) -> Device:
    numbers = range(len(gpus)) if requested.gpus is None else requested.gpus
    if not gpus or any(number >= len(gpus) for number in numbers):
        available = f"TensorFlow sees {len(gpus)}" if gpus else "TensorFlow sees none"
        raise InputError(f"--device {device}: no such GPU; {available}. Use --device cpu, or run: dlcli doctor")
    chosen = [gpus[number] for number in numbers]
    tf.config.set_visible_devices(chosen, "GPU")
    names = []
    for number, gpu in zip(numbers, chosen, strict=True):
        tf.config.experimental.set_memory_growth(gpu, True)
        names.append(str(tf.config.experimental.get_device_details(gpu).get("device_name", f"GPU {number}")))
    if len(names) == 1:
        return Device("gpu", names[0])
    name = f"{len(names)} x {names[0]}" if len(set(names)) == 1 else ", ".join(names)
    return Device("gpu", name, len(names))


def num_devices() -> int:
    """The number of devices among which a batch is divided."""
    return _strategy[0].num_replicas_in_sync if _strategy else 1


def _clear_session(keras: Any) -> None:
    keras.backend.clear_session()
    if _strategy:  # which it forgets
        importlib.import_module("tensorflow").distribute.experimental_set_strategy(_strategy[0])


def set_precision(precision: str) -> None:
    """Set the precision of new layers: float32, mixed_float16 or mixed_bfloat16."""
    importlib.import_module("keras").mixed_precision.set_dtype_policy(precision)


def set_seed(seed: int, *, deterministic: bool) -> None:
    """Seed Python, NumPy, TensorFlow and Keras, and clear the Keras session.

    Args:
        deterministic: replace GPU operations that are not deterministic by slower ones, or raise an error.
    """
    keras = importlib.import_module("keras")
    _clear_session(keras)
    keras.utils.set_random_seed(seed)
    if deterministic:
        importlib.import_module("tensorflow").config.experimental.enable_op_determinism()


@contextlib.contextmanager
def without_weights() -> Iterator[None]:
    """Context in which networks are built with the shapes of their weights but without allocating them."""
    keras = importlib.import_module("keras")
    try:
        with keras.StatelessScope(initialize_variables=False):
            yield
    finally:
        _clear_session(keras)  # otherwise Keras creates the weights later
