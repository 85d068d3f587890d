"""Builds an image classifier from a section of a recipe, as the workflow does."""

from collections.abc import Callable, Iterator

import keras
import pytest

from dlcli.recipe.sections.image_model import ImageClassifier
from dlcli.tasks.images import network as images_network


def _build(section: ImageClassifier, shape: tuple[int, ...], num_classes: int) -> keras.Model:
    return images_network.build_classifier(section, shape=shape, num_classes=num_classes).model


@pytest.fixture(scope="session")
def build_classifier() -> Callable[..., keras.Model]:
    """(section of the recipe, shape of a sample, number of classes) -> the model."""
    return _build


@pytest.fixture(autouse=True)
def _fresh_keras() -> Iterator[None]:
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy("float32")
