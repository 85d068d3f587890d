"""A profile of some training steps: a trace for TensorBoard, and where the time goes."""

import importlib
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

Intervals = NDArray[np.float64]  # [n, 2]: starts and ends in seconds

FORMAT = "tensorflow.tsl.profiler.protobuf.xplane_pb2"  # where TensorFlow has the format of its traces
KERNEL = re.compile(r"[^:]+:(?P<kind>[A-Za-z_]\w*)")  # the name of a computation on a CPU: operation and its kind
WAIT = "IteratorGetNextOp::DoCompute"  # the wait of a step for its data
NOT_COMPUTING = re.compile(r"IteratorGetNext|While|If|Case|(Stateful|Remote)?PartitionedCall|_Send|_Recv|_HostRecv")


class Profiler:
    """Records a trace of some training steps, after the first compiled call.

    Args:
        folder: of TensorBoard's files; the trace is in its folder ``plugins/profile``.
        num_steps: at least this many steps, unless the epoch ends earlier.
        say: called with the result, a line.
    """

    def __init__(self, folder: Path, num_steps: int, say: Callable[[str], None]) -> None:
        self._folder = folder
        self._num_steps = num_steps
        self._say = say
        self._first: int | None = None  # the step of the epoch at which the trace has started
        self._started = 0.0
        self._num_calls = 0
        self._is_done = False

    def after_call(self, step: int, num_steps: int) -> None:
        """To be called after each compiled call, with the number of the epoch's steps that are done and their total."""
        self._num_calls += 1
        if self._first is not None:
            if step - self._first >= self._num_steps or step == num_steps:
                self._stop(step)
        elif not self._is_done and step < num_steps:
            self._start(step)

    def after_epoch(self) -> None:
        """To be called at the end of an epoch: one that has a single call is profiled from its start."""
        if self._first is None and not self._is_done:
            self._start(0)

    def close(self) -> None:
        """End the trace if training ends before the steps are done, and report that there is none."""
        if self._first is not None:
            tf.profiler.experimental.stop(save=False)
        if not self._is_done:
            self._say("profile: training ended before there were enough steps")

    def _start(self, step: int) -> None:
        tf.profiler.experimental.start(str(self._folder))
        self._first, self._started = step, time.perf_counter()

    def _stop(self, step: int) -> None:
        seconds = time.perf_counter() - self._started
        assert self._first is not None
        number, self._first, self._is_done = step - self._first, None, True
        tf.profiler.experimental.stop()
        trace = max(self._folder.glob("plugins/profile/*/*.xplane.pb"), default=None)
        where = "" if trace is None else _sentence(trace, seconds)
        self._say(
            f"profile of {number} steps: {seconds / number * 1e3:,.1f} ms per step{where}. "
            f"Trace: tensorboard --logdir {self._folder}"
        )


def _sentence(trace: Path, seconds: float) -> str:
    try:
        space = importlib.import_module(FORMAT).XSpace()
    except ImportError:  # another version of TensorFlow
        return ""
    space.ParseFromString(trace.read_bytes())
    device, data, host = shares(seconds, *read_trace(space))
    return (
        f": {device:.0%} computing, {data:.0%} waiting for data, {host:.0%} on the host (Python, starting operations)"
    )


def read_trace(space: Any) -> tuple[list[Intervals], Intervals]:
    """When each device computed, and when steps waited for data.

    A machine without GPU has one device, its CPU; there, other threads may prepare data at the same time.

    Args:
        space: the content of a trace, an ``XSpace`` of https://github.com/openxla/xla/blob/main/xla/tsl/profiler/protobuf/xplane.proto.
    """
    gpus = [
        _intervals(plane, lambda line, name: True) for plane in space.planes if plane.name.startswith("/device:GPU")
    ]
    hosts = [plane for plane in space.planes if plane.name.startswith("/host:CPU")]
    waits = [_intervals(plane, lambda line, name: name == WAIT) for plane in hosts]
    computing = gpus or [np.concatenate([_intervals(plane, _is_kernel) for plane in hosts] or [np.zeros((0, 2))])]
    return computing, np.concatenate(waits or [np.zeros((0, 2))])


def _is_kernel(line: str, name: str) -> bool:
    match = KERNEL.fullmatch(name)
    return match is not None and not line.startswith("tf_data") and NOT_COMPUTING.fullmatch(match["kind"]) is None


def _intervals(plane: Any, is_chosen: Callable[[str, str], bool]) -> Intervals:
    found = [
        (start, start + event.duration_ps * 1e-12)
        for line in plane.lines
        for event in line.events
        if is_chosen(line.name, plane.event_metadata[event.metadata_id].name)
        for start in (line.timestamp_ns * 1e-9 + event.offset_ps * 1e-12,)
    ]
    return np.array(found, np.float64).reshape(-1, 2)


def shares(seconds: float, computing: Iterable[Intervals], waiting: Intervals) -> tuple[float, float, float]:
    """The shares of the time in which devices computed (their mean), did not because of data, and other reasons.

    Args:
        seconds: of the trace.
        computing: for each device, when it computed; intervals may overlap.
        waiting: when a step waited for data.
    """
    busy = [_length(intervals) for intervals in computing]
    either = [_length(np.concatenate([intervals, waiting])) for intervals in computing]
    device = min(1.0, float(np.mean(busy)) / seconds)
    data = min(1.0 - device, float(np.mean(np.subtract(either, busy))) / seconds)
    return device, data, 1.0 - device - data


def _length(intervals: Intervals) -> float:
    """The length of the union of intervals."""
    if not len(intervals):
        return 0.0
    starts, ends = intervals[np.argsort(intervals[:, 0])].T
    reached = np.maximum.accumulate(ends)
    before = np.concatenate([starts[:1], reached[:-1]])
    return float(np.maximum(0.0, ends - np.maximum(starts, before)).sum())
