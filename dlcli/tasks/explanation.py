"""What explanations of all tasks share: the class that is asked for, and the results of checks."""

import contextlib
import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcli.errors import InputError
from dlcli.explanation.checks.randomization import LARGEST_CORRELATION, is_failed
from dlcli.recipe.language.suggestions import did_you_mean
from dlcli.rundir.directory import RunDir
from dlcli.rundir.reading import read_json

SEEDS = (0, 1, 2)  # of randomized weights
MOST_NAMED = 10  # classes in a message
ENOUGH = 16
"""Samples of which a verdict counts, unless the correlation is near the limit."""
ROUNDING = 1e-6
FAILED, PASSED = "fails the randomization check", "passes the randomization check"


def check_target(target: str, classes: Sequence[str], *, has_labels: bool) -> None:
    """Refuse a class that the network does not have.

    Raises:
        InputError: it has none of that name, or the labels are asked for and not known.
    """
    if target == "label" and not has_labels:
        raise InputError("--class label: the labels of files are not known. Name a class, or leave the paths out.")
    if target not in ("predicted", "label"):
        class_index(target, classes)


def class_index(text: str, classes: Sequence[str]) -> int:
    """The position of a class, which is given by name or number.

    Raises:
        InputError: there is no such class.
    """
    if text in classes:
        return classes.index(text)
    is_number = text.isascii() and text.isdigit()
    if is_number and int(text) < len(classes):
        return int(text)
    hint = "" if is_number else did_you_mean(text, classes)
    if not hint:
        more = ", …" if len(classes) > MOST_NAMED else ""
        hint = f"; the classes are {', '.join(classes[:MOST_NAMED])}{more} (numbers 0 to {len(classes) - 1})."
    raise InputError(f"--class {text}: not a class of the network{hint}")


def digest_of(digests: Sequence[str]) -> str:
    """One digest of those of several images."""
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def statistic(values: NDArray[np.float64]) -> dict[str, Any]:
    """The mean of values ``[n]``, its standard error (None for a single value), and n."""
    error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None
    return {"mean": float(values.mean()), "standard_error": error, "n": len(values)}


def means_of_samples(values: NDArray[np.float64], owners: NDArray[np.int64]) -> NDArray[np.float64]:
    """The mean of each sample's outputs, but for those without a value (NaN); samples without any are left out.

    Args:
        values: of the outputs ``[n]``.
        owners: the number of the sample of each ``[n]``.
    """
    has_value = ~np.isnan(values)
    counts = np.bincount(owners[has_value])
    sums = np.bincount(owners[has_value], weights=values[has_value])
    return np.asarray(sums[counts > 0] / counts[counts > 0])


def weakness(found: Sequence[Mapping[str, Any]], *, limit: float, noun: str) -> str | None:
    """Why a verdict on some samples is weak, and how many would do; None if it is not.

    It is on fewer than 16 samples, or the largest correlation is within two standard errors of the limit.

    Args:
        found: the correlations, as :func:`statistic` returns them.
        limit: the largest correlation of a method that passes.
        noun: of one sample, such as ``image``.
    """
    largest = max(found, key=lambda of_part: float(of_part["mean"]))
    number, error = int(largest["n"]), largest["standard_error"]
    distance = max(abs(largest["mean"] - limit), 1e-3)
    needed = ENOUGH if error is None else math.ceil(number * (2 * error / distance) ** 2 - ROUNDING)
    if number >= max(ENOUGH, needed):
        return None
    return f"weak: on {number:,} {noun}{'' if number == 1 else 's'}; {max(ENOUGH, needed):,} would do"


def with_verdict(parts: Mapping[str, Any], *, noun: str) -> dict[str, Any]:
    """The correlations with randomized networks, with the verdict on the method and what makes it weak.

    Args:
        parts: what is known of each part of the weights, as :func:`statistic` returns it.
        noun: of the samples, as in :func:`weakness`.
    """
    found = list(parts.values())
    is_bad = is_failed([of_part["mean"] for of_part in found])
    weak = weakness(found, limit=LARGEST_CORRELATION, noun=noun)
    return {**parts, "verdict": FAILED if is_bad else PASSED, "weak": weak}


def verdicts(check: Mapping[str, Any]) -> dict[str, str]:
    """The verdict of the randomization check on each method."""
    return {name: str(found["verdict"]) for name, found in check["randomization"]["methods"].items()}


def recorded_verdicts(
    run: RunDir, digest: str, methods: Sequence[str], *, layer: str | None = None, with_layer: Sequence[str] = ()
) -> dict[str, str]:
    """The verdicts of earlier checks of the same model, by method; those that failed win.

    Args:
        digest: the SHA-256 of the model's file.
        layer: that of the methods in ``with_layer``, for which alone it counts.
    """
    found: dict[str, str] = {}
    for file in sorted(run.explanations.glob("*/check.json")):
        with contextlib.suppress(InputError, OSError, KeyError, TypeError, AttributeError):
            check = read_json(file)
            if check["sha256"] != digest:
                continue
            for name, verdict in verdicts(check).items():
                is_same = name in methods and (name not in with_layer or _layer_of(check, name) == layer)
                if is_same and found.get(name) != FAILED:
                    found[name] = verdict
    return found


def _layer_of(check: Mapping[str, Any], method: str) -> Any:
    """The layer of a method in a check; an earlier version recorded one for all methods."""
    return check["randomization"]["methods"][method].get("layer", check.get("layer"))
