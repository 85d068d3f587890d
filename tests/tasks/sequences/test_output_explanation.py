"""Explanations of several output tokens, on a linear network whose shares are known."""

import csv
import io
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlcli.explanation.sequences.attribution import gradient_x_input, leave_one_out
from dlcli.explanation.sequences.scores import Scores
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.run_models import BestModel
from dlcli.tasks.sequences.explanation import strongest
from dlcli.tasks.sequences.output_explanation import OutputTokens, explain_outputs
from dlcli.tasks.task import ExplanationRequest

STEPS, WIDTH, CLASSES = 4, 2, 2
KERNEL = np.random.default_rng(0).normal(size=(STEPS, WIDTH, CLASSES)).astype(np.float32)


def causal_outputs(points: Any) -> Any:
    """Logits ``[b, steps, classes]``: the sum over the steps so far, and 0 for the second class."""
    each = tf.einsum("bsw,swc->bsc", points, KERNEL)
    return tf.cumsum(each, axis=1) * np.float32([1, 0])


def test_each_output_has_the_shares_of_its_inputs(tmp_path: Path) -> None:
    points = np.random.default_rng(1).normal(size=(STEPS, WIDTH)).astype(np.float32)
    prepared: list[str] = []
    sample = OutputTokens(
        name="a",
        inputs=["w", "x", "y", "z"],
        outputs=["first", "last"],
        choices=np.array([[1, 0], [3, 1]], np.int32),
        vectors=lambda: (points, np.zeros_like(points)),
        prepare=lambda: prepared.append("a"),
        attention=np.full((2, STEPS), 0.25),
    )
    best = BestModel(keras.Sequential([keras.Input((1,))]), Path("model.keras"), "abc", None)
    explained = explain_outputs(
        RunDir(tmp_path),
        best,
        Scores(causal_outputs, WIDTH, CLASSES, is_class=True),
        [sample],
        {"gradient-x-input": gradient_x_input, "leave-one-out": leave_one_out},
        ExplanationRequest(),
        source="test",
        unit="words",
        to_check=None,
        console=Console(quiet=True),
    )
    assert prepared == ["a"]
    each = (points * KERNEL[..., 0]).sum(axis=1)  # of the log-odds of the first class against the second
    expected = [[*each[:2], 0, 0], -each]
    rows = list(csv.DictReader(io.StringIO(str(explained.files["tokens.csv"]))))
    for method in ("gradient-x-input", "leave-one-out"):
        found = np.array([float(row[method]) for row in rows]).reshape(2, STEPS)
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)
    assert [row["file"] for row in rows[::STEPS]] == ["a, output 2: first", "a, output 4: last"]
    assert {row["attention_weight"] for row in rows} == {"0.25"}
    odds = [each[:2].sum(), -each.sum()]
    assert [row["class"] for row in explained.rows] == ["first"] * 2 + ["last"] * 2
    np.testing.assert_allclose(
        [row["probability"] for row in explained.rows[::2]], 1 / (1 + np.exp(-np.array(odds))), rtol=1e-4
    )
    assert [text.title.partition(" ")[0] for text in explained.texts] == ["a:", "a:"]
    assert sorted(explained.files) == ["attention.png", "maps.png", "tokens.csv"]


def test_values_that_two_decimals_show_as_zero_are_not_listed() -> None:
    tokens = [("good", 0.5), ("the", 0.004), ("bad", -0.005), ("a", -0.001)]
    assert strongest(tokens) == "for good +0.50; against bad -0.01"
    assert strongest(tokens[1:2]) == "every token counts for less than 0.01"
