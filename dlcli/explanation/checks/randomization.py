"""Whether maps depend on what the network has learned (Adebayo et al. 2018, "Sanity checks for saliency maps")."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np
from numpy.typing import NDArray
from scipy import stats

from dlcli.explanation.method import Method, Targets
from dlcli.explanation.network import Network

Part = Literal["head", "all"]
PARTS: tuple[Part, ...] = ("head", "all")
LARGEST_CORRELATION = 0.5
STATISTICS = ("moving_mean", "moving_variance")  # of batch normalization


@dataclass(frozen=True)
class Correlations:
    """The rank correlations of a method's maps with those of a randomized network.

    Attributes:
        values: of each image and seed ``[images, seeds]``; 0 where either map is constant.
        num_constant: number of maps of randomized networks that are constant.
    """

    values: NDArray[np.float64]
    num_constant: int


def correlations(
    network: Network,
    method: Method,
    images: NDArray[np.float32],
    targets: Targets,
    *,
    part: Part,
    seeds: Sequence[int],
) -> Correlations:
    """Spearman's correlations of signed maps before and after the weights are randomized, for the same targets."""
    trained = method(images, targets).maps
    found, num_constant = [], 0
    for seed in seeds:
        with randomized(network, part, seed):
            maps = method(images, targets).maps
        num_constant += sum(bool(np.ptp(values) == 0) for values in maps)
        found.append(rank_correlation(trained, maps))
    return Correlations(np.stack(found, axis=1), num_constant)


def is_failed(means: Sequence[float]) -> bool:
    """Whether maps stay alike although the head, or all weights, are random: a mean correlation above .5."""
    return any(mean > LARGEST_CORRELATION for mean in means)


def rank_correlation(one: NDArray[Any], two: NDArray[Any]) -> NDArray[np.float64]:
    """Spearman's correlation of each pair of maps ``[b, height, width]``; 0 if one of them is constant."""
    ranks = [stats.rankdata(maps.reshape(len(maps), -1), axis=1) for maps in (one, two)]
    first, second = (values - values.mean(axis=1, keepdims=True) for values in ranks)
    lengths = np.sqrt((first**2).sum(axis=1) * (second**2).sum(axis=1))
    products: NDArray[np.float64] = (first * second).sum(axis=1)
    found: NDArray[np.float64] = np.divide(products, lengths, out=np.zeros(len(one)), where=lengths > 0)
    return found


@contextlib.contextmanager
def randomized(network: Network, part: Part, seed: int) -> Iterator[None]:
    """A context in which weights have a random order; afterward they are what they were, bit for bit.

    The values of each trained array are permuted: they keep their distribution, but nothing that was learned.

    Args:
        part: ``head``, the last layer with weights, or ``all``.
    """
    with shuffled(variables_of([call.operation for call in network.calls], part), seed):
        yield


@contextlib.contextmanager
def shuffled(variables: Sequence[keras.Variable], seed: int) -> Iterator[None]:
    """A context in which the values of each variable have a random order; afterward they are what they were."""
    values = [variable.numpy() for variable in variables]
    generator = np.random.default_rng(seed)
    try:
        for variable, value in zip(variables, values, strict=True):
            variable.assign(generator.permutation(value.reshape(-1)).reshape(value.shape))
        yield
    finally:
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)


def variables_of(operations: Sequence[Any], part: Part) -> list[keras.Variable]:
    """The trained variables of layers in the order of their calls, each once; for ``head`` those of the last."""
    layers = {id(operation): operation for operation in operations if trained_variables(operation)}
    chosen = list(layers.values())[-1:] if part == "head" else list(layers.values())
    return [variable for layer in chosen for variable in trained_variables(layer)]


def trained_variables(operation: Any) -> list[keras.Variable]:
    """What training changes in a layer, whether or not it is frozen: not the statistics of normalization."""
    if not isinstance(operation, keras.Layer) or isinstance(operation, keras.layers.Normalization):
        return []
    return [variable for variable in operation.weights if variable.name not in STATISTICS]
