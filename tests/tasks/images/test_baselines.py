"""The baselines of a run: trained on its training split, evaluated on the others."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dlcli.data.images.decoding import ImagePolicy
from dlcli.data.images.samples import Dataset, Samples
from dlcli.evaluation.class_predictions import MANY_CLASSES
from dlcli.tasks.images import baselines
from dlcli.tasks.images.baselines import baseline_accuracies, compute_baselines

POLICY = ImagePolicy((8, 8), "grayscale", "stretch", "bilinear", True)

PLACE = Path("run.json")


def samples_of(labels: list[int], seed: int) -> Samples:
    """Images that are bright in the half that their label names, 0 or 1."""
    pixels = np.random.default_rng(seed).integers(0, 100, (len(labels), 8, 8, 1), np.uint8)
    for image, label in zip(pixels, labels, strict=True):
        image[:, 4 * (label % 2) : 4 * (label % 2) + 4] += 100
    names = tuple(f"{i}.png" for i in range(len(labels)))
    return Samples(names, np.array(labels, np.int32), names, None, POLICY, pixels=pixels)


def dataset_of(classes: int = 2) -> Dataset:
    splits = {"train": samples_of([0] * 20 + [1] * 30, 0), "validation": samples_of([0, 1, 1, 0], 1)}
    splits["test"] = samples_of([0] * 9 + [1], 2)
    return Dataset(tuple(map(str, range(classes))), (8, 8, 1), "uint8", splits, POLICY, (), ())


def test_each_split_but_train_has_the_accuracy_of_each_baseline() -> None:
    found = compute_baselines(dataset_of())
    assert found["most_frequent"] == 1
    assert found["train_samples"] == 50
    validation = found["accuracy"]["validation"]
    assert (validation["most_frequent"], validation["pixels"]) == (0.5, 1.0)
    assert list(validation) == list(baselines.DESCRIPTIONS)
    assert found["accuracy"]["test"]["most_frequent"] == 0.1
    assert compute_baselines(dataset_of()) == found


def test_samples_are_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "MAX_TRAINED", 7)
    monkeypatch.setattr(baselines, "MAX_EVALUATED", 2)
    loaded: list[int] = []
    load = Samples.load

    def counted(self: Samples, index: np.ndarray) -> np.ndarray:
        loaded.append(len(index))
        return load(self, index)

    monkeypatch.setattr(Samples, "load", counted)
    assert compute_baselines(dataset_of())["train_samples"] == 7
    assert loaded == [7, 2, 2]


@pytest.mark.parametrize("change", ["values", "many classes", "one class"])
def test_where_regression_means_nothing_only_the_most_frequent_class_is_reported(change: str) -> None:
    dataset = dataset_of(MANY_CLASSES + 1 if change == "many classes" else 2)
    if change == "values":
        dataset = replace(dataset, policy=None)
    if change == "one class":
        dataset = replace(dataset, splits=dataset.splits | {"train": samples_of([0] * 5, 0)})
    found = compute_baselines(dataset)
    assert found["train_samples"] == 0
    assert list(found["accuracy"]["test"]) == ["most_frequent"]


def test_other_data_are_compared_with_the_most_frequent_class() -> None:
    dataset = dataset_of()
    found = compute_baselines(dataset)
    assert baseline_accuracies(found, "test", dataset.splits["test"], place=PLACE) == found["accuracy"]["test"]
    assert baseline_accuracies(found, None, dataset.splits["test"], place=PLACE) == {"most_frequent": 0.1}
    assert baseline_accuracies(found, "train", dataset.splits["train"], place=PLACE) == {"most_frequent": 0.6}
    assert baseline_accuracies(None, "test", dataset.splits["test"], place=PLACE) == {}
