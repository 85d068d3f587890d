"""Resuming and extending refused, and corrupt runs: one line each, and nothing is changed."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import processes  # type: ignore[import-not-found]
import pytest
from run_outcome import EVERYTHING, EVERYTHING_EPOCHS, assert_same, assert_same_but_name, outcome, rows  # type: ignore[import-not-found]

RESUME = ("train", "--resume", "everything", "-q")
NUM_SAVES = 20  # three epochs of the second stage are done, none of them after the best


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything.yaml and its run, killed when its last checkpoint was not its best."""
    folder: Path = tmp_path_factory.mktemp("killed")
    (folder / "everything.yaml").write_text(EVERYTHING)
    done = processes.run("train", "everything.yaml", folder=folder, prepare=kill_after_saves)
    assert done.status == -9, done
    names = json.loads((folder / "runs" / "everything" / "checkpoints.json").read_text())
    assert names["last"] != names["best"]
    return folder


def kill_after_saves() -> None:
    processes.without_plots()
    processes.KillAtCall(("dlcli.training.checkpoint.save",), NUM_SAVES)()


@pytest.fixture
def run(killed: Path, tmp_path: Path) -> Path:
    """A copy of that run, in a user's folder."""
    shutil.copytree(killed, tmp_path, dirs_exist_ok=True)
    return tmp_path / "runs" / "everything"


def contents(run: Path) -> dict[str, str]:
    """A digest of every file of a run except the lock."""
    return {
        str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in run.rglob("*")
        if path.is_file() and path.name != "run.lock"
    }


def refused(run: Path, *arguments: str) -> str:
    """Runs a command that is refused; returns its one line and asserts that nothing changed."""
    before = contents(run)
    done = processes.run(*arguments, folder=run.parents[1], prepare=processes.without_plots).expect(2)
    assert done.stdout == ""
    assert contents(run) == before
    (line,) = done.stderr.splitlines()
    return str(line)


# Another recipe -------------------------------------------------------------------------------------------------------


def test_a_changed_config(run: Path) -> None:
    config = run / "config.yaml"
    config.write_text(config.read_text().replace("patience: 8", "patience: 7").replace("ema: 0.7", "ema: null"))
    assert refused(run, *RESUME) == (
        "runs/everything/config.yaml: differs from the recipe that runs/everything was trained with: "
        "train.ema was 0.7 and is not set; train.early_stopping.patience was 8 and is 7. "
        "Undo the change to continue the run, or train a new one."
    )


def test_another_recipe_and_other_options(run: Path) -> None:
    recipe = run.parents[1] / "other.yaml"
    recipe.write_text(EVERYTHING.replace("filters: 4", "filters: 5"))
    assert refused(run, *RESUME, "other.yaml").startswith(
        "other.yaml: differs from the recipe that runs/everything was trained with: "
        "model.blocks.0.filters was 4 and is 5. "
    )
    assert "train.seed was 0 and is 1" in refused(run, *RESUME, "--seed", "1")
    assert "train.label_smoothing was 0.1 and is 0.2" in refused(run, *RESUME, "-s", "train.label_smoothing=0.2")
    assert "train.batch_size was 9 and is 8" in refused(run, *RESUME, "everything.yaml", "--batch-size", "8")


def test_the_same_recipe_may_be_repeated(run: Path, never_stopped: Path) -> None:
    arguments = (*RESUME, "everything.yaml", "--set", "train.ema=0.7")
    processes.run(*arguments, folder=run.parents[1], prepare=processes.without_plots).expect(0)
    assert_same(outcome(never_stopped), outcome(run))


@pytest.mark.parametrize("verb", ["--resume", "--extend"])
@pytest.mark.parametrize("option", [["--dry-run"], ["--overfit", "1"], ["--seeds", "2"], ["--name", "other"]])
def test_options_of_new_runs(run: Path, verb: str, option: list[str]) -> None:
    before = contents(run)
    done = processes.run("train", verb, "everything", *option, folder=run.parents[1]).expect(2)
    assert f"{option[0]} is for a new run" in done.stderr
    assert contents(run) == before


def test_mutually_exclusive_options(run: Path) -> None:
    folder = run.parents[1]
    both = processes.run("train", "--resume", "everything", "--extend", "everything", folder=folder).expect(2)
    assert "--resume and --extend cannot be combined" in both.stderr
    trials = processes.run("train", "everything.yaml", "--dry-run", "--overfit", "2", folder=folder).expect(2)
    assert "--dry-run and --overfit cannot be combined" in trials.stderr


def test_a_corrupt_model_of_a_completed_run_is_reported(never_stopped: Path, tmp_path: Path) -> None:
    corrupt = tmp_path / "copy" / "runs" / "everything"
    shutil.copytree(never_stopped.parents[1], tmp_path / "copy")
    (corrupt / "model.keras").write_bytes(b"corrupt")
    assert refused(corrupt, "train", "--resume", "everything") == (
        "runs/everything/model.keras: is not the model that this run saved: its SHA-256 differs from the one in "
        "run.json. Restore it from a copy, or delete it and write it again with: dlcli train --resume runs/everything"
    )


