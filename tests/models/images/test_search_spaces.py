"""The spaces of Genetic CNN, Block-QNN and hierarchical search, against examples that are worked out by hand."""

from collections.abc import Callable
from typing import Any, get_args

import keras
import numpy as np
import pytest
from layer_tables import table_of  # type: ignore[import-not-found]
from learning import assert_gradients  # type: ignore[import-not-found]

from dlcli.models.images import block_qnn, genetic_cnn, hierarchical
from dlcli.recipe.sections.image_model import BlockQnn, GeneticCnn, Hierarchical, ImageClassifier
from dlcli.recipe.sections.search_spaces import PRIMITIVES

F = 4
BITS = ("1-01-100", "0-00")
CODE = ((1, 1, 3, 0, 0), (2, 2, 3, 0, 0), (3, 1, 1, 2, 0), (4, 5, 0, 1, 3), (5, 4, 0, 1, 0), (6, 7, 0, 0, 0))
MOTIFS = {
    "first": (("sep3(n1)",), ("max3(n1)", "conv1(n2)"), ("identity(n3)", "depthwise3(n1)")),
    "second": (("avg3(n1)",),),
}
CELL = (("first(n1)",), ("second(n1)", "second(n2)"))
SECTIONS = {
    "genetic_cnn": GeneticCnn(kind="genetic_cnn", bits=BITS, filters=F),
    "block_qnn": BlockQnn(kind="block_qnn", code=CODE, repeats=1, filters=F),
    "hierarchical": Hierarchical(kind="hierarchical", motifs=MOTIFS, cell=CELL, repeats=1, filters=F),
}


def conv(inputs: int, filters: int, kernel: int = 1) -> int:
    """The weights of a convolution without bias, and of its normalization."""
    return kernel * inputs * filters + 2 * filters


def sources(model: keras.Model, name: str) -> set[str]:
    """The names of the layers that a layer reads."""
    return {tensor._keras_history.operation.name for tensor in keras.tree.flatten(model.get_layer(name).input)}


def test_bits_are_connections() -> None:
    """The second node reads the first, the third the second, the fourth the first; nothing reads the last two."""
    assert genetic_cnn.predecessors("1-01-100") == [[], [0], [1], [0]]
    inputs = keras.Input((8, 8, 1))
    model = keras.Model(inputs, genetic_cnn.features(inputs, bits=["1-01-100"], filters=2))
    for node, source in ((1, "input"), (2, "node1"), (3, "node2"), (4, "node1")):
        assert sources(model, f"stage1_node{node}_conv") == {f"stage1_{source}_relu"}
    assert sources(model, "stage1_sum") == {"stage1_node3_relu", "stage1_node4_relu"}


def test_nodes_without_connections_are_left_out() -> None:
    inputs = keras.Input((8, 8, 1))
    names = {layer.name for layer in keras.Model(inputs, genetic_cnn.features(inputs, bits=["0-10"], filters=2)).layers}
    assert {"stage1_node1_conv", "stage1_node3_conv"} <= names
    assert "stage1_node2_conv" not in names


def test_the_weights_of_genetic_cnn() -> None:
    stage1 = conv(1, F, 9) + 4 * conv(F, F, 9) + conv(F, F, 9)
    stage2 = conv(F, 2 * F, 9) + conv(2 * F, 2 * F, 9)  # no connections: the input and the output node
    assert table_of(SECTIONS["genetic_cnn"], (8, 8, 1), 10).trainable == stage1 + stage2 + 2 * F * 10 + 10


def test_a_block_concatenates_what_nothing_reads() -> None:
    inputs = keras.Input((8, 8, 1))
    model = keras.Model(inputs, block_qnn.features(inputs, code=CODE, repeats=1, filters=F))
    assert sources(model, "stage1_block1_join") == {"stage1_block1_layer4", "stage1_block1_layer5"}
    assert sources(model, "stage1_block1_layer4") == {"stage1_block1_layer1_norm", "stage1_block1_layer3_norm"}
    assert sources(model, "stage1_block1_layer2") == {"stem_norm"}
    assert model.output.shape == (None, 2, 2, 2 * 4 * F)


def test_the_weights_of_block_qnn() -> None:
    total, inputs = conv(1, F, 9), F
    for filters in (F, 2 * F, 4 * F):
        total += conv(inputs, filters, 9) + conv(inputs, filters)
        inputs = 2 * filters
    assert table_of(SECTIONS["block_qnn"], (8, 8, 1), 10).trainable == total + inputs * 10 + 10


def test_maps_of_different_numbers_are_added_after_a_convolution() -> None:
    section = BlockQnn(kind="block_qnn", code=((1, 1, 1, 0, 0), (2, 5, 0, 0, 1)), repeats=2, filters=F)
    rows = {row.name: row for row in table_of(section, (8, 8, 1), 10).rows}
    assert "stage1_block1_layer2_first_conv" not in rows
    assert rows["stage2_block1_layer2_first_conv"].output_shapes == ((4, 4, 2 * F),)


def test_a_motif_merges_what_its_edges_bring() -> None:
    inputs = keras.Input((8, 8, 1))
    outputs = hierarchical.features(inputs, motifs=MOTIFS, cell=CELL, repeats=1, filters=F)
    model = keras.Model(inputs, outputs)
    motif = "stage1_cell1_n2_first_n1"
    assert model.get_layer(f"{motif}_n3").output.shape[-1] == 2 * F  # max3(n1), conv1(n2)
    assert model.get_layer(f"{motif}_n4").output.shape[-1] == 3 * F  # identity(n3), depthwise3(n1)
    assert sources(model, "stage1_cell1_n3") == {f"stage1_cell1_n3_second_n{node}_merge_relu" for node in (1, 2)}
    assert outputs.shape == (None, 2, 2, 4 * F)


def test_the_weights_of_a_hierarchical_network() -> None:
    total = conv(1, F, 9)
    for stage, f in enumerate((F, 2 * F, 4 * F)):
        total += 9 * f // 2 + conv(f // 2, f) if stage else 0
        first = 9 * f + conv(f, f) + conv(f, f) + (9 * f + 2 * f) + conv(3 * f, f)
        total += first + 2 * conv(f, f) + conv(2 * f, f)
    assert table_of(SECTIONS["hierarchical"], (8, 8, 1), 10).trainable == total + 4 * F * 10 + 10
    assert set(hierarchical.PRIMITIVES) == set(PRIMITIVES)


@pytest.mark.parametrize("kind", ["genetic_cnn", "block_qnn", pytest.param("hierarchical", marks=pytest.mark.slow)])
def test_stages_and_gradients(kind: str, build_classifier: Callable[..., keras.Model]) -> None:
    section: Any = SECTIONS[kind]
    model = build_classifier(section, (8, 8, 3), 3)
    num_stages = 2 if kind == "genetic_cnn" else 3
    sides = [model.get_layer(f"stage{stage}").output.shape[1] for stage in range(1, num_stages + 1)]
    assert sides == [8, 4, 2][:num_stages]
    assert np.isfinite(np.asarray(model(np.zeros((1, 8, 8, 3), np.float32)))).all()
    assert_gradients(model)


def test_they_are_image_networks() -> None:
    assert {GeneticCnn, BlockQnn, Hierarchical} <= set(get_args(get_args(ImageClassifier)[0]))
