"""The vocabulary of tokens, fitted on the training split, and texts as token ids."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcli.data.sequences.ragged import Ragged

Split = Callable[[Sequence[str] | None], Any]
"""Makes a layer that splits text into forms and numbers them from 2: the given ones, or those it is adapted to."""

Merge = tuple[int, int, int]
"""The ids of two neighboring tokens, and of the token that they are joined to."""

PADDING, UNKNOWN = 0, 1  # ids without a token
END = PADDING  # as a target: the end of a text; inputs do not contain it
FIRST = 2  # id of the first token
RESERVED = {"", "[UNK]"}  # Keras's words for padding and unknown tokens
AT_A_TIME = 1024  # texts split in one call


@dataclass(frozen=True)
class Vectors:
    """Pretrained vectors of a vocabulary.

    Attributes:
        table: the vector of each id, float32 ``[ids, size]``.
        num_found: number of tokens of the training texts that have one.
        num_added: number of further tokens, which are the last ones of the vocabulary.
    """

    table: NDArray[np.float32]
    num_found: int
    num_added: int


@dataclass(frozen=True)
class Vocabulary:
    """The tokens, and their spellings in text.

    Attributes:
        tokens: the most frequent first; the id of the i-th is ``FIRST + i``.
        forms: spellings as they occur in text.
        token_of_form: the id of each form's token.
        characters: those of words whose characters are an input too; the id of the i-th is ``FIRST + i``.
        alphabet: of subwords, the characters that they are joined from; they are the first tokens.
        merges: of subwords by byte-pair encoding, in the order in which they were learned.
        scores: of subwords of a unigram model, the log probability of each token.
        vectors: the initial embeddings, if they are pretrained.
    """

    tokens: tuple[str, ...]
    forms: tuple[str, ...]
    token_of_form: tuple[int, ...]
    characters: tuple[str, ...] = ()
    alphabet: "Vocabulary | None" = None
    merges: tuple[Merge, ...] = ()
    scores: tuple[float, ...] = ()
    vectors: Vectors | None = field(default=None, compare=False, repr=False)

    @classmethod
    def plain(cls, tokens: Sequence[str]) -> "Vocabulary":
        """A vocabulary whose tokens have only their own spelling."""
        return cls(tuple(tokens), tuple(tokens), tuple(range(FIRST, FIRST + len(tokens))))

    @property
    def size(self) -> int:
        """The number of ids, including padding and unknown."""
        return FIRST + len(self.tokens)


def fit_vocabulary(
    texts: Sequence[str], *, split: Split, lower: bool, max_vocabulary: int, min_count: int
) -> Vocabulary:
    """The tokens of the training texts, sorted by frequency, then by their characters.

    Args:
        split: see :data:`Split`.
        lower: whether to lowercase tokens, in every script.
        max_vocabulary: the largest number of tokens.
        min_count: tokens that occur less often are unknown.
    """
    layer = split(None)
    layer.adapt(list(texts))
    found = [str(form) for form in layer.get_vocabulary(include_special_tokens=False)]
    if not found:
        return Vocabulary((), (), ())
    counts = np.zeros(FIRST + len(found), np.int64)
    for start in range(0, len(texts), AT_A_TIME):
        ids = np.asarray(layer(list(texts[start : start + AT_A_TIME])))
        counts += np.bincount(ids.ravel(), minlength=len(counts))
    count_of: dict[str, int] = defaultdict(int)
    for form, count in zip(found, counts[FIRST:].tolist(), strict=True):
        count_of[form.lower() if lower else form] += count
    return _ranked(count_of, set(found), _spellings, lower=lower, max_vocabulary=max_vocabulary, min_count=min_count)


def fit_words(sentences: Sequence[Sequence[str]], *, lower: bool, max_vocabulary: int, min_count: int) -> Vocabulary:
    """The vocabulary of sentences that are already split into words, each of which is a token.

    Args:
        lower, max_vocabulary, min_count: as for :func:`fit_vocabulary`.
    """
    count_of: dict[str, int] = defaultdict(int)
    found = {word for sentence in sentences for word in sentence} - RESERVED
    for sentence in sentences:
        for word in sentence:
            if word in found:
                count_of[word.lower() if lower else word] += 1
    return _ranked(
        count_of,
        found,
        _spellings_of_word,
        lower=lower,
        max_vocabulary=max_vocabulary,
        min_count=min_count,
    )


def _ranked(
    count_of: Mapping[str, int],
    found: set[str],
    spellings: Callable[[str], list[str]],
    *,
    lower: bool,
    max_vocabulary: int,
    min_count: int,
) -> Vocabulary:
    """The most frequent tokens, and all their spellings.

    Args:
        count_of: how often each token occurs.
        found: the forms in the training split.
        spellings: further spellings of a token.
    """
    ranked = sorted(count_of.keys() - RESERVED, key=lambda token: (-count_of[token], token))
    tokens = [token for token in ranked if count_of[token] >= min_count][:max_vocabulary]
    id_of = {token: FIRST + i for i, token in enumerate(tokens)}
    forms = dict.fromkeys(tokens)
    if lower:  # also spellings that the training split does not contain
        spelled = {spelling for token in tokens for spelling in spellings(token)} | found
        forms |= dict.fromkeys(sorted(form for form in spelled if form.lower() in id_of))
    return Vocabulary(tuple(tokens), tuple(forms), tuple(id_of[form.lower() if lower else form] for form in forms))


def extended(vocabulary: Vocabulary, words: Sequence[str], *, lower: bool, is_split: bool) -> Vocabulary:
    """The vocabulary with further words, after its own.

    Args:
        lower: as for :func:`fit_vocabulary`.
        is_split: texts are split into words already, as for :func:`fit_words`.
    """
    id_of = {word: FIRST + len(vocabulary.tokens) + i for i, word in enumerate(words)}
    forms = {form: id_of[form] for form in words}
    if lower:
        spellings = _spellings_of_word if is_split else _spellings
        for word in words:
            forms |= {form: id_of[word] for form in spellings(word) if form.lower() == word}
    known = set(vocabulary.forms)
    forms = {form: number for form, number in forms.items() if form not in known}
    return replace(
        vocabulary,
        tokens=(*vocabulary.tokens, *words),
        forms=(*vocabulary.forms, *forms),
        token_of_form=(*vocabulary.token_of_form, *forms.values()),
    )


def encode_words(
    sentences: Sequence[Sequence[str]], vocabulary: Vocabulary, *, max_length: int, num_characters: int = 0
) -> Ragged:
    """Each sentence as the ids of its words, int32; an empty sentence becomes one UNKNOWN.

    Args:
        num_characters: if it is not 0, a word is its id and those of so many of its characters, padded with PADDING:
            int32 ``[1 + num_characters]``.
    """
    id_of = dict(zip(vocabulary.forms, vocabulary.token_of_form, strict=True))
    if num_characters:
        id_of_character = {character: FIRST + i for i, character in enumerate(vocabulary.characters)}

        def of_word(word: str) -> list[int]:
            ids = [id_of_character.get(character, UNKNOWN) for character in word[:num_characters]]
            return [id_of.get(word, UNKNOWN), *ids, *[PADDING] * (num_characters - len(ids))]

        return Ragged.join(
            [
                np.array([of_word(word) for word in sentence[:max_length]] or [of_word("")], np.int32)
                for sentence in sentences
            ]
        )
    return Ragged.join(
        [
            np.array([id_of.get(word, UNKNOWN) for word in sentence[:max_length]] or [UNKNOWN], np.int32)
            for sentence in sentences
        ]
    )


def _spellings_of_word(token: str) -> list[str]:
    return [token.upper(), token.capitalize()]


def _spellings(token: str) -> list[str]:
    """The token with its non-ASCII letters in upper and title case; the splitting layer lowercases ASCII itself."""
    return [
        "".join(c if c.isascii() else d for c, d in zip(token, spelled, strict=True))
        for spelled in (token.upper(), token.capitalize())
        if len(spelled) == len(token)
    ]


def encode(texts: Sequence[str], vocabulary: Vocabulary, *, split: Split, max_length: int | None) -> Ragged:
    """Each text as the ids of its tokens, int32; a text without tokens becomes one UNKNOWN."""
    layer = split(vocabulary.forms)
    table = np.array([PADDING, UNKNOWN, *vocabulary.token_of_form], np.int32)
    sequences = []
    for start in range(0, len(texts), AT_A_TIME):
        ids = table[np.asarray(layer(list(texts[start : start + AT_A_TIME])))][:, :max_length]
        for row in ids:
            length = int((row != PADDING).sum())
            sequences.append(row[:length] if length else np.array([UNKNOWN], np.int32))
    return Ragged.join(sequences)
