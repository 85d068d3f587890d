"""The header of a recipe: its command, its figures and its time."""

from pathlib import Path

import pytest

from dlcli.errors import InputError
from dlcli.recipe.header import Figure, read_header

RECIPES = Path(__file__).parents[2] / "recipes"
HEADER = """\
# Something.
#
# Command: dlcli train r.yaml --data names/
#          --set 'text.characters={}'
#          dlcli generate r
# Time:    1 to 2 min of training on two CPU cores, 9 s idle
# Reaches: test_mase 0.5996 (standard deviation 0.0244 over seeds 0, 1, 2) and test_mae 17.6 (0.7), val_loss -1.5, by
#          the command with --seeds 3; test_mae 99.9 (9.9) otherwise
task: forecasting
# Reaches: test_other 1.0 (standard deviation 1.0 over seeds 7)
"""


def header_of(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "r.yaml"
    path.write_text(text)
    return path


def test_command_figures_and_time(tmp_path: Path) -> None:
    header = read_header(header_of(tmp_path, HEADER))
    assert header.command == ("r.yaml", "--data", "names/", "--set", "text.characters={}")
    assert header.place.endswith("r.yaml:3")
    assert header.seeds == (0, 1, 2)
    assert header.figures == (
        Figure("test_mase", "0.5996", "0.0244"),
        Figure("test_mae", "17.6", "0.7"),
        Figure("val_loss", "-1.5", None),
    )
    assert header.seconds == 120


def test_pwd_in_the_command_is_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    changed = HEADER.replace("'text.characters={}'", "data.test_path=$PWD/a.csv --set data.x=${PWD}/b:$PWDX")
    command = read_header(header_of(tmp_path, changed)).command
    assert command[4::2] == (f"data.test_path={Path.cwd()}/a.csv", f"data.x={Path.cwd()}/b:$PWDX")


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("0 to 4", (0, 1, 2, 3, 4)), ("3, 5", (3, 5)), ("0, 1, 2: 0.5170, 0.5064, 0.4836", (0, 1, 2))],
)
def test_forms_of_seeds(tmp_path: Path, text: str, seeds: tuple[int, ...]) -> None:
    changed = HEADER.replace("over seeds 0, 1, 2", f"over seeds {text}")
    assert read_header(header_of(tmp_path, changed)).seeds == seeds


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("Command:", "Kommand:", "r.yaml:1: the header must have a line '# Command: …'"),
        ("Reaches:", "Reached:", "r.yaml:1: the header must have a line '# Reaches: …'"),
        ("dlcli train", "rm -rf", "r.yaml:3: only a command dlcli train can be verified. Received 'rm -rf'"),
        ("names/", "'names", "r.yaml:3: the command cannot be read"),
        ("over seeds 0, 1, 2", "over some seeds", "r.yaml:7: expected a metric with its standard deviation over seeds"),
        ("seeds 0, 1, 2", "seeds 0 to 99999999", "r.yaml:7: expected a metric"),
        ("seeds 0, 1, 2", "seeds 0, 1, 0", "r.yaml:7: seed 0 is listed twice. List each seed once."),
    ],
)
def test_a_header_that_cannot_be_verified_is_named(tmp_path: Path, old: str, new: str, error: str) -> None:
    with pytest.raises(InputError) as caught:
        read_header(header_of(tmp_path, HEADER.replace(old, new)))
    assert error in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_headers_of_all_recipes_that_ship_are_read(path: Path) -> None:
    if path.stem in ("search_cifar", "search_digits", "sweep_digits"):
        with pytest.raises(InputError, match=r"only a command dlcli train can be verified\. Received 'dlcli s"):
            read_header(path)
        return
    header = read_header(path)
    assert header.command[0] == f"recipes/{path.name}"
    assert len(header.seeds) >= 2
    assert header.figures[0].deviation is not None
    assert header.seconds is not None
    assert header.seconds >= 1
