"""The baseline of language models that a network must beat: interpolated n-grams."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Tokens = NDArray[np.int64]


def ngram_loss(
    train: Sequence[NDArray[np.int32]], predicted: Sequence[NDArray[np.int32]], *, num_tokens: int, order: int
) -> float:
    """Loss in nats per token of an n-gram model with Witten-Bell smoothing (Witten and Bell 1991, method C;
    interpolated as in Chen and Goodman 1999, section 2.5).

    The probability of a token w after a context h, of which h' is all but the first token, is

        p(w | h) = (c(h w) + T(h) p(w | h')) / (c(h) + T(h))

    with counts c and the number T of distinct tokens after h in the training sequences; below single tokens is the
    uniform distribution.

    Args:
        train, predicted: the ids of the tokens of each sequence, the first of which is context only.
        num_tokens: size of the vocabulary.
        order: n, the number of tokens that are counted together, at least 1.
    """
    tokens = np.concatenate([*train, *predicted]).astype(np.int64)
    lengths = np.array([len(sequence) for sequence in (*train, *predicted)])
    place = np.arange(len(tokens)) - np.repeat(np.cumsum(lengths) - lengths, lengths)  # in the sequence
    is_train = np.arange(len(tokens)) < lengths[: len(train)].sum()
    context = np.zeros(len(tokens), np.int64)  # a number for each distinct context, here the empty one
    probability = np.full(len(tokens), 1.0 / num_tokens)
    for length in range(order):
        if length > 0:  # the context of the token before, and that token
            context = np.unique(np.roll(context * num_tokens + tokens, 1), return_inverse=True)[1]
        has_context = place >= max(1, length)
        counted, wanted = has_context & is_train, has_context & ~is_train
        probability[wanted] = _interpolated(
            probability[wanted],
            (context[counted], tokens[counted]),
            (context[wanted], tokens[wanted]),
            num_tokens=num_tokens,
        )
    return float(-np.log(probability[~is_train & (place > 0)]).mean())


def _interpolated(
    lower: NDArray[np.float64], train: tuple[Tokens, Tokens], predicted: tuple[Tokens, Tokens], *, num_tokens: int
) -> NDArray[np.float64]:
    """The probabilities of tokens after their contexts, from the ``lower`` ones after shorter contexts."""
    contexts, tokens = train
    if not len(contexts):  # no training sequence is so long
        return lower
    pairs, counts = np.unique(contexts * num_tokens + tokens, return_counts=True)
    number = max(int(contexts.max(initial=0)), int(predicted[0].max(initial=0))) + 1
    of_context = np.bincount(contexts, minlength=number)[predicted[0]]
    num_distinct = np.bincount(pairs // num_tokens, minlength=number)[predicted[0]]
    wanted = predicted[0] * num_tokens + predicted[1]
    place = np.searchsorted(pairs, wanted).clip(max=len(pairs) - 1)
    of_pair = np.where(pairs[place] == wanted, counts[place], 0)
    known = of_context > 0
    return np.where(known, (of_pair + num_distinct * lower) / np.where(known, of_context + num_distinct, 1), lower)
