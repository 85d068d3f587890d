"""Predicts raw texts and series with a saved model, in batches of similar length."""

from collections.abc import Iterable, Iterator

import keras
import numpy as np
import tensorflow as tf

from dlcli.data.sequences.batches import by_length
from dlcli.data.sequences.dataset import Sequences
from dlcli.replicas import divided
from dlcli.runtime.console import Console
from dlcli.tasks.sequences.tokens import encodable

NUM_MISTAKES = 100  # listed in mistakes.txt
MAX_SHOWN = 300  # characters of each


def predict_samples(
    model: keras.Model, samples: Sequences, *, batch_size: int, console: Console
) -> Iterator[tuple[np.ndarray, tuple[np.ndarray, ...]]]:
    """Predict raw samples with a saved model, in inference mode, with samples of similar length in one batch.

    Returns:
        For each batch the positions of its samples, int64 ``[b]``, and the logits and probabilities of a classifier,
        else the predicted numbers; each float32 ``[b, …]``.
    """
    inner = with_outputs(model)
    shape = model.inputs[0].shape
    signature = tf.TensorSpec(shape, tf.string if samples.values is None else tf.float32)
    compiled = tf.function(
        divided(lambda batch: tf.nest.flatten(inner(batch, training=False))),
        input_signature=[signature],
        autograph=False,
    )
    batches = by_length(lengths_of(samples), batch_size)
    for done, index in enumerate(batches, start=1):
        yield index, tuple(output.numpy() for output in compiled(tf.constant(raw_batch(samples, index))))
        console.evaluating(done, len(batches))


def with_outputs(model: keras.Model) -> keras.Model:
    """A saved model that outputs its logits and probabilities if it is a classifier, else the predicted numbers."""
    names = [layer.name for layer in model.layers]
    tensors = [model.get_layer("logits").output, model.output] if "logits" in names else [model.output]
    return keras.Model(model.input, tensors)


def in_order(batches: Iterable[tuple[np.ndarray, tuple[np.ndarray, ...]]], num_samples: int) -> np.ndarray:
    """The predicted number of each sample, float32 ``[n]``, from the result of :func:`predict_samples`."""
    values = np.empty(num_samples, np.float32)
    for index, (predicted,) in batches:
        values[index] = predicted
    return values


def label_scores(
    batches: Iterable[tuple[np.ndarray, tuple[np.ndarray, ...]]],
) -> tuple[np.ndarray, np.ndarray]:
    """The logits and probabilities of each label in the order of the samples, float32 ``[n, l]``, from the result of
    :func:`predict_samples`."""
    every = list(batches)
    order = np.argsort(np.concatenate([index for index, _ in every]))
    logits, scores = (np.concatenate(parts)[order] for parts in zip(*(found for _, found in every), strict=True))
    return logits, scores


def lengths_of(samples: Sequences) -> np.ndarray:
    """The number of characters or steps of each sample, int64 ``[n]``."""
    if samples.values is not None:
        return samples.values.lengths
    assert samples.texts is not None
    return np.array([len(text) for text in samples.texts], np.int64)


def raw_batch(samples: Sequences, index: np.ndarray) -> np.ndarray:
    """Samples as the saved model takes them: texts, or float32 ``[b, steps, features]`` padded with NaN."""
    if samples.values is None:
        assert samples.texts is not None
        return np.array([encodable(samples.texts[i]) for i in index], object)
    part = samples.values.take(index)
    padded = np.full((len(index), int(part.lengths.max()), part.flat.shape[1]), np.nan, np.float32)
    padded[np.arange(padded.shape[1]) < part.lengths[:, None]] = part.flat
    return padded
