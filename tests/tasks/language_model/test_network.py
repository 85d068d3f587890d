"""Weight tying: the network predicts tokens by their embeddings, and everything that opens a model handles that."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlcli.data.text.vocabulary import Vocabulary
from dlcli.explanation.sequences.tokens import open_tokens
from dlcli.recipe.load import load
from dlcli.report.cost.layer_table import layer_table
from dlcli.tasks.language_model.network import build_language_model
from dlcli.tasks.sequences.encoders import SequenceNetwork

VOCABULARY = Vocabulary.plain(["a", "b", "c"])  # and the ids of padding and unknown
IDS = np.array([[2, 3, 4, 2], [4, 4, 3, 1]], np.int32)


def network(folder: Path, model: str, *, start_tokens: tuple[str, ...] = (), **options: Any) -> SequenceNetwork:
    file = folder / "recipe.yaml"
    file.write_text(
        "task: language_model\ndata: {kind: text, path: a.txt}\ntext: {embedding: 4, max_length: 6}\n"
        f"model: {{{model}, tie_embeddings: true}}\ntrain: {{batch_size: 2}}\n"
    )
    keras.utils.set_random_seed(0)
    recipe: Any = load(file).recipe
    return build_language_model(recipe, VOCABULARY, start_tokens=start_tokens, **options)


def test_tied_weights_are_counted_once_and_have_gradients(tmp_path: Path) -> None:
    tied = network(tmp_path, "kind: recurrent, cell: simple, units: 6", start_tokens=("",))
    own = 6 * 4 + 6 * (4 + 6 + 1) + 4 * (6 + 1)  # ids with the start token; the cell; the projection
    assert tied.trained.count_params() == own
    table = layer_table(tied.trained, steps=5)
    assert table.parameters == own
    assert table.not_counted == ()
    assert table.operations.multiply_adds == 5 * (6 * (4 + 6) + 6 * 4 + 6 * 4)  # the last: logits of all ids
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.sin(tied.trained(IDS, training=True)))
    gradients = tape.gradient(loss, [variable.value for variable in tied.trained.trainable_variables])
    assert all(np.abs(tf.convert_to_tensor(gradient)).max() > 0 for gradient in gradients)


@pytest.mark.parametrize("units", [4, 6])
def test_logits_are_products_with_the_embeddings(tmp_path: Path, units: int) -> None:
    tied = network(tmp_path, f"kind: recurrent, cell: simple, units: {units}")
    ids, outputs = (tied.model.get_layer(name).output for name in ("token_ids", "simple1"))
    steps = keras.Model(ids, outputs)(IDS)
    weights = {variable.path: np.asarray(variable) for variable in tied.trained.variables}
    if units != 4:
        steps = np.asarray(steps) @ weights["output_projection/kernel"] + weights["output_projection/bias"]
    expected = np.asarray(steps) @ weights["embedding/embeddings"].T
    np.testing.assert_allclose(tied.trained(IDS), expected, atol=1e-6)


@pytest.mark.parametrize("model", ["kind: convolutional, causal: true", "kind: transformer, causal: true, units: 8"])
def test_other_networks_can_be_tied(tmp_path: Path, model: str) -> None:
    assert network(tmp_path, model).trained(IDS).shape == (2, 4, 5)


def test_a_tied_network_is_saved_opened_and_carries_states(tmp_path: Path) -> None:
    model = "kind: recurrent, cell: gru, units: 6, stateful: true"
    tied = network(tmp_path, model)
    tied.model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras", safe_mode=True)
    text = tf.constant(["abca"])
    np.testing.assert_array_equal(loaded(text), tied.model(text))
    opened = open_tokens(loaded, by_step=True)
    (ids,) = opened.ids(text)
    scores = opened.scores.values(opened.vectors(ids)[None])
    whole = network(tmp_path, model, is_stateful=False)
    whole.trained.set_weights(loaded.get_weights())
    np.testing.assert_allclose(scores[0], whole.trained(ids[None])[0], atol=1e-6)
    assert [v.path.split("/")[-1] for v in tied.trained.trainable_variables] == [
        v.path.split("/")[-1] for v in tied.model.trainable_variables
    ]
