"""Explanations of texts in a report: their tokens in colors."""

import contextlib
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dlcli.errors import InputError
from dlcli.report.page.page import MarkedText
from dlcli.rundir.tables import read_csv

MAX_TEXTS = 8
MAX_TOKENS = 300  # of a text


def marked_texts(folder: Path, content: Mapping[str, Any]) -> list[MarkedText]:
    """The texts of an explanation by its first method; none if it has no texts, or they cannot be read.

    Args:
        folder: of the explanation.
        content: of its explanation.json.
    """
    found: list[MarkedText] = []
    with contextlib.suppress(InputError, OSError, KeyError, IndexError, ValueError, TypeError):
        if not (folder / "tokens.csv").exists():
            return []
        method = str(content["settings"]["methods"][0])
        separator = "" if content["settings"].get("unit") == "characters" else " "
        rows = read_csv(folder / "tokens.csv")
        titles = {row["file"]: f"{row['file']}: {row['class']}" for row in read_csv(folder / "explanations.csv")}
        for name, tokens in itertools.islice(itertools.groupby(rows, lambda row: row["file"]), MAX_TEXTS):
            pairs = [(row["token"], float(row[method])) for row in itertools.islice(tokens, MAX_TOKENS)]
            found.append(MarkedText(titles.get(name, name), pairs, separator, f"by {method}"))
    return found
