"""Golden messages: each file in tests/bad_recipes starts with the complete error message that it must give."""

from pathlib import Path

import pytest

from dlcli.recipe.language.errors import MAX_SHOWN, RecipeError
from dlcli.recipe.load import load

FOLDER = Path(__file__).parents[1] / "bad_recipes"
FILES = sorted(FOLDER.glob("*.yaml"))


def expected_lines(file: Path) -> list[str]:
    lines = []
    for line in file.read_text(encoding="utf-8").splitlines():
        if not line.startswith("# "):
            break
        lines.append(line.removeprefix("# "))
    return lines


@pytest.mark.parametrize("name", [file.name for file in FILES])
def test_message(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER)
    with pytest.raises(RecipeError) as caught:
        load(Path(name))
    lines = expected_lines(Path(name))
    assert str(caught.value).split("\n") == lines
    assert 0 < len(lines) <= MAX_SHOWN + 1
    assert all(line.startswith(f"{name}:") for line in lines)


def test_there_are_bad_recipes() -> None:
    assert len(FILES) >= 90
