"""Checks before training: memory, metrics and class weights."""

import os
from pathlib import Path
from typing import NoReturn

import keras
import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from dlcli.errors import InputError
from dlcli.models.images.layers import check_sides
from dlcli.recipe.language.errors import RecipeError
from dlcli.recipe.language.overrides import parse_setting
from dlcli.recipe.load import LoadedRecipe, load_text
from dlcli.recipe.sections.target_train import LabelTrain
from dlcli.recipe.sections.train import ClassTrain
from dlcli.report.cost.training_memory import TrainingMemory
from dlcli.tasks import checks

CLASSES = ("ants", "bees", "flies")


def recipe_of(train: str = "{}") -> LoadedRecipe:
    text = f"task: classification\ndata: {{kind: digits}}\nmodel: {{kind: mlp}}\ntrain: {train}\n"
    return load_text(text.encode(), Path("a.yaml"))


def test_balanced_weights_are_those_of_scikit_learn() -> None:
    labels = np.array([0, 0, 0, 1, 2, 2], np.int32)
    weights = checks.class_weights(ClassTrain(class_weights="balanced"), labels, CLASSES)
    assert weights == pytest.approx(compute_class_weight("balanced", classes=np.arange(3), y=labels))
    # the weights of all samples sum to their number
    assert np.array(weights)[labels].sum() == pytest.approx(len(labels))
    absent = checks.class_weights(ClassTrain(class_weights="balanced"), labels[:4], CLASSES)
    assert absent is not None
    assert np.isfinite(absent).all()


def test_named_weights_are_in_the_order_of_the_outputs() -> None:
    train = ClassTrain(class_weights={"flies": 3.0, "ants": 1.0, "bees": 2.0})
    labels = np.zeros(1, np.int32)
    assert checks.class_weights(train, labels, CLASSES) == (1.0, 2.0, 3.0)
    assert checks.class_weights(ClassTrain(), labels, CLASSES) is None


def test_weights_of_counts_of_pixels_and_of_positives() -> None:
    found = checks.weights_of_classes("balanced", np.array([1, 3, 0]), CLASSES)
    assert found == pytest.approx((4 / 3, 4 / 9, 4 / 3))
    assert checks.weights_of_classes({"flies": 3.0, "bees": 2.0, "ants": 1.0}, np.ones(3, int), CLASSES) == (1, 2, 3)
    positives, known = np.array([2, 10, 0]), np.array([10, 10, 4])
    balanced = checks.weights_of_positives(LabelTrain(positive_weights="balanced"), positives, known, CLASSES)
    assert balanced == (4.0, 0.0, 4.0)
    assert checks.weights_of_positives(LabelTrain(), positives, known, CLASSES) is None
    named = LabelTrain(positive_weights={"flies": 3.0, "ants": 1.0, "bees": 2.0})
    assert checks.weights_of_positives(named, positives, known, CLASSES) == (1.0, 2.0, 3.0)
    with pytest.raises(InputError, match="expected a weight for each label; missing: bees, flies"):
        checks.check_positive_weights(recipe_of(), LabelTrain(positive_weights={"ants": 1.0}), CLASSES)


@pytest.mark.parametrize(
    ("weights", "error"),
    [
        ("{ants: 1, bees: 1}", "missing: flies"),
        ("{ants: 1, bees: 1, flies: 1, wasps: 1}", "not a class of the data: wasps"),
        ("{ants: 1, bees: 1, fly: 1}", "missing: flies; not a class of the data: fly"),
    ],
)
def test_weights_must_name_the_classes(weights: str, error: str) -> None:
    loaded = recipe_of(f"{{class_weights: {weights}}}")
    with pytest.raises(InputError) as caught:
        checks.check_class_weights(loaded, loaded.of_images.train, CLASSES)
    assert f"a.yaml:4:24: train.class_weights: expected a weight for each class; {error}" in str(caught.value)


@pytest.mark.parametrize(
    "key",
    ["best_metric: val_loss", "early_stopping: {metric: val_loss}", "schedule: {kind: plateau, metric: val_loss}"],
)
def test_metrics_of_a_split_that_is_absent(key: str) -> None:
    loaded = recipe_of(f"{{{key}}}")
    checks.check_metrics(loaded, has_validation=True)
    with pytest.raises(InputError, match=r"^a\.yaml:4:.*: val_loss needs a validation split; set data\.validation"):
        checks.check_metrics(loaded, has_validation=False)
    checks.check_metrics(recipe_of("{best_metric: train_loss}"), has_validation=False)


def test_memory_is_compared_with_that_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 2**19}.__getitem__)  # 2 GiB
    loaded = recipe_of()
    half = 2**29
    checks.check_memory(loaded, lambda: TrainingMemory(half, half, half, half))
    with pytest.raises(InputError) as caught:
        checks.check_memory(loaded, lambda: TrainingMemory(half, half, half, half + 2**30))
    assert "a.yaml:3:8: model: training this network takes at least 3.0 GiB (weights 0.5, gradients 0.5, " in str(
        caught.value
    )
    assert "activations 1.5); this machine has 2.0 GiB" in str(caught.value)


def test_a_network_that_cannot_be_built_is_an_error_of_the_model() -> None:
    def build() -> TrainingMemory:
        raise ValueError("negative dimension\n" + "details " * 100)

    with pytest.raises(InputError, match=r"a\.yaml:3:8: model: this network cannot be built \(negative dimension\)"):
        checks.check_memory(recipe_of(), build)


@pytest.mark.parametrize(
    ("overrides", "place"),
    [
        ([], "recipe.yaml:1:84: data.image_size: "),
        (["data.image_size=16"], "--set data.image_size=16: data.image_size: "),
        (["data.image_size=null"], "recipe.yaml:1:95: model: "),
    ],
)
def test_images_that_are_too_small_are_an_error_of_their_size(overrides: list[str], place: str) -> None:
    text = (
        b"{task: classification, data: {kind: npz, path: a.npz, color_mode: rgb, image_size: 8}, "
        b"model: {kind: application, network: mobilenetv2}}"
    )
    loaded = load_text(text, Path("recipe.yaml"), [parse_setting(setting) for setting in overrides])

    def memory() -> NoReturn:
        check_sides(keras.KerasTensor((None, 8, 8, 3)), smallest=32, network="mobilenetv2")
        raise AssertionError("it was not refused")

    with pytest.raises(RecipeError) as error:
        checks.check_memory(loaded, memory)
    assert str(error.value).startswith(place + "mobilenetv2 needs images of at least 32x32")


def test_counts_of_classes_leave_out_samples_without_a_class() -> None:
    labels = np.array([-1, 0, 2, 2, -1], np.int32)
    assert checks.class_counts(labels, CLASSES) == ["train: ants 1, bees 0, flies 2"]
    assert checks.class_counts(labels, [str(i) for i in range(checks.MAX_LISTED + 1)]) == []
