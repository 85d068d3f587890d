"""Ctrl-C, SIGTERM and SIGHUP at any time, two processes on one run, and a loss that is not finite."""

import functools
import importlib
import json
import os
import random
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import processes  # type: ignore[import-not-found]
import pytest
from run_outcome import assert_same, leftovers, outcome  # type: ignore[import-not-found]

from dlcli.rundir.reading import read_json
from dlcli.rundir.tables import read_csv

CTRL_C, TERMINATION, HANGUP = ((signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129))
SIGNALS = [pytest.param(*CTRL_C, id="Ctrl-C"), pytest.param(*TERMINATION, id="SIGTERM")]


def slow(number: int, exit_status: int, identifier: str) -> Any:
    """A signal whose test is slow, with a sibling that sends another one."""
    return pytest.param(number, exit_status, id=identifier, marks=pytest.mark.slow)


@dataclass(frozen=True)
class HeldAt:
    """Draws no plots and waits at a call of a function while the file ``held`` exists."""

    function: str
    call: int = 1

    def __call__(self) -> None:
        processes.without_plots()
        processes.HoldAtCall(self.function, Path("held"), self.call)()


def status(run: Path) -> str:
    return str(json.loads((run / "run.json").read_text())["status"])


@pytest.mark.parametrize(
    ("number", "exit_status"),
    [pytest.param(*CTRL_C, id="Ctrl-C"), slow(*TERMINATION, "SIGTERM"), slow(*HANGUP, "SIGHUP")],
)
def test_stopped_in_training(folder: Path, never_stopped: Path, number: int, exit_status: int) -> None:
    """During a save of the second stage: a second process and other verbs are refused, and the signal takes effect."""
    run, held = folder / "runs" / "everything", folder / "held"
    hold = HeldAt("dlcli.training.checkpoint.save", call=9)
    process = processes.start("train", "everything.yaml", folder=folder, prepare=hold)
    process.wait_for(held)
    assert status(run) == "running"
    for arguments in (("train", "--resume", "everything"), ("runs", "remove", "everything", "--yes")):
        refused = processes.run(*arguments, folder=folder).expect(2)
        assert (
            refused.stderr == "runs/everything: another process is using this run. Wait for it to finish, or stop it.\n"
        )
        assert refused.stdout == ""
    listed = processes.run("runs", "list", "--json", folder=folder).expect(0)
    assert [(found["name"], found["status"]) for found in json.loads(listed.stdout)] == [("everything", "running")]
    unfinished = processes.run("evaluate", folder=folder, prepare=processes.without_plots).expect(0)
    epoch = read_json(run / "run.json")["best"]["epoch"]
    assert f"run runs/everything is being trained: this is its best model so far, of epoch {epoch}" in unfinished.stderr

    process.send(number)
    if number == signal.SIGHUP:  # a terminal that is closed may send it again, which must not prevent the checkpoint
        process.wait_for_output("stopping after this step")
        process.send(number)
    held.unlink()
    done = process.finish().expect(exit_status)
    last_line = done.stderr.splitlines()[-1]
    assert last_line.startswith("stopped in epoch ")
    assert "stopping after this step; press Ctrl-C again to stop immediately" in done.stderr.splitlines()
    assert last_line.endswith(". Resume with: dlcli train --resume runs/everything")
    assert done.stdout == ""
    assert status(run) == "interrupted"
    assert leftovers(run) == []

    command = last_line.partition("Resume with: dlcli ")[2].split()
    processes.run(*command, folder=folder, prepare=processes.without_plots).expect(0)
    assert_same(outcome(never_stopped), outcome(run))


@pytest.mark.parametrize(("number", "exit_status"), [slow(*CTRL_C, "Ctrl-C"), pytest.param(*TERMINATION, id="SIGTERM")])
def test_stopped_in_the_final_evaluation(folder: Path, number: int, exit_status: int) -> None:
    run, held = folder / "runs" / "tiny", folder / "held"
    hold = HeldAt("dlcli.tasks.images.classification.evaluate_split")
    process = processes.start("train", "tiny.yaml", folder=folder, prepare=hold)
    process.wait_for(held)
    process.send(number)
    done = process.finish().expect(exit_status)
    assert done.stderr.splitlines()[-1].endswith("Resume with: dlcli train --resume runs/tiny")
    assert status(run) == "interrupted"
    before = read_csv(run / "metrics.csv")
    processes.run("train", "--resume", "tiny", folder=folder, prepare=processes.without_plots).expect(0)
    assert status(run) == "completed"
    assert read_csv(run / "metrics.csv") == before  # nothing was trained again


