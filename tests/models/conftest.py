"""Builds an image classifier from a section of a recipe, as the workflow does."""

from collections.abc import Callable, Iterator

import keras
import pytest

from dlcli.models import convnet, heads, lenet5, mlp, preprocessing
from dlcli.recipe.model import Convnet, Lenet5, Mlp


def _build(section: Convnet | Lenet5 | Mlp, shape: tuple[int, ...], num_classes: int) -> keras.Model:
    keys = section.model_dump(exclude={"kind", "preprocessing"})
    if isinstance(section, Convnet):
        keys["blocks"] = [convnet.Block(**block) for block in keys["blocks"]]
    inputs = keras.Input(shape, name="inputs")
    x = preprocessing.pixels(inputs, preprocessing=section.preprocessing or "unit")
    match section:
        case Convnet():
            x = convnet.features(x, **keys)
        case Lenet5():
            x = lenet5.features(x, **keys)
        case Mlp():
            x = mlp.features(x, **keys)
    return keras.Model(inputs, heads.classification(x, num_classes=num_classes))


@pytest.fixture(scope="session")
def build_classifier() -> Callable[..., keras.Model]:
    """(section of the recipe, shape of a sample, number of classes) -> the model."""
    return _build


@pytest.fixture(autouse=True)
def _fresh_keras() -> Iterator[None]:
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy("float32")
