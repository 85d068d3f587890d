"""Checks methods of attribution on texts: predictions that turn when tokens are hidden, and randomized weights."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcli.data.text.vocabulary import UNKNOWN
from dlcli.explanation.checks.randomization import LARGEST_CORRELATION, PARTS, Part, rank_correlation
from dlcli.explanation.sequences.hiding import SHARE, turned
from dlcli.explanation.sequences.tokens import Ids, TokenNetwork
from dlcli.tasks.explanation import SEEDS, statistic, with_verdict

NUM_RANDOMIZED = 50  # texts on which weights are randomized
FEWEST_TOKENS = 3  # of a text whose order of tokens says something

Values = Callable[[Sequence[Ids], NDArray[np.int32]], Sequence[NDArray[np.float64]]]
"""(token ids, a class for each text) -> the values of the tokens."""


def check_methods(
    network: TokenNetwork,
    methods: Mapping[str, Values],
    texts: Sequence[Ids],
    log_odds: NDArray[np.float64],
    *,
    logits_of: Callable[[Sequence[Ids]], NDArray[np.float32]],
    progress: Callable[[int, int], None],
) -> dict[str, Any]:
    """Check methods on texts, for the classes that the network predicts.

    Args:
        texts: their token ids.
        log_odds: the naive explanation of each token by class ``[tokens, classes]``.
        progress: called with the number of steps that are done, and of all.

    Returns:
        The content of check.json: the share of predictions that turn when the top fifth of the tokens are unknown, for
        each method, for the log-odds and for random tokens, and the paired differences from the log-odds; and rank
        correlations with the values of randomized networks.
    """
    predicted = logits_of(texts).argmax(axis=1).astype(np.int32)
    total, done = len(methods) * (1 + len(PARTS)) + 1, 0

    def step() -> None:
        nonlocal done
        done += 1
        progress(done, total)

    def is_turned(values: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
        def predict(changed: Sequence[Ids]) -> NDArray[np.int32]:
            return np.asarray(logits_of(changed).argmax(axis=1), np.int32)

        return turned(predict, texts, predicted, values, hidden=UNKNOWN).astype(np.float64)

    shares = {}
    for name, method in methods.items():
        shares[name] = is_turned(method(texts, predicted))
        step()
    shares["log-odds"] = is_turned([log_odds[ids, label] for ids, label in zip(texts, predicted, strict=True)])
    shares["random"] = is_turned([np.zeros(len(ids)) for ids in texts])
    step()
    long = [number for number, ids in enumerate(texts) if len(ids) >= FEWEST_TOKENS][:NUM_RANDOMIZED]
    randomization = {}
    for name, method in methods.items():
        parts: dict[str, Any] = {}
        for part in PARTS:
            parts[part] = _correlation(network, method, [texts[i] for i in long], predicted[long], part)
            step()
        randomization[name] = with_verdict(parts, noun="text")
    return {
        "texts": len(texts),
        "hidden_share": SHARE,
        "turned": {name: statistic(values) for name, values in shares.items()},
        "difference_from_log_odds": {
            name: statistic(values - shares["log-odds"]) for name, values in shares.items() if name != "log-odds"
        },
        "randomization": {"seeds": len(SEEDS), "largest_correlation": LARGEST_CORRELATION, "methods": randomization},
    }


def _correlation(
    network: TokenNetwork, method: Values, texts: Sequence[Ids], classes: NDArray[np.int32], part: Part
) -> dict[str, Any]:
    """Spearman's correlation of the values of tokens with those of the network with randomized weights."""
    trained = method(texts, classes)
    found = []
    for seed in SEEDS:
        with network.randomized(part, seed):
            values = method(texts, classes)
        pairs = zip(trained, values, strict=True)
        found.append([rank_correlation(one[None], two[None])[0] for one, two in pairs])
    return statistic(np.array(found).mean(axis=0))
