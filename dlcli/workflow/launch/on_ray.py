"""The processes of a cluster as subprocesses of actors on a Ray cluster.

The machines need the same dlcli, and a disk with the same paths: of the recipe, the data and the run directory.
TensorFlow runs in processes of their own, because it needs the main thread and its signals, which belong to Ray in its
workers.
"""

import json
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcli.errors import InputError
from dlcli.runtime.cluster import VARIABLE
from dlcli.runtime.launched import RUN_FILE, THREADS, child_environment, dlcli_command
from dlcli.runtime.ray_cluster import connect
from dlcli.workflow.launch.local import LocalProcess, free_ports, num_cores

START_SECONDS = 300  # for the cluster to have room for the processes
REPLY_SECONDS = 30  # for an actor on a machine that is busy
LOST = -int(signal.SIGKILL)  # the status of a process whose actor is lost


@dataclass(frozen=True)
class State:
    """What an actor replies about its process: exit status, None while it runs; new output; the path of its run."""

    status: int | None
    output: bytes
    errors: bytes
    run: str


class Actor:
    """Runs one process on a machine of the Ray cluster."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="dlcli-ray-"))
        self._process: LocalProcess | None = None

    def place(self) -> tuple[str, int, int]:
        """The address of the machine, a free port, and the number of cores."""
        import ray

        return str(ray.util.get_node_ip_address()), free_ports(1)[0], num_cores()

    def start(self, arguments: Sequence[str], folder: str, environment: dict[str, str]) -> None:
        """Start dlcli in a folder."""
        own = {**child_environment(), **environment, RUN_FILE: str(self._folder / "run")}
        self._process = LocalProcess(dlcli_command(arguments), own, is_shown=False, folder=folder)

    def state(self) -> State:
        assert self._process is not None
        status = self._process.poll()
        run = self._folder / "run"
        return State(status, *self._process.read(), run.read_text() if run.exists() else "")

    def send(self, number: int) -> None:
        assert self._process is not None
        self._process.send(number)

    def tail(self) -> list[str]:
        assert self._process is not None
        return self._process.tail()

    def end(self) -> None:
        """End the process if it runs, and remove its files."""
        if self._process is not None:
            self._process.close()
        shutil.rmtree(self._folder, ignore_errors=True)


class RemoteProcess:
    """A process on a Ray cluster, as :class:`dlcli.workflow.launch.supervision.Process`.

    Args:
        ray: the module, connected.
        actor: the handle of its :class:`Actor`.
        run_file: where the path of its run is noted; None for a process whose output is not shown.
    """

    def __init__(self, ray: Any, actor: Any, run_file: Path | None) -> None:
        self._ray = ray
        self._actor = actor
        self._run_file = run_file
        self._status: int | None = None

    def poll(self) -> int | None:
        """Its exit status, -9 if its machine is lost; None while it runs. Shows what it has written."""
        while self._status is None:
            state = self._reply(self._actor.state, State(LOST, b"", b"", ""))
            if self._run_file is not None:
                sys.stdout.buffer.write(state.output)
                sys.stderr.buffer.write(state.errors)
                sys.stdout.flush()
                sys.stderr.flush()
                if state.run:
                    self._run_file.write_text(state.run)
            if not state.output and not state.errors:  # there may be more
                self._status = state.status
                break
        return self._status

    def send(self, number: int) -> None:
        """Send a signal."""
        if self._status is None:
            self._actor.send.remote(number)

    def tail(self) -> list[str]:
        """The last lines on stderr that were not shown."""
        return [] if self._run_file is not None else self._reply(self._actor.tail, ["its Ray actor is lost"])

    def close(self) -> None:
        """End the process if it runs, and its actor."""
        self._reply(self._actor.end, None)
        self._ray.kill(self._actor)

    def _reply(self, method: Any, otherwise: Any) -> Any:
        try:
            return self._ray.get(method.remote(), timeout=REPLY_SECONDS)
        except self._ray.exceptions.RayError:  # the actor or its machine has ended, or does not reply
            return otherwise


def starter(address: str, number: int, device: str) -> Callable[[Sequence[str], str, int], list[RemoteProcess]]:
    """A function that starts dlcli in at most ``number`` processes on the Ray cluster at an address.

    Args:
        device: the value of ``--device`` of each; each gets a GPU of its own unless it is cpu or the cluster has fewer.

    Raises:
        InputError: there is no such cluster, or it has fewer CPUs than processes.
    """
    if device not in ("auto", "cpu", "gpu"):
        raise InputError(f"--device {device}: with --ray, each process gets one CPU or GPU. Use auto, cpu or gpu.")
    ray = connect(address, number)
    has = ray.cluster_resources()
    if has.get("CPU", 0) < number:
        raise InputError(f"--workers {number}: the Ray cluster has {has.get('CPU', 0):g} CPUs. Use fewer workers.")
    num_gpus = 1 if device != "cpu" and has.get("GPU", 0) >= number else 0
    kind = ray.remote(num_cpus=1, num_gpus=num_gpus, scheduling_strategy="SPREAD", max_restarts=0)(Actor)

    def start(arguments: Sequence[str], run_file: str, few: int) -> list[RemoteProcess]:
        actors = [kind.remote() for _ in range(few)]
        try:
            places = ray.get([actor.place.remote() for actor in actors], timeout=START_SECONDS)
        except ray.exceptions.RayError as error:
            for actor in actors:
                ray.kill(actor)
            raise InputError(
                f"--ray {address}: the cluster has no room for {few} processes ({type(error).__name__}). "
                "See what it has with: ray status"
            ) from None
        addresses = [f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port, _ in places]
        on_host = Counter(host for host, _, _ in places)
        for index, (actor, (host, _, cores)) in enumerate(zip(actors, places, strict=True)):
            task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
            threads = str(max(1, cores // on_host[host]))
            own = {**dict.fromkeys(THREADS, threads), VARIABLE: json.dumps(task)}
            ray.get(actor.start.remote(list(arguments), str(Path.cwd()), own))
        return [RemoteProcess(ray, actor, Path(run_file) if not i else None) for i, actor in enumerate(actors)]

    return start
