"""Metrics of multilabel classification: each sample has any number of labels.

Labels are float ``[n, l]``: 1 where a label applies, 0 where it does not, NaN where that is unknown; unknown entries
are left out everywhere. Scores are probabilities ``[n, l]``. A label is predicted where its score is at least its
threshold.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dlcli.errors import CheckFailed
from dlcli.evaluation import one_against_rest

Array = npt.NDArray[Any]

DEFAULT_THRESHOLD = 0.5
"""The threshold of a label for which none can be chosen."""


def choose_thresholds(true: Array, scores: Array) -> npt.NDArray[np.float64]:
    """For each label the threshold with the highest F1 on these samples, float64 ``[l]`` in [0, 1].

    Candidates lie halfway between neighboring scores of the label, and between its lowest score and 0. Of several with
    the same F1, the one nearest to 0.5 is taken, then the highest. A label that applies to no sample gets 0.5.

    Args:
        true, scores: of the validation split.
    """
    return np.array([_threshold(*_known(true[:, i], scores[:, i])) for i in range(true.shape[1])], np.float64)


def _threshold(is_positive: Array, scores: Array) -> float:
    if not is_positive.any():
        return DEFAULT_THRESHOLD
    order = np.argsort(-scores, kind="stable")
    in_order = scores[order]
    last_of_ties = np.flatnonzero(np.append(in_order[1:] != in_order[:-1], True))
    hits = np.cumsum(is_positive[order])[last_of_ties]
    f1 = 2 * hits / (last_of_ties + 1 + is_positive.sum())
    found = in_order[last_of_ties]
    candidates = (found + np.append(found[1:], 0.0)) / 2
    best = candidates[f1 == f1.max()]
    nearest = best[np.argsort(np.abs(best - DEFAULT_THRESHOLD), kind="stable")]  # from the highest threshold on
    return float(nearest[0])


def predicted_labels(scores: Array, thresholds: Array) -> Array:
    """Which labels are predicted, bool ``[n, l]``."""
    predicted: Array = scores.astype(np.float64) >= thresholds
    return predicted


def metrics(
    true: Array, scores: Array, thresholds: Array, labels: Sequence[str], *, loss: float, frequencies: Array
) -> dict[str, Any]:
    """The content of ``metrics.json``.

    Args:
        true, scores: of n samples, at least one.
        thresholds: of each label ``[l]``.
        labels: l names.
        loss: the mean loss of these samples, as computed in training.
        frequencies: of each label, the proportion of the training split's samples to which it applies ``[l]``.

    Returns:
        Plain ints, floats and lists, ready for JSON:

        - ``samples`` and ``loss``, as given;
        - ``micro_precision``, ``micro_recall``, ``micro_f1``: of all entries of all labels together;
        - ``macro_precision``, ``macro_recall``, ``macro_f1``: unweighted means over the labels that apply to a sample
          here; a label that is never predicted has precision 0;
        - ``mean_average_precision``: mean of :meth:`one_against_rest.Curve.average_precision` over the same labels,
          independent of thresholds;
        - ``exact_match``: proportion of the samples all of whose labels are right;
        - ``hamming_loss``: proportion of wrong entries;
        - ``absent_labels``: the labels that apply to no sample here, which are left out of the means over labels;
        - ``baseline_exact_match``, ``baseline_hamming_loss``: of predicting each label always, or never, whichever was
          right more often in training;
        - ``baseline_micro_f1``, ``baseline_macro_f1``: of always predicting every label, because the F1 of never
          predicting is 0;
        - ``baseline_mean_average_precision``: of scores without information, the mean proportion of the samples here to
          which a label applies;
        - ``thresholds`` and ``labels``.

    Raises:
        CheckFailed: a score is not a finite number.
        ValueError: there are no samples.
    """
    _check(scores)
    is_known, predicted = ~np.isnan(true), predicted_labels(scores, thresholds)
    result: dict[str, Any] = {"samples": len(true), "loss": float(loss)}
    result |= counted(true, predicted)
    has_positives = (true == 1).any(axis=0)
    of_labels = [average_precision(true[:, i], scores[:, i]) for i in range(len(labels))]
    precisions = [precision for precision in of_labels if precision is not None]
    if precisions:
        result["mean_average_precision"] = float(np.mean(precisions))
    result["absent_labels"] = [name for name, present in zip(labels, has_positives, strict=True) if not present]
    usual = counted(true, np.broadcast_to(np.asarray(frequencies) >= 0.5, true.shape))
    result |= {f"baseline_{name}": usual[name] for name in ("exact_match", "hamming_loss")}
    always = counted(true, np.ones(true.shape, bool))
    result |= {f"baseline_{name}": always[name] for name in ("micro_f1", "macro_f1")}
    if precisions:
        shares = (true == 1).sum(axis=0)[has_positives] / is_known.sum(axis=0)[has_positives]
        result["baseline_mean_average_precision"] = float(shares.mean())
    return result | {"thresholds": [float(value) for value in thresholds], "labels": list(labels)}


def frequent_labels(applies: Array) -> Array:
    """The labels that are predicted for every sample with the highest micro F1 on these: the k most frequent, bool
    ``[l]``.

    Args:
        applies: of the training split.
    """
    order = np.argsort(-(applies == 1).sum(axis=0), kind="stable")
    ranks = np.argsort(order)
    scores = [counted(applies, np.broadcast_to(ranks < k, applies.shape))["micro_f1"] for k in range(1, len(order) + 1)]
    best: Array = ranks <= int(np.argmax(scores))
    return best


def counted(true: Array, predicted: Array) -> dict[str, float]:
    """The metrics of predicted labels."""
    is_known = ~np.isnan(true)
    hits, of_predicted, of_true = _counts(true, predicted)
    result: dict[str, float] = {}
    present = of_true > 0
    for name, numerator, denominator in (
        ("precision", hits, of_predicted),
        ("recall", hits, of_true),
        ("f1", 2 * hits, of_predicted + of_true),
    ):
        result[f"micro_{name}"] = float(numerator.sum() / denominator.sum()) if denominator.sum() else 0.0
        ratios = numerator / np.maximum(denominator, 1)
        result[f"macro_{name}"] = float(ratios[present].mean()) if present.any() else 0.0
    is_wrong = is_known & (predicted != (true == 1))
    result["exact_match"] = float(np.mean(~is_wrong.any(axis=1)))
    result["hamming_loss"] = float(is_wrong.sum() / max(1, is_known.sum()))
    return result


def _counts(true: Array, predicted: Array) -> tuple[Array, Array, Array]:
    """For each label the number of correct predictions of it, of predictions, and of samples it applies to ``[l]``."""
    is_known, applies = ~np.isnan(true), true == 1
    return (applies & predicted).sum(axis=0), (is_known & predicted).sum(axis=0), applies.sum(axis=0)


def average_precision(true: Array, scores: Array) -> float | None:
    """The average precision of one label ``[n]``, without interpolation; None if it applies to no sample."""
    is_positive, known_scores = _known(true, scores)
    if not is_positive.any():
        return None
    if is_positive.all():
        return 1.0
    curve = one_against_rest.curve(is_positive, known_scores)
    assert curve is not None
    return curve.average_precision


def per_label(true: Array, scores: Array, thresholds: Array, labels: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of ``per_label.csv``, one for each label.

    The columns are label, support (the samples it applies to), predicted (those it is predicted for), threshold,
    precision, recall, f1, average_precision, roc_auc and baseline_f1, the F1 of always predicting it. A label that
    applies to no sample has None for its scores, and one that applies to all of them no roc_auc.
    """
    _check(scores)
    counts = _counts(true, predicted_labels(scores, thresholds))
    num_known = (~np.isnan(true)).sum(axis=0)
    rows = []
    for i, name in enumerate(labels):
        hits, predicted, support = (int(values[i]) for values in counts)
        curve = one_against_rest.curve(*_known(true[:, i], scores[:, i]))
        rows.append(
            {
                "label": name,
                "support": support,
                "predicted": predicted,
                "threshold": float(thresholds[i]),
                "precision": hits / max(1, predicted) if support else None,
                "recall": hits / support if support else None,
                "f1": 2 * hits / (predicted + support) if support else None,
                "average_precision": average_precision(true[:, i], scores[:, i]),
                "roc_auc": None if curve is None else curve.roc_auc,
                "baseline_f1": 2 * support / (int(num_known[i]) + support) if support else None,
            }
        )
    return rows


