"""Checks methods of attribution on outputs of networks of tokens: randomized weights, insertion and deletion."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcli.data.splits import evenly_spaced
from dlcli.errors import InputError
from dlcli.explanation.checks.randomization import LARGEST_CORRELATION, PARTS, Part, rank_correlation
from dlcli.explanation.sequences.attribution import Method, integrated_gradients
from dlcli.explanation.sequences.scores import Scores
from dlcli.explanation.sequences.token_order import Measure, probability, recovered, token_areas
from dlcli.tasks.explanation import SEEDS, means_of_samples, statistic, with_verdict

NUM_CHECKED = 16  # samples by which methods are checked unless another number is given
MOST_OUTPUTS = 4  # of a sample, evenly spaced
FEWEST_TOKENS = 3  # whose order says something
STEPS_OF_RANDOM = 32  # of integrated gradients in a network with random weights, which need not be complete

Points = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class TokenSample:
    """A sample with the outputs that are explained.

    Attributes:
        choices: the position and the number of each among the network's outputs, int32 ``[outputs, 2]``.
        vectors: () -> by the current weights, the vectors of its tokens ``[tokens, width]``, and those of unknown
            tokens in their place.
        orders: what ranks the tokens without the network, by name, ``[outputs, tokens]``.
        is_free: the tokens that may be hidden ``[outputs, tokens]``; None for all.
        prepare: called before the sample is explained, for networks that have another input.
    """

    choices: NDArray[np.int32]
    vectors: Callable[[], tuple[Points, Points]]
    orders: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    is_free: NDArray[np.bool_] | None = None
    prepare: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class TokensToCheck:
    """The samples by which methods are checked.

    Attributes:
        samples: all have orders of the same names.
        randomized: (part, seed) -> a context in which the network has random weights.
        noun: what the samples are called, in the plural, such as ``texts``.
        source: the split they are of.
        total: how many it has.
        is_number: the outputs are numbers; else the scores of outputs are log-odds.
    """

    samples: Sequence[TokenSample]
    randomized: Callable[[Part, int], AbstractContextManager[None]]
    noun: str
    source: str
    total: int
    is_number: bool = False


@dataclass(frozen=True)
class _Output:
    """An output that is explained, by which methods are checked."""

    owner: int
    prepare: Callable[[], None]
    points: Points
    starts: Points
    choice: NDArray[np.int32]
    is_free: NDArray[np.bool_]
    orders: Mapping[str, NDArray[np.float64]]


def check_methods(
    scores: Scores,
    methods: Mapping[str, Method],
    given: TokensToCheck,
    *,
    steps: int | None,
    progress: Callable[[int, int], None],
) -> dict[str, Any]:
    """Check methods on outputs of samples; what is measured of a sample is the mean over at most four outputs.

    Args:
        steps: of integrated gradients; None for as many as are needed.
        progress: called with the number of checks that are done, and of all.

    Returns:
        The content of check.json: for each method, and for orders that know nothing of the network, the mean of each
        check, its standard error and the number of samples.

    Raises:
        InputError: no sample has three tokens that may be hidden.
    """
    outputs = _outputs(given.samples)
    owners = np.unique([output.owner for output in outputs], return_inverse=True)[1]
    if not any(output.is_free.sum() >= FEWEST_TOKENS for output in outputs):
        raise InputError(f"--check: requires {given.noun} with at least {FEWEST_TOKENS} tokens. None has so many.")
    orders = list(outputs[0].orders)
    total, done = len(methods) * (1 + len(PARTS)) + len(orders), 0

    def step() -> None:
        nonlocal done
        done += 1
        progress(done, total)

    measures = _measures(scores, outputs, is_number=given.is_number)
    insertion, deletion, randomization = {}, {}, {}

    def order(name: str, ranks: Sequence[NDArray[np.float64]]) -> None:
        found = [
            _areas(scores, output, of_output, measure, seed=number)
            for number, (output, of_output, measure) in enumerate(zip(outputs, ranks, measures, strict=True))
        ]
        inserted, deleted = np.array(found).T
        insertion[name] = statistic(means_of_samples(inserted, owners))
        deletion[name] = statistic(means_of_samples(deleted, owners))
        step()

    for name, method in methods.items():
        values = _values(scores, method, given.samples)
        # against an output counts last; what moves a number in either direction counts first
        order(name, [np.abs(some) for some in values] if given.is_number else values)
        of_random = integrated_gradients(steps=steps or STEPS_OF_RANDOM) if name == "integrated" else method
        parts: dict[str, Any] = {}
        for part in PARTS:
            of_seeds = []
            for seed in SEEDS:
                with given.randomized(part, seed):
                    of_seeds.append(_correlations(outputs, values, _values(scores, of_random, given.samples)))
            parts[part] = statistic(means_of_samples(np.mean(of_seeds, axis=0), owners))
            step()
        randomization[name] = with_verdict(parts, noun=given.noun.removesuffix("s"))
    for name in orders:
        order(name, [output.orders[name] for output in outputs])
    return {
        given.noun: len(set(owners.tolist())),
        "source": given.source,
        "baseline": "unknown token",
        "randomization": {"seeds": len(SEEDS), "largest_correlation": LARGEST_CORRELATION, "methods": randomization},
        "insertion": insertion,
        "deletion": deletion,
        "measured": "share of the prediction that is recovered" if given.is_number else "probability of the output",
    }


def _chosen(sample: TokenSample, num_tokens: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The outputs of a sample that count, and the tokens that are hidden for each ``[outputs, tokens]``."""
    is_free = np.ones((len(sample.choices), num_tokens), np.bool_) if sample.is_free is None else sample.is_free
    usable = np.flatnonzero(is_free.any(axis=1))
    kept = usable[evenly_spaced(len(usable), MOST_OUTPUTS)]
    return kept, is_free[kept]