# Finished or not ------------------------------------------------------------------------------------------------------


def test_an_incomplete_run_is_not_extended(run: Path) -> None:
    assert refused(run, "train", "--extend", "everything", "--epochs", "30") == (
        "runs/everything: this run is not complete. Resume it with: dlcli train --resume runs/everything"
    )


def test_a_completed_run(never_stopped: Path) -> None:
    assert refused(never_stopped, "train", "--resume", "everything") == (
        "runs/everything: this run is complete. Train it further with: dlcli train --extend runs/everything --epochs N"
    )
    for total in (1, EVERYTHING_EPOCHS):
        assert refused(never_stopped, "train", "--extend", "everything", "--epochs", str(total)) == (
            f"--epochs must be more than the {EVERYTHING_EPOCHS} epochs of runs/everything. Received {total}."
        )


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "--extend requires --epochs N, the new total of epochs, a whole number."),
        (["--epochs", "many"], "--extend requires --epochs N, the new total of epochs, a whole number."),
        (["--epochs", "-3"], "--extend requires --epochs N, the new total of epochs, a whole number."),
        (["--epochs", "90", "--seed", "1"], "which --seed cannot change"),
        (["--epochs", "90", "-s", "train.ema=0.9"], "which --set cannot change"),
        (["everything.yaml", "--epochs", "90"], "which a recipe cannot change"),
    ],
)
def test_extending_needs_the_new_total_only(never_stopped: Path, arguments: list[str], expected: str) -> None:
    folder = never_stopped.parents[1]
    done = processes.run("train", "--extend", "everything", *arguments, folder=folder).expect(2)
    assert expected in done.stderr


def test_extending_equals_training_that_long_at_once(folder: Path) -> None:
    recipe = (folder / "tiny.yaml").read_text().replace("batch_size", "ema: 0.9\n  batch_size")
    (folder / "tiny.yaml").write_text(recipe)
    commands = [["train", "tiny.yaml", "--name", name, "--epochs", n, "-q"] for name, n in (("short", 2), ("long", 4))]
    processes.run_all(*commands, folder=folder)
    runs = folder / "runs"
    short = rows(runs / "short")
    extend = ("train", "--extend", "short", "--epochs", "4")
    done = processes.run(*extend, folder=folder, prepare=processes.without_plots).expect(0)
    assert done.stdout.startswith("runs/short: best epoch ")
    assert rows(runs / "short")[:2] == short
    assert_same_but_name(runs / "long", runs / "short")


def test_extending_after_an_earlier_stage_had_stopped_early(folder: Path) -> None:
    stages = "[{name: head, epochs: 4, trainable: head}, {name: all, epochs: 1}]"
    patience = "{metric: train_loss, patience: 1, min_delta: 100}"
    recipe = (folder / "tiny.yaml").read_text().replace("  epochs: 2\n", f"  stages: {stages}\n")
    (folder / "tiny.yaml").write_text(f"{recipe}  early_stopping: {patience}\n")
    processes.run("train", "tiny.yaml", folder=folder, prepare=processes.without_plots).expect(0)
    run = folder / "runs" / "tiny"
    assert [row["stage"] for row in rows(run)] == ["head", "head", "all"]
    arguments = ("train", "--extend", "tiny", "--epochs", "4")
    processes.run(*arguments, folder=folder, prepare=processes.without_plots).expect(0)
    assert [row["stage"] for row in rows(run)] == ["head", "head", "all", "all"]


# Other data -----------------------------------------------------------------------------------------------------------


def write_npz(path: Path, num_samples: int = 40) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    labels = np.arange(num_samples) % 4
    arrays = {"x_train": rng.integers(0, 256, (num_samples, 6, 6), np.uint8), "y_train": labels}
    np.savez(path, **arrays)
    return arrays


def test_changed_data_are_refused_with_the_difference(tmp_path: Path) -> None:
    data = tmp_path / "data.npz"
    arrays = write_npz(data)
    (tmp_path / "npz.yaml").write_text(
        "task: classification\ndata: {kind: npz, path: data.npz}\nmodel: {kind: mlp, units: [4]}\n"
        "train: {epochs: 3, batch_size: 8}\n"
    )
    assert processes.run("train", "npz.yaml", folder=tmp_path, prepare=kill_at_second_save).status == -9
    run = tmp_path / "runs" / "npz"

    def difference(**changed: np.ndarray) -> str:
        np.savez(data, **{**arrays, **changed})
        line = refused(run, "train", "--resume", "npz", "-q")
        before, after = "the data have changed since the run was started: ", ". Restore them"
        assert line.startswith(f"runs/npz: {before}")
        return line.partition(before)[2].partition(after)[0]

    pixels = arrays["x_train"].copy()
    pixels[17, 0, 0] ^= 1
    assert difference(x_train=pixels) == "1 sample changed (train/17)"
    labels = arrays["y_train"].copy()
    labels[3] = 0
    assert "1 sample with another label (train/3)" in difference(y_train=labels)
    assert "2 samples added (train/40, …)" in difference(
        x_train=np.concatenate([arrays["x_train"], pixels[:2]]), y_train=np.arange(42) % 4
    )
    assert "1 sample removed (train/39)" in difference(x_train=arrays["x_train"][:-1], y_train=arrays["y_train"][:-1])
    data.unlink()
    assert "no such file or folder" in refused(run, "train", "--resume", "npz", "-q")
    np.savez(data, **arrays)
    processes.run("train", "--resume", "npz", folder=tmp_path, prepare=processes.without_plots).expect(0)
    np.savez(data, **{**arrays, "x_train": pixels})
    assert "1 sample changed (train/17)" in refused(run, "evaluate", "npz", "-q")


