"""Messages, help, documentation and recipes use no expression that the word list of CONTRIBUTING.md rules out."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOTS = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", ".github", "docs", "recipes", "dlcli")
"""What is checked: all .md and .yaml files, and in .py files comments and strings, docstrings included."""

GENERATED = ("docs/reference/commands.md", "docs/reference/keys/")
"""Written from the help and the schema of ``dlcli``, where they are checked."""

ALLOWED = {
    "docs/guide/localization.md": ("`task: localisation`",),
    "CHANGELOG.md": (
        *("`task: localisation`", "`faults`", "`val_localisation_accuracy`"),
        *("`data.pictures`", "`answers.png`"),
    ),
    "dlcli/recipe/load.py": ("localisation",),
    "dlcli/recipe/json_schema.py": ("``localisation``",),
    "dlcli/rundir/metric_names.py": ("localisation",),
}
"""Old spellings that are named because they are still read, by file: the words around them that may stand."""

TABLE = re.compile(r"^\| Say \| Not \|\n\|---\|---\|\n((?:\|.*\n)+)", re.MULTILINE)
OUTPUT = re.compile(r"^```console\n.*?^```$", re.MULTILINE | re.DOTALL)
"""Output of the program in a page: its messages are checked in ``dlcli``."""

CODE = re.compile(r"`([^`]+)`")


@dataclass(frozen=True)
class Rule:
    """Expressions that are not used, and what is said instead."""

    say: str
    pattern: re.Pattern[str]


@dataclass(frozen=True)
class Text:
    """A text with the file and the line where it starts."""

    file: str
    line: int
    content: str


def rules() -> list[Rule]:
    """The rows of the table, an expression each; a space matches any white space, so that line breaks hide nothing."""
    table = TABLE.search((ROOT / "CONTRIBUTING.md").read_text("utf-8"))
    assert table is not None
    found = []
    for row in table[1].splitlines():
        say, banned = (cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:3])
        for code in CODE.findall(banned):
            # a look-behind has a fixed width: its spaces stay
            parts = re.split(r"(\(\?<!.*?\))", code.replace("\\|", "|"))
            expression = "".join(part if part.startswith("(?<!") else part.replace(" ", r"\s+") for part in parts)
            found.append(Rule(say, re.compile(rf"(?<!\w)(?:{expression})(?!\w)", re.IGNORECASE)))
    return found


def texts(root: Path) -> Iterator[Text]:
    """What is checked of a file, or of all files below a folder."""
    for path in sorted(root.rglob("*")) if root.is_dir() else [root]:
        name = path.relative_to(ROOT).as_posix()
        if name.startswith(GENERATED):
            continue
        if path.suffix == ".py":
            source = path.read_text("utf-8")
            for node in ast.walk(ast.parse(source)):
                # a single word is a key or a name, not prose
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and not node.value.isidentifier():
                    yield Text(name, node.lineno, node.value)
            for token in tokenize.generate_tokens(io.StringIO(source).readline):
                if token.type == tokenize.COMMENT:
                    yield Text(name, token.start[0], token.string)
        elif path.suffix in (".md", ".yaml", ".yml"):
            content = path.read_text("utf-8")
            for skipped in (TABLE, OUTPUT):
                content = skipped.sub(lambda match: "\n" * match[0].count("\n"), content)
            yield Text(name, 1, content)


def hits(text: Text) -> Iterator[str]:
    """A line for each expression that is ruled out: file, line, what was found and what to say instead."""
    content = text.content
    for allowed in ALLOWED.get(text.file, ()):
        content = content.replace(allowed, "")
    for rule in RULES:
        for match in rule.pattern.finditer(content):
            line = text.line + content.count("\n", 0, match.start())
            yield f"{text.file}:{line}: {' '.join(match[0].split())!r}; say: {rule.say}"


RULES = rules()


def test_the_table_is_read() -> None:
    assert len(RULES) > 80
    said = {rule.say for rule in RULES}
    assert {"image", "corrupt", "lowercase", "most probable"} <= said


@pytest.mark.parametrize(
    ("content", "say"),
    [
        ("Two pictures are shown.", "image"),
        ("a fault", "error, mistake"),
        ("the weights cannot\nbe had", "not available"),
        ("Learned by heart.", "memorize"),
        ("COLOURS", "localization and other American spellings"),
        ("it is no classifier", "is not a …"),
    ],
)
def test_an_expression_is_noticed(content: str, say: str) -> None:
    assert [hit.partition("; say: ")[2] for hit in hits(Text("x.md", 1, content))] == [say]


@pytest.mark.parametrize(
    "content", ["the default", "there is no model", "amended", "a localized color", "nobody to answer"]
)
def test_other_words_are_left_alone(content: str) -> None:
    assert not list(hits(Text("x.md", 1, content)))


@pytest.mark.parametrize("root", ROOTS)
def test_no_expression_is_ruled_out(root: str) -> None:
    found = [hit for text in texts(ROOT / root) for hit in hits(text)]
    assert not found, "\n".join(found)


def test_every_allowance_is_needed() -> None:
    for file, words in ALLOWED.items():
        content = (ROOT / file).read_text("utf-8")
        assert all(word in content for word in words), file
