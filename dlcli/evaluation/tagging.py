"""Metrics of tagging."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dlcli.evaluation import classification
from dlcli.evaluation.class_predictions import ScoredClasses

Array = npt.NDArray[Any]


def metrics(
    scored: ScoredClasses,
    classes: Sequence[str],
    *,
    lengths: Array,
    is_known: Array,
    loss: float,
    top_k: Sequence[int] = (),
) -> dict[str, Any]:
    """The content of ``metrics.json``.

    Args:
        scored: the predictions of the tags of all n words, sentence by sentence.
        classes: names of the k tags.
        lengths: number of words of each sentence.
        is_known: whether each word is in the vocabulary ``[n]``.
        loss: the mean loss over the words.
        top_k: further numbers of most probable tags whose accuracy is reported.

    Returns:
        The metrics of :func:`dlcli.evaluation.classification.metrics`, with words as samples; the number of
        ``sentences``; ``sentence_accuracy``, the proportion of sentences with every tag correct; ``unknown_words``, the
        proportion of words that are not in the vocabulary, and, if there are any, the ``unknown_accuracy`` on them.
    """
    result = classification.metrics(scored, classes, loss, top_k=top_k)
    is_right = scored.is_correct
    ends = np.cumsum(lengths)
    result["sentences"] = len(lengths)
    result["sentence_accuracy"] = float(
        np.mean([is_right[end - length : end].all() for end, length in zip(ends, lengths, strict=True)])
    )
    result["unknown_words"] = float(np.mean(~is_known))
    if not is_known.all():
        result["unknown_accuracy"] = float(np.mean(is_right[~is_known]))
    return result


def predictions(
    names: Sequence[str],
    words: Sequence[Sequence[str]],
    scored: ScoredClasses,
    classes: Sequence[str],
    *,
    is_known: Array,
) -> Iterator[dict[str, Any]]:
    """The rows of ``predictions.csv``: one per word, with its sentence and its position there, from 1."""
    at = 0
    for name, sentence in zip(names, words, strict=True):
        for position, word in enumerate(sentence, start=1):
            yield {
                "file": name,
                "word": position,
                "text": word,
                "label": classes[scored.labels[at]],
                "predicted": classes[scored.predicted[at]],
                "confidence": float(f"{scored.confidence[at]:.6g}"),
                "correct": bool(scored.is_correct[at]),
                "known": bool(is_known[at]),
            }
            at += 1
