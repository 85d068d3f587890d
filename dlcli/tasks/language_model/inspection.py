"""What ``dlcli data`` reports about the text of a language model."""

from collections.abc import Iterator

from dlcli.data.text.corpus import LongTexts
from dlcli.tasks.findings import Finding, some


def about_texts(dataset: LongTexts) -> Iterator[Finding]:
    known = set(dataset.splits["train"].text)
    for name, passage in dataset.splits.items():
        strangers = sorted(set(passage.text) - known)
        if strangers:
            shown = some([repr(character) for character in strangers])
            yield Finding("unknown", False, f"{name} has characters that train lacks: {shown}", tuple(strangers))
