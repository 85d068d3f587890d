"""ResNet: equality with keras.applications."""

import keras
import numpy as np

from dlcli.recipe.sections.image_model import Resnet
from dlcli.tasks.images.network import build_classifier


def test_resnet_is_keras_resnet() -> None:
    """With the same weights, the same maps: strides, margins, order. Keras's convolutions have biases, too."""
    own = build_classifier(Resnet(kind="resnet", preprocessing="none"), shape=(64, 96, 3), num_classes=2).features
    theirs = keras.applications.ResNet50(weights=None, include_top=False, input_shape=(64, 96, 3))
    rng = np.random.default_rng(0)
    for layer in theirs.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            scale, shift, mean, variance = layer.get_weights()
            layer.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in (scale, shift, mean, variance)])
    for layer in own.layers:
        if not layer.weights:
            continue
        stage, _, rest = layer.name.removeprefix("stage").partition("_")
        block, _, part = rest.partition("_")
        number = "0" if part.startswith("shortcut") else part.split("_")[0]
        end = "conv" if part.endswith("conv") else "bn"
        prefix = "conv1" if layer.name.startswith("stem") else f"conv{int(stage) + 1}_{block}_{number}"
        name = f"{prefix}_{'conv' if layer.name.endswith('conv') else end if stage != 'stem' else 'bn'}"
        source = theirs.get_layer(name).get_weights()
        layer.set_weights(source[:1] if isinstance(layer, keras.layers.Conv2D) else source)
    x = rng.normal(size=(2, 64, 96, 3)).astype("float32")
    np.testing.assert_allclose(own(x), theirs(x), rtol=2e-3, atol=2e-3 * float(np.abs(theirs(x)).max()))
