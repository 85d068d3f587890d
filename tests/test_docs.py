"""The pages match the program: commands parse, recipes load, links resolve, generated pages are up to date."""

import importlib.util
import re
import runpy
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote

import click
import pytest
from click.testing import CliRunner

from dlcli.cli import cli
from dlcli.recipe.language.diagnosis import known_keys
from dlcli.recipe.language.errors import dotted
from dlcli.recipe.language.overrides import parse_setting
from dlcli.recipe.load import TASKS, load
from dlcli.rundir.directory import RunDir

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
PAGES += [*sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / ".github").rglob("*.md"))]
IDS = [path.relative_to(ROOT).as_posix() for path in PAGES]

KEYS = ROOT / "docs" / "reference" / "keys"
ONE_VALUE = ("task", "name")  # keys at the top level of a recipe that are not sections

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
SHELL = frozenset("|&;<>")  # these end the arguments of a command


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    language: str
    text: str


def blocks() -> list[Block]:
    return [
        Block(name, match[1], match[2])
        for name, path in zip(IDS, PAGES, strict=True)
        for match in FENCE.finditer(path.read_text("utf-8"))
    ]


def commands() -> Iterator[str]:
    """The command lines ``dlcli …`` of all blocks; in a block with prompts, the lines after a prompt."""
    for block in blocks():
        lines = block.text.replace("\\\n", " ").splitlines()
        prompted = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        yield from (line for line in prompted or lines if re.match(r"dlcli(\s|$)", line))