@pytest.mark.parametrize(
    ("function", "number", "exit_status"),
    [
        ("dlcli.data.images.sources.digits.read_digits", *CTRL_C),
        ("dlcli.tasks.images.network.with_head", *TERMINATION),
        ("dlcli.report.plots.images.sample_batch", *CTRL_C),
    ],
)
def test_stopped_before_training_leaves_nothing(folder: Path, function: str, number: int, exit_status: int) -> None:
    process = processes.start("train", "tiny.yaml", folder=folder, prepare=HeldAt(function))
    process.wait_for(folder / "held")
    process.send(number)
    done = process.finish().expect(exit_status)
    assert done.stderr.split() == ["Terminated." if number == signal.SIGTERM else "Interrupted."]
    assert not (folder / "runs").exists() or list((folder / "runs").iterdir()) == []


def interrupt_twice() -> None:
    """Sends two signals while a step is compiled, whose C code then raises an unrelated error."""
    from dlcli.training.step import TrainStep

    def run(self: TrainStep, *args: object) -> bool:
        try:
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            raise SystemError("bad argument to internal function") from None
        return True

    processes.without_plots()
    TrainStep.run = run  # type: ignore[method-assign, assignment]


def test_a_second_signal_while_a_step_is_compiled(folder: Path) -> None:
    done = processes.run("train", "tiny.yaml", folder=folder, prepare=interrupt_twice).expect(130)
    assert done.stderr.splitlines()[-1] == (
        "stopped between two checkpoints. Resume with: dlcli train --resume runs/tiny"
    )
    assert status(folder / "runs" / "tiny") == "interrupted"
    processes.run("train", "--resume", "tiny", folder=folder, prepare=processes.without_plots).expect(0)


def stop_an_import(what_it_becomes: str) -> None:
    """Sends SIGTERM while TensorFlow is imported, where an extension or a library turns it into something else."""
    import_module = importlib.import_module

    def import_stopped(name: str, *args: object) -> object:
        if name == "tensorflow":
            try:
                os.kill(os.getpid(), signal.SIGTERM)
            except BaseException:
                if what_it_becomes == "RuntimeError":
                    raise RuntimeError("Could not import original test/binary location") from None
                if what_it_becomes == "ImportError":
                    raise ImportError("initialization failed") from None
        return import_module(name, *args)

    importlib.import_module = import_stopped


@pytest.mark.parametrize(
    "what_it_becomes",
    ["RuntimeError", "ImportError", pytest.param("nothing", marks=pytest.mark.slow)],
)
def test_a_stop_that_an_import_takes_for_something_else(folder: Path, what_it_becomes: str) -> None:
    prepare = functools.partial(stop_an_import, what_it_becomes)
    done = processes.run("train", "tiny.yaml", folder=folder, prepare=prepare).expect(143)
    assert done.stderr == "Terminated.\n"
    assert not (folder / "runs").exists()


