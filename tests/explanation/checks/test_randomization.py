"""Randomized weights: what is permuted, that it comes back bit for bit, and which methods fail."""

import keras
import numpy as np
import pytest
from networks import digits, trained
from scipy import stats

from dlcli.explanation import baselines
from dlcli.explanation.checks.randomization import PARTS, correlations, is_failed, randomized, rank_correlation
from dlcli.explanation.gradients import gradient
from dlcli.explanation.integrated import integrated_gradients
from dlcli.explanation.logits import open_network
from dlcli.explanation.method import Explanation


def arrays(model: keras.Model) -> list[np.ndarray]:
    return [np.array(weight.numpy()) for weight in model.weights]


@pytest.mark.parametrize("part", PARTS)
def test_weights_are_permuted_and_come_back_bit_for_bit(part: str) -> None:
    model = trained("softmax")
    network = open_network(model)
    before = arrays(model)
    with randomized(network, part, seed=1):  # type: ignore[arg-type]
        during = arrays(model)
    changed = [
        weight.name for weight, one, two in zip(model.weights, before, during, strict=True) if (one != two).any()
    ]
    expected = ["kernel", "bias"] if part == "head" else ["kernel", "gamma", "beta", "kernel", "bias"]
    assert changed == expected  # not the statistics of batch normalization
    for one, two in zip(before, during, strict=True):
        np.testing.assert_array_equal(np.sort(one, axis=None), np.sort(two, axis=None))
    assert [array.tobytes() for array in arrays(model)] == [array.tobytes() for array in before]


def test_weights_come_back_after_an_error_and_from_frozen_layers() -> None:
    model = trained("softmax")
    before = arrays(model)
    model.trainable = False

    def fail() -> None:
        with randomized(open_network(model), "all", seed=0):
            assert any((one != two).any() for one, two in zip(before, arrays(model), strict=True))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    model.trainable = True
    assert [array.tobytes() for array in arrays(model)] == [array.tobytes() for array in before]


def test_seeds_give_different_orders() -> None:
    model = trained("softmax")
    network = open_network(model)
    kernels = []
    for seed in (0, 1, 0):
        with randomized(network, "head", seed):
            kernels.append(arrays(model)[-2])
    assert (kernels[0] != kernels[1]).any()
    np.testing.assert_array_equal(kernels[0], kernels[2])


def test_rank_correlation_is_spearmans() -> None:
    generator = np.random.default_rng(0)
    one, two = generator.normal(size=(2, 3, 5, 4)).round(1)  # with ties
    two[2] = 7
    found = rank_correlation(one, two)
    for row in range(2):
        assert found[row] == pytest.approx(stats.spearmanr(one[row], two[row], axis=None).statistic)
    assert found[2] == 0  # a constant map


def test_gradients_depend_on_the_weights_and_maps_of_the_image_do_not() -> None:
    x, _ = digits()
    images = x[:12]
    network = open_network(trained("softmax"))
    classes = np.asarray(network(images)).argmax(1).astype(np.int32)
    for method in (gradient(network), integrated_gradients(network, baseline=baselines.black)):
        found = correlations(network, method, images, classes, part="all", seeds=(0, 1, 2))
        assert found.values.shape == (12, 3)
        assert abs(found.values.mean()) < 0.3
    image_itself = correlations(
        network, lambda pixels, _: Explanation(pixels[..., 0]), images, classes, part="head", seeds=(0,)
    )
    np.testing.assert_allclose(image_itself.values, 1)
    empty = correlations(
        network, lambda pixels, _: Explanation(0 * pixels[..., 0]), images, classes, part="head", seeds=(0, 1)
    )
    assert empty.num_constant == 24
    np.testing.assert_array_equal(empty.values, 0)


def test_a_method_fails_by_either_part() -> None:
    assert is_failed([0.51, 0.0])
    assert is_failed([0.0, 0.51])
    assert not is_failed([0.5, -0.9])
