"""A full disk, lost and corrupt images: one line that says so, nothing lost, and exact resume."""

import errno
import json
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import processes  # type: ignore[import-not-found]
import pytest
from PIL import Image
from run_outcome import assert_same, assert_same_but_name, leftovers, outcome, rows  # type: ignore[import-not-found]

FUNCTIONS = ("os.fsync", "os.rename", "os.replace", "dlcli.rundir.writing.write_file", "keras.Model.save")
NUM_CALLS = 535  # everything.yaml makes a few more of them


@dataclass(frozen=True)
class FullDisk:
    """Fails every write to the disk from the k-th call on."""

    call: int

    def __call__(self) -> None:
        processes.without_plots()
        count = 0

        def failing(function: Callable[..., Any]) -> Callable[..., Any]:
            def wrapper(*args: Any, **keys: Any) -> Any:
                nonlocal count
                count += 1
                if count >= self.call:
                    raise OSError(errno.ENOSPC, "No space left on device")
                return function(*args, **keys)

            return wrapper

        import keras

        keras.Model.save = failing(keras.Model.save)
        for name in FUNCTIONS[:-1]:
            processes.replace(name, failing)


def fill_disk_and_resume(folder: Path, never_stopped: Path, call: int) -> None:
    run = folder / "runs" / "everything"
    done = processes.run("train", "everything.yaml", folder=folder, prepare=FullDisk(call)).expect(2)
    assert done.stdout == ""
    last_line = done.stderr.splitlines()[-1]
    assert "No space left on device" in last_line
    if not run.exists():  # before it was a run; nothing is left of it
        return
    assert last_line.endswith("then resume with: dlcli train --resume runs/everything")
    assert leftovers(run) == []
    processes.run("train", "--resume", "everything", folder=folder, prepare=processes.without_plots).expect(0)
    assert_same(outcome(never_stopped), outcome(run))


@pytest.mark.parametrize(
    "call",
    [
        151,
        *(
            pytest.param(call, marks=pytest.mark.slow if call == 5 or call % 20 == 0 else pytest.mark.long)
            for call in range(1, NUM_CALLS)
            if call != 151
        ),
    ],
)
def test_a_full_disk(folder: Path, never_stopped: Path, call: int) -> None:
    fill_disk_and_resume(folder, never_stopped, call)


# Images -------------------------------------------------------------------------------------------------------------

