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
from dataclasses import dataclass, replace
from typing import Any

from dlcli.errors import InputError, raise_lost_stop, received_stop
from dlcli.printing import escaped_line
from dlcli.runtime.cluster import VARIABLE, Cluster, read_cluster, refuse_cluster
from dlcli.runtime.devices import Requested, parse_device
from dlcli.runtime.members import Members, join
from dlcli.runtime.time_limit import time_limit


@dataclass(frozen=True)
class Device:
    """The device or devices of a run.

    Attributes:
        kind: ``cpu`` or ``gpu``.
        name: for people.
        num_devices: that share each batch, of all processes.
        members: the processes that train together; None for one.
    """

    kind: str
    name: str
    num_devices: int = 1
    members: Members | None = None


START_SECONDS = 45  # for TensorFlow's servers of a cluster to find each other, once all processes have joined
NOT_STARTED = (
    f"{VARIABLE}: TensorFlow's servers have not found each other within {START_SECONDS} seconds: a process of the "
    "cluster has just ended, or a port is closed between two machines. Start all again."
)

_started: dict[str, Device] = {}  # by requested device
_strategy: list[Any] = []  # of several devices: at most one, because the all-reduces of two would collide


def start_tensorflow(device: str = "auto", *, takes_cluster: bool = False, worker: int | None = None) -> Device:
    """Import TensorFlow and Keras and choose the device; call it before importing any module that imports them.

    While they load, TensorFlow's libraries write to file descriptor 2, which no setting silences completely. That
    output is captured, and shown only if loading fails.

    Args:
        device: as :func:`parse_device` takes it. Of several devices, each holds the weights and computes a share of
            every batch (tf.distribute.MirroredStrategy).
        takes_cluster: whether the verb divides its work among the processes of the cluster that ``TF_CONFIG`` describes
            (tf.distribute.MultiWorkerMirroredStrategy). They are then waited for, and share every batch.
        worker: the number of this process among several that each train on their own, from 0: it uses one of the GPUs
            that ``device`` may mean, in turn.

    Raises:
        InputError: the requested GPU is not available, TensorFlow cannot be loaded, this process is one of several in a
            cluster and the verb does not divide its work, or another process of the cluster is missing.
    """
    if device in _started:  # TensorFlow cannot change its devices later
        return _started[device]
    cluster = read_cluster()
    if not takes_cluster:
        refuse_cluster(cluster)
    if cluster is not None and parse_device(device).is_several:
        raise InputError(
            f"--device {device}: a process of a cluster uses one device. Start one for each GPU (gpu:0, gpu:1, …), "
            f"each with its own task in {VARIABLE}."
        )
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # level 2 prints errors that are harmless, about skipped kernels
    gc.disable()  # an import leaves no garbage, and looking for it takes a tenth of the import's time
    sys.stderr.flush()
    saved_stderr = os.dup(2)
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), 2)
        try:
            tf = importlib.import_module("tensorflow")
            chosen = _choose_device(tf, device, worker)
            if cluster is None:
                _start_devices(tf, chosen)
            raise_lost_stop()  # a library took it for a failed import, and went on without
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
    _started[device] = chosen if cluster is None else _join_cluster(tf, cluster, chosen)
    return _started[device]


def started_device() -> str:
    """The name of the device that TensorFlow was started on last; empty before."""
    return next((device.name for device in reversed(_started.values())), "")


def _choose_device(tf: Any, device: str, worker: int | None = None) -> Device:
    importlib.import_module("keras")
    tf.get_logger().setLevel("ERROR")  # its warnings are for programmers, such as about retraced functions
    gpus = tf.config.list_physical_devices("GPU")
    requested = parse_device(device)
    if requested.kind == "cpu" or (requested.kind == "auto" and not gpus):
        return _choose_cpus(tf, requested.num_virtual)
    return _choose_gpus(tf, device, requested, gpus, worker)


def _start_devices(tf: Any, chosen: Device) -> None:
    tf.zeros(1) + 1  # the first operation starts the device, which also writes to stderr
    if chosen.num_devices > 1:
        names = [f"{chosen.kind.upper()}:{number}" for number in range(chosen.num_devices)]
        _strategy.append(tf.distribute.MirroredStrategy(names))
        tf.distribute.experimental_set_strategy(_strategy[0])


def _join_cluster(tf: Any, cluster: Cluster, chosen: Device) -> Device:
    """Wait for the other processes, then start TensorFlow's server, which must come before the first operation."""
    members = join(cluster, wait=lambda line: print(line, file=sys.stderr, flush=True))
    communication = tf.distribute.experimental.CommunicationImplementation
    kind = communication.NCCL if chosen.kind == "gpu" else communication.RING
    options = tf.distribute.experimental.CommunicationOptions(implementation=kind)
    try:
        with time_limit(START_SECONDS, NOT_STARTED):  # a process that ends now would be waited for, for good
            _strategy.append(tf.distribute.MultiWorkerMirroredStrategy(communication_options=options))
    except tf.errors.OpError as error:
        members.settle()
        raise InputError(
            f"{VARIABLE}: TensorFlow's server does not start at {cluster.describe(cluster.index)}: "
            f"{escaped_line(str(error.message)[:300])}"
        ) from None
    tf.distribute.experimental_set_strategy(_strategy[0])
    name = f"{cluster.size} processes of a cluster, each with {chosen.name}"
    return replace(chosen, name=name, num_devices=cluster.size, members=members)


def _choose_cpus(tf: Any, number: int) -> Device:
    tf.config.set_visible_devices([], "GPU")
    if number == 1:
        return Device("cpu", f"CPU, {os.cpu_count()} cores")
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * number)
    return Device("cpu", f"{number} virtual CPUs, {os.cpu_count()} cores", number)


def _choose_gpus(tf: Any, device: str, requested: Requested, gpus: list[Any], worker: int | None) -> Device:
    is_any = requested.gpus is None or (requested.kind == "auto" and worker is not None)
    numbers = tuple(range(len(gpus))) if is_any else requested.gpus or ()
    if not gpus or any(number >= len(gpus) for number in numbers):
        available = f"TensorFlow sees {len(gpus)}" if gpus else "TensorFlow sees none"
        raise InputError(f"--device {device}: no such GPU; {available}. Use --device cpu, or run: dlcli doctor")
    if worker is not None:
        numbers = (numbers[worker % len(numbers)],)
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
def without_strategy() -> Iterator[None]:
    """Context in which the chief of a cluster computes alone: variables that it creates are not those of all."""
    is_of_cluster = bool(_strategy) and type(_strategy[0]).__name__ == "MultiWorkerMirroredStrategy"
    distribute = importlib.import_module("tensorflow").distribute if is_of_cluster else None
    if distribute is not None:
        distribute.experimental_set_strategy(None)
    try:
        yield
    finally:
        if distribute is not None:
            distribute.experimental_set_strategy(_strategy[0])


@contextlib.contextmanager
def without_weights() -> Iterator[None]:
    """Context in which networks are built with the shapes of their weights but without allocating them."""
    keras = importlib.import_module("keras")
    try:
        with keras.StatelessScope(initialize_variables=False):
            yield
    finally:
        _clear_session(keras)  # otherwise Keras creates the weights later
