"""The checks of methods as a whole: statistics, the verdict, and weights that stay as they were."""

import json

import numpy as np
import pytest
from networks import digits, trained

from dlcli.data.images.samples import Samples
from dlcli.explanation.gradients import gradient
from dlcli.explanation.logits import Classifier, open_network
from dlcli.explanation.method import Explanation
from dlcli.tasks.explanation import FAILED, PASSED, verdicts
from dlcli.tasks.images.aspects import Aspect, class_choice
from dlcli.tasks.images.explanation_check import check_methods
from dlcli.tasks.task import ExplanationRequest


def samples_of(images: np.ndarray, labels: np.ndarray) -> Samples:
    names = tuple(map(str, range(len(images))))
    return Samples(names=names, labels=labels, digests=names, groups=None, policy=None, pixels=images)


def aspect_of(network: Classifier, name: str = "") -> Aspect:
    classes = [str(number) for number in range(network.num_classes)]
    return Aspect(network, class_choice(network, ExplanationRequest(), classes), name)


def test_methods_are_checked_and_the_weights_stay_bit_for_bit() -> None:
    x, y = digits()
    model = trained("softmax")
    network = open_network(model)
    before = [weight.numpy().tobytes() for weight in model.weights]
    methods = {"gradient": gradient(network), "brightness": lambda pixels, _: Explanation(pixels[..., 0])}
    steps: list[tuple[int, int]] = []
    images = x[1200:1220]
    check = check_methods(
        [(aspect_of(network), methods)],
        samples_of(images, y[1200:1220]),
        np.arange(20),
        layers={},
        baseline="black",
        progress=lambda done, of: steps.append((done, of)),
    )
    assert [weight.numpy().tobytes() for weight in model.weights] == before
    assert verdicts(check) == {"gradient": PASSED, "brightness": FAILED}
    assert check["randomization"]["methods"]["brightness"]["head"]["mean"] == pytest.approx(1)
    assert list(check["insertion"]) == ["gradient", "brightness", "random", "edges", "center", "image"]
    assert check["insertion"]["brightness"] == check["insertion"]["image"]
    assert check["insertion"]["gradient"]["mean"] > check["insertion"]["random"]["mean"]
    assert check["deletion"]["gradient"]["mean"] < check["deletion"]["random"]["mean"]
    num_right = int((np.asarray(network(images)).argmax(1) == y[1200:1220]).sum())
    assert check["grid_pointing"]["mosaics"] == check["grid_pointing"]["mass"]["gradient"]["n"] == num_right
    assert check["images"] == check["insertion"]["gradient"]["n"] == 20
    assert steps == [(number, 10) for number in range(1, 11)]
    assert json.loads(json.dumps(check)) == check


def test_images_of_one_class_have_no_mosaics() -> None:
    x, y = digits()
    network = open_network(trained("softmax"))
    threes = np.flatnonzero(y == 3)[:3]
    check = check_methods(
        [(aspect_of(network), {"gradient": gradient(network)})],
        samples_of(x, y),
        threes,
        layers={},
        baseline="mean",
        progress=lambda *_: None,
    )
    assert check["grid_pointing"] == {"mosaics": 0, "mass": {}, "quarter": {}}
