"""``dlcli launch``: restarts, what is shown, and the processes of this machine, here tiny ones without TensorFlow."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from dlcli.cli import cli
from dlcli.errors import InputError
from dlcli.workflow.launch import local
from dlcli.workflow.launch.launch import Training, launch
from dlcli.workflow.launch.local import LocalProcess, divide_gpus, free_ports, start_processes, visible_gpus

KILL = int(signal.SIGKILL)


class Fake:
    """A process that has ended."""

    def __init__(self, status: int, output: Sequence[str] = ()) -> None:
        self._status = status
        self._output = list(output)
        self.is_closed = False

    def poll(self) -> int:
        return self._status

    def send(self, number: int) -> None:
        raise AssertionError("it has ended")

    def tail(self) -> list[str]:
        return self._output

    def close(self) -> None:
        self.is_closed = True


def run(
    *attempts: list[Fake], restarts: int = 3, run: Path | None = None, least: int = 3
) -> tuple[int, list[Sequence[str]], list[str]]:
    """The exit status of a launch, the arguments of each start, and the lines that are shown."""
    starts: list[Sequence[str]] = []
    lines: list[str] = []

    def start(arguments: Sequence[str], run_file: str, number: int) -> list[Fake]:
        starts.append(arguments)
        assert number == len(attempts[len(starts) - 1]) or least == 3
        if run is not None:
            Path(run_file).write_text(str(run))
        return attempts[len(starts) - 1]

    training = Training(("train", "recipe.yaml"), lambda run: ("train", "--resume", run))
    status = launch(training, start, workers=3, least=least, restarts=restarts, say=lines.append)
    assert all(process.is_closed for attempt in attempts[: len(starts)] for process in attempt)
    return status, starts, lines


def made_run(folder: Path) -> Path:
    (folder / "run").mkdir()
    (folder / "run" / "run.json").write_text("{}")
    return folder / "run"


def test_the_exit_status_is_the_chiefs() -> None:
    assert run([Fake(0), Fake(-KILL)]) == (0, [("train", "recipe.yaml")], [])


def test_a_lost_process_restarts_all_which_resume(tmp_path: Path) -> None:
    folder = made_run(tmp_path)
    status, starts, lines = run([Fake(1), Fake(-KILL, ["x"])], [Fake(-KILL), Fake(1)], [Fake(0), Fake(0)], run=folder)
    assert status == 0
    assert starts == [("train", "recipe.yaml"), *[("train", "--resume", str(folder))] * 2]
    assert lines[-1] == f"launch: restart 2 of 3 of all processes: dlcli train --resume {folder}"
    assert "launch: worker 1 was killed by SIGKILL" in lines
    assert "launch: worker 0 was killed by SIGKILL" in lines


def test_a_restart_may_have_fewer_processes(tmp_path: Path) -> None:
    folder = made_run(tmp_path)
    lost = [Fake(1), Fake(-KILL), Fake(1)], [Fake(1), Fake(-KILL)], [Fake(-KILL)]
    status, starts, lines = run(*lost, [Fake(0)], run=folder, least=1)
    assert (status, len(starts)) == (0, 4)
    restarts = [line.partition(": dlcli")[0] for line in lines if "restart" in line]
    assert restarts == [
        "launch: restart 1 of 3 with 2 of 3 processes",
        "launch: restart 2 of 3 with 1 of 2 processes",
        "launch: restart 3 of 3 of all processes",
    ]


def test_without_a_run_it_starts_over() -> None:
    _, starts, _ = run([Fake(1), Fake(-KILL)], [Fake(0), Fake(0)])
    assert starts == [("train", "recipe.yaml")] * 2


def test_restarts_are_bounded(tmp_path: Path) -> None:
    status, starts, lines = run(*([Fake(-KILL), Fake(1)] for _ in range(3)), restarts=2, run=made_run(tmp_path))
    assert (status, len(starts)) == (128 + KILL, 3)
    assert lines[-1] == "launch: worker 0 was killed by SIGKILL"


@pytest.mark.parametrize("status", [1, 2])
def test_an_error_of_their_own_is_shown_and_not_repeated(status: int) -> None:
    fakes = [Fake(0), Fake(0)], [Fake(1), Fake(status, ["the loss is not finite"])]
    assert run(fakes[1])[::2] in ((1, []), (1, ["worker 1: the loss is not finite"]))
    assert len(run(fakes[1])[1]) == 1


def wait_until(condition: Any) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def python(code: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", code]


def test_output_is_kept_and_the_end_of_it_is_given() -> None:
    code = "import sys; [print('line', i, '\\x1b', file=sys.stderr) for i in range(99)]"
    process = LocalProcess(python(code), dict(os.environ), is_shown=False)
    wait_until(lambda: process.poll() is not None)
    assert process.tail()[-1] == "line 98 \\x1b"
    assert len(process.tail()) == local.MAX_LINES
    process.send(signal.SIGTERM)  # it has ended: nothing happens
    process.close()


def test_each_process_is_a_task_with_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import os, sys, json; print(json.dumps(dict(os.environ)), file=sys.stderr)"
    monkeypatch.setattr(local, "dlcli_command", lambda arguments: python(code))
    monkeypatch.setattr(local, "num_cores", lambda: 7)
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
    monkeypatch.setattr(local, "LocalProcess", lambda *arguments, is_shown: LocalProcess(*arguments, is_shown=False))
    started = start_processes(["train", "x.yaml"], ["GPU-a", "3"], run_file="/file")
    wait_until(lambda: all(process.poll() == 0 for process in started))
    seen = [json.loads(process.tail()[0]) for process in started]
    for process in started:
        process.close()
    configs = [json.loads(values["TF_CONFIG"]) for values in seen]
    assert [config["task"] for config in configs] == [{"type": "worker", "index": index} for index in range(2)]
    assert configs[0]["cluster"] == configs[1]["cluster"]
    assert len(set(configs[0]["cluster"]["worker"])) == 2
    assert [values["CUDA_VISIBLE_DEVICES"] for values in seen] == ["GPU-a", "3"]
    assert [values.get("DLCLI_RUN_FILE") for values in seen] == ["/file", None]
    assert {(values["TF_NUM_INTRAOP_THREADS"], values["OMP_NUM_THREADS"]) for values in seen} == {("3", "5")}


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone ends a process with its parent")
def test_processes_end_with_a_launcher_that_is_killed(tmp_path: Path) -> None:
    code = f"""
