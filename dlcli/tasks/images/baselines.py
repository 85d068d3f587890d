"""The baselines of an image classifier, computed once on the run's own splits and kept in run.json."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from dlcli.data.images.samples import Dataset, Samples
from dlcli.data.splits import evenly_spaced
from dlcli.errors import InputError
from dlcli.evaluation.class_predictions import MANY_CLASSES
from dlcli.evaluation.image_baseline import features, fit
from dlcli.rundir.reading import check_keys

MAX_TRAINED = 2000  # images that a baseline is trained on
MAX_EVALUATED = 1000  # images of each split that it is evaluated on

DESCRIPTIONS = {
    "most_frequent": "always predicting the most frequent class",
    "pixels": "logistic regression on small gray images",
    "hog": "logistic regression on histograms of oriented gradients",
}


def compute_baselines(dataset: Dataset) -> dict[str, Any]:
    """What run.json records as ``baseline``.

    Returns:
        ``most_frequent``, the index of the training split's most frequent class; ``train_samples``, the number of
        images that the regressions were trained on, evenly spaced over the training split; and ``accuracy``: for each
        other split the accuracies by the names of `DESCRIPTIONS`, those of the regressions on evenly spaced images.
    """
    splits = {name: samples.of_one_size() for name, samples in dataset.splits.items()}
    train = splits["train"]
    most_frequent = int(np.bincount(train.labels).argmax())
    others = {name: samples for name, samples in splits.items() if name != "train"}
    accuracy = {name: {"most_frequent": _share(samples.labels, most_frequent)} for name, samples in others.items()}
    result: dict[str, Any] = {"most_frequent": most_frequent, "train_samples": 0, "accuracy": accuracy}
    chosen = evenly_spaced(len(train), MAX_TRAINED)
    labels = train.labels[chosen]
    # signals and volumes have no gray images; many classes would take too long
    if dataset.policy is None or len(dataset.classes) > MANY_CLASSES or len(set(labels.tolist())) < 2:
        return result
    result["train_samples"] = len(chosen)
    with threadpool_limits(1):  # threads cost more than they save here, and may round differently
        models = {name: fit(values, labels) for name, values in features(train.load(chosen)).items()}
        for split, samples in others.items():
            index = evenly_spaced(len(samples), MAX_EVALUATED)
            for name, values in features(samples.load(index)).items():
                accuracy[split][name] = float(np.mean(models[name].predict(values) == samples.labels[index]))
    return result


def baseline_accuracies(
    baseline: Mapping[str, Any] | None, split: str | None, samples: Samples, *, place: Path
) -> dict[str, float]:
    """The accuracies of the baselines on samples, by the names of `DESCRIPTIONS`.

    Args:
        baseline: what run.json records as ``baseline``; None for a run that has none.
        split: of the run's own data; None for other data, for which only the most frequent class is known.
        place: the file that records it, for messages.

    Raises:
        InputError: it is corrupt.
    """
    if baseline is None:
        return {}
    check_keys(place, dict(baseline), most_frequent=int, accuracy=dict)
    for accuracies in baseline["accuracy"].values():
        if not isinstance(accuracies, dict) or not all(isinstance(value, float) for value in accuracies.values()):
            raise InputError(f"{place}: is corrupt: 'accuracy' has the wrong type. Restore it from a copy.")
    if split in baseline["accuracy"]:
        return dict(baseline["accuracy"][split])
    return {"most_frequent": _share(samples.labels, baseline["most_frequent"])}


def _share(labels: np.ndarray, label: int) -> float:
    return float(np.mean(labels == label))
