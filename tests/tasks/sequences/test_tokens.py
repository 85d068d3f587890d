"""Vocabularies in files, and which texts are longer than the network reads."""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from dlcli.data.text.vocabulary import FIRST, UNKNOWN, Vocabulary
from dlcli.errors import InputError
from dlcli.recipe.sections.text_data import Tokens
from dlcli.tasks.sequences.tokens import (
    check_tokens,
    count_longer,
    cut_lines,
    encodable,
    encode_texts,
    read_vocabulary,
    standardized_pieces,
    unknown_lines,
    write_vocabulary,
)

STRANGE = ("\n", "\r\n", "\u2028", "\x85", '"', "\\", "\x1b[31m", "é", " ")


def test_any_token_survives_the_file(tmp_path: Path) -> None:
    file = tmp_path / "vocabulary.txt"
    write_vocabulary(file, Vocabulary.plain(STRANGE))
    assert read_vocabulary(file) == STRANGE
    assert file.read_bytes().count(b"\n") == len(STRANGE)
    file.write_text('"\u2028"\n"\x85"\n', encoding="utf-8")  # without escapes, as older versions wrote it
    assert read_vocabulary(file) == ("\u2028", "\x85")


@pytest.mark.parametrize("content", ["", "a\n", "1\n", '"a"\n\n', '"a"\n["b"]\n', "[" * 100_000])
def test_corrupt_vocabulary(content: str, tmp_path: Path) -> None:
    file = tmp_path / "vocabulary.txt"
    file.write_text(content)
    with pytest.raises(InputError, match=f"^{re.escape(str(file))}: must have a token on each line, as a JSON string"):
        read_vocabulary(file)


def test_changed_vocabulary_is_located_at_its_first_line() -> None:
    layer = SimpleNamespace(get_vocabulary=lambda: ["", "[UNK]", "the", "a", "of"])
    check_tokens(Path("vocabulary.txt"), ("the", "a", "of"), layer)
    with pytest.raises(InputError, match=r"^vocabulary\.txt:2: is not what this run saved"):
        check_tokens(Path("vocabulary.txt"), ("the", "of", "a"), layer)


@pytest.mark.parametrize("unit", ["words", "characters"])
@pytest.mark.parametrize("standardize", ["lower_and_strip_punctuation", "none"])
def test_texts_are_longer_only_where_the_network_truncates_them(unit: str, standardize: str) -> None:
    # punctuation may go, and TensorFlow splits at ASCII white space only
    texts = ["a b c d", "a - b", "a b c", "a-b-c", "a\u00a0b c d", "a\u3000b\u3000c\u3000d", "abcd", "...", "....", ""]
    tokens = Tokens(unit=unit, standardize=standardize, max_length=3)
    vocabulary = Vocabulary.plain(("a", "b"))
    whole = encode_texts(texts, tokens, vocabulary, is_cut=False).lengths
    cut = encode_texts(texts, tokens, vocabulary).lengths
    expected = int((whole > cut).sum())
    assert 0 < expected < len(texts)
    assert count_longer(texts, tokens) == expected
    assert cut_lines({"train": texts, "test": ["a"]}, tokens) == [
        f"train: {expected} of 10 texts are longer than text.max_length, 3 {unit}, and truncated"
    ]


def test_unknown_tokens_are_reported_from_a_share_on() -> None:
    ids = np.full(10_000, UNKNOWN + 1)
    ids[:4] = UNKNOWN
    assert unknown_lines("test", ids, "words") == []
    ids[4] = UNKNOWN
    assert unknown_lines("test", ids, "words") == ["test: 0.1% of the words are unknown"]


def test_lone_surrogates_become_question_marks() -> None:
    assert encodable("a\ud800é") == "a?é"


@pytest.mark.parametrize("unit", ["words", "characters"])
@pytest.mark.parametrize("standardize", ["lower_and_strip_punctuation", "lower", "strip_punctuation", "none"])
def test_the_pieces_of_a_text_are_its_tokens(unit: str, standardize: str) -> None:
    texts = ["Is it-- (Ärger), ok? !", "\tA  b.\n", "x\u00a0y \U0001f600"]
    tokens = Tokens(unit=unit, standardize=standardize)  # type: ignore[arg-type]
    known = sorted({piece for text in texts for piece in standardized_pieces(text, tokens)})
    forms = sorted({*known, *(piece.replace("ä", "Ä") for piece in known if "lower" in standardize)})
    of_form = tuple(FIRST + known.index(form.lower() if "lower" in standardize else form) for form in forms)
    ids = encode_texts(texts, tokens, Vocabulary(tuple(known), tuple(forms), of_form), is_cut=False)
    for i, text in enumerate(texts):
        assert [known[id_ - FIRST] for id_ in ids[i].tolist()] == standardized_pieces(text, tokens)
