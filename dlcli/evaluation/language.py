"""Metrics of language models, and the loss of a unigram model as a baseline."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray


def metrics(*, nats: float, correct: float, num_tokens: int, num_characters: int, by_words: bool) -> dict[str, Any]:
    """Metrics over all predicted tokens.

    Args:
        nats: sum of -log p over the tokens.
        correct: number of tokens that the model found most likely.
        num_tokens: number of predicted tokens, at least 1.
        num_characters: number of characters of the text that the tokens represent.
        by_words: whether tokens are words; nats and bits per character are then reported too.

    Returns:
        ``loss`` in nats per token, ``bits`` per token, ``perplexity``, ``accuracy``, and the number of ``tokens``; for
        words also ``nats_per_character`` and ``bits_per_character``.
    """
    loss = nats / num_tokens
    found: dict[str, Any] = {
        "tokens": num_tokens,
        "loss": loss,
        "bits": loss / math.log(2),
        "perplexity": math.exp(min(loss, 700.0)),
        "accuracy": correct / num_tokens,
    }
    if by_words:
        found["nats_per_character"] = nats / max(1, num_characters)
        found["bits_per_character"] = found["nats_per_character"] / math.log(2)
    return found


def bits_per_byte(nats: float, *, unknown: NDArray[np.int64], num_bytes: int) -> float:
    """Bits per byte of the text if it were coded with the model, so that vocabularies and units can be compared.

    An unknown token is spelled after the model has predicted that it is unknown: its bytes and an end, each of 257
    symbols equally probable. So a model gains nothing from a small vocabulary.

    Args:
        nats: sum of -log p over the tokens.
        unknown: number of bytes of each predicted token that is unknown ``[n]``.
        num_bytes: of the text that the predicted tokens stand for.
    """
    spelled = float(np.sum(unknown + 1)) * math.log(257)
    return (nats + spelled) / math.log(2) / max(1, num_bytes)


def unigram_loss(train: NDArray[np.int32], predicted: NDArray[np.int32], *, num_tokens: int) -> float:
    """Loss in nats per token of a unigram model with add-one smoothing.

    Args:
        train: ids of the tokens that are counted.
        predicted: ids of the tokens to predict.
        num_tokens: size of the vocabulary.
    """
    counts = np.bincount(train, minlength=num_tokens) + 1.0
    return float(-np.log(counts / counts.sum())[predicted].mean())