def predictions(
    names: Sequence[str], true: Array, scores: Array, thresholds: Array, labels: Sequence[str], *, between: str
) -> Iterator[dict[str, Any]]:
    """The rows of ``predictions.csv``, one per sample.

    The columns are file, labels and predicted (names, separated by ``between``), correct (whether all known labels are
    right), and p_<label> for each label, rounded to six significant digits.
    """
    predicted = predicted_labels(scores, thresholds)
    for name, own, found, values in zip(names, true, predicted, scores, strict=True):
        yield {
            "file": name,
            "labels": between.join(named_labels(own == 1, labels)),
            "predicted": between.join(named_labels(found, labels)),
            "correct": bool(np.all(np.isnan(own) | (found == (own == 1)))),
            **{f"p_{label}": float(f"{value:.6g}") for label, value in zip(labels, values, strict=True)},
        }


def named_labels(applies: Array, labels: Sequence[str]) -> list[str]:
    """The names of the labels that apply ``[l]``."""
    return [label for label, own in zip(labels, applies, strict=True) if own]


def _known(true: Array, scores: Array) -> tuple[Array, Array]:
    """Whether a label ``[n]`` applies, and its score in float64, where that is known."""
    is_known = ~np.isnan(true)
    return true[is_known] == 1, scores[is_known].astype(np.float64)


def _check(scores: Array) -> None:
    if len(scores) == 0:
        raise ValueError("an evaluation needs at least one sample. Received none.")
    num_bad = int((~np.isfinite(scores).all(axis=1)).sum())
    if num_bad:
        raise CheckFailed(f"the model's outputs must be finite, and are not for {num_bad} of {len(scores)} samples")
