"""Sentences with a tag for each word: in CoNLL-U (Universal Dependencies), or with a word and its tag on each line."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Unpack

import numpy as np

from dlcli.data.annotations import Items
from dlcli.data.files import printable
from dlcli.data.listing import NO_ALIASES, Listing, SplitKeys, index_labels, name_some
from dlcli.data.sequences.dataset import SequenceDataset, assemble_sequences
from dlcli.data.sequences.ragged import Ragged
from dlcli.data.split_folders import files_by_split
from dlcli.data.splits import SPLITS, DataWarning
from dlcli.data.table import refuse_errors
from dlcli.data.text.files import read_content
from dlcli.errors import InputError
from dlcli.files import suffix_of

WordOf = Callable[[list[str]], tuple[str, str] | str | None]
DOCUMENT = "-DOCSTART-"  # the word of a line that marks the start of a document
NUM_COLUMNS = 10  # of CoNLL-U: a word's number, form, lemma, UPOS, XPOS, features, head, relation, …
COLUMNS = {"upos": 3, "xpos": 4, "deprel": 7}  # of CoNLL-U, those that can be tags
Column = Literal["upos", "xpos", "deprel"]


@dataclass(frozen=True)
class Sentence:
    """Words and their tags; ``line`` is that of the first word."""

    line: int
    words: tuple[str, ...]
    tags: tuple[str, ...]


def read_conllu(
    *,
    path: str | Path,
    validation_path: str | Path | None,
    test_path: str | Path | None,
    column: Column,
    encoding: str,
    classes: tuple[str, ...] | None = None,
    aliases: Mapping[str, str] = NO_ALIASES,
    exclude: Sequence[str] = (),
    **common: Unpack[SplitKeys],
) -> SequenceDataset:
    """The words of CoNLL-U files, tagged with one of the columns; ranges and empty nodes (1-2, 1.1) are skipped.

    Args:
        path: of the training sentences, or of all; or a folder with a file for each split.
        validation_path, test_path: further files. Without them splits are drawn.
        column: the one that contains the tags.
        classes: the tags of a trained model. Default: all tags found, sorted.

    Raises:
        InputError: a file is not as described; errors of lines are reported together.
    """

    def word_of(cells: list[str]) -> tuple[str, str] | str | None:
        if len(cells) != NUM_COLUMNS:
            return f"a word must have {NUM_COLUMNS} columns, separated by tabs. Received {len(cells)}."
        if "-" in cells[0] or "." in cells[0]:
            return None
        if not cells[0].isdigit():
            return f"the first column must be the word's number. Received '{printable(cells[0][:50])}'."
        if not cells[1] or not cells[COLUMNS[column]]:
            return "the word and its tag must not be empty."
        return cells[1], cells[COLUMNS[column]]

    files = files_by_split(Path(path), suffixes=(".conllu",), validation_path=validation_path, test_path=test_path)
    sentences = {
        split: list(_sentences(file, encoding, word_of, separator="\t", comment="#")) for split, file in files.items()
    }
    return assemble_tags(str(path), files, sentences, classes=classes, aliases=aliases, exclude=exclude, common=common)


def read_columns(
    *,
    path: str | Path,
    validation_path: str | Path | None,
    test_path: str | Path | None,
    encoding: str,
    classes: tuple[str, ...] | None = None,
    aliases: Mapping[str, str] = NO_ALIASES,
    exclude: Sequence[str] = (),
    **common: Unpack[SplitKeys],
) -> SequenceDataset:
    """A word and its tag on each line, and an empty line after each sentence. They are the first and last of columns
    that are separated by tabs or, in a line without tabs, by spaces. Lines that start a document (``-DOCSTART-``, as in
    CoNLL 2003) are skipped. Arguments and errors are those of :func:`read_conllu`.
    """

    files = files_by_split(Path(path), validation_path=validation_path, test_path=test_path)
    sentences = {
        split: list(_sentences(file, encoding, _first_and_last, separator=None, comment=None))
        for split, file in files.items()
    }
    return assemble_tags(str(path), files, sentences, classes=classes, aliases=aliases, exclude=exclude, common=common)


def _first_and_last(cells: list[str]) -> tuple[str, str] | str | None:
    """The word and the tag in a line of columns; None in one that starts a document."""
    if cells[0] == DOCUMENT:
        return None
    return (
        (cells[0], cells[-1])
        if len(cells) > 1
        else f"a line must have a word and a tag. Received '{_shown(cells[0])}'."
    )


def read_words(
    path: Path, *, encoding: str, tags: Collection[str] | None = None
) -> tuple[list[str], list[tuple[str, ...]]]:
    """The names and words of sentences to tag: from CoNLL-U (.conllu), from columns, or from a file with a sentence on
    each line.

    Args:
        tags: of a model that was trained on columns, which may be those of the file; None for another one.

    Raises:
        InputError: the file cannot be read.
    """
    if suffix_of(path) != ".conllu":
        text = _read(path, encoding)
        if tags is not None and _is_in_columns(text, tags):
            found = list(_sentences(path, encoding, _word_in_columns, separator=None, comment=None))
            return [f"{path}:{sentence.line}" for sentence in found], [sentence.words for sentence in found]
        lines = text.removesuffix("\n").split("\n") if text else []
        return [f"{path}:{i}" for i in range(1, len(lines) + 1)], [tuple(line.split()) for line in lines]

    def word_of(cells: list[str]) -> tuple[str, str] | str | None:
        if len(cells) < 2:
            return f"a word must have {NUM_COLUMNS} columns, separated by tabs. Received {len(cells)}."
        if "-" in cells[0] or "." in cells[0]:
            return None
        return (cells[1], "") if cells[1] else "the word must not be empty."

    found = list(_sentences(path, encoding, word_of, separator="\t", comment="#"))
    return [f"{path}:{sentence.line}" for sentence in found], [sentence.words for sentence in found]


def _is_in_columns(text: str, tags: Collection[str]) -> bool:
    """Whether a text is a word on each line, with or without columns after it: the lines have tabs, or end with a tag,
    or are single words with empty lines between sentences."""
    lines = [line for line in text.split("\n") if line.strip() and line.split()[0] != DOCUMENT]
    if not lines:
        return False
    if all("\t" in line.strip() for line in lines):
        return True
    cells = [line.split() for line in lines]
    if all(len(row) == 1 for row in cells):
        return len(lines) > 1 and "" in map(str.strip, text.strip().split("\n"))
    return all(len(row) > 1 and row[-1] in tags for row in cells)


def _word_in_columns(cells: list[str]) -> tuple[str, str] | None:
    """The word in the first of columns, beside what is in the last one; None in a line that starts a document."""
    return None if cells[0] == DOCUMENT else (cells[0], cells[-1])


def _shown(cell: str) -> str:
    return printable(cell[:50])


def _read(path: Path, encoding: str) -> str:
    return read_content(path, "file of sentences", encoding)


def _sentences(
    file: Path, encoding: str, word_of: WordOf, *, separator: str | None, comment: str | None
) -> Iterator[Sentence]:
    """The sentences of a file.

    Args:
        word_of: returns the word and tag in a line's columns, an error, or None to skip the line.
        separator: of columns; None for tabs or, in a line without tabs, white space.
        comment: the start of lines to skip.

    Raises:
        InputError: the file cannot be read, or lines are invalid.
    """
    errors: list[tuple[int, str]] = []
    words: list[tuple[int, str, str]] = []
    found: list[Sentence] = []
    for number, line in enumerate([*_read(file, encoding).split("\n"), ""], start=1):
        line = line.rstrip("\r")
        if not line.strip():
            if words:
                lines, forms, tags = zip(*words, strict=True)
                found.append(Sentence(lines[0], forms, tags))
                words = []
            continue
        if comment is not None and line.startswith(comment):
            continue
        by_tabs = separator is not None or "\t" in line
        word = word_of([cell.strip() for cell in line.split("\t")] if by_tabs else line.split())
        if isinstance(word, str):
            errors.append((number, word))
        elif word is not None and (not word[0] or not word[1]) and separator is None:
            errors.append((number, "the word and its tag must not be empty."))
        elif word is not None and separator is not None and not line.startswith(f"{len(words) + 1}\t"):
            must = f"the words of a sentence must be numbered from 1: {len(words) + 1} is next"
            errors.append((number, f"{must}, or an empty line. Received {printable(line.split()[0][:20])}."))
            words.append((number, *word))
        elif word is not None:
            words.append((number, *word))
    refuse_errors(file, errors)
    yield from found


def assemble_tags(
    source: str,
    files: Mapping[str, Path],
    sentences: Mapping[str, Sequence[Sentence]],
    *,
    classes: tuple[str, ...] | None,
    aliases: Mapping[str, str],
    exclude: Sequence[str],
    common: SplitKeys,
) -> SequenceDataset:
    """The data set of the sentences of each split.

    Raises:
        InputError: they cannot be trained on.
    """
    by_split = {split: sentences[split] for split in SPLITS if sentences.get(split)}
    if "train" not in by_split:
        raise InputError(f"{source}: there must be sentences to train on. Received none.")
    found = {split: [tag for sentence in part for tag in sentence.tags] for split, part in by_split.items()}
    # a rare tag may be only in other splits: it cannot be learned, and is always a wrong prediction there
    unlearned = sorted({tag for tags in found.values() for tag in tags} - set(found["train"]))
    warnings = []
    if unlearned and not classes:
        warnings.append(DataWarning("tags", f"train has no {name_some(unlearned)}, which cannot be learned."))
    every = classes or tuple(sorted({tag for tags in found.values() for tag in tags}))
    known, tags = index_labels(found, every, source=source, trained=every, aliases=aliases)
    if classes is None and len(set(found["train"])) < 2:
        raise InputError(f"{source}: there must be at least two tags. Received '{found['train'][0]}'.")
    listings = {
        split: Listing(
            names=tuple(f"{files[split].name}:{sentence.line}" for sentence in part),
            labels=np.zeros(len(part), np.int32),
            annotations={
                "words": Items(tuple(sentence.words for sentence in part)),
                "tags": Ragged(tags[split], np.array([len(sentence.words) for sentence in part], np.int64)),
            },
        )
        for split, part in by_split.items()
    }
    return assemble_sequences(
        listings, known, source=source, left_out=(), warnings=warnings, exclude=exclude, common=common
    )
