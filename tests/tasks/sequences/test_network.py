"""Taggers: the trained network and the saved model, which reads raw words, agree."""

from typing import get_args

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlcli.data.sequences.batches import SequenceBatches
from dlcli.data.sequences.ragged import Ragged
from dlcli.data.text.vocabulary import FIRST, Vocabulary, encode_words
from dlcli.recipe.tasks.tagging import Characters, TaggingRecurrent, Words
from dlcli.tasks.sequences.encoders import own_layers
from dlcli.tasks.sequences.network import build_tagger

SENTENCES = [("cats", "see", "Dogs"), ("zebras",)]
VOCABULARY = Vocabulary(
    ("cats", "dogs", "see"), ("cats", "dogs", "see", "Dogs"), (FIRST, FIRST + 1, FIRST + 2, FIRST + 1), ("a", "s", "D")
)


@pytest.mark.parametrize("characters", [None, Characters(embedding=3, filters=4, max_length=5)])
@pytest.mark.parametrize("crf", [False, True])
def test_raw_words_and_their_ids_give_the_same_outputs(crf: bool, characters: Characters | None) -> None:
    section = TaggingRecurrent(kind="recurrent", cell="simple", units=4, crf=crf)
    network = build_tagger(section, Words(embedding=3, characters=characters), VOCABULARY, num_classes=3)
    encoded = encode_words(SENTENCES, VOCABULARY, max_length=10, num_characters=0 if characters is None else 5)
    batch = np.zeros((2, 3, *encoded.flat.shape[1:]), np.int32)
    batch[0], batch[1, 0] = encoded[0], encoded[1][0]
    trained = network.trained(batch)
    found = network.model(tf.constant([SENTENCES[0], (*SENTENCES[1], "", "")]))
    if crf:
        np.testing.assert_array_equal(found["tags"][:, :3], trained[3])
        np.testing.assert_allclose(tf.reduce_sum(found["probabilities"], axis=-1), 1, rtol=1e-5)
    else:
        np.testing.assert_allclose(found[:, :3], tf.nn.softmax(trained), atol=1e-6)
    if characters is not None:  # an unknown word is more than unknown
        other = np.array(batch)
        other[1, 0, 1:] = 0
        changed = network.trained(other)
        assert np.abs(np.asarray((changed[0] if crf else changed) - (trained[0] if crf else trained))[1, 0]).max() > 0


def test_fed_back_tags_are_the_true_ones_in_training_and_its_own_in_prediction() -> None:
    section = TaggingRecurrent(kind="recurrent", cell="jordan", units=4, teacher_forcing=True, dropout=0.5)
    network = build_tagger(section, Words(embedding=3), VOCABULARY, num_classes=3)
    encoded = encode_words(SENTENCES, VOCABULARY, max_length=10)
    tags = Ragged.join([np.array([2, 0, 1], np.int32), np.array([1], np.int32)])
    raw = tf.constant([SENTENCES[0], (*SENTENCES[1], "", "")])
    outputs = {}
    for is_forced, before in ((True, [[-1, 2, 0], [-1, 1, 0]]), (False, [[-1] * 3] * 2)):
        data = SequenceBatches(inputs=encoded, targets={"tags": tags}, batch_size=2, is_forced=is_forced)
        batch = data.assemble(data.element(data.source(0), tf.constant(0, tf.int64)))
        np.testing.assert_array_equal(batch["x"]["before"], before)
        outputs[is_forced] = np.asarray(network.trained(batch["x"]))
    np.testing.assert_allclose(network.model(raw)[:, :3], tf.nn.softmax(outputs[False]), atol=1e-6)
    np.testing.assert_allclose(outputs[True][:, 0], outputs[False][:, 0], atol=1e-6)  # before there is a tag
    assert np.abs(outputs[True][0, 1:] - outputs[False][0, 1:]).min() > 0


@pytest.mark.parametrize("cell", get_args(TaggingRecurrent.model_fields["cell"].annotation))
def test_layers_of_dlcli_are_named(cell: str) -> None:
    section = TaggingRecurrent(kind="recurrent", cell=cell, units=2)  # type: ignore[arg-type]
    network = build_tagger(section, Words(embedding=3), VOCABULARY, num_classes=3)
    cells = [layer.cell for layer in network.model.layers if isinstance(layer, keras.layers.RNN)]
    assert own_layers(section) == [type(own).__name__ for own in cells if type(own).__module__.startswith("dlcli.")]
