"""The processes of a cluster on this machine: free ports, a GPU or a share of the cores for each, and their output."""

import contextlib
import ctypes
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import IO

from dlcli.errors import InputError
from dlcli.printing import escaped_line
from dlcli.runtime.cluster import VARIABLE
from dlcli.runtime.launched import RUN_FILE, THREADS, child_environment, dlcli_command

VISIBLE = "CUDA_VISIBLE_DEVICES"
LIST_SECONDS = 20  # for NVIDIA's tool to list the GPUs
MAX_LINES = 20  # of the output of a process that has failed
MAX_OUTPUT = 2**16  # bytes at the end of it that are read
PR_SET_PDEATHSIG = 1


class LocalProcess:
    """A process on this machine, in a session of its own, so that Ctrl-C reaches it through its launcher alone.

    Args:
        is_shown: whether it writes where this process does; otherwise its output is kept, for `read` and `tail`.
        folder: where it runs; None for the folder of this process.
    """

    def __init__(
        self, command: Sequence[str], environment: dict[str, str], *, is_shown: bool, folder: str | None = None
    ) -> None:
        self._files: list[IO[bytes]] = [] if is_shown else [tempfile.TemporaryFile(), tempfile.TemporaryFile()]  # noqa: SIM115 - see close
        self._num_read = [0, 0]
        stdout, stderr = self._files or (None, None)
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env=environment,
            start_new_session=True,
            preexec_fn=_end_with(os.getpid()) if sys.platform == "linux" else None,
        )

    def poll(self) -> int | None:
        """Its exit status, or the negative number of the signal that killed it; None while it runs."""
        return self._process.poll()

    def send(self, number: int) -> None:
        """Send a signal to the process, and SIGKILL also to what it has started."""
        if self._process.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if number == signal.SIGKILL:
                os.killpg(self._process.pid, number)
            else:
                self._process.send_signal(number)

    def read(self) -> tuple[bytes, bytes]:
        """What it has written since the last call, on stdout and on stderr."""
        parts = []
        for number, file in enumerate(self._files):
            parts.append(os.pread(file.fileno(), MAX_OUTPUT, self._num_read[number]))  # the process shares the position
            self._num_read[number] += len(parts[-1])
        return parts[0], parts[1]

    def tail(self) -> list[str]:
        """The last lines on stderr that were not shown."""
        if not self._files:
            return []
        descriptor = self._files[1].fileno()
        text = os.pread(descriptor, MAX_OUTPUT, max(0, os.fstat(descriptor).st_size - MAX_OUTPUT))
        return [escaped_line(line) for line in text.decode(errors="replace").strip().splitlines()[-MAX_LINES:]]

    def close(self) -> None:
        """End the process if it runs, and forget its output."""
        self.send(signal.SIGKILL)
        self._process.wait()
        for file in self._files:
            file.close()


def _end_with(parent: int) -> Callable[[], None]:
    """A function that makes the calling process get SIGTERM when its parent ends, however it does."""
    library = ctypes.CDLL(None)

    def request() -> None:
        library.prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM))
        if os.getppid() != parent:  # it has ended already
            os._exit(1)

    return request


def start_processes(arguments: Sequence[str], gpus: Sequence[str | None], *, run_file: str) -> list[LocalProcess]:
    """Start dlcli once for each task of a new cluster on this machine.

    Args:
        gpus: for each process, what it sees of the GPUs; None for no change.
        run_file: where the chief notes its run directory.
    """
    addresses = [f"127.0.0.1:{port}" for port in free_ports(len(gpus))]
    share = str(max(1, num_cores() // len(gpus)))
    started: list[LocalProcess] = []
    try:
        for index, gpu in enumerate(gpus):
            task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
            own = {**dict.fromkeys(THREADS, share), **child_environment(), VARIABLE: json.dumps(task)}
            own |= {RUN_FILE: run_file} if index == 0 else {}
            own |= {} if gpu is None else {VISIBLE: gpu}
            started.append(LocalProcess(dlcli_command(arguments), own, is_shown=index == 0))
    except BaseException:
        for process in started:
            process.close()
        raise
    return started


def starter_here(number: int, device: str) -> Callable[[Sequence[str], str, int], list[LocalProcess]]:
    """A function that starts dlcli in at most ``number`` processes on this machine.

    Args:
        device: the value of ``--device`` of each.

    Raises:
        InputError: as of :func:`divide_gpus`.
    """
    gpus = divide_gpus(number, device)
    return lambda arguments, run_file, few: start_processes(arguments, gpus[:few], run_file=run_file)


def free_ports(number: int) -> list[int]:
    """Ports of this machine on which nothing listens."""
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(number)]
        return [server.getsockname()[1] for server in servers]


def num_cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def divide_gpus(number: int, device: str) -> list[str | None]:
    """The GPU that each of ``number`` processes sees, as a value of CUDA_VISIBLE_DEVICES; None where it has none.

    Args:
        device: the value of ``--device`` of each process.

    Raises:
        InputError: the machine has fewer GPUs than processes, or the device is one that they cannot all have.
    """
    if device not in ("auto", "cpu", "gpu"):
        raise InputError(
            f"--device {escaped_line(device)}: every process would use the same device. Leave --device out: each "
            "process gets a GPU of its own if there are as many, and a share of the cores otherwise."
        )
    gpus = [] if device == "cpu" else visible_gpus()
    if not gpus:
        return [None] * number
    if len(gpus) < number:
        raise InputError(
            f"--workers {number}: this machine has {len(gpus)} GPU{'s' if len(gpus) > 1 else ''}, and each process "
            f"needs one of its own. Use --workers {len(gpus)}, or --device cpu after train."
        )
    return list(gpus[:number])


def visible_gpus() -> list[str]:
    """The NVIDIA GPUs of this machine that this process sees, as CUDA_VISIBLE_DEVICES names them."""
    visible = os.environ.get(VISIBLE)
    if visible is not None:
        names = [name.strip() for name in visible.split(",")]
        valid = [bool(re.fullmatch(r"[0-9]+|GPU-[0-9a-fA-F-]+|MIG-[\w/-]+", name)) for name in names]
        return names[: valid.index(False)] if False in valid else names  # CUDA ignores the others
    try:
        done = subprocess.run(
            ["nvidia-smi", "-L"],
            capture_output=True,
            text=True,
            timeout=LIST_SECONDS,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return []
    number = len(re.findall(r"^GPU [0-9]+:", done.stdout, re.MULTILINE)) if done.returncode == 0 else 0
    return [str(index) for index in range(number)]
