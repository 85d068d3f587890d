"""The pages keep up with the program: commands parse, recipes load, links lead somewhere, the page of keys is fresh."""

import importlib.util
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import click
import pytest

from dlcli.cli import cli
from dlcli.recipe.language.diagnosis import known_keys
from dlcli.recipe.language.errors import dotted
from dlcli.recipe.language.overrides import parse_setting
from dlcli.recipe.load import load
from dlcli.recipe.tasks.classification import Classification

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
IDS = [path.name for path in PAGES]

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
SHELL = frozenset("|&;<>")  # what ends a command's arguments


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    language: str
    text: str


def blocks() -> list[Block]:
    return [Block(path.name, match[1], match[2]) for path in PAGES for match in FENCE.finditer(path.read_text("utf-8"))]


def commands() -> Iterator[str]:
    """The command lines ``dlcli …`` of all blocks; in a block with prompts, the lines behind one."""
    for block in blocks():
        lines = block.text.replace("\\\n", " ").splitlines()
        prompted = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        yield from (line for line in prompted or lines if re.match(r"dlcli(\s|$)", line))


def arguments(command: str) -> list[str]:
    """The words after ``dlcli``, up to a comment, a pipe or a redirection."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars="".join(SHELL))
    lexer.whitespace_split = True
    lexer.commenters = ""  # shlex sees one inside of a word too
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


COMMANDS = list(commands())
RECIPES = [block for block in blocks() if block.language == "yaml" and re.search(r"^task:", block.text, re.MULTILINE)]


def test_there_is_something_to_check() -> None:
    assert len(COMMANDS) > 30
    assert len(RECIPES) > 8
    assert {"README.md", "recipes.md", "data.md", "models.md", "training.md", "runs.md"} <= set(IDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_have_the_verb_and_its_options(command: str) -> None:
    try:
        context = parse(arguments(command))
    except click.exceptions.Exit:  # --help or --version
        return
    known = {re.sub(r"\.\d+", ".0", dotted(path)) for path in known_keys(Classification, None, ())}
    settings = context.params.get("sets") or context.params.get("settings") or ()
    for setting in settings:
        assert re.sub(r"\.\d+", ".0", parse_setting(setting).key) in known


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
def test_links_lead_to_files_and_headings(page: Path) -> None:
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
    """What GitHub calls a page's headings: lower case, words joined by hyphens, other signs left out."""
    headings = HEADING.findall(FENCE.sub("", page.read_text("utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_page_of_keys_is_not_stale() -> None:
    spec = importlib.util.spec_from_file_location("make_keys", ROOT / "docs" / "make_keys.py")
    assert spec is not None
    assert spec.loader is not None
    make_keys = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_keys)
    written = (ROOT / "docs" / "recipe-keys.md").read_text("utf-8")
    assert written == make_keys.page(), "run: python docs/make_keys.py > docs/recipe-keys.md"


def test_every_key_is_on_the_page() -> None:
    page = (ROOT / "docs" / "recipe-keys.md").read_text("utf-8")
    keys = {path[-1] for path in known_keys(Classification, None, ())} - {"kind"}
    assert len(keys) > 50
    assert not {key for key in keys if f"| `{key}` |" not in page}


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_pages_name_no_place_of_one_machine(page: Path) -> None:
    assert not re.search(r"(?<![\w.~])/(home|work|tmp|root|Users)/", page.read_text("utf-8"))
