"""Pipes and devices wherever a command takes a file: refused at once, never waited for, never replaced."""

import os
import shlex
import stat
from pathlib import Path

import processes  # type: ignore[import-not-found]
import pytest

OLD = Path(__file__).parent / "old_runs"
PIPES = ("p.yaml", "p.keras", "p.h5", "p.json", "p.csv", "p.npz", "p.png", "p.txt")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in PIPES:
        os.mkfifo(tmp_path / name)
    (tmp_path / "recipe.yaml").write_text(
        "task: classification\ndata: {kind: digits, limit: 40}\nmodel: {kind: mlp, units: [4]}\ntrain: {epochs: 1}\n"
    )
    (tmp_path / "runs").symlink_to(OLD)
    return tmp_path


@pytest.mark.parametrize(
    "command",
    [
        "recipe check p.yaml",
        "recipe show p.yaml",
        "train p.yaml",
        "data split p.yaml",
        "summary p.yaml",
        "summary p.keras",
        "attack p.keras --fgsm --data p.csv --input-range 0,255 --classes a,b",
        "transfer --base p.keras",
        "transfer --base vgg16 --weights p.h5",
        "transfer --base vgg16 --top imagenet --class-index p.json",
        "recipe init p.csv --output new.yaml",
        "recipe init p.npz --output new.yaml",
        "train recipe.yaml --set 'data={kind: npz, path: p.npz}'",
        "train recipe.yaml --set 'data={kind: csv, path: p.csv}'",
        "evaluate digits --data p.yaml",
        "evaluate digits --data p.csv",
        "predict digits p.png",
        "predict digits p.npz",
    ],
)
def test_a_pipe_is_not_read(folder: Path, command: str) -> None:
    refused = processes.run(*shlex.split(command), folder=folder).expect(2)
    assert "pipe or device" in refused.stderr
    assert sorted(path.name for path in folder.iterdir()) == sorted([*PIPES, "recipe.yaml", "runs"])


@pytest.mark.parametrize(
    "command",
    [
        "predict digits image.png --output p.csv --force",
        "predict digits image.png --output p.json --force",
        "data split recipe.yaml --output p.csv --force",
        "data preview recipe.yaml --output p.png --force",
        "recipe init table.csv --output p.yaml --force",
    ],
)
def test_a_pipe_is_not_replaced(folder: Path, command: str) -> None:
    (folder / "table.csv").write_text("text,label\na b c,x\nd e f,y\n")
    refused = processes.run(*command.split(), folder=folder).expect(2)
    assert "is a pipe or device, which would be replaced by a file. Give another path." in refused.stderr
    assert all(stat.S_ISFIFO(os.lstat(folder / name).st_mode) for name in PIPES)


def test_a_link_is_not_replaced(folder: Path) -> None:
    (folder / "link.csv").symlink_to("elsewhere.csv")
    refused = processes.run("data", "split", "recipe.yaml", "--output", "link.csv", "--force", folder=folder).expect(2)
    assert "link.csv: is a link, which would be replaced. Give the path of the file itself." in refused.stderr
    assert (folder / "link.csv").is_symlink()
