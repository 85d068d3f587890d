"""The linear-chain conditional random field: the scores of whole sequences of tags (Lafferty et al. 2001).

A sequence of tags y of the words 1 to n has the score

    s(y) = start[y_1] + sum_t emission[t, y_t] + sum_t transition[y_t-1, y_t] + end[y_n]

and the probability ``exp(s(y) - log Z)``, where Z is the sum of ``exp s`` over all sequences. It is computed without
enumerating them by the forward algorithm, in logarithms; the backward algorithm adds the probability of each tag of
each word, and that of Viterbi finds the most probable sequence (Rabiner 1989, equations 19, 25 and 33).
"""

from typing import Any

import keras
import tensorflow as tf

Tensor = Any  # a keras tensor

AFTER_END = -1  # the decoded tag after a sentence's end


@keras.saving.register_keras_serializable(package="dlcli")
class Crf(keras.layers.Layer):  # type: ignore[misc]
    """The scores of first, neighboring and last tags, which are learned, and what follows from them.

    It is called with the emissions, float32 ``[batch, steps, tags]``, and a mask, bool ``[batch, steps]``, true up to
    each sentence's end and at least for the first step. Its outputs are, in this order:

    - ``scores`` ``[batch, tags + 2, tags]``: start, transitions and end, the same for each sentence;
    - ``log_partition`` ``[batch]``: log Z;
    - ``log_marginals`` ``[batch, steps, tags]``: the log probability of each tag of each word, 0 after the end;
    - ``tags`` int32 ``[batch, steps]``: the most probable sequence, `AFTER_END` after the end.
    """

    def build(self, emissions_shape: Any, mask_shape: Any = None) -> None:
        num_tags = emissions_shape[-1]
        small = keras.initializers.RandomNormal(stddev=0.1)
        self.start = self.add_weight(shape=(num_tags,), initializer=small, name="start")
        self.transitions = self.add_weight(shape=(num_tags, num_tags), initializer=small, name="transitions")
        self.end = self.add_weight(shape=(num_tags,), initializer=small, name="end")

    def call(self, emissions: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        start, transitions, end = (tf.convert_to_tensor(part) for part in (self.start, self.transitions, self.end))
        forward = forward_scores(emissions, mask, start, transitions)
        backward = backward_scores(emissions, mask, transitions, end)
        log_partition = tf.reduce_logsumexp(forward[:, -1] + end, axis=-1)
        log_marginals = forward + backward - log_partition[:, None, None]
        table = tf.concat([start[None], transitions, end[None]], axis=0)
        return (
            tf.tile(table[None], [tf.shape(emissions)[0], 1, 1]),
            log_partition,
            tf.where(mask[..., None], log_marginals, 0.0),
            most_probable(emissions, mask, start, transitions, end),
        )


def tags_of_sentences(features: Tensor, mask: Tensor, *, num_tags: int) -> tuple[dict[str, Tensor], list[Tensor]]:
    """The head of a tagger: a dense layer ``emissions`` for each step, and the conditional random field ``crf``.

    Args:
        features: ``[batch, steps, units]``.
        mask: bool ``[batch, steps]``, true up to each sentence's end.

    Returns:
        The model's outputs: ``tags``, int32 ``[batch, steps]``, and the ``probabilities`` of each word's tags, float32
        ``[batch, steps, tags]``, a softmax of the layer ``logits``. And what the objective takes: the emissions, the
        scores, log Z and the tags.
    """
    emissions = keras.layers.Dense(num_tags, dtype="float32", name="emissions")(features)
    scores, log_partition, log_marginals, tags = Crf(dtype="float32", name="crf")(emissions, mask)
    logits = keras.layers.Activation("linear", dtype="float32", name="logits")(log_marginals)
    probabilities = keras.layers.Activation("softmax", dtype="float32", name="probabilities")(logits)
    return {"tags": tags, "probabilities": probabilities}, [emissions, scores, log_partition, tags]


def forward_scores(emissions: Tensor, mask: Tensor, start: Tensor, transitions: Tensor) -> Tensor:
    """The log of the sum over all beginnings of a sequence that end in each tag: ``[batch, steps, tags]``.

    After a sentence's end they stay those of its last word.
    """

    def step(before: Tensor, inputs: Any) -> Tensor:
        own, is_word = inputs
        now = tf.reduce_logsumexp(before[:, :, None] + transitions, axis=1) + own
        return tf.where(is_word[:, None], now, before)

    first = start + emissions[:, 0]
    others = tf.scan(step, _later(emissions, mask), first)
    return tf.transpose(tf.concat([first[None], others[:-1]], axis=0), (1, 0, 2))


def backward_scores(emissions: Tensor, mask: Tensor, transitions: Tensor, end: Tensor) -> Tensor:
    """The log of the sum over all continuations of a sequence after each tag: ``[batch, steps, tags]``."""

    def step(after: Tensor, inputs: Any) -> Tensor:
        own, is_word = inputs  # of the step after
        now = tf.reduce_logsumexp(transitions + (own + after)[:, None, :], axis=2)
        return tf.where(is_word[:, None], now, after)

    last = tf.zeros_like(emissions[:, 0]) + end
    return tf.transpose(_scan_backward(step, _later(emissions, mask), last), (1, 0, 2))


def most_probable(emissions: Tensor, mask: Tensor, start: Tensor, transitions: Tensor, end: Tensor) -> Tensor:
    """The sequence of tags with the largest score, int32 ``[batch, steps]``; `AFTER_END` after a sentence's end."""

    def step(state: tuple[Tensor, Tensor], inputs: Any) -> tuple[Tensor, Tensor]:
        (before, pointers), (own, is_word) = state, inputs
        scores = before[:, :, None] + transitions
        now = tf.where(is_word[:, None], tf.reduce_max(scores, axis=1) + own, before)
        found = tf.argmax(scores, axis=1, output_type=tf.int32)
        return now, tf.where(is_word[:, None], found, tf.zeros_like(pointers) + same)

    first = start + emissions[:, 0]
    same = tf.range(transitions.shape[0])  # after the end: the tag of the last word
    best, pointers = tf.scan(step, _later(emissions, mask), (first, tf.cast(tf.zeros_like(first), tf.int32)))
    last = tf.argmax(best[-1] + end, axis=-1, output_type=tf.int32)
    tags = _scan_backward(lambda tag, to: tf.gather(to, tag, batch_dims=1), pointers, last)
    return tf.where(mask, tf.transpose(tags), AFTER_END)


def _scan_backward(step: Any, inputs: Any, last: Tensor) -> Tensor:
    """What ``tf.scan`` with ``reverse=True`` returns, which tf2onnx converts to a loop with its outputs in the wrong
    order."""
    backward = tf.nest.map_structure(lambda x: tf.reverse(x, [0]), inputs)
    return tf.reverse(tf.scan(step, backward, last), [0])


def _later(emissions: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """The emissions and the mask of all steps but the first, and of one after the last, so that there is at least one;
    the steps are the first dimension."""
    emissions, mask = tf.pad(emissions, [[0, 0], [0, 1], [0, 0]]), tf.pad(mask, [[0, 0], [0, 1]])
    return tf.transpose(emissions[:, 1:], (1, 0, 2)), tf.transpose(mask[:, 1:])
