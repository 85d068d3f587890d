"""Worker processes that do one task after another, and survive what a task may do: crash, hang, fill the memory.

A task and its outcome are JSON objects. A worker is replaced after some tasks or when it has become large, because what
TensorFlow traces stays in memory, and at once when it dies or takes too long. Workers have a session of their own, so
that Ctrl-C reaches only the parent; they end when the parent does, however it ends, because their stdin ends then.
"""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol, Self

from dlcli.printing import escaped_line
from dlcli.runtime.launched import THREADS, child_environment

TASKS_PER_WORKER = 50  # after which a worker is replaced
MAX_RESIDENT = 2 * 2**30  # bytes of memory of a worker that is replaced, too: networks of cells leave 100 MiB each
TOOK_TOO_LONG = "took longer than the limit on its time, and was stopped"
MAX_REASON = 500  # characters of what a worker that died wrote last

ONE_THREAD = dict.fromkeys(THREADS, "1")
"""The environment in which workers compute with one thread each."""


@dataclass(frozen=True)
class Lost:
    """The outcome of a task whose worker died or took too long.

    Attributes:
        reason: which of these, as a part of a sentence.
        seconds: since the task was submitted.
    """

    reason: str
    seconds: float


class Workers(Protocol):
    """Does tasks: :class:`Pool` in processes of this machine."""

    num_workers: int

    @property
    def num_running(self) -> int:
        """Number of tasks that were submitted and have no outcome yet."""

    @property
    def is_free(self) -> bool:
        """Whether a task can be submitted."""

    def submit(self, key: Any, task: Mapping[str, Any], *, seconds: float | None = None) -> None:
        """Start a task."""

    def wait(self) -> "tuple[Any, dict[str, Any] | Lost]":
        """Wait for the next outcome."""


class _Worker:
    """A process that reads a task from stdin, and writes its outcome to stdout, in a line each.

    Args:
        command: that starts it.
        number: among the workers of the pool, from 0, which decides its GPU; one that replaces it has the same.
    """

    def __init__(self, command: Sequence[str], number: int) -> None:
        self.number = number
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env={**child_environment(), **ONE_THREAD},
            start_new_session=True,
            bufsize=0,
        )
        self.key: Any = None  # of its task; None while it has none
        self.submitted = 0.0  # by the monotonic clock
        self.deadline: float | None = None
        self.num_tasks = 0
        self._line = b""

    @property
    def output(self) -> IO[bytes]:
        assert self.process.stdout is not None
        return self.process.stdout

    @property
    def resident(self) -> int:
        """Bytes of memory that the process holds; 0 where the system does not say it."""
        try:
            pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        except (OSError, IndexError, ValueError):
            return 0
        return pages * os.sysconf("SC_PAGE_SIZE")

    def send(self, task: Mapping[str, Any]) -> None:
        assert self.process.stdin is not None
        self.submitted = time.monotonic()
        with contextlib.suppress(BrokenPipeError):  # it has died, which its output shows
            self.process.stdin.write(json.dumps({**task, "worker": self.number}).encode() + b"\n")
        self.num_tasks += 1

    def receive(self) -> dict[str, Any] | Lost | None:
        """What it has written: an outcome, that it died, or nothing complete yet."""
        part = os.read(self.output.fileno(), 2**16)
        self._line += part
        if self._line.endswith(b"\n"):
            line, self._line = self._line, b""
            outcome: dict[str, Any] = json.loads(line)
            return outcome
        return None if part else self.lost(self._reason())

    def lost(self, reason: str) -> Lost:
        return Lost(reason, round(time.monotonic() - self.submitted, 3))

    def _reason(self) -> str:
        """Why the process died: its signal or status, and the last line that it wrote."""
        status = self.process.wait()
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").strip().splitlines()
        last = f": {escaped_line(lines[-1][:MAX_REASON])}" if lines else ""
        if status == -signal.SIGKILL:
            return f"the worker process was killed, as when memory is full{last}"
        if status < 0:
            return f"the worker process crashed ({signal.Signals(-status).name}){last}"
        return f"the worker process ended with status {status}{last}"

    def end(self) -> None:
        """Kill the process, with what it may have started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self._stderr):
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.close()


class Pool:
    """A number of workers, which are started when they are needed, and killed at the end of the context."""

    def __init__(
        self,
        num_workers: int,
        *,
        command: Sequence[str] = (),
        tasks_per_worker: int = TASKS_PER_WORKER,
        max_resident: int = MAX_RESIDENT,
    ) -> None:
        """Make a pool.

        Args:
            num_workers: tasks at the same time.
            command: of a worker; the default trains trials.
            tasks_per_worker: after which a worker is replaced.
            max_resident: bytes of memory; a worker that holds more after a task is replaced.
        """
        self.num_workers = num_workers
        self._command = command or (sys.executable, "-P", "-m", "dlcli.workflow.trials.worker")
        self._tasks_per_worker = tasks_per_worker
        self._max_resident = max_resident
        self._workers: list[_Worker] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.end()
        self._workers.clear()

    @property
    def num_running(self) -> int:
        """Number of tasks that were submitted and have no outcome yet."""
        return sum(worker.key is not None for worker in self._workers)

    @property
    def is_free(self) -> bool:
        """Whether a task can be submitted."""
        return self.num_running < self.num_workers

    def submit(self, key: Any, task: Mapping[str, Any], *, seconds: float | None = None) -> None:
        """Give a task to a worker that has none.

        Args:
            key: identifies the task in the result of `wait`.
            task: plain JSON values.
            seconds: after which the worker is killed; None for no limit.
        """
        assert self.is_free
        assert key is not None
        worker = next((one for one in self._workers if one.key is None), None)
        if worker is None:
            taken = {one.number for one in self._workers}
            number = next(number for number in range(self.num_workers) if number not in taken)
            worker = _Worker(self._command, number)
            self._workers.append(worker)
        worker.key = key
        worker.deadline = None if seconds is None else time.monotonic() + seconds
        worker.send(task)

    def wait(self) -> tuple[Any, dict[str, Any] | Lost]:
        """Wait for the next outcome: the key of its task, and what the worker returned, or that it was lost."""
        while True:
            running = [worker for worker in self._workers if worker.key is not None]
            assert running, "no task is running"
            late = next((one for one in running if one.deadline is not None and one.deadline <= time.monotonic()), None)
            if late is not None:
                return self._finish(late, late.lost(TOOK_TOO_LONG))
            with selectors.DefaultSelector() as selector:
                for worker in running:
                    selector.register(worker.output, selectors.EVENT_READ, worker)
                deadlines = [worker.deadline for worker in running if worker.deadline is not None]
                ready = selector.select(max(0.0, min(deadlines) - time.monotonic()) if deadlines else None)
            for entry, _ in ready:
                outcome = entry.data.receive()
                if outcome is not None:
                    return self._finish(entry.data, outcome)

    def _finish(self, worker: _Worker, outcome: dict[str, Any] | Lost) -> tuple[Any, dict[str, Any] | Lost]:
        key, worker.key = worker.key, None
        is_old = worker.num_tasks >= self._tasks_per_worker or worker.resident > self._max_resident
        if isinstance(outcome, Lost) or is_old:
            worker.end()
            self._workers.remove(worker)
        return key, outcome
