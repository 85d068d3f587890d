"""Pretrained word vectors as the initial embeddings of a vocabulary's words."""

import string
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from dlcli.data.text.vectors import read_vectors
from dlcli.data.text.vocabulary import FIRST, UNKNOWN, Vectors, Vocabulary, extended
from dlcli.errors import InputError
from dlcli.recipe.load import LoadedRecipe
from dlcli.recipe.sections.text_data import ClassifiedTokens
from dlcli.recipe.tasks.tagging import Words
from dlcli.rundir.directory import RunDir
from dlcli.tasks.sequences.tokens import encodable, read_vocabulary

PUNCTUATION = frozenset(string.punctuation)  # what Keras strips


def with_vectors(
    loaded: LoadedRecipe, section: ClassifiedTokens | Words, vocabulary: Vocabulary, *, seed: int, is_new: bool
) -> Vocabulary:
    """The vocabulary with the vectors of ``text.pretrained``, filled up with words of that file; as it is without one.

    The vector of the unknown word is the mean. Words of the training texts that the file lacks have random vectors, of
    the same variance (Kim 2014, section 3.1).

    Args:
        seed: of the random vectors.
        is_new: False for a run that is resumed, whose words must be the same.

    Raises:
        InputError: the file cannot be used, or is not that of the run.
    """
    if section.pretrained is None:
        return vocabulary
    path, fitted = Path(section.pretrained), vocabulary.tokens
    found, size = read_vectors(
        path,
        fitted,
        num_others=section.max_vocabulary - len(fitted),
        is_token=lambda word: _is_token(word, section),
    )
    if size != section.embedding:
        raise loaded.error(
            "text.embedding", f"must be {size}, the size of the vectors in {path}; it is {section.embedding}"
        )
    num_found = sum(token in found for token in fitted)
    if not num_found:
        raise InputError(
            f"{path}: must have vectors of words in the training texts. Received none of their {len(fitted):,} words: "
            "they may be in another language, or spelled in another case."
        )
    others = [word for word in found if word not in set(fitted)]
    vocabulary = extended(vocabulary, others, lower=_is_lower(section), is_split=isinstance(section, Words))
    if not is_new and read_vocabulary(RunDir(loaded.path.parent).vocabulary) != vocabulary.tokens:
        raise InputError(f"{path}: has other words than when this run was started. Restore it from a copy.")
    return replace(vocabulary, vectors=Vectors(_table(vocabulary.tokens, found, size, seed), num_found, len(others)))


def _table(tokens: Sequence[str], found: dict[str, np.ndarray], size: int, seed: int) -> np.ndarray:
    known = np.stack(list(found.values()))
    generator = np.random.Generator(np.random.PCG64(seed))
    table = generator.normal(0.0, float(known.std()), (FIRST + len(tokens), size)).astype(np.float32)
    table[:FIRST] = 0.0
    table[UNKNOWN] = known.mean(axis=0)
    for row, token in enumerate(tokens, start=FIRST):
        if token in found:
            table[row] = found[token]
    return table


def _is_lower(section: ClassifiedTokens | Words) -> bool:
    return section.lowercase if isinstance(section, Words) else section.final_standardize.startswith("lower")


def _is_token(word: str, section: ClassifiedTokens | Words) -> bool:
    """Whether a word of a file can be a token of a text."""
    if word != encodable(word) or any(character.isspace() for character in word):
        return False
    if isinstance(section, ClassifiedTokens) and section.final_standardize.endswith("strip_punctuation"):
        return not PUNCTUATION & set(word) and not (_is_lower(section) and word != word.lower())
    return not (_is_lower(section) and word != word.lower())


def coverage(vocabulary: Vocabulary) -> list[str]:
    """A line on how many words have pretrained vectors; none without these."""
    vectors = vocabulary.vectors
    if vectors is None:
        return []
    fitted = len(vocabulary.tokens) - vectors.num_added
    return [
        f"text.pretrained: {vectors.num_found:,} of the {fitted:,} words of the training texts have vectors; "
        f"{vectors.num_added:,} further words of the file are in the vocabulary"
    ]
