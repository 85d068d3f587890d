"""What ``dlcli data`` reports about the text of a language model."""

from collections.abc import Iterator
from typing import Any

from dlcli.data.text.corpus import LongTexts
from dlcli.tasks.inspection import Finding, report, some, warning_findings


def check(dataset: LongTexts) -> dict[str, Any]:
    """The report of ``dlcli data check`` on one long text."""
    return report(counts(dataset), [*warning_findings(dataset), *_character_findings(dataset)])


def counts(dataset: LongTexts) -> dict[str, dict[str, int]]:
    """The number of characters in each split."""
    return {name: {"characters": len(split)} for name, split in dataset.splits.items()}


def stats(dataset: LongTexts) -> dict[str, Any]:
    """Characters, words and lines of each split: the total number, and the number of distinct ones."""
    texts = {}
    for name, passage in dataset.splits.items():
        parts = {"characters": passage.text, "words": passage.text.split(), "lines": passage.text.splitlines()}
        texts[name] = {unit: [len(items), len(set(items))] for unit, items in parts.items()}
    return {
        "samples": {name: len(split) for name, split in dataset.splits.items()},
        "lengths": {},
        "features": [],
        "texts": texts,
    }


def _character_findings(dataset: LongTexts) -> Iterator[Finding]:
    known = set(dataset.splits["train"].text)
    for name, passage in dataset.splits.items():
        unknown = sorted(set(passage.text) - known)
        if unknown:
            shown = some([repr(character) for character in unknown])
            yield Finding(
                "unknown characters",
                False,
                f"{name} has characters that do not occur in train: {shown}",
                tuple(unknown),
            )
