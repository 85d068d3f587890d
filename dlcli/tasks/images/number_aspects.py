"""What is explained of image regression: each of the numbers, in its own unit."""

from collections.abc import Sequence

import keras
import numpy as np
from numpy.typing import NDArray

from dlcli.data.images.samples import Samples
from dlcli.explanation.logits import of_vector
from dlcli.explanation.network import Network, open_model
from dlcli.tasks.images.aspects import Aspect, Choose, Chosen, Explainable, asked_for, finite
from dlcli.tasks.task import ExplanationRequest


def explainable_numbers(model: keras.Model, request: ExplanationRequest, names: Sequence[str]) -> Explainable:
    """Each number that is predicted, or those that ``--target`` names.

    Raises:
        InputError: there is no such target.
    """
    opened = open_model(model)
    network = opened.network([opened.tensor("value")], of_vector)
    numbers = {name: list(names).index(name) for name in asked_for(request, names)}
    aspects = [Aspect(network, _number(network, index, name), name) for name, index in numbers.items()]
    return Explainable(aspects, shown=("target", "value"), meaning="Red raises the number, blue lowers it")


def _number(network: Network, index: int, name: str) -> Choose:
    def choose(pixels: NDArray[np.float32], samples: Samples, rows: NDArray[np.int64]) -> Chosen:
        values = finite(np.asarray(network.end_values(pixels)[0]))[:, index].tolist()
        columns = [{"target": name, "value": value} for value in values]
        return Chosen(np.full(len(rows), index, np.int32), columns, [f"{name} {value:.4g}" for value in values])

    return choose