def _outputs(samples: Sequence[TokenSample]) -> list[_Output]:
    found = []
    for owner, sample in enumerate(samples):
        points, starts = sample.vectors()
        kept, is_free = _chosen(sample, len(points))
        for row, free in zip(kept, is_free, strict=True):
            orders = {"random": np.zeros(len(points))} | {name: ranks[row] for name, ranks in sample.orders.items()}
            found.append(_Output(owner, sample.prepare, points, starts, sample.choices[row], free, orders))
    return found


def _values(scores: Scores, method: Method, samples: Sequence[TokenSample]) -> list[NDArray[np.float64]]:
    """The values of the tokens ``[tokens]`` for each output, in the order of :func:`_outputs`."""
    found: list[NDArray[np.float64]] = []
    for sample in samples:
        points, starts = sample.vectors()
        kept, _ = _chosen(sample, len(points))
        if not len(kept):
            continue
        sample.prepare()
        points, starts = (np.repeat(part[None], len(kept), axis=0) for part in (points, starts))
        found += list(method(scores, points, starts, sample.choices[kept]).of_steps)
    return found


def _areas(
    scores: Scores, output: _Output, ranks: NDArray[np.float64], measure: Measure, *, seed: int
) -> tuple[float, float]:
    output.prepare()
    return token_areas(
        scores,
        output.points,
        output.starts,
        output.choice,
        ranks,
        is_free=output.is_free,
        measure=measure,
        seed=seed,
    )


def _measures(scores: Scores, outputs: Sequence[_Output], *, is_number: bool) -> list[Measure]:
    """What is measured of each output: its probability, or the share of the number that is recovered."""
    if not is_number:
        return [probability] * len(outputs)
    ends = np.array(
        [
            scores.scores(np.stack([output.points, output.starts]), np.stack([output.choice] * 2)).astype(np.float64)
            for output in outputs
        ]
    )
    distance = float(np.abs(ends[:, 0] - ends[:, 1]).mean()) or 1.0
    return [recovered(float(whole), distance) for whole in ends[:, 0]]


def _correlations(
    outputs: Sequence[_Output], one: Sequence[NDArray[np.float64]], two: Sequence[NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Spearman's correlation of the values of each output over its free tokens; NaN for fewer than three."""
    found = np.full(len(outputs), np.nan)
    for row, (output, first, second) in enumerate(zip(outputs, one, two, strict=True)):
        if output.is_free.sum() >= FEWEST_TOKENS:
            found[row] = rank_correlation(first[output.is_free][None], second[output.is_free][None])[0]
    return found
