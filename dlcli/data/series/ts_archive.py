"""Series in the .ts format of the archives of UCR and UEA (classes) and of Monash, UEA and UCR (numbers to predict)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from dlcli.data.files import printable
from dlcli.data.listing import NO_ALIASES, SplitKeys
from dlcli.data.sequences.dataset import SequenceDataset
from dlcli.data.series.sequence import MAX_BYTES, Goal, Series, assemble_series
from dlcli.data.series.time_stamps import STAMPED, regular_steps, split_stamped, stamped_cells
from dlcli.data.split_folders import files_by_split
from dlcli.data.splits import DataWarning
from dlcli.data.table import is_usable, parse_number, refuse_errors
from dlcli.errors import InputError
from dlcli.files import read_text

REMEDY = "Give a .ts file of the UCR or UEA archive."


@dataclass(frozen=True)
class Header:
    """What the lines above the samples say.

    Attributes:
        num_lines: that come before the first sample.
        has_times: whether each value has a time: ``(time,value)``.
        goal: what a line ends in; None for nothing.
        classes: all that are allowed; empty if they are not listed.
    """

    num_lines: int
    has_times: bool
    goal: Goal | None
    classes: tuple[str, ...]


def read_ts(
    *,
    path: str | Path,
    validation_path: str | Path | None,
    test_path: str | Path | None,
    goal: Goal,
    classes: tuple[str, ...] | None = None,
    aliases: Mapping[str, str] = NO_ALIASES,
    num_features: int | None = None,
    exclude: Sequence[str] = (),
    **common: Unpack[SplitKeys],
) -> SequenceDataset:
    """The .ts files of the archives (Bagnall et al. 2018; Tan et al. 2021): a line for each sample, ending in its class
    or number.

    Features are separated by colons, steps by commas; ``?`` is a missing value. With time stamps a step is
    ``(time,value)``; the times must increase, and where they are not equally spaced, a warning says so.

    Args:
        path: of the training samples, or of all; or a folder with a file for each split, such as GunPoint_TRAIN.ts.
        validation_path, test_path: further files. Without them splits are drawn.
        goal: whether samples have a class or a number.

    Raises:
        InputError: a file is not as described; errors of lines are reported together.
    """
    samples: list[Series] = []
    warnings: list[DataWarning] = []
    files = files_by_split(Path(path), suffixes=(".ts",), validation_path=validation_path, test_path=test_path)
    for split, file in files.items():
        found, more = read_ts_file(file, split, goal=goal)
        samples += found
        warnings += more
    return assemble_series(
        str(path),
        samples,
        goal=goal,
        classes=classes,
        aliases=aliases,
        num_features=num_features,
        exclude=exclude,
        warnings=warnings,
        common=common,
    )


def read_ts_file(file: Path, split: str, *, goal: Goal | None) -> tuple[list[Series], list[DataWarning]]:
    """The samples of one .ts file, and what the user should know about their times.

    Args:
        goal: what samples must have; None if it does not matter, for prediction.

    Raises:
        InputError: the file is not as described; errors of lines are reported together.
    """
    lines = read_text(file, noun=".ts file", max_bytes=MAX_BYTES, remedy=REMEDY).split("\n")
    header = read_header(file, lines)
    if goal is not None and header.goal != goal:
        wanted = "a class" if goal == "class" else "a number to predict"
        found = {"class": "classes (@classLabel true)", "value": "numbers to predict (@targetLabel true)"}
        received = "@classLabel false" if header.goal is None else found[header.goal]
        task = "" if header.goal is None else f": set task: {TASK_OF[header.goal]}"
        raise InputError(f"{file}: samples must have {wanted}. Received {received}{task}.")
    samples: list[Series] = []
    stamps: list[list[str]] = []
    errors: list[tuple[int, str]] = []
    for number, line in enumerate(lines[header.num_lines :], start=header.num_lines + 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            sample, times = _sample(line.strip(), header, f"{printable(file.name)}:{number}", split, number)
        except ValueError as error:
            errors.append((number, str(error)))
            continue
        samples.append(sample)
        stamps.append(times)
    refuse_errors(file, errors)
    if not samples:
        raise InputError(f"{file}: there must be samples below @data. Received none.")
    warnings = regular_steps(file, [sample.line for sample in samples], stamps) if header.has_times else []
    return samples, warnings


TASK_OF = {"class": "sequence_classification", "value": "sequence_regression"}


def read_header(file: Path, lines: Sequence[str]) -> Header:
    """What the lines of a file say above its samples.

    Raises:
        InputError: there is no line @data.
    """
    start = next((number for number, line in enumerate(lines) if line.strip().lower() == "@data"), None)
    if start is None:
        raise InputError(f"{file}: there must be a line @data above the samples. {REMEDY}")
    settings = {
        words[0].lower(): words[1:]
        for line in lines[:start]
        if line.strip().startswith("@") and (words := line.split())
    }

    def is_set(name: str, default: str) -> bool:
        return [word.lower() for word in settings.get(name, [])[:1] or [default]] == ["true"]

    goal: Goal | None = None
    if is_set("@targetlabel", "false"):
        goal = "value"
    elif is_set("@classlabel", "true"):
        goal = "class"
    listed = tuple(settings.get("@classlabel", [])[1:]) if goal == "class" else ()
    return Header(start + 1, is_set("@timestamps", "false"), goal, listed)


def _sample(line: str, header: Header, name: str, split: str, number: int) -> tuple[Series, list[str]]:
    """The sample on a line, and the times of its steps if it has any.

    Raises:
        ValueError: the line is not as the header says; the message is the rule, and what was received.
    """
    parts = split_stamped(line) if header.has_times else line.split(":")
    label = "" if header.goal is None else parts.pop().strip()
    if not parts or (header.goal is not None and not label):
        end = "a class" if header.goal == "class" else "a number"
        raise ValueError(f"a sample must be features and {end}, separated by ':'.")
    if header.goal == "value" and not is_usable(parse_number(label)):
        raise ValueError(f"the last part must be the number to predict. Received '{printable(label[:50])}'.")
    columns, times = [], []
    for position, part in enumerate(parts, start=1):
        stamps, cells = stamped_cells(part, position) if header.has_times else ([], part.split(","))
        columns.append([_value(cell.strip(), position, step) for step, cell in enumerate(cells, start=1)])
        times.append(stamps)
    if header.classes and label not in header.classes:
        raise ValueError(f"the class must be one that @classLabel lists. Received '{printable(label[:50])}'.")
    if len({len(column) for column in columns}) > 1:
        lengths = ", ".join(str(len(column)) for column in columns)
        raise ValueError(f"all features must have the same number of steps. Received {lengths}.")
    if any(stamps != times[0] for stamps in times):
        raise ValueError(f"all features must have the same times. {STAMPED}")
    values: Any = np.array(columns, np.float32).T
    return Series(name, split, printable(label), values, line=number), times[0]


def _value(cell: str, position: int, step: int) -> float:
    number = math.nan if cell == "?" else parse_number(cell)
    if number is None or not (is_usable(number) or number != number):
        shown = printable(cell[:50])
        raise ValueError(f"feature {position}, step {step} must be a number or '?'. Received '{shown}'.")
    return number
