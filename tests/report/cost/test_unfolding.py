"""Recurrent networks unfolded in time: what each node reads, and closed forms of the weights that its steps share."""

from typing import Any

import keras
import pytest

from dlcli.models.sequences import recurrent
from dlcli.models.sequences.cells import ClassFeedbackCell
from dlcli.models.sequences.encoder_decoder import Decoder
from dlcli.report.cost.layer_table import LayerTable, layer_table
from dlcli.report.cost.unfolding import Edge, Unfolding, unfold
from dlcli.report.cost.unfolding_text import heading, unfolding_rows

STEPS, FEATURES, UNITS, CLASSES = 7, 3, 4, 5

OPTIONS: dict[str, Any] = {
    "units": UNITS,
    "dropout": 0.0,
    "recurrent_dropout": 0.0,
    "residual": False,
    "layer_norm": False,
    "recurrent_initializer": "orthogonal",
    "forget_bias": True,
    "decay": 0.9,
    "learn_decay": False,
}


def table_of(*, cell: str, layers: int, bidirectional: bool, last_only: bool) -> LayerTable:
    x, mask = keras.Input((STEPS, FEATURES)), keras.Input((STEPS,), dtype="bool")
    y = recurrent.steps(x, mask, cell=cell, layers=layers, bidirectional=bidirectional, last_only=last_only, **OPTIONS)
    return layer_table(keras.Model([x, mask], keras.layers.Dense(CLASSES, name="logits")(y)))


def reads(unfolding: Unfolding, symbol: str) -> set[tuple[str, str]]:
    (node,) = [node for node in unfolding.nodes if node.symbol == symbol]
    return {(edge.source, edge.when) for edge in node.reads}


def test_many_to_one() -> None:
    found = unfold(table_of(cell="simple", layers=1, bidirectional=False, last_only=True), pooling=None)
    x, h, o = found.nodes
    assert (found.form, found.cell, found.other_parameters) == ("many to one", "simple", 0)
    assert (x.steps, x.size) == (STEPS, FEATURES)
    assert h.reads == (Edge("x", "same"), Edge("h", "before"))
    assert h.weights == (("W", (FEATURES, UNITS)), ("U", (UNITS, UNITS)), ("b", (UNITS,)))
    assert h.parameters == UNITS * (FEATURES + UNITS + 1)
    assert (o.steps, o.reads, o.weights) == (1, (Edge("h", "last"),), (("V", (UNITS, CLASSES)), ("c", (CLASSES,))))
    assert unfolding_rows(found)[2][2] == "x(t), h(t-1)"
    assert unfolding_rows(found)[3][:3] == ("o", "logits", "h(7)")
    assert heading(found).startswith("many to one: 7 steps, ")


def test_deep_bidirectional_many_to_many() -> None:
    found = unfold(table_of(cell="lstm", layers=2, bidirectional=True, last_only=False), pooling=None)
    assert found.form == "many to many"
    assert [node.symbol for node in found.nodes] == ["x", "h1", "g1", "h2", "g2", "o"]
    assert reads(found, "g1") == {("x", "same"), ("g1", "after")}
    assert reads(found, "h2") == {("h1", "same"), ("g1", "same"), ("h2", "before")}
    assert reads(found, "o") == {("h2", "same"), ("g2", "same")}
    parameters = [node.parameters for node in found.nodes]
    first, second = 4 * UNITS * (FEATURES + UNITS + 1), 4 * UNITS * (2 * UNITS + UNITS + 1)
    assert parameters == [0, first, first, second, second, CLASSES * (2 * UNITS + 1)]
    assert sum(parameters) == found.parameters


def test_outputs_that_are_fed_back() -> None:
    cell = ClassFeedbackCell(UNITS, num_classes=CLASSES, recurrent_initializer="orthogonal", name="cell")
    x = keras.Input((STEPS, FEATURES + 1))
    y = keras.layers.RNN(cell, return_sequences=True, name="jordan1")(x)
    found = unfold(layer_table(keras.Model(x, keras.layers.Activation("linear", name="logits")(y))), pooling=None)
    assert (found.form, found.other_parameters) == ("many to many", 0)
    assert reads(found, "h") == {("x", "same"), ("h", "before")}
    assert reads(found, "o") == {("h", "same")}


def test_states_of_both_ends_and_pooling() -> None:
    both = table_of(cell="gru", layers=1, bidirectional=True, last_only=True)
    assert reads(unfold(both, pooling="last"), "o") == {("h", "last"), ("g", "first")}
    every = table_of(cell="gru", layers=1, bidirectional=False, last_only=False)
    assert reads(unfold(every, pooling="mean"), "o") == {("h", "all")}


@pytest.mark.parametrize(
    ("attention", "of_state", "of_output"),
    [
        ("none", {("y", "same"), ("s", "before")}, {("s", "same")}),
        ("bahdanau", {("y", "same"), ("c", "same"), ("s", "before")}, {("s", "same"), ("c", "same")}),
        ("luong", {("y", "same"), ("t", "before"), ("s", "before")}, {("t", "same")}),
    ],
)
def test_encoder_decoder(attention: str, of_state: set[tuple[str, str]], of_output: set[tuple[str, str]]) -> None:
    x, mask = keras.Input((STEPS, FEATURES)), keras.Input((STEPS,), dtype="bool")
    before, forced = keras.Input((2,), dtype="int32"), keras.Input((2,))
    h = recurrent.steps(x, mask, cell="gru", layers=1, bidirectional=False, last_only=False, **OPTIONS)
    options = {"cell": "gru", "units": UNITS, "layers": 1, "embedding": 6, "num_tokens": CLASSES}
    options |= {"attention": attention, "recurrent_initializer": "orthogonal", "forget_bias": True, "guesses": False}
    last = recurrent.summary(h, mask, bidirectional=False)
    logits = Decoder(dropout=0.0, options=options, name="decoder")(h, mask, last, before, forced)
    found = unfold(layer_table(keras.Model([x, mask, before, forced], logits)), pooling=None)
    assert found.form == "encoder-decoder"
    assert reads(found, "s") == of_state
    assert reads(found, "o") == of_output
    assert reads(found, "s(0)") == {("h", "last")}
    assert found.other_parameters == 0
    assert heading(found).startswith("encoder-decoder: 7 and 2 steps")


def test_a_network_without_recurrent_layers() -> None:
    x = keras.Input((STEPS, FEATURES))
    with pytest.raises(ValueError, match="no recurrent layer"):
        unfold(layer_table(keras.Model(x, keras.layers.Dense(2)(x))), pooling=None)
