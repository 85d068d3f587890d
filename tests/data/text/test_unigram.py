"""Unigram subwords as SentencePiece learns them."""

import sys
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest

from dlcli.data.text.unigram import _train, with_scores
from dlcli.data.text.vocabulary import FIRST, Vocabulary
from dlcli.errors import InputError


def segments() -> tuple[Vocabulary, Counter[tuple[int, ...]]]:
    rng = np.random.default_rng(0)
    stems, ends = ("walk", "talk", "jump", "read"), ("", "s", "ed", "ing", "er")
    words = Counter(f" {rng.choice(stems)}{rng.choice(ends)}" for _ in range(500))
    alphabet = "".join(sorted({character for word in words for character in word}))
    ids = {tuple(FIRST + alphabet.index(c) for c in word): count for word, count in words.items()}
    return Vocabulary.plain(alphabet), Counter(ids)


def test_frequent_parts_of_words_become_pieces() -> None:
    pytest.importorskip("sentencepiece")
    alphabet, counts = segments()
    found = with_scores(alphabet, counts, max_vocabulary=40)
    size = len(alphabet.tokens)
    assert found.tokens[:size] == alphabet.tokens
    assert size < len(found.tokens) <= 40
    assert {" walk", " jump"} <= set(found.tokens)
    further = found.scores[size:]
    assert list(further) == sorted(further, reverse=True)
    assert sum(np.exp(found.scores)) == pytest.approx(1.0, abs=0.2)  # some pieces were removed at the end
    again = with_scores(alphabet, counts, max_vocabulary=40)
    assert (again, again.scores) == (found, found.scores)


@pytest.mark.parametrize("counts", [{}, {(): 3}, {(2, 3): 1}])
def test_characters_alone_if_there_is_nothing_to_learn(counts: dict[tuple[int, ...], int]) -> None:
    pytest.importorskip("sentencepiece")
    most = 2 if (2, 3) in counts else 10
    found = with_scores(Vocabulary.plain("ab"), counts, max_vocabulary=most)
    assert (found.tokens, len(found.scores)) == (("a", "b"), 2)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    with pytest.raises(
        InputError, match=r"^text\.tokenizer: unigram needs the package sentencepiece\. Install it with"
    ):
        with_scores(*segments(), max_vocabulary=40)


def test_what_sentencepiece_cannot_learn_is_refused() -> None:
    def train(**settings: object) -> None:
        raise RuntimeError(f"Internal: too few of {settings['input']}")

    with pytest.raises(InputError, match=r"cannot learn a unigram model .*\(Internal: too few of a\.tsv\)\. Set bpe\."):
        _train(SimpleNamespace(train=train), input="a.tsv")
