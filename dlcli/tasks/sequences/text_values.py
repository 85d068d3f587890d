"""Tokens of texts, what a network makes of them, and what a method of attribution says of each."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.data.sequences.dataset import Sequences
from dlcli.data.text.vocabulary import UNKNOWN
from dlcli.explanation.sequences.attribution import Method
from dlcli.explanation.sequences.log_odds import log_odds_of_tokens, numbers_of_tokens
from dlcli.explanation.sequences.tokens import Ids, TokenNetwork, of_equal_length
from dlcli.tasks.sequences.explanation import TextValues
from dlcli.tasks.sequences.tokens import encodable

Points = NDArray[np.float32]

AT_ONCE = 512  # texts that are tokenized in one call


def token_ids(network: TokenNetwork, texts: Sequence[str]) -> list[Ids]:
    """The token ids that the network sees of each text."""
    usable = [encodable(text) for text in texts]
    parts = [network.ids(tf.constant(usable[start : start + AT_ONCE])) for start in range(0, len(usable), AT_ONCE)]
    return [ids for part in parts for ids in part]


def points_of(network: TokenNetwork, texts: Sequence[str]) -> list[Points]:
    """The vectors of the tokens of each text ``[tokens, width]``."""
    usable = [encodable(text) for text in texts]
    found: list[Points] = []
    for start in range(0, len(usable), AT_ONCE):
        raw = tf.constant(usable[start : start + AT_ONCE])
        pairs = zip(network.ids(raw), network.embedded(raw).numpy(), strict=True)
        found += [vectors[: len(ids)] for ids, vectors in pairs]
    return found


def logits_of(network: TokenNetwork, texts: Sequence[Points]) -> NDArray[np.float32]:
    """The logits or numbers of texts, ``[n, outputs]``, by the vectors of their tokens."""
    return np.stack(of_equal_length(texts, lambda points, _: list(network.scores.values(points)[:, 0])))


def values_of(network: TokenNetwork, method: Method, texts: Sequence[Points], targets: NDArray[np.int32]) -> TextValues:
    """The values of the tokens of each text for a class of each ``[n]``, against unknown tokens in their place.

    Args:
        texts: the vectors of their tokens.
    """

    def make(points: Points, rows: NDArray[np.int64]) -> list[tuple[NDArray[np.float64], dict[str, Any]]]:
        starts = np.broadcast_to(network.unknown(UNKNOWN), points.shape).astype(np.float32)
        choices = np.stack([np.zeros(len(rows)), targets[rows]], axis=1).astype(np.int32)
        found = method(network.scores, points, starts, choices)
        facts = [{name: column[i].item() for name, column in found.facts.items()} for i in range(len(rows))]
        return list(zip(found.of_steps, facts, strict=True))

    values, facts = zip(*of_equal_length(texts, make), strict=True)
    return TextValues(values, facts)


def log_odds_of(network: TokenNetwork, train: Sequences, num_classes: int) -> NDArray[np.float64]:
    """The naive log-odds of each token by class or label ``[tokens, classes]`` in the training texts; 0 for the unknown
    one. Those of a label are of the texts to which it applies, against those to which it does not."""
    assert train.texts is not None
    num_tokens = network.model.get_layer("embedding").input_dim
    ids = token_ids(network, train.texts)
    if train.applies is None:
        found = log_odds_of_tokens(ids, train.labels, num_tokens=num_tokens, num_classes=num_classes)
    else:
        found = np.stack([_log_odds_of_label(ids, column, num_tokens) for column in train.applies.T], axis=1)
    found[UNKNOWN] = 0.0
    return found


def _log_odds_of_label(ids: Sequence[Ids], applies: NDArray[np.float64], num_tokens: int) -> NDArray[np.float64]:
    known = np.flatnonzero(~np.isnan(applies))
    texts, labels = [ids[int(i)] for i in known], applies[known].astype(np.int32)
    return np.asarray(log_odds_of_tokens(texts, labels, num_tokens=num_tokens, num_classes=2)[:, 1])


def numbers_of(network: TokenNetwork, train: Sequences) -> NDArray[np.float64]:
    """How far the mean number of the training texts with a token is above that of all, ``[tokens]``; 0 for unknown."""
    assert train.texts is not None
    assert train.targets is not None
    num_tokens = network.model.get_layer("embedding").input_dim
    found = numbers_of_tokens(token_ids(network, train.texts), train.targets, num_tokens=num_tokens)
    found[UNKNOWN] = 0.0
    return found
