"""What ``dlcli explain`` writes and shows of a text: rows for each method and for each token, and tokens in colors."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcli.data.text.pieces import pieces
from dlcli.data.text.vocabulary import FIRST, UNKNOWN
from dlcli.explanation.sequences.tokens import Ids
from dlcli.recipe.sections.text_data import Tokens
from dlcli.report.page.page import MarkedText, Section, render
from dlcli.rundir.directory import RunDir
from dlcli.tasks.explanation import FAILED
from dlcli.tasks.sequences.explanation import TextValues, described, note_of, strongest
from dlcli.tasks.sequences.tokens import read_vocabulary


def spelled_tokens(run: RunDir, tokens: Tokens, text: str, ids: Ids) -> list[str]:
    """The tokens of a text as it spells them, unknown ones too; else, and for subwords, as the vocabulary does."""
    if tokens.unit != "subwords":
        strips = tokens.final_standardize in ("lower_and_strip_punctuation", "strip_punctuation")
        found = pieces(text, unit=tokens.unit, strips_punctuation=strips)
        if len(found) == len(ids) or (len(ids) == tokens.max_length and len(found) > len(ids)):
            return found[: len(ids)]
    vocabulary = read_vocabulary(run.vocabulary)
    return [vocabulary[number - FIRST] if number >= FIRST else "[UNK]" for number in ids]


def explanation_rows(
    names: Sequence[str],
    columns: Sequence[Mapping[str, Any]],
    found: Mapping[str, TextValues],
    known: Mapping[str, str],
) -> list[dict[str, Any]]:
    """The rows of explanations.csv: one for each text and method.

    Args:
        columns: what is explained of each text.
        known: the verdict on each method, if there is one.
    """
    rows = []
    for position, name in enumerate(names):
        for method, of_method in found.items():
            values, facts = of_method.values[position], of_method.facts[position]
            rows.append(
                {
                    "file": name,
                    **columns[position],
                    "method": method,
                    "steps": facts.get("steps"),
                    "completeness_error": facts.get("completeness_error"),
                    "largest": float(np.abs(values).max()),
                    "sum": float(values.sum()),
                    "note": note_of(values, facts),
                    "check": known.get(method),
                }
            )
    return rows


def token_rows(
    names: Sequence[str],
    ids: Sequence[Ids],
    spelled: Sequence[Sequence[str]],
    values: Mapping[str, Sequence[NDArray[np.float64]]],
) -> list[dict[str, Any]]:
    """The rows of tokens.csv: one for each token of each text."""
    return [
        {
            "file": name,
            "position": step + 1,
            "token": spelled[position][step],
            "known": "yes" if ids[position][step] != UNKNOWN else "no",
            **{key: f"{of_texts[position][step]:.6g}" for key, of_texts in values.items()},
        }
        for position, name in enumerate(names)
        for step in range(len(ids[position]))
    ]


def marked_texts(
    titles: Sequence[str],
    spelled: Sequence[Sequence[str]],
    values: Mapping[str, Sequence[NDArray[np.float64]]],
    rows: Sequence[Mapping[str, Any]],
    separator: str,
) -> list[list[MarkedText]]:
    """For each text its tokens, marked by each method and by the log-odds."""
    num_methods = len(rows) // len(titles)
    marked: list[list[MarkedText]] = []
    for position, tokens in enumerate(spelled):
        of_method = {row["method"]: row for row in rows[position * num_methods : (position + 1) * num_methods]}
        of_text = []
        for method, of_texts in values.items():
            pairs = list(zip(tokens, of_texts[position].tolist(), strict=True))
            row = of_method.get(method)
            title = "naive log-odds of the training texts" if row is None else described(method, row, row["note"])
            check = f" ({row['check']})" if row and row["check"] == FAILED else ""
            note = ": ".join(filter(None, [title + check, strongest(pairs)]))
            of_text.append(MarkedText(title + check, pairs, separator, note))
        marked.append(of_text)
    return marked


def page_of(
    run: RunDir, titles: Sequence[str], marked: Sequence[Sequence[MarkedText]], source: str, meaning: str
) -> str:
    """The page of all texts; ``meaning`` is that of the colors."""
    sections = [
        Section("How to read it", [meaning]),
        *(
            Section(
                title,
                texts=[MarkedText(text.title, text.tokens, text.separator, strongest(text.tokens)) for text in of_text],
            )
            for title, of_text in zip(titles, marked, strict=True)
        ),
    ]
    return render(f"{run.path.name}: what each token says", f"Texts from: {source}", sections)