def kill_at_second_save() -> None:
    processes.without_plots()
    processes.KillAtCall(("dlcli.training.checkpoint.save",), 2)()


# Damage ---------------------------------------------------------------------------------------------------------------


def flip(path: Path) -> None:
    """Flips the bits of the byte in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def checkpoint(run: Path, which: str) -> Path:
    return run / "checkpoints" / json.loads((run / "checkpoints.json").read_text())[which]


@pytest.mark.parametrize(
    ("file", "corruption"),
    [("variables.npz", flip), ("state.json", cut), ("manifest.json", Path.unlink)],
    ids=["flipped variables", "cut state", "lost manifest"],
)
def test_a_corrupt_last_checkpoint_costs_only_time(
    run: Path, never_stopped: Path, file: str, corruption: Callable[[Path], None]
) -> None:
    last, best = checkpoint(run, "last"), checkpoint(run, "best")
    corruption(last / file)
    done = processes.run(*RESUME, folder=run.parents[1], prepare=processes.without_plots).expect(0)
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"warning: runs/everything/checkpoints/{last.name}")
    assert f"Resuming from {best.name} instead" in line
    assert_same(outcome(never_stopped), outcome(run))


@pytest.mark.parametrize("corruption", [flip, cut, Path.unlink])
def test_no_intact_checkpoint(run: Path, corruption: Callable[[Path], None]) -> None:
    for which in ("last", "best"):
        corruption(checkpoint(run, which) / "variables.npz")
    done = processes.run(*RESUME, folder=run.parents[1], prepare=processes.without_plots).expect(2)
    (line,) = done.stderr.splitlines()
    assert line.startswith("runs/everything/checkpoints/")
    assert line.endswith(
        "No intact checkpoint is left: train from the start with: dlcli train runs/everything/config.yaml"
    )


def test_a_corrupt_best_checkpoint_does_not_become_a_model(run: Path) -> None:
    recipe = run / "config.yaml"
    best = checkpoint(run, "best")
    flip(best / "variables.npz")
    done = processes.run(*RESUME, folder=run.parents[1], prepare=processes.without_plots)
    if done.status == 0:  # a better epoch came
        assert checkpoint(run, "best") != best
        return
    done.expect(1)
    (line,) = done.stderr.splitlines()
    assert str(best.relative_to(recipe.parents[2])) in line
    assert not (run / "model.keras").exists()


@pytest.mark.parametrize("corruption", [flip, cut, Path.unlink], ids=["flipped", "cut", "lost"])
@pytest.mark.parametrize("file", ["run.json", "config.yaml", "metrics.csv", "checkpoints.json"])
def test_corrupt_files_of_a_run(run: Path, file: str, corruption: Callable[[Path], None]) -> None:
    corruption(run / file)
    if (file, corruption) == ("metrics.csv", cut):  # half a line is what a kill leaves; whole lines are missing here
        (run / file).write_text((run / file).read_text().rpartition("\n")[0])
    done = processes.run(*RESUME, folder=run.parents[1], prepare=processes.without_plots)
    assert "Traceback" not in done.stderr
    if (file, corruption) == ("checkpoints.json", Path.unlink):
        return  # as if killed before the first one: from the start again
    done.expect(2)
    assert len(done.stderr.splitlines()) == 1 or file == "config.yaml"
    assert file in done.stderr or (file, corruption) == ("run.json", Path.unlink)
    listed = processes.run("runs", "list", folder=run.parents[1]).expect(0)
    assert ("everything" in listed.stdout) == ((file, corruption) != ("run.json", Path.unlink))


@pytest.mark.parametrize(
    "content", ["{}", "[]", '{"status": "interrupted", "config": 1, "data": 2, "final": 3, "best": 4}']
)
def test_a_run_json_without_content(run: Path, content: str) -> None:
    shutil.copytree(run, run.with_name("intact"))
    (run / "run.json").write_text(content)
    for arguments in (RESUME, ("runs", "show", "everything"), ("runs", "diff", "everything", "intact")):
        done = processes.run(*arguments, folder=run.parents[1])
        assert "Traceback" not in done.stderr, arguments
        assert done.status in (0, 2)
    assert "Traceback" not in processes.run("runs", "list", folder=run.parents[1]).expect(0).stderr
