"""What in one text or series speaks for its prediction, for the page of a server."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from dlcli.errors import InputError
from dlcli.explanation.network import NotExplainable
from dlcli.explanation.sequences.attribution import integrated_gradients
from dlcli.explanation.sequences.series import open_series_network
from dlcli.explanation.sequences.tokens import open_tokens
from dlcli.recipe.load import NumberRecipe, SequenceRecipe, TextRecipe
from dlcli.recipe.tasks.sequence_classification import SequenceClassification
from dlcli.recipe.tasks.sequence_regression import SequenceRegression
from dlcli.recipe.tasks.text_classification import TextClassification
from dlcli.rundir.directory import RunDir
from dlcli.tasks.predictor import ShownSteps, ShownTokens
from dlcli.tasks.sequences.text_explanation_files import spelled_tokens
from dlcli.tasks.sequences.text_values import logits_of, points_of, token_ids, values_of

STEPS = 32  # of integrated gradients: nobody waits for more
MOST_VALUES = 20_000  # of a series that is explained

Explainer = Callable[[Any], ShownTokens | ShownSteps | None]


def explainer_of(run: RunDir, recipe: SequenceRecipe, model: keras.Model, classes: Sequence[str]) -> Explainer | None:
    """What explains a text or the steps of a series ``[steps, columns]``; None for a network that cannot be explained,
    or that predicts tags."""
    try:
        if isinstance(recipe, TextRecipe):
            return _of_texts(run, recipe, model, classes)
        if isinstance(recipe, SequenceClassification | SequenceRegression):
            return _of_series(run, model, classes)
    except (InputError, NotExplainable):
        pass
    return None


def _of_texts(run: RunDir, recipe: TextRecipe, model: keras.Model, classes: Sequence[str]) -> Explainer:
    is_number = isinstance(recipe, NumberRecipe)
    network = open_tokens(
        model,
        by_step=False,
        output="value" if is_number else "logits",
        is_class=isinstance(recipe, TextClassification),
    )
    method = integrated_gradients(steps=STEPS)

    def explain(text: str) -> ShownTokens | None:
        if not text.strip():  # which the network reads as an unknown token
            return None
        (ids,), points = token_ids(network, [text]), points_of(network, [text])
        target = logits_of(network, points).argmax(axis=1).astype(np.int32)  # 0 for the only number
        (values,) = values_of(network, method, points, target).values
        tokens = spelled_tokens(run, recipe.text, text, ids)
        separator = " " if recipe.text.unit == "words" else ""
        return ShownTokens(
            list(zip(tokens, values.tolist(), strict=True)), separator, *_explained(classes, int(target[0]))
        )

    return explain


def _of_series(run: RunDir, model: keras.Model, classes: Sequence[str]) -> Explainer:
    info = run.read_data_info("scale")
    network = open_series_network(model, np.array(info["scale"]["mean"]), is_class=bool(classes))
    names = info.get("features") or [f"feature {number + 1}" for number in range(len(network.means))]
    method = integrated_gradients(steps=STEPS)

    def explain(series: NDArray[np.float32]) -> ShownSteps | None:
        if not 0 < series.size <= MOST_VALUES:
            return None
        target = int(network.outputs([series])[0].argmax())
        points = network.points(series[None])
        choices = np.array([[0, target]], np.int32)
        shares = method(network.scores, points, network.starts(points), choices).shares[0]
        return ShownSteps(series, shares, [str(name) for name in names], *_explained(classes, target))

    return explain


def _explained(classes: Sequence[str], target: int) -> tuple[str, str]:
    """What is explained, and the unit of its values."""
    return (classes[target], "log-odds") if classes else ("a larger number", "the unit of the number")