def arguments(command: str) -> list[str]:
    """The words after ``dlcli``, up to a comment, a pipe or a redirection."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars="".join(SHELL))
    lexer.whitespace_split = True
    lexer.commenters = ""  # shlex would find a comment inside a word too
    words: list[str] = []
    for word in lexer:
        if word.startswith("#") or set(word) <= SHELL:
            break
        words.append(word)
    return words[1:]


def parse(words: list[str]) -> click.Context:
    """Parses the words with click as the program would, without running anything."""
    command: click.Command = cli
    context = click.Context(cli, info_name="dlcli", **cli.context_settings)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name, found, words = command.resolve_command(context, words)
        assert found is not None
        command, context = found, click.Context(found, info_name=name, parent=context)
    return command.make_context(context.info_name, list(words), parent=context.parent)


KNOWN_KEYS = {
    re.sub(r"\.\d+", ".0", dotted(path)) for schema in TASKS.values() for path in known_keys(schema, None, ())
}
COMMANDS = list(commands())
RECIPES = [block for block in blocks() if block.language == "yaml" and re.search(r"^task:", block.text, re.MULTILINE)]


def test_there_is_something_to_check() -> None:
    assert len(COMMANDS) > 30
    assert len(RECIPES) > 8
    guide = {f"docs/guide/{name}.md" for name in ("data", "models", "training", "runs")}
    assert {"README.md", "docs/README.md", "docs/tutorials/photos.md", "docs/reference/recipes.md", *guide} <= set(IDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_have_the_verb_and_its_options(command: str) -> None:
    try:
        context = parse(arguments(command))
    except click.exceptions.Exit:  # --help or --version
        return
    settings = context.params.get("sets") or context.params.get("settings") or ()
    for setting in settings:
        assert re.sub(r"\.\d+", ".0", parse_setting(setting).key) in KNOWN_KEYS


def test_a_wrong_command_is_noticed() -> None:
    for command in ("dlcli trian x.yaml", "dlcli train x.yaml --epoch-num 5", "dlcli runs drop x", "dlcli runs diff x"):
        with pytest.raises(click.UsageError):
            parse(arguments(command))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda block: block.page)
def test_recipes_load(recipe: Block, tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(recipe.text, encoding="utf-8")
    load(file)


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_resolve_to_files_and_headings(page: Path) -> None:
    prose = FENCE.sub("", page.read_text("utf-8"))
    for target in LINK.findall(prose):
        if re.match(r"[a-z]+:", target):  # https: and the like
            continue
        name, _, anchor = unquote(target).partition("#")
        file = page.parent / name if name else page
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file), target


def anchors(page: Path) -> set[str]:
    """GitHub's anchors of a page's headings: lowercase, words joined by hyphens, other characters removed."""
    headings = HEADING.findall(FENCE.sub("", page.read_text("utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def make_keys() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_keys", ROOT / "docs" / "make_keys.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_keys"] = module  # dataclasses look it up there
    spec.loader.exec_module(module)
    return module


def test_the_pages_of_keys_are_not_stale(tmp_path: Path) -> None:
    written = {file.name: file.read_text("utf-8") for file in KEYS.iterdir()}
    assert written == make_keys().pages(), "run: make schema"
    (tmp_path / "old.md").touch()
    make_keys().write(tmp_path)
    assert {file.name: file.read_text("utf-8") for file in tmp_path.iterdir()} == written


def test_every_section_is_on_one_page_of_keys() -> None:
    described = [(task, page.key) for page in make_keys().PAGES for task in page.tasks]
    sections = {(task, key) for task, schema in TASKS.items() for key in schema.model_fields if key not in ONE_VALUE}
    assert len(described) == len(sections)
    assert set(described) == sections


@pytest.mark.parametrize("task", TASKS)
def test_every_key_of_a_task_is_on_its_page(task: str) -> None:
    index = (KEYS / "README.md").read_text("utf-8")
    assert f"## task: {task}\n" in index
    texts = {
        page.key: (KEYS / f"{page.name}.md").read_text("utf-8") for page in make_keys().PAGES if task in page.tasks
    }
    paths = [path for path in known_keys(TASKS[task], None, ()) if len(path) > 1 and path[-1] not in (0, "kind")]
    assert len(paths) > 20
    assert not [dotted(path) for path in paths if f"| `{path[-1]}` |" not in texts[str(path[0])]]


def test_the_page_of_commands_is_not_stale() -> None:
    written = (ROOT / "docs" / "reference" / "commands.md").read_text("utf-8")
    page = runpy.run_path(str(ROOT / "docs" / "make_commands.py"))["page"]()
    assert written == page, "run: python docs/make_commands.py > docs/reference/commands.md"


def test_commands_and_options_are_on_the_page() -> None:
    page = (ROOT / "docs" / "reference" / "commands.md").read_text("utf-8")
    headings = HEADING.findall(FENCE.sub("", page))
    assert {f"dlcli {verb}" for verb in ("train", "transfer", "evaluate", "attack", "runs list")} <= set(headings)
    assert "| `--overfit N` |" in page


def test_the_table_of_networks_is_not_stale() -> None:
    page = (ROOT / "docs" / "reference" / "networks.md").read_text("utf-8")
    for command in ("dlcli models", "dlcli models --quoted"):
        shown = CliRunner().invoke(cli, arguments(command), prog_name="dlcli").stdout
        assert shown.count("\n") > 5
        assert f"```console\n$ {command}\n{shown}```" in page, f"paste the output of: {command}"


def test_the_files_of_a_run_are_in_the_reference() -> None:
    page = (ROOT / "docs" / "reference" / "run-directory.md").read_text("utf-8")
    run = RunDir(Path("runs/photos"))
    files = {value for name in dir(RunDir) if isinstance(value := getattr(run, name), Path)} - {run.path}
    assert len(files) > 10
    assert not {path.name for path in files if f"`{path.name}" not in page}


def test_the_tutorial_runs_the_four_steps() -> None:
    page = (ROOT / "docs" / "tutorials" / "photos.md").read_text("utf-8")
    typed = [line.split()[2] for line in page.splitlines() if line.startswith("$ dlcli ")]
    assert {"data", "recipe", "transfer", "evaluate", "predict", "attack"} <= set(typed)


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_pages_name_no_place_of_one_machine(page: Path) -> None:
    assert not re.search(r"(?<![\w.~])/(home|work|tmp|root|Users)/", page.read_text("utf-8"))
