"""Runs that many tests share, each trained once."""

import os
import shutil
import subprocess
from pathlib import Path

import processes  # type: ignore[import-not-found]
import pytest
from run_outcome import EVERYTHING, TINY  # type: ignore[import-not-found]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder with the recipes tiny.yaml and everything.yaml; modules with other recipes and runs have theirs.

    Tests do not change it.
    """
    folder: Path = tmp_path_factory.mktemp("made")
    (folder / "tiny.yaml").write_text(TINY)
    (folder / "everything.yaml").write_text(EVERYTHING)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of the folder ``made``, which a test may change."""
    return Path(shutil.copytree(made, tmp_path, dirs_exist_ok=True))


@pytest.fixture(scope="session")
def never_stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The completed run of everything.yaml, which was never interrupted."""
    folder: Path = tmp_path_factory.mktemp("never_stopped")
    (folder / "everything.yaml").write_text(EVERYTHING)
    processes.run("train", "everything.yaml", folder=folder, prepare=processes.without_plots).expect(0)
    return folder / "runs" / "everything"


@pytest.fixture(scope="session")
def as_installed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, processes.Finished]:
    """A folder in which the installed command trained tiny.yaml, and the command's output."""
    folder: Path = tmp_path_factory.mktemp("as_installed")
    (folder / "tiny.yaml").write_text(TINY)
    command, environment = [processes.DLCLI, "train", "tiny.yaml"], {**os.environ, **processes.WITHOUT_GPU}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    return folder, processes.Finished(done.returncode, done.stdout, done.stderr).expect(0)


@pytest.fixture(scope="session")
def trained(as_installed: tuple[Path, processes.Finished]) -> Path:
    """The run of tiny.yaml, completed; tests do not change it."""
    return as_installed[0] / "runs" / "tiny"
