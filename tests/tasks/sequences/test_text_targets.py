"""Networks of texts with labels or a number: outputs from raw texts and ids, and what explanations show."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from dlcli.data.sequences.dataset import Sequences
from dlcli.data.text.vocabulary import Vocabulary
from dlcli.errors import InputError
from dlcli.recipe.load import Recipe, TextRecipe, load
from dlcli.tasks.sequences.encoders import Moments
from dlcli.tasks.sequences.network import build_network
from dlcli.tasks.sequences.text_outputs import check_text_target, text_outputs

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
