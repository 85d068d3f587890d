"""What the checks of explanations say of the methods, in a report: the content of a check.json as tables."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dlcli.errors import InputError
from dlcli.report.page.page import Table
from dlcli.rundir.reading import read_json

NOUNS = ("images", "texts", "sentences", "series", "forecasts")
"""The keys of the number of samples, by what they are."""
DIGITS = 3


def verdicts(path: Path) -> list[tuple[str, str]]:
    """The verdict of parameter randomization on each method."""
    with contextlib.suppress(InputError, OSError, KeyError, TypeError, AttributeError):
        methods = read_json(path)["randomization"]["methods"]
        return [
            (str(method), str(found["verdict"]) + (f" ({found['weak']})" if found.get("weak") else ""))
            for method, found in methods.items()
        ]
    return []


def tables(path: Path) -> list[Table]:
    """The verdicts, and what hiding or ordering the parts of samples says, beside what knows nothing of the network."""
    found = []
    rows = verdicts(path)
    with contextlib.suppress(InputError, OSError, KeyError, TypeError, AttributeError, ValueError, StopIteration):
        check = read_json(path)
        noun = next(noun for noun in NOUNS if noun in check)
        if rows:
            found.append(Table(["method", "parameter randomization"], rows, f"Checked on {check[noun]:,} {noun}"))
        found += _measured(check, noun)
    return found


def _measured(check: Mapping[str, Any], noun: str) -> Iterator[Table]:
    number = f"{check[noun]:,} {noun}"
    if "turned" in check:
        caption = f"Predictions that change when the top fifth of the tokens are made unknown, {number}"
        rows: list[Any] = [(name, found["mean"], found["standard_error"]) for name, found in check["turned"].items()]
        yield Table(["ranked by", "share", "standard error"], rows, caption)
    if check.get("insertion"):
        measured = check.get("measured", "probability of the class")
        caption = (
            f"Area below the {measured}, when the parts that come first are inserted (high is good) and deleted (low "
            f"is good), {number}; mean ± standard error"
        )
        kinds = ("insertion", "deletion")
        rows = [(name, *(_shown(check[kind].get(name)) for kind in kinds)) for name in check["insertion"]]
        yield Table(["ranked by", *kinds], rows, caption)


def _shown(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return ""
    error = found["standard_error"]
    return f"{found['mean']:.{DIGITS}f}" + ("" if error is None else f" ± {error:.{DIGITS}f}")
