"""VGG: equality with keras.applications."""

import keras
import numpy as np

from dlcli.recipe.sections.image_model import Vgg
from dlcli.tasks.images.network import build_classifier


def test_vgg_is_keras_vgg() -> None:
    """With the same weights, the same maps."""
    own = build_classifier(Vgg(kind="vgg", preprocessing="none", dense=()), shape=(64, 80, 3), num_classes=2)
    theirs = keras.applications.VGG16(weights=None, include_top=False, input_shape=(64, 80, 3))
    own.features.set_weights(theirs.get_weights())
    x = np.random.default_rng(0).normal(size=(2, 64, 80, 3)).astype("float32")
    np.testing.assert_allclose(own.features(x), theirs(x), rtol=1e-4, atol=1e-4)
