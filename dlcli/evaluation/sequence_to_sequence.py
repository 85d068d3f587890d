"""Metrics of sequence-to-sequence models: token accuracy, exact matches, BLEU."""

from collections.abc import Sequence
from typing import Any


def metrics(references: Sequence[Sequence[int]], predictions: Sequence[Sequence[int]]) -> dict[str, Any]:
    """Token accuracy and exact matches.

    Args:
        references, predictions: token ids of each output sequence, without end tokens.

    Returns:
        ``token_accuracy``, the proportion of reference tokens, end token included, that the prediction has at the same
        position; and ``exact``, the proportion of predictions that equal their reference.
    """
    num_tokens = num_correct = num_exact = 0
    for reference, prediction in zip(references, predictions, strict=True):
        with_end, predicted_with_end = [*reference, None], [*prediction, None]
        num_tokens += len(with_end)
        num_correct += sum(a == b for a, b in zip(with_end, predicted_with_end, strict=False))
        num_exact += list(reference) == list(prediction)
    return {"token_accuracy": num_correct / num_tokens, "exact": num_exact / len(references)}


def bleu(references: Sequence[str], predictions: Sequence[str], *, by_words: bool) -> float | None:
    """Corpus BLEU in [0, 100] (Papineni et al. 2002), computed by sacrebleu (Post 2018).

    None if no reference has four tokens: there are then no 4-grams to match.

    Args:
        by_words: whether tokens are words, separated by white space; otherwise they are characters.

    Raises:
        ImportError: sacrebleu is not installed.
    """
    import sacrebleu

    if max(len(text.split() if by_words else text) for text in references) < 4:
        return None
    tokenizer = "none" if by_words else "char"
    return float(sacrebleu.corpus_bleu(list(predictions), [list(references)], tokenize=tokenizer, force=True).score)
