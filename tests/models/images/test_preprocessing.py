"""The network's input: what Keras's ImageDataGenerator makes of the same pixels, in the saved model too."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from layer_tables import table_of  # type: ignore[import-not-found]

from dlcli.data.images.statistics import channel_statistics, whitening_matrix
from dlcli.errors import InputError
from dlcli.models.images import preprocessing
from dlcli.recipe.sections.image_model import Application
from dlcli.tasks.images.network import build_classifier

PIXELS = np.random.default_rng(0).integers(0, 256, (90, 5, 4, 3)).astype(np.float32) * np.array([1.0, 0.5, 0.2])
PIXELS = PIXELS.astype(np.float32)


def generated(x: np.ndarray, **options: bool) -> np.ndarray:
    generator = tf.keras.preprocessing.image.ImageDataGenerator(rescale=1 / 255, **options)
    generator.fit(PIXELS)
    return np.stack([generator.standardize(sample.copy()) for sample in x])


def in_batches(x: np.ndarray) -> list[np.ndarray]:
    return [x[:40], x[40:80], x[80:]]


def build(**options: bool) -> keras.Model:
    """The preprocessing as the program composes it, fitted on PIXELS."""
    keras.backend.clear_session()
    inputs = keras.Input(PIXELS.shape[1:])
    x = preprocessing.pixels(inputs, preprocessing="unit", rescale=1 / 255)
    if options.get("samplewise_center") or options.get("samplewise_std_normalization"):
        x = preprocessing.samplewise(x, std_normalization=options.get("samplewise_std_normalization", False))
    scaled = np.asarray(keras.Model(inputs, x)(PIXELS))
    mean, std = channel_statistics(in_batches(scaled))
    if any(name.startswith(("featurewise", "zca")) for name in options):
        x = preprocessing.featurewise(x, mean=mean, std=std if "featurewise_std_normalization" in options else None)
    if options.get("zca_whitening"):
        x = preprocessing.whitened(x, matrix=whitening_matrix(in_batches(scaled - mean), epsilon=1e-6))
    return keras.Model(inputs, x)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"samplewise_center": True},
        {"samplewise_std_normalization": True, "samplewise_center": True},
        {"featurewise_center": True},
        {"featurewise_std_normalization": True, "featurewise_center": True},
        {"zca_whitening": True, "featurewise_center": True},
    ],
    ids=lambda options: "+".join(options) or "rescale",
)
def test_the_input_is_that_of_image_data_generator(options: dict[str, Any], tmp_path: Path) -> None:
    model = build(**options)
    found = np.asarray(model(PIXELS))
    tolerance = 2e-3 if "zca_whitening" in options else 1e-5
    np.testing.assert_allclose(found, generated(PIXELS, **options), rtol=tolerance, atol=tolerance)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(np.asarray(loaded(PIXELS)), found)
    assert loaded.trainable_variables == []


def test_whitened_pixels_are_uncorrelated() -> None:
    rows = np.asarray(build(zca_whitening=True)(PIXELS)).reshape(len(PIXELS), -1)
    np.testing.assert_allclose(rows.T @ rows / len(rows), np.eye(rows.shape[1]), atol=1e-3)


def test_directions_without_variation_are_dropped() -> None:
    """Fewer samples than pixels, and pixels that are always black: new samples stay of usual size."""
    x = np.random.default_rng(2).normal(size=(60, 10, 10, 1)) * (np.arange(10) > 2)[:, None, None]
    known, new = x[:30] - x[:30].mean(axis=0), np.random.default_rng(3).normal(size=(9, 100))
    matrix = whitening_matrix([known], epsilon=1e-6)
    rows = known.reshape(30, -1) @ matrix
    assert np.linalg.matrix_rank(matrix) == 29
    assert abs(rows.var() - 29 / 100) < 0.01
    assert np.abs(new @ matrix).max() < 10


def test_statistics_do_not_depend_on_the_batches_nor_lose_digits() -> None:
    far = np.random.default_rng(1).normal(1e4, 1e-2, (50, 3, 3, 2))
    mean, std = channel_statistics([far[:1], far[1:30], far[30:]])
    np.testing.assert_allclose(mean, far.mean(axis=(0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(std, far.std(axis=(0, 1, 2)), rtol=1e-6)


def test_it_stays_in_float32_under_mixed_precision() -> None:
    reference = np.asarray(build(featurewise_std_normalization=True)(PIXELS))
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
    try:
        found = build(featurewise_std_normalization=True)(PIXELS)
    finally:
        keras.mixed_precision.set_dtype_policy("float32")
    assert found.dtype == tf.float32
    np.testing.assert_array_equal(np.asarray(found), reference)


@pytest.mark.parametrize(("kind", "low", "high"), [("unit", 0.0, 1.0), ("symmetric", -1.0, 1.0), ("none", 0.0, 255.0)])
@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_pixels_are_scaled_in_float32(kind, low, high, policy) -> None:
    keras.config.set_dtype_policy(policy)
    inputs = keras.Input((256,), dtype="float32")
    model = keras.Model(inputs, preprocessing.pixels(inputs, preprocessing=kind))
    x = np.arange(256, dtype="float32")[None]
    y = model(x)
    assert y.dtype == tf.float32
    np.testing.assert_allclose(y, low + x / 255 * (high - low), atol=2e-7 * max(1, high))


@pytest.mark.parametrize(("kind", "mode"), [("caffe", "caffe"), ("torch", "torch"), ("symmetric", "tf")])
def test_pixels_are_scaled_as_keras_does(kind, mode: str) -> None:
    inputs = keras.Input((5, 4, 3))
    x = np.random.default_rng(0).uniform(0, 255, (2, 5, 4, 3)).astype("float32")
    ours = keras.Model(inputs, preprocessing.pixels(inputs, preprocessing=kind))(x)
    theirs = keras.applications.imagenet_utils.preprocess_input(x.copy(), mode=mode)
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize("kind", ["caffe", "torch"])
def test_gray_images_have_no_colors_to_scale(kind) -> None:
    with pytest.raises(InputError, match=rf"'{kind}' needs color images: .* Received 1 channels\."):
        preprocessing.pixels(keras.Input((8, 8, 1)), preprocessing=kind)


@pytest.mark.parametrize("name", ["resnet50", "densenet121", "mobilenet", "efficientnetb0"])
def test_gray_images_are_scaled_in_a_plainer_way(name: str) -> None:
    rows = table_of(Application(kind="application", network=name), (32, 32, 1), 3).rows
    assert rows[1].kind == "Rescaling"
    assert rows[1].output_shapes == ((32, 32, 1),)


def mobilenet(*, head: str = "average", shape: tuple[int, ...] = (64, 64, 3)):
    section = Application(kind="application", network="mobilenetv3small", head=head)
    return build_classifier(section, shape=shape, num_classes=3)
