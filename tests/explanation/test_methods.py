"""Methods of attribution against closed forms and explicit loops in NumPy."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from networks import digits, trained

from dlcli.errors import InputError
from dlcli.explanation import baselines
from dlcli.explanation.gradcam import gradcam, gradcam_plus_plus
from dlcli.explanation.gradients import gradient, guided_backpropagation, smoothgrad
from dlcli.explanation.integrated import integrated_gradients
from dlcli.explanation.logits import Classifier, open_network
from dlcli.explanation.method import Method
from dlcli.explanation.occlusion import default_window, occlusion, places

RNG = np.random.default_rng(3)
PIXELS = RNG.uniform(0, 255, (4, 6, 9, 2)).astype(np.float32)
CLASSES = np.array([0, 2, 1, 2], np.int32)


def linear() -> tuple[Classifier, np.ndarray]:
    """A linear network and the weights of its classes ``[classes, height, width, channels]``."""
    inputs = keras.Input((6, 9, 2))
    layer = keras.layers.Dense(3)
    model = keras.Model(inputs, layer(keras.layers.Flatten()(inputs)))
    layer.set_weights([RNG.normal(size=(108, 3)), RNG.normal(size=3)])
    return open_network(model), layer.kernel.numpy().T.reshape(3, 6, 9, 2)


def test_maps_of_a_linear_network_are_its_weights() -> None:
    network, weights = linear()
    expected = weights[CLASSES].sum(-1)
    np.testing.assert_allclose(gradient(network)(PIXELS, CLASSES).maps, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(smoothgrad(network)(PIXELS, CLASSES).maps, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", list(baselines.BASELINES))
def test_integrated_gradients_of_a_linear_network_are_weights_times_differences(name: str) -> None:
    network, weights = linear()
    baseline = baselines.BASELINES[name]
    found = integrated_gradients(network, baseline=baseline)(PIXELS, CLASSES)
    expected = (weights[CLASSES] * (PIXELS - baseline(PIXELS))).sum(-1)
    np.testing.assert_allclose(found.maps, expected, rtol=1e-4, atol=1e-3)
    assert found.facts["completeness_error"].max() < 1e-4
    assert (found.facts["steps"] == 16).all()


def test_occlusion_is_the_mean_fall_over_the_windows_at_a_pixel() -> None:
    """Every window in explicit loops, the last at the edges."""
    network, weights = linear()
    found = occlusion(network, baseline=baselines.mean, window=4, step=3)(PIXELS, CLASSES).maps
    fill = PIXELS.mean((1, 2), keepdims=True)
    sums, counts = np.zeros((4, 6, 9)), np.zeros((6, 9))
    for top in (0, 2):
        for left in (0, 3, 5):
            place = (slice(None), slice(top, top + 4), slice(left, left + 4))
            fall = ((PIXELS - fill)[place] * weights[CLASSES][place]).sum((1, 2, 3))
            sums[place] += fall[:, None, None]
            counts[place[1:]] += 1
    np.testing.assert_allclose(found, sums / counts, rtol=1e-3, atol=1e-2)


def test_windows_cover_all_pixels() -> None:
    assert places(28, 7, 3) == [0, 3, 6, 9, 12, 15, 18, 21]
    assert places(10, 4, 4) == [0, 4, 6]
    assert (default_window(28, 28), default_window(8, 8), default_window(160, 160)) == ((7, 3), (2, 1), (32, 16))
    assert default_window(1, 9) == (1, 1)


def relu_network() -> tuple[Classifier, Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]]:
    """A network with a ReLU, and its logits and gradients ``[b, classes, pixels]`` in NumPy, in float64."""
    inputs = keras.Input((6, 9, 2))
    hidden, last = keras.layers.Dense(12, activation="relu"), keras.layers.Dense(3)
    model = keras.Model(inputs, last(hidden(keras.layers.Flatten()(inputs))))
    hidden.set_weights([RNG.normal(size=(108, 12)) / 100, RNG.normal(size=12)])
    last.set_weights([RNG.normal(size=(12, 3)), RNG.normal(size=3)])
    one, bias, two, other = (weight.numpy().astype(np.float64) for weight in model.weights)

    def reference(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        before = x.reshape(len(x), -1).astype(np.float64) @ one + bias
        slopes = np.einsum("ph,bh,hk->bkp", one, before > 0, two)
        return before.clip(0) @ two + other, slopes

    return open_network(model), reference


def test_integrated_gradients_follow_the_midpoint_rule() -> None:
    network, reference = relu_network()
    found = integrated_gradients(network, baseline=baselines.black, steps=8)(PIXELS, CLASSES)
    rows = np.arange(4)
    expected = np.zeros((4, 108))
    for point in (np.arange(8) + 0.5) / 8:
        expected += reference(PIXELS * point)[1][rows, CLASSES] / 8
    expected *= PIXELS.reshape(4, -1)
    np.testing.assert_allclose(found.maps, expected.reshape(PIXELS.shape).sum(-1), rtol=1e-4, atol=1e-4)
    differences = (reference(PIXELS)[0] - reference(PIXELS * 0)[0])[rows, CLASSES]
    np.testing.assert_allclose(found.facts["difference"], differences, rtol=1e-5, atol=1e-5)
    errors = np.abs(expected.sum(1) - differences) / np.abs(differences)
    np.testing.assert_allclose(found.facts["completeness_error"], errors, rtol=1e-2, atol=1e-5)


def kinked(threshold: float) -> Classifier:
    """The logit of class 1 is 0 up to a sum of the pixels, and then rises."""
    inputs = keras.Input((2, 2, 1))
    layer = keras.layers.Dense(2, activation="relu")
    last = keras.layers.Dense(2, use_bias=False)
    model = keras.Model(inputs, last(layer(keras.layers.Flatten()(inputs))))
    layer.set_weights([np.ones((4, 2)), np.array([0.0, -threshold])])
    last.set_weights([np.eye(2)])
    return open_network(model)


def test_steps_are_doubled_until_the_maps_are_complete() -> None:
    pixels = np.full((2, 2, 2, 1), 100.0, np.float32)  # their sum is 400
    explain = integrated_gradients(kinked(386.3), baseline=baselines.black)
    found = explain(pixels, np.array([0, 1], np.int32))
    assert found.facts["steps"][0] == 16  # the ReLU of class 0 is open but for the baseline itself
    assert 16 < found.facts["steps"][1] <= 1024  # the logit rises at the end of the way
    assert found.facts["completeness_error"].max() <= 0.01
    np.testing.assert_allclose(found.maps.sum((1, 2)), [400, 13.7], rtol=0.01)


def test_incomplete_maps_say_so() -> None:
    explain = integrated_gradients(kinked(399.99), baseline=baselines.black)
    found = explain(np.full((1, 2, 2, 1), 100.0, np.float32), np.array([1], np.int32))
    assert found.facts["steps"].tolist() == [1024]
    assert found.facts["completeness_error"][0] > 0.01


def test_integrated_gradients_of_a_trained_network_are_complete() -> None:
    x, _ = digits()
    network = open_network(trained("softmax"))
    chosen = np.asarray(network(x[:40])).argmax(1).astype(np.int32)
    found = integrated_gradients(network, baseline=baselines.black)(x[:40], chosen)
    rows = np.arange(40)
    differences = (network(x[:40]).numpy() - network(x[:40] * 0).numpy())[rows, chosen]
    errors = np.abs(found.maps.sum((1, 2)) - differences) / np.abs(differences)
    assert (errors <= 0.01).mean() >= 0.9
    np.testing.assert_allclose(found.facts["completeness_error"], errors, atol=1e-3)
    assert (found.maps[(x[:40] == 0)[..., 0]] == 0).all()  # pixels of the baseline have no share


def test_gradients_are_those_of_numpy() -> None:
    network, reference = relu_network()
    expected = reference(PIXELS)[1][np.arange(4), CLASSES].reshape(PIXELS.shape).sum(-1)
    np.testing.assert_allclose(gradient(network)(PIXELS, CLASSES).maps, expected, rtol=1e-4, atol=1e-6)


def test_smoothgrad_is_the_mean_gradient_over_noisy_images() -> None:
    network, reference = relu_network()
    found = smoothgrad(network, num_samples=5, noise=0.2, seed=7)(PIXELS, CLASSES).maps
    generator, expected = np.random.default_rng(7), np.zeros(PIXELS.shape)
    spread = 0.2 * np.ptp(PIXELS, axis=(1, 2, 3), keepdims=True)
    for _ in range(5):
        noisy = PIXELS + spread * generator.normal(size=PIXELS.shape[1:])
        expected += reference(noisy)[1][np.arange(4), CLASSES].reshape(PIXELS.shape) / 5
    np.testing.assert_allclose(found, expected.sum(-1), rtol=1e-4, atol=1e-5)


def pooled() -> tuple[keras.Model, keras.layers.Dense]:
    """Convolutions, global average pooling, and one dense head."""
    inputs = keras.Input((12, 18, 2))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(5, 3, strides=3, activation="tanh", name="maps")(x)
    head = keras.layers.Dense(3, name="logits")
    model = keras.Model(inputs, head(keras.layers.GlobalAveragePooling2D()(x)))
    for weight in model.weights:
        weight.assign(RNG.normal(size=weight.shape))
    return model, head


LARGE = RNG.uniform(0, 255, (4, 12, 18, 2)).astype(np.float32)


def test_gradcam_with_global_pooling_and_one_dense_head_is_head_weights_times_maps() -> None:
    model, head = pooled()
    network = open_network(model)
    maps = network.outputs(LARGE, ["maps"])["maps"].numpy()  # [4, 4, 6, 5]
    expected = np.einsum("bhwk,kb->bhw", maps, head.kernel.numpy()[:, CLASSES]) / 24
    found = gradcam(network, layer="maps")(LARGE, CLASSES).maps
    np.testing.assert_allclose(found, tf.image.resize(expected[..., None], (12, 18))[..., 0], rtol=1e-4, atol=1e-5)
    assert found.min() < 0 < found.max()  # negative evidence is kept
    logits = network(LARGE).numpy()[np.arange(4), CLASSES]
    np.testing.assert_allclose(expected.sum((1, 2)) + head.bias.numpy()[CLASSES], logits, rtol=1e-4, atol=1e-5)


def test_gradcam_plus_plus_follows_its_equations() -> None:
    model, head = pooled()
    network = open_network(model)
    maps = network.outputs(LARGE, ["maps"])["maps"].numpy().astype(np.float64)
    expected = np.zeros(maps.shape[:3])
    for row in range(4):
        for k in range(5):
            slope = head.kernel.numpy()[k, CLASSES[row]] / 24  # of the logit, at every position
            alpha = slope**2 / (2 * slope**2 + maps[row, :, :, k].sum() * slope**3)  # equation 19
            expected[row] += 24 * alpha * max(slope, 0) * maps[row, :, :, k]
    found = gradcam_plus_plus(network, layer="maps")(LARGE, CLASSES).maps
    np.testing.assert_allclose(found, tf.image.resize(expected[..., None], (12, 18))[..., 0], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("layer", "message"),
    [("logits", "has no feature maps"), ("other", "has no layer 'other'"), ("squeezed", "of a single position")],
)
def test_layers_without_maps_are_refused(layer: str, message: str) -> None:
    model, _ = pooled()
    squeezed = keras.layers.GlobalAveragePooling2D(keepdims=True, name="squeezed")(model.get_layer("maps").output)
    model = keras.Model(model.inputs, keras.layers.Dense(3, name="logits")(keras.layers.Flatten()(squeezed)))
    with pytest.raises(InputError, match=message):
        gradcam(open_network(model), layer=layer)


METHODS: dict[str, Callable[[Classifier], Method]] = {
    "gradient": gradient,
    "smoothgrad": smoothgrad,
    "integrated": lambda network: integrated_gradients(network, baseline=baselines.black),
    "gradcam": lambda network: gradcam(network, layer="conv"),
    "gradcam++": lambda network: gradcam_plus_plus(network, layer="conv"),
    "guided": guided_backpropagation,
    "occlusion": lambda network: occlusion(network, baseline=baselines.black),
}


def decisive(row: int, column: int) -> Classifier:
    """Class 1 counts one pixel of 20x40 alone, class 0 speaks against it."""
    inputs = keras.Input((20, 40, 1))
    conv, last = keras.layers.Conv2D(1, 1, activation="relu", name="conv"), keras.layers.Dense(2)
    model = keras.Model(inputs, last(keras.layers.Flatten()(conv(inputs))))
    weights = np.zeros((20, 40, 2))
    weights[row, column] = [-1, 1]
    conv.set_weights([np.ones((1, 1, 1, 1)), np.zeros(1)])
    last.set_weights([weights.reshape(800, 2), np.zeros(2)])
    return open_network(model)


@pytest.mark.parametrize("name", list(METHODS))
def test_the_decisive_pixel_of_a_wide_image_is_found(name: str) -> None:
    images = np.zeros((2, 20, 40, 1), np.float32)
    images[:, 3, 31] = 200
    maps = METHODS[name](decisive(3, 31))(images, np.array([1, 0], np.int32)).maps
    assert maps.shape == (2, 20, 40)
    height, width = np.unravel_index(maps[0].argmax(), (20, 40))
    reach = 5 if name == "occlusion" else 0  # a window
    assert abs(height - 3) <= reach
    assert abs(width - 31) <= reach
    assert maps[0, 3, 31] == maps[0].max() > 0
    assert name in ("guided", "gradcam++") or maps[1, 3, 31] < 0  # those two have no negative evidence


@pytest.mark.parametrize("name", list(METHODS))
def test_an_explanation_does_not_depend_on_its_batch(name: str) -> None:
    x, y = digits()
    model = trained("softmax")
    layer = next(layer.name for layer in model.layers if isinstance(layer, keras.layers.Conv2D))
    build: Any = {"gradcam": gradcam, "gradcam++": gradcam_plus_plus}.get(name)
    network = open_network(model)
    explain = METHODS[name](network) if build is None else build(network, layer=layer)
    together = explain(x[:5], y[:5]).maps
    alone = np.concatenate([explain(x[i : i + 1], y[i : i + 1]).maps for i in range(5)])
    assert together.dtype == np.float32
    np.testing.assert_allclose(together, alone, rtol=1e-3, atol=1e-5 * np.abs(alone).max())


def test_guided_backpropagation_needs_a_relu() -> None:
    with pytest.raises(InputError, match="has no ReLU"):
        guided_backpropagation(linear()[0])


def test_a_network_without_gradients_is_refused() -> None:
    inputs = keras.Input((6, 9, 2))
    x = keras.layers.Flatten()(keras.ops.round(inputs))
    flat = open_network(keras.Model(inputs, keras.layers.Dense(2)(keras.ops.stop_gradient(x))))
    with pytest.raises(InputError, match="no gradient with respect to the pixels"):
        gradient(flat)(PIXELS, CLASSES * 0)


def test_baselines_have_no_content() -> None:
    assert not baselines.black(PIXELS).any()
    np.testing.assert_allclose(baselines.mean(PIXELS)[2, 5, 8], PIXELS[2].mean((0, 1)), rtol=1e-5)
    assert baselines.blur(PIXELS).std() < PIXELS.std() * 0.7
    np.testing.assert_allclose(baselines.blur(np.full((1, 5, 5, 1), 9.0, np.float32)), 9, rtol=1e-5)
