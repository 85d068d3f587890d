"""A run killed at any moment, any number of times, ends with the weights and metrics of an uninterrupted one."""

import dataclasses
import json
import os
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import processes  # type: ignore[import-not-found]
import pytest
from run_outcome import EVERYTHING_EPOCHS, assert_same, leftovers, outcome, rows  # type: ignore[import-not-found]


@dataclasses.dataclass(frozen=True)
class KillInsideSave:
    """Kills the process at the k-th call of a save; with ``torn``, half of a file is left behind."""

    call: int
    after: bool
    torn: bool

    def __call__(self) -> None:
        processes.without_plots()
        if self.torn:
            tear_file(self.call)
        else:
            functions = ("os.fsync", "os.rename", "os.replace", "os.unlink", "shutil.rmtree")
            processes.KillAtCall(functions, self.call, after=self.after)()


def tear_file(call: int) -> None:
    """Writes half of the k-th file, then kills the process."""
    count = 0

    def tearing(write_file: Callable[..., None]) -> Callable[..., None]:
        def wrapper(path: Path, content: bytes) -> None:
            nonlocal count
            count += 1
            if count == call:
                write_file(path, content[: len(content) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            write_file(path, content)

        return wrapper

    processes.replace("dlcli.rundir.writing.write_file", tearing)


class Killer:
    """Trains a run of everything.yaml in a folder and kills it at seeded random moments, half of them inside a save."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._run = folder / "runs" / "everything"
        self._random = random.Random(seed)
        self.kills: Counter[str] = Counter()

    def train(self, num_kills: int) -> Path:
        """Trains a new run to its end, killing it up to ``num_kills`` times on the way."""
        if self._run.exists():
            shutil.rmtree(self._run)
        where = ("outside", "inside")
        for kill in range(num_kills):
            if self._is_killed(where[kill % 2]):
                self.kills[where[kill % 2]] += 1
                self._check_what_is_left()
            else:  # the run came to its end before the moment
                return self._run
        processes.run(*self._command(), folder=self._folder, prepare=processes.without_plots).expect(0)
        return self._run

    def _command(self) -> tuple[str, ...]:
        return ("train", "--resume", "everything") if self._run.exists() else ("train", "everything.yaml")

    def _is_killed(self, where: str) -> bool:
        if where == "inside":
            torn = self._random.random() < 0.25
            kill = KillInsideSave(
                call=self._random.randint(1, 15 if torn else 50), after=self._random.random() < 0.5, torn=torn
            )
            done = processes.run(*self._command(), folder=self._folder, prepare=kill)
        else:
            process = processes.start(*self._command(), folder=self._folder, prepare=processes.without_plots)
            self._wait_for_the_moment(process)
            process.send(signal.SIGKILL)
            done = process.finish()
        if done.status == -signal.SIGKILL:
            return True
        done.expect(0)
        return False

    def _wait_for_the_moment(self, process: processes.Process) -> None:
        """Until some more rows of metrics.csv are there, and a little longer; now and then at any time."""
        if self._random.random() < 0.2:
            time.sleep(self._random.uniform(0, 3))
        else:
            num_rows = self._num_rows() + self._random.randint(1, 3)
            processes.wait_until(lambda: self._num_rows() >= num_rows or not process.is_alive())
            time.sleep(self._random.uniform(0, 0.1))

    def _num_rows(self) -> int:
        metrics = self._run / "metrics.csv"
        return metrics.read_bytes().count(b"\n") - 1 if metrics.exists() else -1

    def _check_what_is_left(self) -> None:
        """Complete files are readable, and a line that a kill cut in two does not matter."""
        if not (self._run / "run.json").exists():  # killed before it was a run
            shutil.rmtree(self._run, ignore_errors=True)
            return
        assert json.loads((self._run / "run.json").read_text())["status"] == "running"
        if self._num_rows() >= 0 and self._random.random() < 0.3:
            with open(self._run / "metrics.csv", "a") as file:
                file.write("all,99,4")


def kill_and_compare(folder: Path, never_stopped: Path, *, seed: int, num_kills: int) -> None:
    killer = Killer(folder, seed)
    while killer.kills.total() < num_kills:
        run = killer.train(num_kills - killer.kills.total())
        assert_same(outcome(never_stopped), outcome(run))
        assert leftovers(run) == []
    assert killer.kills["inside"] >= num_kills // 3
    assert killer.kills["outside"] >= num_kills // 3


def test_the_reference_run_covers_everything(never_stopped: Path) -> None:
    info = json.loads((never_stopped / "run.json").read_text())
    epochs = rows(never_stopped)
    assert info["status"] == "completed"
    assert len(epochs) == EVERYTHING_EPOCHS < 16  # stopped early
    assert [row["stage"] for row in epochs] == ["head"] * 2 + ["all"] * 9
    assert len({row["learning_rate"] for row in epochs}) > 8
    assert len({row["train_loss"] for row in epochs}) == len(epochs)
    best = max(epochs[2:], key=lambda row: float(row["val_accuracy"]))  # of the last stage
    assert info["best"] == {"epoch": int(best["epoch"]), "metric": "val_accuracy", "value": info["best"]["value"]}
    assert info["best"]["value"] == pytest.approx(float(best["val_accuracy"]))


@pytest.mark.parametrize(
    ("seed", "num_kills"),
    [
        pytest.param(1, 4, marks=pytest.mark.slow),
        *(pytest.param(seed, 10, marks=pytest.mark.slow) for seed in range(100, 103)),
        *(pytest.param(seed, 10, marks=pytest.mark.long) for seed in range(103, 133)),
    ],
)
@pytest.mark.timeout(1800)
def test_killed_several_times(folder: Path, never_stopped: Path, seed: int, num_kills: int) -> None:
    kill_and_compare(folder, never_stopped, seed=seed, num_kills=num_kills)


NUM_SAVES = 26  # of everything.yaml: at the ends of 11 epochs of 5 steps, and at every third step


def kill_at_last_cleaning() -> None:
    processes.without_plots()
    processes.KillAtCall(("dlcli.training.checkpoint.remove_unnamed",), NUM_SAVES)()


def test_killed_in_the_last_save_before_old_checkpoints_are_removed(folder: Path, never_stopped: Path) -> None:
    run = folder / "runs" / "everything"
    done = processes.run("train", "everything.yaml", folder=folder, prepare=kill_at_last_cleaning)
    assert done.status == -signal.SIGKILL
    assert json.loads((run / "checkpoints.json").read_text()) == outcome(never_stopped)["checkpoints"]
    assert len(list((run / "checkpoints").iterdir())) > 2
    processes.run("train", "--resume", "everything", folder=folder, prepare=processes.without_plots).expect(0)
    assert_same(outcome(never_stopped), outcome(run))


# Extending ------------------------------------------------------------------------------------------------------------

EXTEND = ("train", "--extend", "everything", "--epochs", str(EVERYTHING_EPOCHS + 2))


def copy_run(run: Path, folder: Path) -> Path:
    target = folder / "runs" / "everything"
    if target.exists():
        shutil.rmtree(target)
    shutil.copytree(run, target)
    return target


@pytest.fixture(scope="module")
def extended(never_stopped: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that early stopping ended, extended by two epochs without interruption."""
    folder: Path = tmp_path_factory.mktemp("extended")
    run = copy_run(never_stopped, folder)
    processes.run(*EXTEND, folder=folder, prepare=processes.without_plots).expect(0)
    return run


def test_extending_continues_and_keeps_earlier_epochs(never_stopped: Path, extended: Path) -> None:
    before, after = rows(never_stopped), rows(extended)
    assert len(after) == len(before) + 2
    assert after[: len(before)] == before
    info = json.loads((extended / "run.json").read_text())
    assert info["status"] == "completed"
    assert info["config"]["train"]["stages"][-1]["epochs"] == EVERYTHING_EPOCHS
    assert [(change["from"], change["to"]) for change in info["extended"]] == [
        (EVERYTHING_EPOCHS, EVERYTHING_EPOCHS + 2)
    ]


def kill_extension_and_compare(folder: Path, never_stopped: Path, extended: Path, call: int, after: bool) -> bool:
    """Kills the extension at one call, resumes it, and compares; False if it ended before that call."""
    run = copy_run(never_stopped, folder)
    done = processes.run(*EXTEND, folder=folder, prepare=KillInsideSave(call=call, after=after, torn=False))
    if done.status != 0:
        assert done.status == -signal.SIGKILL, done
        is_complete = json.loads((run / "run.json").read_text())["status"] == "completed"
        if not is_complete:
            processes.run("train", "--resume", "everything", folder=folder, prepare=processes.without_plots).expect(0)
        elif len(rows(run)) == EVERYTHING_EPOCHS:  # it had not begun
            processes.run(*EXTEND, folder=folder, prepare=processes.without_plots).expect(0)
    expected, found = outcome(extended), outcome(run)
    assert_same(expected, found)
    assert leftovers(run) == []
    return bool(done.status != 0)


@pytest.mark.parametrize(
    ("call", "after"),
    [
        (3, True),
        pytest.param(14, False, marks=pytest.mark.slow),
        *(pytest.param(call, True, marks=pytest.mark.slow) for call in (1, 8, 20, 31, 42, 53)),
    ],
)
def test_a_kill_while_extending(folder: Path, never_stopped: Path, extended: Path, call: int, after: bool) -> None:
    assert kill_extension_and_compare(folder, never_stopped, extended, call, after)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_kill_at_every_call_of_extending(folder: Path, never_stopped: Path, extended: Path) -> None:
    call = 1
    while kill_extension_and_compare(folder, never_stopped, extended, call, after=False):
        call += 1
    assert call > 60
