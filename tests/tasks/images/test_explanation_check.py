"""The checks of methods as a whole: statistics, the verdict, and weights that stay as they were."""

import json
from pathlib import Path

import numpy as np
import pytest
from networks import digits, trained

from dlcli.explanation.gradients import gradient
from dlcli.explanation.logits import open_network
from dlcli.explanation.method import Explanation
from dlcli.rundir.directory import RunDir
from dlcli.tasks.images.explanation_check import FAILED, PASSED, check_methods, recorded_verdicts, statistic, verdicts


def test_methods_are_checked_and_the_weights_stay_bit_for_bit() -> None:
    x, y = digits()
    model = trained("softmax")
    network = open_network(model)
    before = [weight.numpy().tobytes() for weight in model.weights]
    methods = {"gradient": gradient(network), "brightness": lambda pixels, _: Explanation(pixels[..., 0])}
    steps: list[tuple[int, int]] = []
    images = x[1200:1220]
    check = check_methods(
        network, methods, images, y[1200:1220], baseline="black", progress=lambda done, of: steps.append((done, of))
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
        network, {"gradient": gradient(network)}, x[threes], y[threes], baseline="mean", progress=lambda *_: None
    )
    assert check["grid_pointing"] == {"mosaics": 0, "mass": {}, "quarter": {}}


def test_a_statistic_is_a_mean_with_its_standard_error() -> None:
    values = np.array([1.0, 2.0, 4.0, 9.0])
    assert statistic(values) == {"mean": 4.0, "standard_error": pytest.approx(values.std(ddof=1) / 2), "n": 4}
    assert statistic(values[:1]) == {"mean": 1.0, "standard_error": None, "n": 1}


def test_verdicts_of_earlier_checks_count_for_the_same_model_and_layer(tmp_path: Path) -> None:
    def write(name: str, digest: str, layer: str | None, **found: str) -> None:
        folder = tmp_path / "explanations" / name
        folder.mkdir(parents=True)
        methods = {method: {"verdict": verdict} for method, verdict in found.items()}
        check = {"sha256": digest, "layer": layer, "randomization": {"methods": methods}}
        (folder / "check.json").write_text(json.dumps(check))

    run = RunDir(tmp_path)
    assert recorded_verdicts(run, "abc", None, ["guided"]) == {}
    write("a", "abc", "stage2", guided=FAILED, gradcam=FAILED)
    write("b", "abc", None, guided=PASSED, gradient=PASSED)
    write("c", "def", None, gradient=FAILED)
    write("d", "abc", "stage1", gradcam=PASSED)
    (tmp_path / "explanations" / "a" / "maps.npz").touch()
    (tmp_path / "explanations" / "e").mkdir()
    (tmp_path / "explanations" / "e" / "check.json").write_text("[1")
    methods = ["guided", "gradient", "gradcam", "occlusion"]
    others = {"guided": FAILED, "gradient": PASSED}  # whatever layer Grad-CAM had beside them
    assert recorded_verdicts(run, "abc", "stage1", methods) == {**others, "gradcam": PASSED}
    assert recorded_verdicts(run, "abc", "stage2", methods) == {**others, "gradcam": FAILED}
    assert recorded_verdicts(run, "abc", None, methods[:2]) == others
