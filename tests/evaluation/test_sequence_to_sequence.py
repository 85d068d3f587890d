"""Outputs by tokens, as a whole, and by BLEU and chrF."""

import pytest

from dlcli.evaluation.sequence_to_sequence import metrics, translation_scores


def test_tokens_count_at_their_place_and_the_end_too() -> None:
    found = metrics([[2, 3], [4], [5, 6, 7]], [[2, 3], [4, 4], [5, 7]])
    # all three; the 4 but not the end; the 5 alone, for 7 stands where 6 should, and the end one too early
    assert found["token_accuracy"] == pytest.approx((3 + 1 + 1) / (3 + 2 + 4))
    assert found["exact"] == pytest.approx(1 / 3)


def test_bleu_and_chrf_are_sacrebleus_on_raw_texts() -> None:
    sacrebleu = pytest.importorskip("sacrebleu")
    targets = ["The cat sat on the mat.", "It rained all day long!"]
    scores, signatures = translation_scores(["a", "b"], targets, targets)
    assert scores == pytest.approx({"bleu": 100, "chrf": 100})
    assert "tok:13a" in signatures["bleu"]
    assert "case:mixed" in signatures["bleu"]
    generated = ["the cat sat on the mat", "It rained all night long!"]
    scores, _ = translation_scores(["a", "b"], targets, generated)
    assert scores["bleu"] == pytest.approx(sacrebleu.corpus_bleu(generated, [targets]).score)
    assert scores["chrf"] == pytest.approx(sacrebleu.corpus_chrf(generated, [targets]).score)
    assert scores["bleu"] < 60  # lowercase and without the stop


def test_all_targets_of_a_source_are_its_references() -> None:
    sacrebleu = pytest.importorskip("sacrebleu")
    targets = ["The cat sat on the mat.", "A cat was on the mat.", "It rained all day long."]
    generated = ["A cat sat on the mat.", "A cat sat on the mat.", "It rained all day long."]
    scores, signatures = translation_scores(["a", "a", "b"], targets, generated)
    expected = sacrebleu.corpus_bleu([generated[0], generated[2]], [[targets[0], targets[2]], [targets[1], None]])
    assert scores["bleu"] == pytest.approx(expected.score)
    assert "nrefs:var" in signatures["bleu"]


def test_bleu_needs_four_words() -> None:
    pytest.importorskip("sacrebleu")
    scores, _ = translation_scores(["a"], ["1579"], ["1579"])
    assert scores == pytest.approx({"chrf": 100})
