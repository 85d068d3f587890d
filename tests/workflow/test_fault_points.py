"""Every verb that writes, killed at operations on files, and run again: exactly the result of an undisturbed one."""

import errno
import json
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import processes  # type: ignore[import-not-found]
import pytest
from fault_points import FailFromOperation, KillAtOperation  # type: ignore[import-not-found]
from PIL import Image
from run_outcome import outcome  # type: ignore[import-not-found]

SMALL = """\
task: classification
data: {kind: digits, image_size: [8, 8], limit: 40, validation: 0.2, test: 0.2}
model: {kind: mlp, units: [8], dropout: 0.2}
train: {epochs: 2, batch_size: 8, checkpoint: {steps: 2}}
"""
PHOTOS = """\
task: classification
data: {kind: folder, path: photos, image_size: [8, 8], color_mode: grayscale, validation: 0.25, test: 0.25}
model: {kind: mlp, units: [8]}
"""
VOLATILE = ("evaluated", "attacked", "started", "finished", "resumed", "seconds", "command")  # of JSON files


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with recipes, images and outputs, a complete run and one that was killed; tests do not change it."""
    folder: Path = tmp_path_factory.mktemp("prepared")
    (folder / "small.yaml").write_text(SMALL)
    (folder / "photos.yaml").write_text(PHOTOS)
    rng = np.random.default_rng(5)
    for i in range(16):
        path = folder / "photos" / str(i % 2) / f"{i:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (8, 8), np.uint8)).save(path)
    processes.run_without_plots("train", "small.yaml", "--name", "complete", folder=folder)
    for split in ("validation", "test"):
        processes.run_without_plots("evaluate", "complete", "--split", split, folder=folder)
    killed = processes.run(
        *("train", "small.yaml", "--name", "killed"), folder=folder, prepare=processes.KillAtCheckpoint(3)
    )
    assert killed.status == -signal.SIGKILL
    for output in ("predictions.csv", "split.csv"):
        (folder / output).write_text("old\n")
    return folder


def content(folder: Path) -> dict[str, Any]:
    """The content of all files in a folder, but for times and what depends on them."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_dir():
            found[name] = None
        elif path.suffix == ".json" and not any(part.startswith(".writing-") for part in path.parts):
            values = json.loads(path.read_text())
            found[name] = {key: value for key, value in values.items() if key not in VOLATILE}
        else:
            found[name] = path.read_bytes()
    return found


def of_folder(folder: Path) -> dict[str, Any]:
    """What a verb that does not train leaves in the user's folder."""
    return {name: value for name, value in content(folder).items() if not name.endswith("run.lock")}


def of_training(folder: Path) -> dict[str, Any]:
    """What training leaves: the names of all files, and the content of the runs as far as it must be the same."""
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if "tensorboard" not in path.parts}
    runs = [path for path in (folder / "runs").iterdir() if (path / "model.keras").exists()]
    parts = {f"{run.name} {key}": str(value) for run in runs for key, value in outcome(run).items()}
    return {**dict.fromkeys(names), **parts}


@dataclass(frozen=True)
class Verb:
    """A command, what it leaves behind, and where it is killed."""

    command: tuple[str, ...]
    found: Callable[[Path], dict[str, Any]]
    step: int  # it is killed at each operation whose number is a multiple of this
    min_kills: int  # which are fewer than today's, so that a better way of writing does not fail the test
    run: str | None = None  # the run that is trained, which is resumed if the kill left it incomplete

    def again(self, folder: Path) -> None:
        """Does what a user does after a kill."""
        command = self.command
        if self.run is not None and (folder / "runs" / self.run / "run.json").exists():
            info = json.loads((folder / "runs" / self.run / "run.json").read_text())
            if info["status"] == "completed":
                return
            command = ("train", "--resume", self.run)
        elif command[:2] == ("runs", "remove") and not list((folder / "runs").glob("*complete*")):  # it was done
            return
        processes.run_without_plots(*command, folder=folder)


MOVED = ("--data", "photos", "--name", "moved", "--epochs", "1", "--unfreeze", "none")
VERBS = {
    "train": Verb(("train", "small.yaml", "--name", "new"), of_training, 13, 20, run="new"),
    "resume": Verb(("train", "--resume", "killed"), of_training, 13, 12, run="killed"),
    "transfer": Verb(("transfer", "--base", "run:complete", *MOVED), of_training, 13, 14, run="moved"),
    "evaluate": Verb(("evaluate", "complete", "--split", "validation"), of_folder, 1, 15),
    "attack": Verb(("attack", "complete", "--fgsm", "--eps", "0.1", "--no-checks"), of_folder, 1, 12),
    "predict": Verb(("predict", "complete", "photos", "--output", "predictions.csv", "--force"), of_folder, 1, 5),
    "split": Verb(("data", "split", "photos.yaml", "--output", "split.csv", "--force"), of_folder, 1, 4),
    "remove": Verb(("runs", "remove", "complete", "--yes"), of_folder, 1, 25),
}
LONG_STEPS = 10  # the slow tests kill at every tenth of the points of the long ones


