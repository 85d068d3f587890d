"""The parts of a text that its tokens were made from, against the layer that makes them."""

import numpy as np
import pytest

from dlcli.data.text.pieces import num_bytes, pieces
from dlcli.models.sequences.text_input import Standardize, Unit, splitter

TEXTS = [
    "A dull -- and lifeless MESS, (but charming) .",
    "  tabs\tand\nlines\r\n  ",
    "caf\u00e9 na\u00efve \u00a0 it's",
    "",
    "...",
]


@pytest.mark.parametrize("unit", ["words", "characters"])
@pytest.mark.parametrize("standardize", ["lower_and_strip_punctuation", "strip_punctuation", "lower", "none"])
def test_there_is_a_piece_for_each_token(unit: Unit, standardize: Standardize) -> None:
    layer = splitter(unit=unit, standardize=standardize, forms=["a", "dull"])
    lengths = (np.asarray(layer(TEXTS)) != 0).sum(axis=1)
    found = [pieces(text, unit=unit, strips_punctuation="strip" in standardize) for text in TEXTS]
    assert [len(parts) for parts in found] == lengths.tolist()
    if unit == "words" and "strip" in standardize:
        assert found[0] == ["A", "dull", "and", "lifeless", "MESS,", "(but", "charming)"]


def test_bytes_of_pieces() -> None:
    assert num_bytes(["a", "é", "語", ""]).tolist() == [1, 2, 3, 0]
    assert num_bytes(["\ud800"]).tolist() == [1]
