"""Series in the .ts format of the UCR and UEA archives."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Unpack

import numpy as np

from dlcli.data.files import printable
from dlcli.data.listing import NO_ALIASES, SplitKeys
from dlcli.data.sequences.dataset import SequenceDataset
from dlcli.data.series.sequence import MAX_BYTES, Series, assemble_series
from dlcli.data.table import is_usable, parse_number, refuse_errors
from dlcli.errors import InputError
from dlcli.files import read_text


def read_ts(
    *,
    path: str | Path,
    validation_path: str | Path | None,
    test_path: str | Path | None,
    classes: tuple[str, ...] | None = None,
    aliases: Mapping[str, str] = NO_ALIASES,
    num_features: int | None = None,
    exclude: Sequence[str] = (),
    **common: Unpack[SplitKeys],
) -> SequenceDataset:
    """The .ts files of the UCR and UEA archives (Bagnall et al. 2018): a line for each sample, ending in its class.

    Features are separated by colons, steps by commas; ``?`` is a missing value.

    Args:
        path: of the training samples, or of all.
        validation_path, test_path: further files. Without them splits are drawn.

    Raises:
        InputError: a file is not as described; errors of lines are reported together.
    """
    samples: list[Series] = []
    for split, part in (("train", path), ("validation", validation_path), ("test", test_path)):
        if part is not None:
            samples += read_ts_file(Path(part), split)
    return assemble_series(
        str(path),
        samples,
        goal="class",
        classes=classes,
        aliases=aliases,
        num_features=num_features,
        exclude=exclude,
        common=common,
    )


def read_ts_file(file: Path, split: str) -> list[Series]:
    """The samples of one .ts file.

    Raises:
        InputError: the file is not as described; errors of lines are reported together.
    """
    remedy = "Give a .ts file of the UCR or UEA archive."
    lines = read_text(file, noun=".ts file", max_bytes=MAX_BYTES, remedy=remedy).split("\n")
    start = next((number for number, line in enumerate(lines) if line.strip().lower() == "@data"), None)
    if start is None:
        raise InputError(f"{file}: there must be a line @data above the samples. {remedy}")
    header = [line.strip().lower().split() for line in lines[:start] if line.strip().startswith("@")]
    settings = {words[0]: words[1:] for words in header}
    if settings.get("@timestamps") == ["true"]:
        raise InputError(f"{file}: time stamps are not supported. Resample the series to steps without them.")
    if settings.get("@classlabel", ["true"])[:1] != ["true"]:
        raise InputError(f"{file}: samples must have a class. Received @classLabel false.")
    if settings.get("@targetlabel", ["false"])[:1] == ["true"]:
        raise InputError(f"{file}: samples must have a class. Received numbers to predict (@targetLabel true).")
    listed = [
        word for line in lines[:start] if line.strip().lower().startswith("@classlabel") for word in line.split()[2:]
    ]
    found: list[Series] = []
    errors: list[tuple[int, str]] = []
    for number, line in enumerate(lines[start + 1 :], start=start + 2):
        if not line.strip() or line.startswith("#"):
            continue
        *features, label = line.strip().split(":")
        error = "a sample must be features and a class, separated by ':'." if not features or not label else None
        columns: list[list[float]] = []
        for position, feature in enumerate(features, start=1):
            numbers = [math.nan if cell.strip() == "?" else parse_number(cell.strip()) for cell in feature.split(",")]
            invalid = [i for i, value in enumerate(numbers) if not (is_usable(value) or value != value)]
            if invalid and error is None:
                cell = printable(feature.split(",")[invalid[0]][:50])
                error = f"feature {position}, step {invalid[0] + 1} must be a number or '?'. Received '{cell}'."
            columns.append([value for value in numbers if value is not None])
        if error is None and listed and label.strip() not in listed:
            error = f"the class must be one that @classLabel lists. Received '{printable(label.strip()[:50])}'."
        if error is None and len({len(column) for column in columns}) > 1:
            lengths = ", ".join(str(len(column)) for column in columns)
            error = f"all features must have the same number of steps. Received {lengths}."
        if error is not None:
            errors.append((number, error))
            continue
        values = np.array(columns, np.float32).T
        found.append(Series(f"{printable(file.name)}:{number}", split, printable(label.strip()), values))
    refuse_errors(file, errors)
    if not found:
        raise InputError(f"{file}: there must be samples below @data. Received none.")
    return found