def lose_a_stop() -> None:
    """Sends SIGTERM while the network is built, in the callback of a weak reference, which loses its exception."""

    def stop(_: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    def losing(function: Callable[..., object]) -> Callable[..., object]:
        def wrapper(*args: object, **kwargs: object) -> object:
            referent = type("Referent", (), {})()
            reference = weakref.ref(referent, stop)
            del referent
            assert reference() is None
            return function(*args, **kwargs)

        return wrapper

    processes.without_plots()
    processes.replace("dlcli.tasks.images.network.with_head", losing)


def test_a_stop_that_a_library_swallows_before_training(folder: Path) -> None:
    done = processes.run("train", "tiny.yaml", folder=folder, prepare=lose_a_stop).expect(143)
    assert done.stderr.splitlines()[-1] == (
        "stopped between two checkpoints. Resume with: dlcli train --resume runs/tiny"
    )
    assert status(folder / "runs" / "tiny") == "interrupted"


def stop_at_start(folder: Path, number: int, seconds: float) -> processes.Finished:
    """Sends a signal to the installed command some seconds after its start."""
    with subprocess.Popen(
        [processes.DLCLI, "train", "tiny.yaml", "--epochs", "100000"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        time.sleep(seconds)
        process.send_signal(number)
        try:
            out, err = process.communicate(timeout=processes.WAIT_SECONDS)
        except BaseException:  # it was not stopped
            process.kill()
            raise
    return processes.Finished(process.returncode, out, err)


def test_stopped_while_tensorflow_is_loading(folder: Path) -> None:
    done = stop_at_start(folder, signal.SIGTERM, 1.0).expect(143)
    assert done.stdout == ""
    assert done.stderr in ("Terminated.\n", "")


@pytest.mark.slow
@pytest.mark.parametrize(("number", "exit_status"), SIGNALS)
def test_stopped_at_any_time_during_startup(folder: Path, number: int, exit_status: int) -> None:
    moments = random.Random(number)
    for _ in range(12):
        done = stop_at_start(folder, number, moments.uniform(0.3, 6)).expect(exit_status)
        assert done.stdout == ""
        for run in (folder / "runs").glob("*"):
            assert (run / "run.json").exists(), f"{list(run.iterdir())}: {done}"
            assert leftovers(run) == []


# A loss that is not finite --------------------------------------------------------------------------------------------


def test_a_nonfinite_loss_in_the_first_epoch(folder: Path) -> None:
    done = processes.run("train", "tiny.yaml", "-s", "train.optimizer.learning_rate=1e30", folder=folder).expect(1)
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1].startswith("the loss or gradient is not finite in epoch 1, near step ")
    assert "Try a lower train.optimizer.learning_rate" in done.stderr
    run = folder / "runs" / "tiny"
    assert status(run) == "failed"
    assert not (run / "model.keras").exists()
    shown = processes.run("runs", "show", folder=folder).expect(0)
    assert "status: failed" in shown.stdout


def test_the_last_finite_checkpoint_stays(folder: Path) -> None:
    stages = "[{name: good, epochs: 2}, {name: bad, epochs: 2, learning_rate: 1e30}]"
    recipe = (folder / "tiny.yaml").read_text().replace("  epochs: 2\n", f"  stages: {stages}\n")
    (folder / "diverging.yaml").write_text(recipe)
    done = processes.run("train", "diverging.yaml", folder=folder, prepare=processes.without_plots).expect(1)
    assert "not finite in epoch 3" in done.stderr
    assert "The last checkpoint, of epoch 2, is kept." in done.stderr
    run = folder / "runs" / "diverging"
    assert status(run) == "failed"
    assert [row["epoch"] for row in read_csv(run / "metrics.csv")] == ["1", "2"]
    assert json.loads((run / "checkpoints.json").read_text())["last"] == "0002-00000008"
    again = processes.run("train", "--resume", "diverging", folder=folder, prepare=processes.without_plots).expect(1)
    assert "not finite in epoch 3" in again.stderr  # it is as reproducible as everything else
    assert [row["epoch"] for row in read_csv(run / "metrics.csv")] == ["1", "2"]


# The reader of stdout has gone ----------------------------------------------------------------------------------------


@pytest.mark.slow  # two processes that import TensorFlow; the next test is quick
def test_training_continues_when_the_reader_of_stdout_is_gone(folder: Path) -> None:
    program = f"{processes.DLCLI} train tiny.yaml 2>&1 | head -1; exec 2>&-; {processes.DLCLI} evaluate tiny | head -1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", program], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done
    assert done.stdout == "run runs/tiny on CPU, 2 cores\nruns/tiny, test: 60 samples\n".replace(
        "2 cores", f"{os.cpu_count()} cores"
    )
    assert status(folder / "runs" / "tiny") == "completed"


def test_a_closed_pipe_is_no_error() -> None:
    program = f"{processes.DLCLI} recipe schema | {sys.executable} -c 'import sys; sys.stdin.read(10)'"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
