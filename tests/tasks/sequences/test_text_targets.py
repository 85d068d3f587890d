"""Networks of texts with labels or a number: outputs from raw texts and ids, and what explanations show."""

import functools
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlcli.data.sequences.batches import SequenceBatches
from dlcli.data.sequences.dataset import Sequences
from dlcli.data.text.vocabulary import Vocabulary
from dlcli.errors import InputError
from dlcli.explanation.sequences.tokens import open_tokens
from dlcli.recipe.load import Recipe, TextRecipe, load
from dlcli.report.cost.layer_table import layer_table
from dlcli.tasks.sequences.encoders import Moments
from dlcli.tasks.sequences.network import build_network, text_steps
from dlcli.tasks.sequences.text_outputs import check_text_target, text_outputs
from dlcli.tasks.sequences.text_values import logits_of, points_of
from dlcli.tasks.sequences.tokens import encode_by, encode_texts, fit_characters

DATA = {"text_multilabel": "{kind: jsonl, path: a.jsonl, label: tags}", "text_regression": "{kind: csv, path: a.csv}"}
SAMPLES = Sequences(("a:1", "a:2"), np.zeros(2, np.int32), (), texts=("x", "y"))
INDEX = np.arange(2)


def recipe_of(task: str, folder: Path) -> Recipe:
    file = folder / f"{task}.yaml"
    model = "{kind: convolutional, filters: 4, dilations: [1]}"
    file.write_text(f"task: {task}\ndata: {DATA[task]}\ntext: {{embedding: 4}}\nmodel: {model}\n")
    return load(file).recipe


@pytest.mark.parametrize("task", DATA)
def test_raw_texts_and_their_ids_give_the_same_outputs(task: str, tmp_path: Path) -> None:
    recipe = recipe_of(task, tmp_path)
    assert isinstance(recipe, TextRecipe)
    network = build_network(recipe, Vocabulary.plain(["a", "b"]), 3, Moments(100.0, 25.0))
    found = np.asarray(network.model(tf.constant(["a b c", "", "b"])))
    trained = np.asarray(network.trained(tf.constant([[2, 3, 1], [1, 0, 0], [3, 0, 0]])))
    if task == "text_multilabel":
        np.testing.assert_allclose(found, 1 / (1 + np.exp(-trained)), rtol=1e-5)
        assert found.shape == (3, 3)
    else:
        np.testing.assert_allclose(found, trained, rtol=1e-6)
        layer = network.model.get_layer("scaled_value")
        scaled = np.asarray(layer(np.zeros((1, layer.input.shape[-1]), np.float32)))[0, 0]
        layer.kernel.assign(tf.zeros_like(layer.kernel))
        constant = np.asarray(network.model(tf.constant(["a"])))
        np.testing.assert_allclose(constant, 100.0 + 5.0 * scaled, rtol=1e-6)


TEXTS = ["a b c a b", "", "b cab zab a b c a b c b a", "ccc"]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("{windows: {length: 4, stride: 2}}", marks=pytest.mark.slow),
        pytest.param("{windows: {length: 3, pool: max}, max_length: 7}", marks=pytest.mark.slow),
        pytest.param("{characters: {embedding: 3, filters: 4, max_length: 3}}", marks=pytest.mark.slow),
        "{characters: {}, windows: {length: 4}, standardize: none}",
    ],
)
def test_windows_and_characters_are_the_same_in_training_and_in_the_saved_model(text: str, tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    model = "{kind: recurrent, cell: simple, units: 4}"
    file.write_text(f"task: text_classification\ndata: {{kind: lines, path: a}}\ntext: {text}\nmodel: {model}\n")
    recipe = load(file).recipe
    assert isinstance(recipe, TextRecipe)
    vocabulary = replace(Vocabulary.plain(["a", "b", "c"]), characters=fit_characters(recipe.text, TEXTS * 2))
    network = build_network(recipe, vocabulary, 2)
    encoded = encode_texts(TEXTS, recipe.text, vocabulary)
    if recipe.text.characters is not None:
        steps = functools.partial(text_steps, tokens=recipe.text, vocabulary=vocabulary)
        by_words, encoded = encoded, encode_by(steps, TEXTS)
        np.testing.assert_array_equal(encoded.flat[:, 0], by_words.flat)
        np.testing.assert_array_equal(encoded.lengths, by_words.lengths)
    batch = SequenceBatches(inputs=encoded, targets={"class": np.zeros(4, np.int32)}, batch_size=4)
    x = batch.assemble(batch.element(batch.source(0), 0))["x"]
    trained = np.asarray(tf.nn.softmax(network.trained(x)))
    np.testing.assert_allclose(np.asarray(network.model(tf.constant(TEXTS))), trained, atol=1e-6)
    alone = np.concatenate([np.asarray(network.model(tf.constant([text]))) for text in TEXTS])
    np.testing.assert_allclose(alone, trained, atol=1e-6)
    keras.saving.save_model(network.model, tmp_path / "model.keras")
    saved = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_allclose(np.asarray(saved(tf.constant(TEXTS))), trained, atol=1e-6)
    opened = open_tokens(network.model, by_step=False)
    logits = logits_of(opened, points_of(opened, TEXTS))
    np.testing.assert_allclose(np.asarray(tf.nn.softmax(logits)), trained, atol=1e-6)
    table = layer_table(network.trained, steps=11)
    assert table.parameters == network.trained.count_params()
    assert not table.not_counted
    if recipe.text.characters is not None:  # an unknown word is more than unknown
        words = np.asarray(network.model(tf.constant(["zab", "xxx"])))
        assert np.abs(words[0] - words[1]).max() > 1e-6


def test_what_is_explained_of_labels_and_numbers(tmp_path: Path) -> None:
    recipe = recipe_of("text_multilabel", tmp_path)
    assert isinstance(recipe, TextRecipe)
    logits = np.array([[0.0, 2.0], [1.0, -3.0]], np.float32)
    found = text_outputs(recipe, "predicted", logits, SAMPLES, INDEX, ("a", "b"))
    assert found.choices.tolist() == [1, 0]
    assert found.titles == ["b 0.88", "a 0.73"]
    known = Sequences(("a:1", "a:2"), np.zeros(2, np.int32), (), texts=("x", "y"), applies=np.array([[1, 1], [0, 0.0]]))
    named = text_outputs(recipe, "a", logits, known, INDEX, ("a", "b"))
    assert named.titles == ["a 0.50, labels a|b", "a 0.73, labels none"]
    check_text_target(recipe, "b", ("a", "b"), has_labels=True)
    with pytest.raises(InputError, match="--class label: any number of labels may apply to a text"):
        check_text_target(recipe, "label", ("a", "b"), has_labels=True)
    number = recipe_of("text_regression", tmp_path)
    assert isinstance(number, TextRecipe)
    shown = text_outputs(number, "predicted", np.array([[1.5], [2.0]], np.float32), SAMPLES, INDEX, ())
    assert shown.titles == ["1.5", "2"]
    assert shown.columns[0] == {"target": None, "predicted": 1.5}
