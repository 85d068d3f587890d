"""What ``pip install dlcli`` installs: every file of the package, the recipes, and commands that work."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from shutil import copytree, ignore_patterns

import pytest

ROOT = Path(__file__).parents[1]
PARTS = ("dlcli", "recipes")
FILES = ("pyproject.toml", "setup.py", "README.md", "LICENSE")
BUILD = "from setuptools import build_meta; print(build_meta.build_wheel('dist'))"


@pytest.mark.slow
def test_the_wheel_has_the_package_and_the_recipes(tmp_path: Path) -> None:
    for part in PARTS:
        copytree(ROOT / part, tmp_path / part, ignore=ignore_patterns("__pycache__"))
    for name in FILES:
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    done = subprocess.run([sys.executable, "-c", BUILD], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        archive.extractall(tmp_path / "installed")
    package = {path.relative_to(ROOT).as_posix() for path in (ROOT / "dlcli").rglob("*") if path.is_file()}
    recipes = {f"dlcli/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / "recipes").iterdir() if path.is_file()}
    assert names == {name for name in package if "__pycache__" not in name} | recipes

    code = "import sys; sys.path[0] = '../installed'; from dlcli.cli import main; main()"
    (tmp_path / "work").mkdir()
    for arguments in (("recipe", "init", "--example", "digits_convnet"), ("recipe", "check", "digits_convnet.yaml")):
        command = [sys.executable, "-P", "-c", code, *arguments]
        result = subprocess.run(command, cwd=tmp_path / "work", capture_output=True, text=True, env={})
        assert result.returncode == 0, result.stderr
    written = (tmp_path / "work" / "digits_convnet.yaml").read_bytes()
    assert written == (ROOT / "recipes" / "digits_convnet.yaml").read_bytes()


def test_a_container_is_built_of_the_files_of_the_wheel_and_of_extras_that_exist() -> None:
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert sent == {*PARTS, *FILES, "constraints.txt"}
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = [
        found
        for name in ("Dockerfile", "README.md")
        for found in re.findall(r"EXTRAS=(\S+)", (ROOT / name).read_text())
    ]
    assert len(named) == 3
    assert all(extra in extras for names in named for extra in names.split(","))