@pytest.fixture(scope="session")
def undisturbed(prepared: Path) -> Callable[[Verb], dict[str, Any]]:
    """What a verb leaves when nothing happens to it."""
    results: dict[Verb, dict[str, Any]] = {}

    def result(verb: Verb) -> dict[str, Any]:
        if verb not in results:
            folder = copy(prepared)
            processes.run_without_plots(*verb.command, folder=folder)
            results[verb] = verb.found(folder)
        return results[verb]

    return result


def copy(prepared: Path) -> Path:
    """A new copy of the prepared folder, always at the same path, which recipes contain."""
    folder = prepared.with_name("user")
    shutil.rmtree(folder, ignore_errors=True)
    return Path(shutil.copytree(prepared, folder))


def assert_whole(folder: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    """Asserts that each output that a kill left is the old one or the new one as a whole, or absent for a moment."""
    for output in ("predictions.csv", "split.csv"):
        assert (folder / output).read_bytes() in (old[output], new[output])
    evaluation = "runs/complete/evaluation/validation"
    if (folder / evaluation).exists():
        assert any(
            {name: value for name, value in content(folder).items() if name.startswith(evaluation)}
            == {name: value for name, value in state.items() if name.startswith(evaluation)}
            for state in (old, new)
        )


def assert_equal(expected: dict[str, Any], found: dict[str, Any], event: str) -> None:
    """Asserts that a verb left what it leaves when nothing happens to it."""
    differing = [name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)]
    first = differing[0] if differing else ""
    assert not differing, f"{event}: {differing}: {expected.get(first)} and {found.get(first)}"


def kill_and_do_again(verb: Verb, prepared: Path, expected: dict[str, Any], *, first: int, step: int) -> int:
    """Kills a verb at every ``step``-th operation, each time from the start, and does it again; the number of kills."""
    old, kills = content(prepared), 0
    while True:
        folder = copy(prepared)
        call = first + kills * step
        killed = processes.run(*verb.command, folder=folder, prepare=KillAtOperation(call))
        if killed.status != -signal.SIGKILL:
            killed.expect(0)
            return kills
        kills += 1
        if verb.found is of_folder and verb.command[0] != "runs":
            assert_whole(folder, old, expected)
        verb.again(folder)
        assert_equal(expected, verb.found(folder), f"killed at operation {call}")


@pytest.mark.parametrize("name", VERBS)
@pytest.mark.parametrize(
    "share", [pytest.param(LONG_STEPS, marks=pytest.mark.slow), pytest.param(1, marks=pytest.mark.long)]
)
@pytest.mark.timeout(3600)
def test_a_kill_at_operations_on_files(
    prepared: Path, undisturbed: Callable[[Verb], dict[str, Any]], name: str, share: int
) -> None:
    verb = VERBS[name]
    first = verb.step if share == 1 else 4
    kills = kill_and_do_again(verb, prepared, undisturbed(verb), first=first, step=verb.step * share)
    print(f"{name}: {kills} kills")
    assert kills >= max(verb.min_kills // share, 1)


# Errors of the disk ---------------------------------------------------------------------------------------------------

SHORT = ("-s", "train.epochs=1", "-s", "train.checkpoint.steps=null", "--name", "new")


def fail_and_do_again(prepared: Path, verb: Verb, expected: dict[str, Any], call: int, error: int) -> bool:
    """Fails every operation from the ``call``-th on, and does the verb again; False if it ended before that call."""
    folder = copy(prepared)
    done = processes.run(*verb.command, folder=folder, prepare=FailFromOperation(call, error))
    if done.status == 0:
        return False
    done.expect(2)
    assert os.strerror(error) in done.stderr.splitlines()[-1]
    verb.again(folder)
    assert_equal(expected, verb.found(folder), f"{os.strerror(error)} from operation {call} on")
    return True


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO], ids=["ENOSPC", "EIO"])
@pytest.mark.parametrize(
    ("name", "step", "min_failures"),
    [
        *(pytest.param(name, 1, num, marks=pytest.mark.long) for name, num in (("train", 60), ("evaluate", 12))),
        *(pytest.param(name, num, 2, marks=pytest.mark.slow) for name, num in (("train", 30), ("evaluate", 7))),
    ],
)
@pytest.mark.timeout(3600)
def test_an_error_of_the_disk_from_each_operation_on(
    prepared: Path,
    undisturbed: Callable[[Verb], dict[str, Any]],
    name: str,
    step: int,
    min_failures: int,
    error: int,
) -> None:
    verb = VERBS[name]
    if name == "train":
        verb = Verb((*verb.command[:2], *SHORT), of_training, 1, 0, run="new")
    expected, failures = undisturbed(verb), 0
    while fail_and_do_again(prepared, verb, expected, 1 + failures * step, error):
        failures += 1
    print(f"{name}: {failures} failures")
    assert failures >= min_failures
