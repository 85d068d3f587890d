"""Workers on a Ray cluster: the same tasks as those of worker processes, each as a Ray task with one CPU.

Where the cluster has GPUs, each reserves one, or its share of one.

The machines of the cluster need the same dlcli, and a disk with the same paths: of the data, and of the directory of
the search or sweep, whose log this process writes.
"""

import contextlib
import math
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from dlcli.errors import InputError
from dlcli.printing import escaped_line
from dlcli.runtime.devices import parse_device
from dlcli.runtime.ray_cluster import connect
from dlcli.workflow.trials.pool import MAX_REASON, ONE_THREAD, TASKS_PER_WORKER, TOOK_TOO_LONG, Lost, Pool
from dlcli.workflow.trials.tasks import do_task


class RayPool:
    """A number of Ray tasks at the same time, with the methods of :class:`dlcli.workflow.trials.pool.Pool`.

    Args:
        num_workers: tasks at the same time.
        address: of the cluster: ``HOST:PORT``, ``ray://HOST:PORT``, ``auto``, or ``local`` for a cluster on this
            machine that lives as long as the pool.
        device: of the workers: ``auto``, ``cpu``, ``gpu`` or ``gpu:all``.

    Raises:
        InputError: Ray is not installed, there is no cluster at the address, or the device is a number of a GPU, which
            Ray gives out.
    """

    def __init__(self, num_workers: int, address: str, device: str) -> None:
        self.num_workers = num_workers
        self._address = address
        self._running: dict[Any, tuple[Any, float, float | None]] = {}  # the key, time and deadline by the reference
        requested = parse_device(device)
        if requested.gpus not in (None, (0,)):
            raise InputError(f"--device {device}: Ray decides which GPU a trial uses. Use --device gpu, cpu or auto.")
        self._ray = connect(address, num_workers)
        num_gpus = 0 if requested.kind == "cpu" else int(self._ray.cluster_resources().get("GPU", 0))
        share = share_of_gpu(num_gpus, num_workers)
        options = {"num_cpus": 1, "num_gpus": share, "max_calls": TASKS_PER_WORKER, "max_retries": 0}
        self._task = self._ray.remote(**options, runtime_env={"env_vars": ONE_THREAD})(do_task)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for reference in self._running:
            with contextlib.suppress(self._ray.exceptions.RayError):
                self._ray.cancel(reference, force=True)
        self._running.clear()
        self._ray.shutdown()

    @property
    def num_running(self) -> int:
        """Number of tasks that were submitted and have no outcome yet."""
        return len(self._running)

    @property
    def is_free(self) -> bool:
        """Whether a task can be submitted."""
        return self.num_running < self.num_workers

    def submit(self, key: Any, task: Mapping[str, Any], *, seconds: float | None = None) -> None:
        """Give a task to the cluster, as :meth:`dlcli.workflow.trials.pool.Pool.submit` does."""
        now = time.monotonic()
        deadline = None if seconds is None else now + seconds
        self._running[self._task.remote(dict(task))] = key, now, deadline

    def wait(self) -> tuple[Any, dict[str, Any] | Lost]:
        """Wait for the next outcome, as :meth:`dlcli.workflow.trials.pool.Pool.wait` does."""
        while True:
            deadlines = [deadline for _, _, deadline in self._running.values() if deadline is not None]
            timeout = max(0.0, min(deadlines) - time.monotonic()) if deadlines else None
            ready, _ = self._ray.wait(list(self._running), num_returns=1, timeout=timeout)
            for reference in ready:
                key, submitted, _ = self._running.pop(reference)
                try:
                    outcome: dict[str, Any] = self._ray.get(reference)
                except self._ray.exceptions.RayError as error:
                    reason = escaped_line(str(error).strip().splitlines()[0][:MAX_REASON])
                    return key, Lost(f"the Ray task was lost: {reason}", round(time.monotonic() - submitted, 3))
                return key, outcome
            for reference, (key, submitted, deadline) in list(self._running.items()):
                if deadline is not None and deadline <= time.monotonic():
                    del self._running[reference]
                    self._ray.cancel(reference, force=True)
                    return key, Lost(TOOK_TOO_LONG, round(time.monotonic() - submitted, 3))


def share_of_gpu(num_gpus: int, num_workers: int) -> float:
    """The share of a GPU that each task reserves, so that all workers run at the same time; 0 without GPUs."""
    return 0 if num_gpus == 0 else 1 / math.ceil(num_workers / num_gpus)


def open_workers(num_workers: int, ray: str | None, device: str) -> Pool | RayPool:
    """Workers in processes of this machine, or on the Ray cluster at an address."""
    return Pool(num_workers) if ray is None else RayPool(num_workers, ray, device)