import os, sys, time
from pathlib import Path
from dlcli.workflow.launch.local import LocalProcess
sleeper = [sys.executable, "-I", "-S", "-c", "import time; time.sleep(1000)"]
process = LocalProcess(sleeper, dict(os.environ), is_shown=False)
Path({str(tmp_path / "pid")!r}).write_text(f"{{process._process.pid}}\\n")
time.sleep(1000)
"""
    launcher = subprocess.Popen([sys.executable, "-c", code])
    file = tmp_path / "pid"
    wait_until(lambda: file.exists() and file.read_text().endswith("\n"))
    launcher.kill()
    launcher.wait()
    child = Path(f"/proc/{int(file.read_text())}")
    wait_until(lambda: not child.exists() or " Z " in (child / "stat").read_text())


def test_ports_are_free_and_differ() -> None:
    assert len(set(free_ports(5))) == 5


@pytest.mark.parametrize(
    ("visible", "gpus"),
    [("", []), ("-1", []), ("0,1", ["0", "1"]), ("2, GPU-0a-1,MIG-x", ["2", "GPU-0a-1", "MIG-x"]), ("1,-1,2", ["1"])],
)
def test_the_variable_of_cuda_says_which_gpus_are_visible(
    visible: str, gpus: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert visible_gpus() == gpus


def test_gpus_are_listed_by_nvidias_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert visible_gpus() == []
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'GPU 0: NVIDIA H200 (UUID: GPU-1)\nGPU 1: NVIDIA H200 (UUID: GPU-2)'\n")
    tool.chmod(0o755)
    assert visible_gpus() == ["0", "1"]
    assert divide_gpus(2, "auto") == ["0", "1"]
    assert divide_gpus(2, "cpu") == [None, None]
    with pytest.raises(InputError, match=r"--workers 3: this machine has 2 GPUs, .*Use --workers 2, or --device cpu"):
        divide_gpus(3, "gpu")
    with pytest.raises(InputError, match="--device gpu:1: every process would use the same device"):
        divide_gpus(2, "gpu:1")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--", "train", "recipe.yaml"], "one of --workers N (processes on this machine) and --slurm is required"),
        (["--workers", "2", "--slurm", "train", "recipe.yaml"], "is required, not both"),
        (["--workers", "1", "--", "train", "recipe.yaml"], "1 is not in the range 2<=x<=64"),
        (["--workers", "2", "--port", "99999", "--", "train", "recipe.yaml"], "99999 is not in the range"),
        (["--workers", "2", "--port", "2000", "--", "train", "recipe.yaml"], "--port is for --slurm"),
        (
            ["--workers", "2", "--min-workers", "3", "--", "train", "recipe.yaml"],
            "--min-workers must be at most --workers",
        ),
        (["--workers", "2", "--", "predict", "run"], "only dlcli train and dlcli transfer can be launched"),
        (["--workers", "2", "transfer"], "missing parameter: base"),
        (
            ["--workers", "2", "transfer", "--base", "resnet50", "--top", "imagenet"],
            "--top needs one process: use dlcli transfer",
        ),
        (["--workers", "2"], "missing parameter: command"),
        (["--workers", "2", "train"], "no recipe given"),
        (["--workers", "2", "train", "recipe.yaml", "--dry-run"], "--dry-run needs one process"),
        (["--workers", "2", "train", "recipe.yaml", "--epoch", "3"], "no such option '--epoch'"),
        (["--workers", "2", "train", "recipe.yaml", "--device", "cpu:x2"], "--device cpu:x2: every process would use"),
        (["--workers", "2", "train", "none.yaml"], "none.yaml: "),
        (["--workers", "2", "train", "--resume", "none"], "none: no such run in runs"),
        (["--workers", "2", "train", "recipe.yaml", "-s", "train.epochs=0"], "train.epochs: expected"),
        (["--slurm", "train", "recipe.yaml"], "--slurm: the variable SLURM_STEP_NODELIST is not set"),
    ],
)
def test_bad_commands_are_refused_before_anything_starts(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("recipe.yaml").write_text("task: classification\ndata: {kind: digits}\nmodel: {kind: mlp, units: [8]}\n")
    refused = CliRunner().invoke(cli, ["launch", *arguments], prog_name="dlcli", standalone_mode=False)
    assert isinstance(refused.exception, (InputError, click.ClickException))
    assert message.lower() in str(refused.exception).lower()
    assert [path.name for path in tmp_path.iterdir()] == ["recipe.yaml"]
