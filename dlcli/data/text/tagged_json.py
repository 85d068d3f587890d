"""Sentences with a tag for each word as JSON lines: ``{"words": ["to", "Boston"], "tags": ["O", "B-PLACE"]}``."""

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

from dlcli.data.files import printable
from dlcli.data.listing import NO_ALIASES, SplitKeys, is_encodable, name_some
from dlcli.data.sequences.dataset import SequenceDataset
from dlcli.data.split_folders import files_by_split
from dlcli.data.text.json_lines import JSON_LINES, BadLine, json_object, read_json_lines
from dlcli.data.text.tagged import Sentence, assemble_tags

EXAMPLE = '{"words": […], "tags": […]}'


def read_tagged_json(
    *,
    path: str | Path,
    validation_path: str | Path | None,
    test_path: str | Path | None,
    words: str,
    tags: str,
    encoding: str,
    classes: tuple[str, ...] | None = None,
    aliases: Mapping[str, str] = NO_ALIASES,
    exclude: Sequence[str] = (),
    **common: Unpack[SplitKeys],
) -> SequenceDataset:
    """A sentence on each line, as an object with a list of words and one of as many tags.

    Args:
        words, tags: the keys of the lists. All others are those of :func:`dlcli.data.text.tagged.read_conllu`.

    Raises:
        InputError: a file is not as described; errors of lines are reported together.
    """
    files = files_by_split(Path(path), suffixes=JSON_LINES, validation_path=validation_path, test_path=test_path)
    sentences = {
        split: json_sentences(file, words=words, tags=tags, encoding=encoding) for split, file in files.items()
    }
    return assemble_tags(str(path), files, sentences, classes=classes, aliases=aliases, exclude=exclude, common=common)


def json_sentences(file: Path, *, words: str, tags: str | None, encoding: str) -> list[Sentence]:
    """The sentences of a file; those without words are skipped.

    Args:
        tags: the key of the tags; None if they are not needed, and then empty.

    Raises:
        InputError: the file cannot be read, or lines are invalid.
    """

    def sentence(line: int, values: dict[str, Any]) -> Sentence:
        forms = _texts(values, words)
        names = ("",) * len(forms) if tags is None else _texts(values, tags)
        if len(forms) != len(names):
            raise BadLine(f"there must be a tag for each word. Received {len(forms)} words and {len(names)} tags.")
        return Sentence(line, forms, names)

    return [found for found in read_json_lines(file, encoding, EXAMPLE, sentence) if found.words]


def tag_keys(text: str) -> tuple[str, str] | None:
    """The keys of the words and of the tags in a text of JSON lines: the first two lists of texts of one length in its
    first line; None if it has no two.
    """
    try:
        values = json_object(text.split("\n", 1)[0], EXAMPLE)
    except BadLine:
        return None
    lists = {
        key: len(cells)
        for key, cells in values.items()
        if isinstance(cells, list) and cells and all(isinstance(cell, str) for cell in cells)
    }
    pairs = [(one, other) for one, other in itertools.combinations(lists, 2) if lists[one] == lists[other]]
    return pairs[0] if pairs else None


def _texts(values: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """A list of texts, without white space around them.

    Raises:
        BadLine: there is none.
    """
    if key not in values:
        raise BadLine(f"there must be '{printable(key)}'. Received {name_some([printable(name) for name in values])}.")
    cells = values[key]
    if not isinstance(cells, list):
        raise BadLine(f"'{printable(key)}' must be a list of texts. Received {_shown(cells)}.")
    for cell in cells:
        if not isinstance(cell, str) or not cell.strip() or not is_encodable(cell):
            raise BadLine(f"'{printable(key)}' must hold texts that are not empty. Received {_shown(cell)}.")
    return tuple(cell.strip() for cell in cells)


def _shown(value: Any) -> str:
    return printable(json.dumps(value)[:50])
