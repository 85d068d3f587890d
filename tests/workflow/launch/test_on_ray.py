"""``dlcli launch --ray`` with actors of this process in place of Ray's, and, in the long tests, on Ray itself."""

import importlib.util
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import processes  # type: ignore[import-not-found]
import pytest

from dlcli.errors import InputError
from dlcli.workflow.launch import on_ray
from dlcli.workflow.launch.on_ray import RemoteProcess, starter


class RayError(Exception):
    """As Ray's own."""


class Handle:
    """An actor, called in this process; a lost one fails."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor
        self.is_lost = False

    def __getattr__(self, name: str) -> Any:
        def remote(*arguments: Any) -> Callable[[], Any]:
            if self.is_lost:
                return lambda: (_ for _ in ()).throw(RayError("the actor died"))
            value = getattr(self._actor, name)(*arguments)
            return lambda: value

        return SimpleNamespace(remote=remote)


class FakeRay:
    """The functions of Ray that are used."""

    exceptions = SimpleNamespace(RayError=RayError)
    util = SimpleNamespace(get_node_ip_address=lambda: "10.0.0.7")

    def __init__(self, **resources: float) -> None:
        self.resources = resources
        self.options: dict[str, Any] = {}
        self.handles: list[Handle] = []
        self.killed: list[Handle] = []

    def cluster_resources(self) -> dict[str, float]:
        return self.resources

    def remote(self, **options: Any) -> Any:
        self.options = options

        def decorate(kind: Any) -> Any:
            def make() -> Handle:
                self.handles.append(Handle(kind()))
                return self.handles[-1]

            return SimpleNamespace(remote=make)

        return decorate

    def get(self, reference: Any, timeout: float | None = None) -> Any:
        return [one() for one in reference] if isinstance(reference, list) else reference()

    def kill(self, handle: Handle) -> None:
        self.killed.append(handle)


def python(code: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", code]


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    fake = FakeRay(CPU=4.0, GPU=2.0)
    monkeypatch.setattr(on_ray, "connect", lambda address, num_cpus: fake)
    monkeypatch.setitem(sys.modules, "ray", fake)
    monkeypatch.setattr(on_ray, "num_cores", lambda: 6)
    for variable in on_ray.THREADS:
        monkeypatch.delenv(variable, raising=False)
    return fake


def ended(process: RemoteProcess) -> int:
    end = time.monotonic() + 60
    while (status := process.poll()) is None and time.monotonic() < end:
        time.sleep(0.01)
    assert status is not None
    return status


def test_the_chiefs_output_is_shown_and_its_run_noted(
    ray: FakeRay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    code = (
        "import os, sys, json; e = os.environ; task = json.loads(e['TF_CONFIG'])\n"
        "print(json.dumps([task, e['OMP_NUM_THREADS'], os.getcwd()])); print('hello', file=sys.stderr)\n"
        "open(e['DLCLI_RUN_FILE'], 'w').write('runs/x'); sys.exit(task['task']['index'])"
    )
    monkeypatch.setattr(on_ray, "dlcli_command", lambda arguments: python(code))
    monkeypatch.chdir(tmp_path)
    started = starter("auto", 2, "gpu")(["train", "x.yaml"], str(tmp_path / "run"), 2)
    assert [ended(process) for process in started] == [0, 1]
    assert ray.options == {"num_cpus": 1, "num_gpus": 1, "scheduling_strategy": "SPREAD", "max_restarts": 0}
    shown = capfdbinary.readouterr()
    config, threads, folder = json.loads(shown.out)
    assert shown.err == b"hello\n"
    assert (threads, Path(folder)) == ("3", tmp_path)
    assert config["task"] == {"type": "worker", "index": 0}
    assert [address.partition(":")[0] for address in config["cluster"]["worker"]] == ["10.0.0.7"] * 2
    assert (tmp_path / "run").read_text() == "runs/x"
    assert [process.tail() for process in started] == [[], ["hello"]]
    for process in started:
        process.close()
    assert ray.killed == ray.handles


def test_signals_and_lost_actors(ray: FakeRay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_ray, "dlcli_command", lambda arguments: python("import time; time.sleep(1000)"))
    one, other = starter("auto", 2, "cpu")(["train"], str(tmp_path / "run"), 2)
    assert ray.options["num_gpus"] == 0
    one.send(signal.SIGTERM)
    assert ended(one) == -signal.SIGTERM
    ray.handles[1].is_lost = True
    assert other.poll() == -signal.SIGKILL
    assert other.tail() == ["its Ray actor is lost"]
    ray.handles[1].is_lost = False
    for process in (one, other):
        process.close()


def test_a_cluster_that_is_too_small_is_refused(ray: FakeRay) -> None:
    with pytest.raises(InputError, match=r"--workers 5: the Ray cluster has 4 CPUs\. Use fewer workers\."):
        starter("auto", 5, "auto")
    with pytest.raises(InputError, match=r"--device cpu:x2: with --ray, each process gets one CPU or GPU"):
        starter("auto", 2, "cpu:x2")


@pytest.mark.long
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")
def test_a_run_on_ray_is_that_of_processes_of_this_machine(folder: Path) -> None:
    import subprocess

    environment = {**os.environ, **processes.WITHOUT_GPU, "MPLBACKEND": "agg"}
    for name, where in (("here", ()), ("ray", ("--ray", "local"))):
        train = ("train", "tiny.yaml", "--device", "cpu", "--name", name)
        command = [processes.DLCLI, "launch", "--workers", "2", *where, "--", *train]
        subprocess.run(command, cwd=folder, env=environment, check=True)
    digests = [json.loads((folder / "runs" / n / "run.json").read_text())["final"] for n in ("here", "ray")]
    assert digests[0] == digests[1]
