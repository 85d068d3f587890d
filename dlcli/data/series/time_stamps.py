"""The time stamps of .ts files: steps written ``(time,value)``."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dlcli.data.files import printable
from dlcli.data.series.times import read_times
from dlcli.data.splits import DataWarning
from dlcli.data.table import refuse_errors

STAMPED = "Resample the features to common times."
BETWEEN_FEATURES = re.compile(r":(?![^(]*\))")  # not one inside parentheses, as in a time of day
STEP = re.compile(r"\(([^()]*),([^(),]*)\)")
TOLERANCE = 0.01  # of the usual distance between steps


def split_stamped(line: str) -> list[str]:
    """The features of a line, and what follows them."""
    return BETWEEN_FEATURES.split(line)


def stamped_cells(feature: str, position: int) -> tuple[list[str], list[str]]:
    """The times and the values of a feature's steps.

    Raises:
        ValueError: it is not a list of steps ``(time,value)``.
    """
    text = feature.strip()
    steps = STEP.findall(text)
    if not steps or ",".join(f"({time},{value})" for time, value in steps) != re.sub(r"\)\s*,\s*\(", "),(", text):
        shown = printable(text[:50])
        raise ValueError(f"feature {position} must be steps such as (0,1.5),(1,1.7). Received '{shown}'.")
    return [time.strip() for time, _ in steps], [value for _, value in steps]


def regular_steps(file: Path, lines: Sequence[int], stamps: Sequence[Sequence[str]]) -> list[DataWarning]:
    """Checks that times increase within each sample; a warning if steps are not equally spaced, which networks ignore.

    Args:
        lines: of the samples.
        stamps: the times of the steps of each.

    Raises:
        InputError: times cannot be read, or do not increase.
    """
    rows = [(line, (time,)) for line, of_sample in zip(lines, stamps, strict=True) for time in of_sample]
    times = read_times(rows, ("time",), source=str(file), time_format=None, day_first=None)
    refuse_errors(file, times.errors)
    ends = np.cumsum([len(of_sample) for of_sample in stamps])[:-1]
    errors: list[tuple[int, str]] = []
    num_irregular = 0
    for line, moments in zip(lines, np.split(np.array([moment[0] for moment in times.moments]), ends), strict=True):
        distances = np.diff(moments.astype(np.float64))
        if (distances <= 0).any():
            errors.append((line, f"times must increase. Step {int(np.argmax(distances <= 0)) + 2} is no later."))
        elif len(distances):
            usual = np.median(distances)
            num_irregular += bool((np.abs(distances - usual) > TOLERANCE * usual).any())
    refuse_errors(file, errors)
    if not num_irregular:
        return []
    text = f"{file}: {num_irregular:,} of {len(lines):,} series have steps at unequal distances in time, which the "
    return [DataWarning("times", text + "network does not see: resample them if that matters.")]
