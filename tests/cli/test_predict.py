"""The paths of ``dlcli predict``."""

from pathlib import Path

import pytest

from dlcli.cli.predict import expanded
from dlcli.errors import InputError


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("photos/b.jpg", "photos/a.jpg", "photos/in/c.jpg", "photos/d.png", "photos/x[1].jpg"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


@pytest.mark.parametrize(
    ("paths", "found"),
    [
        (["photos/?.jpg"], ["photos/a.jpg", "photos/b.jpg"]),
        (["photos/d.png", "photos/[ab].jpg", "-"], ["photos/d.png", "photos/a.jpg", "photos/b.jpg", "-"]),
        (["photos/**/c.jpg"], ["photos/in/c.jpg"]),
        (["photos/x[1].jpg"], ["photos/x[1].jpg"]),  # a file's own name
        (["photos", "missing.jpg"], ["photos", "missing.jpg"]),  # the task reports what is missing
    ],
)
def test_patterns_stand_for_files(paths: list[str], found: list[str]) -> None:
    assert expanded(paths) == [Path(path) for path in found]


def test_patterns_without_files_are_all_reported() -> None:
    with pytest.raises(InputError) as error:
        expanded(["photos/*.gif", "photos/a.jpg", "images/*"])
    assert str(error.value).splitlines() == [
        "photos/*.gif: no file matches this pattern. Name what to predict.",
        "images/*: no file matches this pattern. Name what to predict.",
    ]
