"""``dlcli recipe`` from the command line."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from PIL import Image

from dlcli.cli.recipe import recipe
from dlcli.errors import InputError

ROOT = Path(__file__).parents[2]
DIGITS = ROOT / "recipes" / "digits_convnet.yaml"
VALID = "task: classification\ndata: {kind: digits}\nmodel: {kind: lenet5}\n"
ERRORS = (
    "bad.yaml:2:14: data.kind: unknown kind 'digit'; did you mean 'digits'?\n"
    "bad.yaml:4:1: epochs: unknown key; did you mean train.epochs or train.stages.0.epochs?"
)


@pytest.fixture(autouse=True)
def _recipes_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("good.yaml").write_text(VALID)
    Path("bad.yaml").write_text(VALID.replace("digits", "digit") + "epochs: 3\n")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(recipe, arguments)


def test_check() -> None:
    result = run("check", "good.yaml", str(DIGITS))
    assert result.exit_code == 0
    assert result.output == f"good.yaml: ok\n{DIGITS}: ok\n"


def test_check_several_with_errors() -> None:
    result = run("check", "bad.yaml", "good.yaml", "none.yaml")
    assert result.stdout == "good.yaml: ok\n"
    assert isinstance(result.exception, InputError)
    assert str(result.exception) == f"{ERRORS}\nnone.yaml: no such file"


def test_check_with_overrides() -> None:
    assert run("check", "good.yaml", str(DIGITS), "--set", "train.epochs=5").exit_code == 0
    result = run("check", "good.yaml", "-s", "train.epochs=0")
    assert str(result.exception) == "--set train.epochs=0: train.epochs: expected a whole number > 0. Received 0."


def test_check_json() -> None:
    result = run("check", "--json", "bad.yaml", "good.yaml", "none.yaml")
    assert result.exit_code == 2
    bad, good, missing = json.loads(result.stdout)
    assert good == {"recipe": "good.yaml", "ok": True, "errors": []}
    assert [(error["line"], error["column"], error["key"]) for error in bad["errors"]] == [
        (2, 14, "data.kind"),
        (4, 1, "epochs"),
    ]
    assert bad["errors"][0]["message"] == "unknown kind 'digit'; did you mean 'digits'?"
    assert missing["errors"] == [{"line": None, "column": None, "key": "", "message": "no such file"}]
    assert run("check", "--json", "good.yaml").exit_code == 0


def test_show_fills_in_defaults() -> None:
    result = run("show", str(DIGITS), "-s", "train.epochs=5", "--set", "model.blocks.1.filters=8")
    assert result.exit_code == 0
    values = yaml.safe_load(result.stdout)
    assert values["train"]["epochs"] == 5
    assert values["train"]["optimizer"]["learning_rate"] == 0.001
    assert [block["filters"] for block in values["model"]["blocks"]] == [32, 8]
    assert values["model"]["blocks"][0]["pool"] == "max"
    Path("full.yaml").write_text(result.stdout)
    assert run("show", "full.yaml").stdout == result.stdout


def test_show_json() -> None:
    as_json = json.loads(run("show", str(DIGITS), "--json").stdout)
    assert as_json == yaml.safe_load(run("show", str(DIGITS)).stdout)


def test_show_refuses_invalid_settings() -> None:
    error = run("show", "good.yaml", "-s", "train.epochs=many").exception
    assert isinstance(error, InputError)
    assert str(error) == "--set train.epochs=many: train.epochs: expected a whole number > 0. Received 'many'."


def test_the_committed_schema_is_current() -> None:
    assert run("schema").stdout == (ROOT / "recipes" / "schema.json").read_text(encoding="utf-8")


# init ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def _photos() -> None:
    for name in ("cats", "dogs"):
        Path("photos", name).mkdir(parents=True)
        Image.new("L", (32, 32)).save(Path("photos", name, "1.png"))


@pytest.mark.usefixtures("_photos")
def test_init_writes_a_recipe_that_passes_check() -> None:
    result = run("init", "photos")
    assert result.exit_code == 0
    assert result.stdout == "photos.yaml\n"
    assert result.stderr == "train: 2 images in 2 classes: cats (1), dogs (1)\nsizes: 32x32\n"
    assert run("check", "photos.yaml").exit_code == 0


@pytest.mark.usefixtures("_photos")
def test_init_overwrites_only_with_force() -> None:
    Path("photos.yaml").write_text("mine")
    error = run("init", "photos").exception
    assert isinstance(error, InputError)
    assert str(error) == "photos.yaml: already exists. Choose another name with --output, or use --force to replace it."
    assert Path("photos.yaml").read_text() == "mine"
    assert run("init", "photos", "--force").exit_code == 0
    assert Path("photos.yaml").read_text().startswith("# Drafted by dlcli recipe init.")


@pytest.mark.usefixtures("_photos")
def test_init_elsewhere() -> None:
    error = run("init", "photos", "--output", "recipes/p.yaml").exception
    assert isinstance(error, InputError)
    assert str(error) == "recipes/p.yaml: no such folder recipes. Create it, or choose another name with --output."
    Path("recipes").mkdir()
    assert run("init", "photos", "--output", "recipes/p.yaml").exit_code == 0
    assert yaml.safe_load(Path("recipes/p.yaml").read_text())["data"]["path"] == "../photos"


def test_init_leaves_nothing_after_an_error() -> None:
    Path("nothing").mkdir()
    assert isinstance(run("init", "nothing").exception, InputError)
    assert not Path("nothing.yaml").exists()


# Help and processes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["", "check", "show", "schema", "init"])
def test_help_has_examples(command: str) -> None:
    result = run(*command.split(), "--help")
    assert result.exit_code == 0
    assert "Example" in result.output
    assert f"dlcli recipe {command}".strip() in result.output


def process(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_an_error_is_reported_without_heavy_imports() -> None:
    done = process(
        "import atexit, sys, runpy\n"
        "sys.argv = ['dlcli', 'recipe', 'check', 'bad.yaml']\n"
        "atexit.register(lambda: print(sorted({'tensorflow', 'keras', 'numpy', 'PIL'} & set(sys.modules))))\n"
        "runpy.run_module('dlcli', run_name='__main__')\n"
    )
    assert done.returncode == 2
    assert done.stderr == f"{ERRORS}\n"
    assert done.stdout == "[]\n"


def test_the_verb_loads_no_schema_until_it_is_called() -> None:
    done = process("import sys, dlcli.cli.recipe; print(sorted({'pydantic', 'yaml', 'numpy'} & set(sys.modules)))")
    assert done.stdout == "[]\n"
    assert done.stderr == ""


def test_init_copies_an_example_that_ships() -> None:
    assert run("init", "--example", "digits_convnet").stdout == "digits_convnet.yaml\n"
    assert Path("digits_convnet.yaml").read_bytes() == DIGITS.read_bytes()
    assert "already exists" in str(run("init", "--example", "digits_convnet.yaml").exception)
    assert run("init", "--example", "digits_mlp", "-o", "mine.yaml").exit_code == 0
    assert run("check", "mine.yaml").exit_code == 0
    error = run("init", "--example", "digits_convnt").exception
    assert isinstance(error, InputError)
    assert "--example digits_convnt: no such example; did you mean 'digits_convnet'? The examples: " in str(error)
    assert "no such example. The examples: " in str(run("init", "--example", "../schema").exception)
    assert "--example copies a recipe; DATA has no use." in run("init", "photos", "--example", "digits_mlp").output
    assert "Specify what to draft a recipe for" in run("init").output
