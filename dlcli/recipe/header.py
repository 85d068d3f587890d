"""The header of a recipe: comments that name its command, its time and what it reaches, which can be checked."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from dlcli.errors import InputError
from dlcli.recipe.language.errors import shortened
from dlcli.recipe.language.yaml_reader import decode, read_bytes

FIELD = re.compile(r"# (\w+): *(.*)")
CONTINUED = re.compile(r"#  +(\S.*)")
MEASURED_BY = "by the command"
"""What a header says after the figures that its command reaches; other commands reach the figures after it."""
FIGURE = re.compile(
    r"\b((?:test|validation|val|train)_\w+) (-?[0-9]+(?:\.[0-9]+)?)(?![0-9])"
    r"(?: \((?:standard deviation )?([0-9]+(?:\.[0-9]+)?)(?: over seeds ([0-9, to]+)[^)]*)?\))?"
)
DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(s|seconds?|min|minutes?|h|hours?)\b")
WORKING_FOLDER = re.compile(r"\$(?:PWD\b|\{PWD\})")  # as in a shell, for paths that --set sets
SECONDS = {"s": 1, "m": 60, "h": 3600}
MAX_SEEDS = 100
EXAMPLES = {
    "Command": "# Command: dlcli train recipe.yaml",
    "Reaches": "# Reaches: test_accuracy 0.9873 (standard deviation 0.0021 over seeds 0, 1, 2)",
}


@dataclass(frozen=True)
class Figure:
    """A metric that the command reaches.

    Attributes:
        mean, deviation: over the seeds, as they are written, so that their digits count; deviation may be missing.
    """

    metric: str
    mean: str
    deviation: str | None


@dataclass(frozen=True)
class Header:
    """What a recipe's header claims.

    Attributes:
        place: file and line of the command.
        command: its words after ``dlcli train``, with the current folder for ``$PWD``.
        seeds: of the runs that were measured.
        figures: at least one.
        seconds: of training with one seed, roughly; None if the header does not say.
    """

    place: str
    command: tuple[str, ...]
    seeds: tuple[int, ...]
    figures: tuple[Figure, ...]
    seconds: float | None


def read_header(path: Path) -> Header:
    """Read the header of a recipe.

    Raises:
        InputError: the file cannot be read, or its header has no command ``dlcli train`` or no figures; file and line
            are named.
    """
    fields = _fields(decode(read_bytes(path), str(path)))
    for name in ("Command", "Reaches"):
        if name not in fields:
            rule = f"the header must have a line '# {name}: …', so that it can be verified"
            raise InputError(f"{path}:1: {rule}. Write, for example: {EXAMPLES[name]}")
    line, lines = fields["Command"]
    place = f"{path}:{line}"
    text = _first_command(lines)
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        words = tuple(text.split())
        if words[:2] == ("dlcli", "train"):
            raise InputError(f"{place}: the command cannot be read: {error}.") from None
    if words[:2] != ("dlcli", "train"):
        received = shortened(" ".join(words[:2]))
        raise InputError(f"{place}: only a command dlcli train can be verified. Received '{received}'.")
    reaches_line, reached = fields["Reaches"]
    text = " ".join(reached).partition(MEASURED_BY)[0]
    found = list(FIGURE.finditer(text))
    seeds = next((seeds for match in found if (seeds := _seeds(match[4] or ""))), ())
    if not found or not seeds:
        rule = "expected a metric with its standard deviation over seeds"
        raise InputError(f"{path}:{reaches_line}: {rule}. Write, for example: {EXAMPLES['Reaches']}")
    if repeated := [seed for seed in seeds if seeds.count(seed) > 1]:
        raise InputError(f"{path}:{reaches_line}: seed {repeated[0]} is listed twice. List each seed once.")
    figures = tuple(Figure(match[1], match[2], match[3]) for match in found)
    folder = str(Path.cwd())
    arguments = tuple(WORKING_FOLDER.sub(lambda _: folder, word) for word in words[2:])
    return Header(place, arguments, seeds, figures, _seconds(" ".join(fields.get("Time", (0, []))[1])))


def _fields(text: str) -> dict[str, tuple[int, list[str]]]:
    """The line number and the lines of each field of the comments at the beginning of a recipe."""
    fields: dict[str, tuple[int, list[str]]] = {}
    current: list[str] | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.startswith("#"):
            break
        if match := FIELD.fullmatch(line):
            current = [match[2]]
            fields.setdefault(match[1], (number, current))
        elif current is not None and (match := CONTINUED.fullmatch(line)):
            current.append(match[1])
        else:
            current = None
    return fields


def _first_command(lines: list[str]) -> str:
    """The first of the commands in a field, which may be continued in the next lines."""
    following = next((i for i, line in enumerate(lines[1:], start=1) if line.startswith("dlcli ")), len(lines))
    return " ".join(lines[:following])


def _seeds(text: str) -> tuple[int, ...]:
    """Such as ``0, 1, 2`` or ``0 to 4``; empty for another form."""
    if match := re.fullmatch(r"([0-9]{1,9}) to ([0-9]{1,9})", text.strip()):
        seeds = range(int(match[1]), int(match[2]) + 1)
        return tuple(seeds) if len(seeds) <= MAX_SEEDS else ()
    if re.fullmatch(r"[0-9]{1,9}(, [0-9]{1,9})*", text.strip()):
        return tuple(map(int, text.split(", ")))[:MAX_SEEDS]
    return ()


def _seconds(text: str) -> float | None:
    match = DURATION.search(text)
    return None if match is None else float(match[1]) * SECONDS[match[2][0]]