IMAGES = """\
task: classification
data: {kind: folder, path: photos, image_size: [10, 10], validation: 0.25, test: 0}
augment: {rotation_range: 20, horizontal_flip: true, brightness_range: [0.8, 1.2], cutmix: 1.0}
model: {kind: convnet, blocks: [{filters: 4, dropout: 0.2}]}
train: {epochs: 3, batch_size: 7, checkpoint: {steps: 2}}
"""


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with 40 images in two classes, and photos.yaml beside it."""
    rng = np.random.default_rng(5)
    for i in range(40):
        path = tmp_path / "photos" / ("cat", "dog")[i % 2] / f"{i:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (12 + i % 3, 10, 3), np.uint8)).save(path)
    (tmp_path / "photos.yaml").write_text(IMAGES)
    return tmp_path


@dataclass(frozen=True)
class DecodingEachEpoch:
    """Decodes images in each epoch, as for a large data set; is killed or waits in a save."""

    kill_at: int | None = None
    hold_at: int | None = None

    def __call__(self) -> None:
        import dlcli.tasks.images.batches

        processes.without_plots()
        dlcli.tasks.images.batches.MEMORY_BYTES = 0
        if self.kill_at is not None:
            processes.KillAtCall(("dlcli.training.checkpoint.save",), self.kill_at)()
        if self.hold_at is not None:
            processes.HoldAtCall("dlcli.training.checkpoint.save", Path("held"), self.hold_at)()


@pytest.mark.parametrize(
    ("cache", "said"),
    [
        pytest.param("none", "decoded again in every epoch", marks=pytest.mark.slow),
        pytest.param("auto", "cached on disk during training", marks=pytest.mark.slow),
    ],
)
def test_decoding_each_epoch_and_resuming_within_one_is_exact(photos: Path, cache: str, said: str) -> None:
    command = ("train", "photos.yaml", "-s", f"data.cache={cache}", "--name")
    processes.run(*command, "memory", folder=photos, prepare=processes.without_plots).expect(0)
    killed = processes.run(*command, "files", folder=photos, prepare=DecodingEachEpoch(kill_at=5))
    assert killed.status == -signal.SIGKILL
    last = json.loads((photos / "runs" / "files" / "checkpoints.json").read_text())["last"]
    assert int(last.partition("-")[2]) % 5 != 0  # in the middle of an epoch of five steps
    resumed = processes.run("train", "--resume", "files", folder=photos, prepare=DecodingEachEpoch()).expect(0)
    assert f"of decoded images, {said}" in resumed.stderr
    assert leftovers(photos / "runs" / "files") == []
    assert_same_but_name(photos / "runs" / "memory", photos / "runs" / "files")


@pytest.mark.parametrize(
    "corruption",
    [pytest.param(Path.unlink, marks=pytest.mark.slow), lambda path: path.write_bytes(b"no image")],
    ids=["lost", "corrupt"],
)
def test_an_image_lost_or_corrupted_during_training(photos: Path, corruption: Callable[[Path], Any]) -> None:
    command = ("train", "photos.yaml", "-s", "data.cache=none")
    process = processes.start(*command, folder=photos, prepare=DecodingEachEpoch(hold_at=3))
    process.wait_for(photos / "held")
    split = (photos / "runs" / "photos" / "split.csv").read_text()
    victim = next(line.split(",")[0] for line in split.splitlines() if ",train," in line)
    path = photos / "photos" / victim
    content = path.read_bytes()
    corruption(path)
    (photos / "held").unlink()
    done = process.finish().expect(2)
    assert victim in done.stderr.splitlines()[-1]
    assert json.loads((photos / "runs" / "photos" / "run.json").read_text())["status"] == "failed"
    gone = processes.run("train", "--resume", "photos", folder=photos, prepare=processes.without_plots).expect(2)
    assert victim in gone.stderr
    path.write_bytes(content)
    processes.run("train", "--resume", "photos", folder=photos, prepare=processes.without_plots).expect(0)
    assert [row["epoch"] for row in rows(photos / "runs" / "photos")] == ["1", "2", "3"]


def test_corrupt_images_among_intact_ones(photos: Path) -> None:
    cut, text = photos / "photos" / "cat" / "cut.png", photos / "photos" / "dog" / "text.jpg"
    cut.write_bytes((photos / "photos" / "cat" / "00.png").read_bytes()[:80])
    text.write_text("no image")
    done = processes.run("train", "photos.yaml", folder=photos).expect(2)
    lines = done.stderr.splitlines()
    assert any("cat/cut.png" in line for line in lines)
    assert any("dog/text.jpg" in line for line in lines)
    assert "data.on_bad_image" in done.stderr
    assert not (photos / "runs").exists()
    skip = ("train", "photos.yaml", "-s", "data.on_bad_image=skip", "--epochs", "1")
    done = processes.run(*skip, folder=photos, prepare=processes.without_plots).expect(0)
    assert "skipped 2: " in done.stderr
    info = json.loads((photos / "runs" / "photos" / "run.json").read_text())
    assert sorted(name for name, _ in info["data"]["left_out"]) == ["cat/cut.png", "dog/text.jpg"]
    assert sum(info["data"]["samples"].values()) == 40
    assert cut.exists()
    assert text.read_text() == "no image"


@pytest.mark.parametrize("error", ["one class", "no images", "empty class"])
def test_folders_that_cannot_be_trained_on(photos: Path, error: str) -> None:
    folder = photos / "photos"
    if error == "one class":
        shutil.rmtree(folder / "dog")
    elif error == "empty class":
        (folder / "mouse").mkdir()
    else:
        shutil.rmtree(folder)
        (folder / "cat").mkdir(parents=True)
        (folder / "cat" / "notes.txt").write_text("notes")
    done = processes.run("train", "photos.yaml", folder=photos).expect(2)
    assert str(folder) in done.stderr
    assert not (photos / "runs").exists()


# Memory, numbers and the clock ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class AtStep:
    """Draws no plots; at the k-th call of a training step runs out of memory, or a variable becomes NaN."""

    event: str  # "memory", or the group of variables: "weights" or "optimizer"
    call: int

    def __call__(self) -> None:
        processes.without_plots()
        import tensorflow as tf

        from dlcli.training import loop
        from dlcli.training.step import TrainStep

        loop.CALL_SECONDS = 0.0  # a step in each call
        count, run, save = 0, TrainStep.run, loop.checkpoint.save

        def counted(step: TrainStep, *args: Any) -> bool:
            nonlocal count
            count += 1
            if count == self.call and self.event == "memory":
                raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating a tensor")
            return run(step, *args)

        def saved(run_dir: Any, name: str, variables: dict[str, Any], *args: Any, **keys: Any) -> None:
            if count >= self.call and self.event != "memory":
                group = "model" if self.event == "weights" else "optimizer"
                variable = next(v for v in variables[group] if "float" in str(v.dtype) and len(v.shape) > 0)
                variable.assign(np.full(variable.shape, np.nan))
            save(run_dir, name, variables, *args, **keys)

        TrainStep.run = counted  # type: ignore[method-assign]
        loop.checkpoint.save = saved  # type: ignore[assignment]


@pytest.mark.slow
@pytest.mark.parametrize("event", ["memory", "weights", "optimizer"])
def test_no_memory_or_a_nan_at_a_step(folder: Path, never_stopped: Path, event: str) -> None:
    run = folder / "runs" / "everything"
    done = processes.run("train", "everything.yaml", folder=folder, prepare=AtStep(event, 23)).expect(1)
    expected = "memory is full" if event == "memory" else "is not finite in epoch "
    assert expected in done.stderr.splitlines()[-1]
    assert json.loads((run / "run.json").read_text())["status"] == "failed"
    assert leftovers(run) == []
    processes.run("train", "--resume", "everything", folder=folder, prepare=processes.without_plots).expect(0)
    assert_same(outcome(never_stopped), outcome(run))


def clock_runs_backward() -> None:
    """Draws no plots, and lets every look at the clock show a second less."""
    processes.without_plots()
    import time

    seconds = time.time()

    def earlier() -> float:
        nonlocal seconds
        seconds -= 1
        return seconds

    time.time = earlier


@pytest.mark.slow
def test_a_clock_that_is_set_back(folder: Path, never_stopped: Path) -> None:
    run = folder / "runs" / "everything"
    processes.run("train", "everything.yaml", folder=folder, prepare=processes.KillAtCheckpoint(9))
    processes.run("train", "--resume", "everything", folder=folder, prepare=clock_runs_backward).expect(0)
    assert_same(outcome(never_stopped), outcome(run))
