"""The figures of a header beside those of new runs."""

from pathlib import Path

import processes  # type: ignore[import-not-found]
import pytest

from dlcli.recipe.header import Figure, Header
from dlcli.workflow.verify import compare_figures

RECIPES = Path(__file__).parents[2] / "recipes"


def verdict(mean: str, deviation: str | None, *values: float | None) -> str:
    header = Header("r:1", ("r",), tuple(range(len(values))), (Figure("m", mean, deviation),), None)
    finals = [{} if value is None else {"m": value} for value in values]
    return str(compare_figures(header, finals)[0]["verdict"])


def test_equal_to_the_last_digit_close_and_different() -> None:
    assert verdict("0.90", "0.010", 0.890, 0.900, 0.910) == "equal"
    assert verdict("0.90", None, 0.890, 0.900, 0.910) == "equal"
    assert verdict("0.91", "0.010", 0.890, 0.900, 0.910) == "close"  # t = 1.22 with 4 degrees of freedom
    assert verdict("0.95", "0.010", 0.890, 0.900, 0.910) == "different"  # t = 6.1
    assert verdict("0.90", "0.020", 0.890, 0.900, 0.910) == "close"  # another spread
    assert verdict("0.5", "0.0", 0.4, 0.4) == "different"
    assert verdict("0.5", "0.0", 0.5, 0.5) == "equal"
    assert verdict("0.5", "0.1", 0.5, None) == "different"  # without the metric


RECIPE = """\
# Command: dlcli train {command}
# Reaches: test_accuracy 0.5000 (standard deviation 0.0000 over seeds 0, 1)
task: classification
data: {{kind: npz, path: {data}}}
model: {{kind: mlp, units: [2]}}
"""


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ("other.yaml", "r.yaml:1: the command must train r.yaml. Received other.yaml."),
        ("r.yaml --resume x", "r.yaml:1: the command must say what is trained only. Remove --resume."),
        ("r.yaml --nix", "r.yaml:1: the command is not valid: No such option"),
        ("--help", "r.yaml:1: the command trains nothing."),
        ("r.yaml --allow-code", "r.yaml:1: the command must not have --allow-code"),
        ("r.yaml", "r.yaml:4:25: data.path: no such file or folder"),
    ],
)
def test_what_cannot_be_verified_gets_one_line(tmp_path: Path, command: str, error: str) -> None:
    (tmp_path / "r.yaml").write_text(RECIPE.format(command=command, data="nix.npz"))
    done = processes.run("recipe", "verify", "r.yaml", folder=tmp_path).expect(2)
    assert error in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_of_several_recipes_those_that_cannot_be_verified_are_skipped(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(RECIPE.format(command="r.yaml", data="nix.npz"))
    slow = (RECIPES / "digits_mlp.yaml").read_text().replace("1 s of training", "9 h of training")
    (tmp_path / "digits_mlp.yaml").write_text(slow)
    done = processes.run("recipe", "verify", "r.yaml", "digits_mlp.yaml", "--minutes", "1", folder=tmp_path).expect(0)
    assert "skipped r.yaml: r.yaml:4:25: data.path: no such file or folder" in done.stdout
    assert "skipped digits_mlp.yaml: takes about 1620 min, more than is left of --minutes" in done.stdout


def test_a_metric_that_the_command_does_not_give_is_named_after_one_seed(tmp_path: Path) -> None:
    text = (
        (RECIPES / "digits_mlp.yaml")
        .read_text()
        .replace("test_accuracy", "test_nope")
        .replace("epochs: 60", "epochs: 1")
    )
    (tmp_path / "digits_mlp.yaml").write_text(text)
    done = processes.run("recipe", "verify", "digits_mlp.yaml", folder=tmp_path, prepare=processes.without_plots)
    assert "no such metric: test_nope. The run has: test_loss, test_accuracy" in done.expect(1).stdout
    assert [run.name for run in (tmp_path / "runs").iterdir()] == ["digits_mlp-seed0"]


@pytest.mark.slow
def test_the_header_of_the_quickest_recipe_holds(tmp_path: Path) -> None:
    text = (RECIPES / "digits_mlp.yaml").read_text()
    (tmp_path / "digits_mlp.yaml").write_text(text)
    done = processes.run("recipe", "verify", "digits_mlp.yaml", folder=tmp_path, prepare=processes.without_plots)
    assert "digits_mlp.yaml: equal" in done.expect(0).stdout or "digits_mlp.yaml: close" in done.stdout
    wrong = text.replace("test_accuracy 0.9", "test_accuracy 0.1", 1)
    assert wrong != text
    (tmp_path / "digits_mlp.yaml").write_text(wrong)
    done = processes.run("recipe", "verify", "digits_mlp.yaml", folder=tmp_path, prepare=processes.without_plots)
    assert "not what the header says: digits_mlp.yaml" in done.expect(1).stderr


@pytest.mark.slow
def test_the_header_of_the_next_quickest_recipe_holds(tmp_path: Path) -> None:
    recipe = RECIPES / "digits_adversarial.yaml"
    done = processes.run("recipe", "verify", str(recipe), folder=tmp_path, prepare=processes.without_plots)
    assert "digits_adversarial.yaml: equal" in done.expect(0).stdout or "digits_adversarial.yaml: close" in done.stdout
