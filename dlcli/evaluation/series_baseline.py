"""The baseline of sequences of numbers: ridge regression on features of random convolutions.

The features are those of MiniRocket (Dempster, Schmidt and Webb 2021): kernels of nine weights, three of them 2 and the
others -1, at several dilations; and of each the proportions of steps at which its output exceeds some thresholds. There
are fewer of them than in the paper.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import RidgeClassifierCV, RidgeCV
from threadpoolctl import threadpool_limits

Array = npt.NDArray[Any]

LENGTH = 9
KERNELS = tuple(itertools.combinations(range(LENGTH), 3))
"""The positions of the weights of 2 in each of the 84 kernels."""
MAX_DILATIONS = 6
NUM_THRESHOLDS = 12  # of each kernel, over all its dilations
MAX_SHOWN = 64  # training sequences from whose outputs thresholds are taken
CHUNK = 2**18  # steps, padding included, that are transformed at once
PENALTIES = tuple(10.0**k for k in range(-3, 5))


@dataclass(frozen=True)
class SeriesFeatures:
    """Turns sequences into features, as fitted on training sequences.

    Attributes:
        mean, deviation: of the values of each channel ``[channels]``.
        dilations: of the kernels.
        channels: those that each kernel sums up, for each dilation ``[dilations][kernels]``.
        thresholds: of each kernel, for each dilation ``[dilations, kernels, thresholds]``.
    """

    mean: Array
    deviation: Array
    dilations: tuple[int, ...]
    channels: Sequence[Sequence[Array]]
    thresholds: Array

    def transform(self, sequences: Sequence[Array]) -> Array:
        """The features ``[n, features]`` of sequences ``[steps, channels]``; NaN where a value is missing."""
        longest_first = np.argsort([-len(sequence) for sequence in sequences], kind="stable")
        found = np.empty((len(sequences), self.thresholds.size + 1), np.float32)
        start = 0
        while start < len(longest_first):  # those of similar length together
            chosen = longest_first[start : start + max(1, CHUNK // len(sequences[longest_first[start]]))]
            padded, lengths = _padded([sequences[i] for i in chosen], self.mean, self.deviation)
            is_step = np.arange(padded.shape[1]) < lengths[:, None]
            columns = [np.log1p(lengths)[:, None]]
            for dilation, channels, thresholds in zip(self.dilations, self.channels, self.thresholds, strict=True):
                for output, of_kernel in zip(_outputs(padded, dilation, channels), thresholds, strict=True):
                    exceeds = (output[..., None] > of_kernel) & is_step[..., None]
                    columns.append(exceeds.sum(axis=1) / lengths[:, None])
            found[chosen] = np.concatenate(columns, axis=1)
            start += len(chosen)
        return found


def fit_features(sequences: Sequence[Array], *, seed: int = 0) -> SeriesFeatures:
    """Choose dilations by the lengths of training sequences ``[steps, channels]``, and thresholds by their outputs.

    Args:
        seed: of the channels and of the sequences that thresholds are taken from.
    """
    rng = np.random.default_rng(seed)
    values = np.concatenate(list(sequences)).astype(np.float64)
    number = np.maximum((~np.isnan(values)).sum(axis=0), 1)
    mean = np.nansum(values, axis=0) / number
    deviation = np.sqrt(np.nansum((values - mean) ** 2, axis=0) / number)
    deviation[deviation == 0] = 1.0
    typical = int(np.median([len(sequence) for sequence in sequences]))
    most = math.log2(max(1.0, (typical - 1) / (LENGTH - 1)))
    dilations = tuple(sorted({int(2**power) for power in np.linspace(0, most, MAX_DILATIONS)}))
    num_channels = values.shape[1]
    channels = [[_some_channels(rng, num_channels) for _ in KERNELS] for _ in dilations]
    chosen = [sequences[i] for i in rng.permutation(len(sequences))[:MAX_SHOWN]]
    padded, lengths = _padded(chosen, mean, deviation)
    is_step = np.arange(padded.shape[1]) < lengths[:, None]
    num_thresholds = NUM_THRESHOLDS // len(dilations)
    quantiles = (np.arange(num_thresholds) + 0.5) / num_thresholds
    thresholds = [
        [np.quantile(output[is_step], quantiles) for output in _outputs(padded, dilation, of_dilation)]
        for dilation, of_dilation in zip(dilations, channels, strict=True)
    ]
    return SeriesFeatures(mean, deviation, dilations, channels, np.array(thresholds, np.float32))


def predict_classes(train: Sequence[Array], labels: Array, sequences: Sequence[Array]) -> Array:
    """The classes of sequences by ridge regression, int ``[n]``.

    Args:
        train, labels: the training sequences ``[steps, channels]`` and their classes, at least two.
        sequences: those to classify.
    """
    model, (of_train, of_others) = RidgeClassifierCV(alphas=PENALTIES), _features(train, sequences)
    with threadpool_limits(1):  # several threads may round differently
        return np.asarray(model.fit(of_train, labels).predict(of_others))


def predict_numbers(train: Sequence[Array], targets: Array, sequences: Sequence[Array]) -> Array:
    """The numbers of sequences by ridge regression, float64 ``[n]``; arguments as of :func:`predict_classes`."""
    model, (of_train, of_others) = RidgeCV(alphas=PENALTIES), _features(train, sequences)
    with threadpool_limits(1):
        return np.asarray(model.fit(of_train, targets.astype(np.float64)).predict(of_others))


def _features(train: Sequence[Array], sequences: Sequence[Array]) -> tuple[Array, Array]:
    """The features of the training and of other sequences, standardized."""
    features = fit_features(train)
    of_train = features.transform(train).astype(np.float64)
    mean, deviation = of_train.mean(axis=0), of_train.std(axis=0)
    deviation[deviation == 0] = 1.0
    return (of_train - mean) / deviation, (features.transform(sequences) - mean) / deviation


def _some_channels(rng: np.random.Generator, num_channels: int) -> Array:
    """A random choice of channels; few are as probable as many (Dempster, Petitjean and Webb 2020, section 3.1)."""
    size = int(2 ** rng.uniform(0, math.log2(min(num_channels, LENGTH) + 1)))
    return rng.choice(num_channels, size=min(size, num_channels), replace=False)


def _padded(sequences: Sequence[Array], mean: Array, deviation: Array) -> tuple[Array, Array]:
    """Standardized sequences in one array, with zeros for missing values and after their ends; and their lengths."""
    lengths = np.array([len(sequence) for sequence in sequences])
    padded = np.zeros((len(sequences), int(lengths.max()), len(mean)), np.float32)
    for row, sequence in zip(padded, sequences, strict=True):
        row[: len(sequence)] = np.nan_to_num((sequence - mean) / deviation, nan=0.0)
    return padded, lengths


def _outputs(padded: Array, dilation: int, channels: Sequence[Array]) -> Any:
    """The output of each kernel at each step ``[n, steps]``, with zeros around the sequences."""
    shifted: dict[bytes, list[Array]] = {}  # by channels
    for kernel, chosen in zip(KERNELS, channels, strict=True):
        key = np.sort(chosen).tobytes()
        if key not in shifted:
            shifted[key] = _shifts(padded[..., chosen].sum(axis=-1), dilation)
            shifted[key].append(np.sum(shifted[key], axis=0))
        *steps, whole = shifted[key]
        first, second, third = kernel
        yield 3 * (steps[first] + steps[second] + steps[third]) - whole


def _shifts(values: Array, dilation: int) -> list[Array]:
    """The values ``[n, steps]`` that each of the nine weights sees at each step."""
    steps, reach = values.shape[1], dilation * (LENGTH // 2)
    around = np.pad(values, ((0, 0), (reach, reach)))
    return [around[:, position * dilation : position * dilation + steps] for position in range(LENGTH)]
