"""The characters of words as ids and as vectors, against NumPy."""

import keras
import numpy as np
import tensorflow as tf

from dlcli.models.sequences import word_characters

IDS = np.array([[[2, 3, 2, 0], [3, 0, 0, 0]], [[3, 3, 2, 2], [0, 0, 0, 0]]], np.int32)


def test_ids_of_characters_are_those_of_code_points() -> None:
    words = keras.Input((None,), dtype="string")
    model = keras.Model(words, word_characters.character_ids(words, characters=["a", "é"], max_length=3))
    found = model(tf.constant([["aé", "Aaaa", "é"], ["a", "", ""]]))
    assert found.dtype == tf.int32
    assert np.asarray(found).tolist() == [[[2, 3, 0], [1, 2, 2], [3, 0, 0]], [[2, 0, 0], [0, 0, 0], [0, 0, 0]]]


def test_features_are_the_maximum_of_a_convolution_over_the_word_alone() -> None:
    ids = keras.Input((None, 4), dtype="int32")
    options = {"num_ids": 4, "embedding": 5, "filters": 6, "kernel_size": 3}
    model = keras.Model(ids, word_characters.features(ids, **options))
    table = model.get_layer("character_embedding").get_weights()[0]
    kernel, bias = model.get_layer("character_conv").get_weights()
    bias = np.linspace(-0.5, 0.5, 6)
    model.get_layer("character_conv").set_weights([kernel, bias])
    found = np.asarray(model(IDS))
    for sample, word in np.ndindex(2, 2):
        own = IDS[sample, word][IDS[sample, word] > 0]
        padded = np.pad(table[own], ((1, 1), (0, 0)))
        steps = [np.tensordot(padded[i : i + 3], kernel[0], axes=2) + bias for i in range(len(own))]
        np.testing.assert_allclose(found[sample, word], np.max([np.zeros(6), *steps], axis=0), atol=1e-5)
