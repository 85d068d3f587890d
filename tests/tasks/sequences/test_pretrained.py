"""Pretrained vectors: which words get them, and what the network does with them."""

import gzip
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from dlcli.data.text.vocabulary import FIRST, UNKNOWN, Vocabulary
from dlcli.errors import InputError
from dlcli.recipe.load import LoadedRecipe, load
from dlcli.recipe.tasks.text_classification import TextClassification
from dlcli.rundir.directory import RunDir
from dlcli.tasks.sequences.network import build_network
from dlcli.tasks.sequences.pretrained import coverage, with_vectors
from dlcli.tasks.sequences.tokens import write_vocabulary

VECTORS = "Cat 9 9\ncat 1 2\nnew 3 4\n, 5 5\né 5 6\nlast 7 8\n"
VOCABULARY = Vocabulary.plain(["cat", "absent"])


@pytest.fixture
def loaded(tmp_path: Path) -> LoadedRecipe:
    (tmp_path / "v.txt.gz").write_bytes(gzip.compress(VECTORS.encode()))
    (tmp_path / "recipe.yaml").write_text(
        "task: text_classification\ndata: {kind: csv, path: a.csv}\n"
        "text: {embedding: 2, max_vocabulary: 4, pretrained: v.txt.gz}\n"
        "model: {kind: recurrent, cell: simple, units: 3}\n"
    )
    return load(tmp_path / "recipe.yaml")


def fitted(loaded: LoadedRecipe, *, is_new: bool = True) -> Vocabulary:
    assert isinstance(loaded.recipe, TextClassification)
    return with_vectors(loaded, loaded.recipe.text, VOCABULARY, seed=0, is_new=is_new)


def test_words_of_the_file_fill_the_vocabulary(loaded: LoadedRecipe) -> None:
    """Up to max_vocabulary, without those that standardized texts cannot contain."""
    found = fitted(loaded)
    assert found.tokens == ("cat", "absent", "new", "é")
    assert found.forms == ("cat", "absent", "new", "é", "É")
    assert found.token_of_form == (FIRST, FIRST + 1, FIRST + 2, FIRST + 3, FIRST + 3)
    assert coverage(found) == [
        "text.pretrained: 1 of the 2 words of the training texts have vectors; 2 further words of the file are in the "
        "vocabulary"
    ]
    assert found.vectors is not None
    table = found.vectors.table
    np.testing.assert_array_equal(table[[0, FIRST, FIRST + 2, FIRST + 3]], [[0, 0], [1, 2], [3, 4], [5, 6]])
    np.testing.assert_allclose(table[UNKNOWN], np.mean([[1, 2], [3, 4], [5, 6]], axis=0))
    np.testing.assert_array_equal(table, fitted(loaded).vectors.table)  # type: ignore[union-attr]


def test_the_network_starts_from_them_and_keeps_them_unless_it_is_asked_not_to(loaded: LoadedRecipe) -> None:
    front = fitted(loaded)
    network = build_network(loaded.recipe, front, 2)  # type: ignore[arg-type]
    layer = network.model.get_layer("embedding")
    assert front.vectors is not None
    np.testing.assert_array_equal(layer.embeddings, front.vectors.table)
    assert not layer.trainable_variables
    trained = network.trained(np.array([[FIRST + 3, FIRST + 2]], np.int32))
    np.testing.assert_allclose(network.model(tf.constant(["É, new"])), tf.nn.softmax(trained), atol=1e-6)


def test_files_that_do_not_fit_are_refused(loaded: LoadedRecipe, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text((tmp_path / "recipe.yaml").read_text())
    run = RunDir(tmp_path)
    write_vocabulary(run.vocabulary, fitted(loaded))
    fitted(loaded, is_new=False)
    (tmp_path / "v.txt.gz").write_text("cat 1 2\nother 1 2\n")
    with pytest.raises(InputError, match="has other words than when this run was started"):
        fitted(loaded, is_new=False)
    (tmp_path / "v.txt.gz").write_text("chat 1 2\n")
    with pytest.raises(InputError, match="Received none of their 2 words"):
        fitted(loaded)
    (tmp_path / "v.txt.gz").write_text("cat 1 2 3\n")
    with pytest.raises(InputError, match=r"text\.embedding: must be 3, the size of the vectors in .*; it is 2"):
        fitted(loaded)
