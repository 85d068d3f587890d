"""Answers by tokens, as a whole, and by BLEU."""

import pytest

from dlcli.evaluation.sequence_to_sequence import bleu, metrics


def test_tokens_count_at_their_place_and_the_end_too() -> None:
    found = metrics([[2, 3], [4], [5, 6, 7]], [[2, 3], [4, 4], [5, 7]])
    # all three; the 4 but not the end; the 5 alone, for 7 stands where 6 should, and the end one too early
    assert found["token_accuracy"] == pytest.approx((3 + 1 + 1) / (3 + 2 + 4))
    assert found["exact"] == pytest.approx(1 / 3)


def test_bleu_is_sacrebleus() -> None:
    pytest.importorskip("sacrebleu")
    wanted = ["the cat sat on the mat", "it rained all day long"]
    assert bleu(wanted, wanted, by_words=True) == pytest.approx(100)
    half = bleu(wanted, ["the cat sat on a mat", "it rained all night long"], by_words=True)
    assert half is not None
    assert 0 < half < 100
    assert bleu(["1579"], ["1579"], by_words=False) == pytest.approx(100)
    assert bleu(["a b c"], ["a b c"], by_words=True) is None
