"""A network of texts opened for explanation: its token ids, their embeddings, and its logits as a function of these."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.explanation.checks.randomization import Part, shuffled, variables_of
from dlcli.explanation.network import NotExplainable, Tensor
from dlcli.explanation.sequences.scores import Scores

PADDING = 0
Ids = NDArray[np.int32]


@dataclass(frozen=True)
class TokenNetwork:
    """A network of texts in two parts, which share its layers: raw text to ids, and embeddings to logits.

    Attributes:
        model: the whole network.
        front: raw text -> token ids int32 ``[b, tokens]``, padded with 0.
        embedded: raw text -> the vectors of tokens ``[b, tokens, width]``: their embeddings, or, of words whose
            characters are read too, these and what follows from the characters.
        scores: of the outputs, as a function of the embeddings.
    """

    model: keras.Model
    front: keras.Model
    embedded: keras.Model
    scores: Scores

    def ids(self, raw: Any) -> list[Ids]:
        """The token ids of raw texts, each without padding."""
        return [row[row != PADDING].astype(np.int32) for row in np.asarray(self.front(raw))]

    def vectors(self, ids: Ids) -> NDArray[np.float32]:
        """The embeddings of token ids ``[..., width]``."""
        table: NDArray[np.float32] = self.model.get_layer("embedding").embeddings.numpy()
        return table[ids]

    def unknown(self, token: int) -> NDArray[np.float32]:
        """The vector ``[width]`` of an unknown token, without characters."""
        vector = self.vectors(np.array([token], np.int32))[0]
        return np.pad(vector, (0, self.scores.width - len(vector)))

    def randomized(self, part: Part, seed: int) -> Any:
        """A context in which the weights of the last layer (``head``), or ``all``, have a random order.

        The scores of tags and their transitions, of a conditional random field, are the last layer together.
        """
        of_field = [layer for layer in self.model.layers if layer.name in ("emissions", "crf")]
        if part == "head" and of_field:
            return shuffled(variables_of(of_field, "all"), seed)
        return shuffled(variables_of(self.model.layers, part), seed)


def open_tokens(model: keras.Model, *, by_step: bool, output: str = "logits", is_class: bool = True) -> TokenNetwork:
    """Open a network of texts at its layers ``embedding`` and ``logits``.

    Args:
        by_step: it has logits for each token, not one vector for each text.
        output: the layer of the outputs in place of ``logits``: of one number for each text.
        is_class: as for :class:`Scores`.

    Raises:
        NotExplainable: it lacks these layers, or has a single class; the message is written to follow "FILE: ".
    """
    names = {layer.name for layer in model.layers}
    if not {"embedding", output} <= names:
        raise NotExplainable(f"must have the layers embedding and {output} to be explained.")
    embedding, logits = model.get_layer("embedding"), model.get_layer(output)
    # an embedding whose weights also predict tokens is called twice; characters of words add to their vectors
    ids = model.get_layer("token_ids").output if "token_ids" in names else embedding.input
    vectors = model.get_layer("token_vectors").output if "token_vectors" in names else embedding.output
    inner = keras.Model([ids, vectors], logits.output)

    def outputs(points: Tensor) -> Tensor:
        # ids only say where padding is, and there is none
        found = inner([tf.ones(tf.shape(points)[:2], ids.dtype), points], training=False)
        found = found[:, None] if len(logits.output.shape) == 1 else found  # a number alone
        return found if by_step else found[:, None]

    num_values = 1 if len(logits.output.shape) == 1 else int(logits.output.shape[-1])
    scores = Scores(outputs, int(vectors.shape[-1]), num_values, is_class=is_class)
    front, embedded = (keras.Model(model.input, tensor) for tensor in (ids, vectors))
    return TokenNetwork(model, front, embedded, scores)


def of_equal_length(
    sequences: Sequence[NDArray[Any]], make: Callable[[NDArray[Any], NDArray[np.int64]], Sequence[Any]]
) -> list[Any]:
    """What is made of each sequence, in order; those of one length are given together.

    Args:
        make: (sequences ``[b, steps, ...]``, their positions ``[b]``) -> a value for each.
    """
    lengths = np.array([len(sequence) for sequence in sequences], np.int64)
    found: list[Any] = [None] * len(sequences)
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        for row, value in zip(rows, make(np.stack([sequences[int(i)] for i in rows]), rows), strict=True):
            found[row] = value
    return found
