"""LeNet-5: the images that it accepts."""

import keras
import numpy as np
import pytest

from dlcli.errors import InputError
from dlcli.models.images import lenet5
from dlcli.recipe.sections.image_model import Lenet5


@pytest.mark.parametrize("shape", [(32, 32, 3), (31, 32, 1), (28, 32, 1), (224, 224, 1)])
def test_lenet5_refuses_other_images(shape) -> None:
    with pytest.raises(InputError, match=r"lenet5 needs grayscale images of 32x32 or 28x28 .* Received \d+x\d+x\d\."):
        lenet5.features(keras.Input(shape), activation="relu", pool="max")


def test_lenet5_pads_small_images_as_a_border_of_black_would(build_classifier) -> None:
    small_model = build_classifier(Lenet5(kind="lenet5"), (28, 28, 1), 10)
    large_model = build_classifier(Lenet5(kind="lenet5"), (32, 32, 1), 10)
    large_model.set_weights(small_model.get_weights())
    x = np.random.default_rng(0).uniform(0, 255, (2, 28, 28, 1)).astype("float32")
    bordered = np.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0)))
    np.testing.assert_allclose(small_model(x), large_model(bordered), atol=1e-6)
