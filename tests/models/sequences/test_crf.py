"""The conditional random field against the enumeration of all sequences of tags."""

import itertools
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlcli.models.sequences.crf import AFTER_END, Crf

LENGTHS = (4, 1, 3)
NUM_TAGS = 3
RNG = np.random.default_rng(0)
EMISSIONS = RNG.normal(size=(len(LENGTHS), max(LENGTHS), NUM_TAGS)).astype(np.float32)
MASK = np.arange(max(LENGTHS)) < np.array(LENGTHS)[:, None]


@pytest.fixture(scope="module")
def layer() -> Crf:
    layer = Crf()
    layer.build(EMISSIONS.shape)
    layer.set_weights([RNG.normal(size=weight.shape) for weight in layer.weights])
    return layer


@pytest.fixture(scope="module")
def outputs(layer: Crf) -> dict[str, np.ndarray]:
    emissions = keras.Input((None, NUM_TAGS), name="emissions")
    mask = keras.Input((None,), dtype="bool", name="mask")
    model = keras.Model([emissions, mask], layer(emissions, mask))
    return named(model([EMISSIONS, MASK]))


def named(outputs: Any) -> dict[str, np.ndarray]:
    names = ("scores", "log_partition", "log_marginals", "tags")
    return {name: np.asarray(value) for name, value in zip(names, outputs, strict=True)}


def score(layer: Crf, emissions: np.ndarray, tags: tuple[int, ...]) -> float:
    start, transitions, end = (np.asarray(weight, np.float64) for weight in layer.weights)
    own = sum(float(emissions[t, tag]) for t, tag in enumerate(tags))
    return start[tags[0]] + own + sum(transitions[pair] for pair in itertools.pairwise(tags)) + end[tags[-1]]


def enumerated(layer: Crf, emissions: np.ndarray) -> dict[tuple[int, ...], float]:
    """The score of every sequence of tags of a sentence."""
    return {tags: score(layer, emissions, tags) for tags in itertools.product(range(NUM_TAGS), repeat=len(emissions))}


@pytest.mark.parametrize("sample", range(len(LENGTHS)))
def test_it_agrees_with_the_enumeration_of_all_sequences(
    layer: Crf, outputs: dict[str, np.ndarray], sample: int
) -> None:
    length = LENGTHS[sample]
    scores = enumerated(layer, EMISSIONS[sample, :length])
    log_partition = np.logaddexp.reduce(list(scores.values()))
    assert outputs["log_partition"][sample] == pytest.approx(log_partition, rel=1e-5)
    marginals = np.zeros((length, NUM_TAGS))
    for tags, value in scores.items():
        marginals[np.arange(length), list(tags)] += np.exp(value - log_partition)
    np.testing.assert_allclose(np.exp(outputs["log_marginals"][sample, :length]), marginals, atol=1e-5)
    assert tuple(outputs["tags"][sample, :length]) == max(scores, key=lambda tags: scores[tags])
    assert (outputs["tags"][sample, length:] == AFTER_END).all()
    assert not outputs["log_marginals"][sample, length:].any()
    start, *transitions, end = outputs["scores"][sample]
    for found, weight in zip((start, transitions, end), layer.weights, strict=True):
        np.testing.assert_array_equal(found, weight)


def test_padding_changes_nothing_and_one_step_is_enough(layer: Crf, outputs: dict[str, np.ndarray]) -> None:
    noise = np.where(MASK[..., None], EMISSIONS, 100.0).astype(np.float32)
    for name, values in named(layer(tf.constant(noise), tf.constant(MASK))).items():
        np.testing.assert_array_equal(values, outputs[name])
    alone = named(layer(tf.constant(EMISSIONS[1:2, :1]), tf.constant([[True]])))
    assert alone["tags"].tolist() == [[outputs["tags"][1, 0]]]
    assert float(alone["log_partition"][0]) == pytest.approx(float(outputs["log_partition"][1]), rel=1e-6)


def test_the_gradient_of_log_z_is_the_marginals(layer: Crf, outputs: dict[str, np.ndarray]) -> None:
    """They are the expected counts of tags (Sutton and McCallum 2012, equation 5.7), which is what training needs."""

    @tf.function(autograph=False)
    def gradients(emissions: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(emissions)
            log_partition = layer(emissions, tf.constant(MASK))[1]
        return tape.gradient(log_partition, [emissions, *(weight.value for weight in layer.weights)])

    of_emissions, start, transitions, end = (np.asarray(part) for part in gradients(tf.constant(EMISSIONS)))
    marginals = np.where(MASK[..., None], np.exp(outputs["log_marginals"]), 0)
    np.testing.assert_allclose(of_emissions, marginals, atol=1e-5)
    np.testing.assert_allclose(start, marginals[:, 0].sum(0), atol=1e-5)
    last = sum(marginals[i, length - 1] for i, length in enumerate(LENGTHS))
    np.testing.assert_allclose(end, last, atol=1e-5)
    assert transitions.sum() == pytest.approx(sum(LENGTHS) - len(LENGTHS), rel=1e-5)  # pairs of neighbors


def test_it_is_saved_with_its_scores(layer: Crf) -> None:
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer), safe_mode=True)
    assert type(again) is Crf
