"""Links in a run directory, as in one from a stranger or on another disk, never lead to the user's other files."""

import json
import shutil
from pathlib import Path

import processes  # type: ignore[import-not-found]
import pytest

OLD = Path(__file__).parent / "old_runs"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder of the user's, beside which nothing of dlcli lies."""
    folder = tmp_path / "outside"
    for name in ("thesis", "0001-00000005", "test", "fgsm"):
        (folder / name).mkdir(parents=True)
        (folder / name / "mine.txt").write_text("mine")
        (folder / name / "metrics.json").write_text('{"mine": true}')
    (folder / "lock").write_text("mine")
    (folder / "log").write_text("mine")
    return folder


@pytest.fixture
def before(outside: Path) -> dict[str, bytes]:
    return contents(outside)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def run_with_link(tmp_path: Path, run: str, name: str, target: Path) -> None:
    """A run in which one entry has been moved elsewhere, and a link left in its place."""
    copy = tmp_path / "runs" / run
    shutil.copytree(OLD / run, copy)
    entry = copy / name
    if entry.is_dir():
        shutil.copytree(entry, target, dirs_exist_ok=True)
        shutil.rmtree(entry)
    elif entry.exists():
        entry.unlink()
    entry.parent.mkdir(exist_ok=True)
    entry.symlink_to(target)


@pytest.mark.parametrize(
    ("run", "name", "target", "command"),
    [
        ("shapes", "checkpoints", "", ("train", "--resume", "shapes")),
        ("shapes", "run.lock", "lock", ("train", "--resume", "shapes")),
        ("shapes", "train.log", "log", ("train", "--resume", "shapes")),
        ("shapes", "tensorboard", "thesis", ("train", "--resume", "shapes")),
        ("shapes", "metrics.csv", "log", ("train", "--resume", "shapes")),
        ("digits", "evaluation", "", ("evaluate", "digits")),
        ("digits", "evaluation/test", "test", ("evaluate", "digits")),
        ("digits", "attacks", "", ("attack", "digits", "--fgsm", "--eps", "0.1", "--no-checks")),
        ("digits", "attacks/fgsm", "fgsm", ("attack", "digits", "--fgsm", "--eps", "0.1", "--no-checks")),
        ("digits", "explanations", "", ("explain", "digits", "--limit", "1", "--method", "gradient")),
        ("digits", "model.keras", "log", ("evaluate", "digits")),
        ("digits", "run.json", "log", ("evaluate", "digits")),
    ],
)
def test_a_link_is_refused_and_nothing_outside_changes(
    tmp_path: Path, outside: Path, run: str, name: str, target: str, command: tuple[str, ...]
) -> None:
    run_with_link(tmp_path, run, name, outside / target)
    before = contents(outside)
    refused = processes.run(*command, folder=tmp_path).expect(2)
    assert f"runs/{run}/{name}: is a link" in refused.stderr
    assert contents(outside) == before


def test_folders_among_the_checkpoints_that_are_not_checkpoints_stay(tmp_path: Path) -> None:
    shutil.copytree(OLD / "shapes", tmp_path / "runs" / "shapes")
    checkpoints = tmp_path / "runs" / "shapes" / "checkpoints"
    (checkpoints / "notes").mkdir()
    (checkpoints / "notes" / "mine.txt").write_text("mine")
    (checkpoints / "0001-00000005").mkdir()  # an older checkpoint that a killed process left
    processes.run("train", "--resume", "shapes", folder=tmp_path).expect(0)
    assert (checkpoints / "notes" / "mine.txt").read_text() == "mine"
    assert not (checkpoints / "0001-00000005").exists()


@pytest.mark.parametrize("name", ["../../../outside/thesis", "/etc", "notes"])
def test_a_checkpoint_is_read_from_its_own_folder_only(tmp_path: Path, name: str) -> None:
    shutil.copytree(OLD / "shapes", tmp_path / "runs" / "shapes")
    (tmp_path / "runs" / "shapes" / "checkpoints.json").write_text(json.dumps({"last": name, "best": name}))
    refused = processes.run("train", "--resume", "shapes", folder=tmp_path).expect(2)
    assert f"checkpoints.json: is corrupt: '{name}' is not the name of a checkpoint" in refused.stderr
