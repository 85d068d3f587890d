"""Byte-pair encoding as it is learned: by hand, and like the library tokenizers."""

import itertools
import json
from collections import Counter

import numpy as np
import pytest

from dlcli.data.text.merges import joined, with_merges
from dlcli.data.text.vocabulary import FIRST, Vocabulary


def ids_of(word: str, alphabet: str) -> tuple[int, ...]:
    return tuple(FIRST + alphabet.index(character) for character in word)


def test_the_most_frequent_pairs_are_joined_first() -> None:
    # the example of Sennrich et al. 2016, with counts that leave no ties
    alphabet = "estwlnoidr"
    counts = {"low": 5, "lower": 2, "newest": 6, "widest": 3}
    segments = {ids_of(word, alphabet): count for word, count in counts.items()}
    found = with_merges(Vocabulary.plain(alphabet), segments, max_vocabulary=14, min_count=2)
    assert found.tokens[len(alphabet) :] == ("es", "est", "lo", "low")
    assert found.merges[:2] == ((2, 3, 12), (12, 4, 13))
    assert found.alphabet == Vocabulary.plain(alphabet)
    seldom = with_merges(Vocabulary.plain(alphabet), segments, max_vocabulary=100, min_count=7)
    assert seldom.tokens[len(alphabet) :] == ("es", "est", "lo", "low")


def test_nothing_is_joined_in_texts_without_pairs() -> None:
    found = with_merges(Vocabulary.plain("ab"), {(2,): 5, (): 1}, max_vocabulary=10, min_count=1)
    assert (found.tokens, found.merges) == (("a", "b"), ())


def test_equal_symbols_are_joined_from_the_left() -> None:
    assert joined([4, 4, 4, 5, 4], (4, 4), 9) == [9, 4, 5, 4]


def test_it_learns_the_merges_of_the_library_tokenizers() -> None:
    tokenizers = pytest.importorskip("tokenizers")
    rng = np.random.default_rng(0)
    syllables = ["".join(pair) for pair in itertools.product("bdfgkl", "aeiou")]
    words = Counter("".join(rng.choice(syllables, rng.integers(1, 5))) for _ in range(3000))
    alphabet = "".join(sorted({character for word in words for character in word}))
    segments = {ids_of(word, alphabet): count for word, count in words.items()}
    found = with_merges(Vocabulary.plain(alphabet), segments, max_vocabulary=400, min_count=3)
    peer = tokenizers.Tokenizer(tokenizers.models.BPE())
    peer.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=400, min_frequency=3, special_tokens=[], initial_alphabet=list(alphabet), show_progress=False
    )
    peer.train_from_iterator([" ".join(words.elements())], trainer)
    theirs = json.loads(peer.to_str())["model"]["merges"]
    assert len(theirs) > 200
    assert [[found.tokens[number - FIRST] for number in merge[:2]] for merge in found.merges] == theirs
