"""How well a language model foresees a text, and how well the frequencies of its tokens alone would."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray


def metrics(*, nats: float, correct: float, num_tokens: int, num_characters: int, by_words: bool) -> dict[str, Any]:
    """Of all tokens that were to be foreseen.

    Args:
        nats: sum of -log p over the tokens.
        correct: how many were the likeliest.
        num_characters: of the text that they stand for.
        by_words: tokens are words; of these there are nats and bits a character besides.

    Returns:
        ``loss`` in nats a token, ``bits`` a token, ``perplexity``, ``accuracy``; and the number of ``tokens``.
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


def unigram_loss(train: NDArray[np.int32], foreseen: NDArray[np.int32], *, num_tokens: int) -> float:
    """Nats a token of a model that knows how often each token comes in training, with one added to each.

    Args:
        train, foreseen: numbers of tokens.
        num_tokens: that there are.
    """
    counts = np.bincount(train, minlength=num_tokens) + 1.0
    return float(-np.log(counts / counts.sum())[foreseen].mean())
