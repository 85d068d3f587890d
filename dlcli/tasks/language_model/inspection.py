"""What ``dlcli data`` reports about the text of a language model."""

from collections.abc import Iterator
from typing import Any

from dlcli.data.text.corpus import LongTexts
from dlcli.tasks.inspection import Finding, about_warnings, report, some


def check(dataset: LongTexts) -> dict[str, Any]:
    """What ``dlcli data check`` writes about one long text."""
    return report(counts(dataset), [*about_warnings(dataset), *_about_characters(dataset)])


def counts(dataset: LongTexts) -> dict[str, dict[str, int]]:
    """The characters of each split."""
    return {name: {"characters": len(split)} for name, split in dataset.splits.items()}


def stats(dataset: LongTexts) -> dict[str, Any]:
    """The characters, words and lines of each split: how many there are, and how many different ones."""
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


def _about_characters(dataset: LongTexts) -> Iterator[Finding]:
    known = set(dataset.splits["train"].text)
    for name, passage in dataset.splits.items():
        strangers = sorted(set(passage.text) - known)
        if strangers:
            shown = some([repr(character) for character in strangers])
            yield Finding("unknown", False, f"{name} has characters that train lacks: {shown}", tuple(strangers))
