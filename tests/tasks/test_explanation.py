"""Statistics of checks, and the verdicts of earlier ones."""

import json
from pathlib import Path

import numpy as np
import pytest

from dlcli.errors import InputError
from dlcli.rundir.directory import RunDir
from dlcli.tasks.explanation import FAILED, PASSED, class_index, recorded_verdicts, statistic, weakness


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
    assert recorded_verdicts(run, "abc", ["guided"]) == {}
    write("a", "abc", "stage2", guided=FAILED, gradcam=FAILED)
    write("b", "abc", None, guided=PASSED, gradient=PASSED)
    write("c", "def", None, gradient=FAILED)
    write("d", "abc", "stage1", gradcam=PASSED)
    (tmp_path / "explanations" / "a" / "maps.npz").touch()
    (tmp_path / "explanations" / "e").mkdir()
    (tmp_path / "explanations" / "e" / "check.json").write_text("[1")
    methods = ["guided", "gradient", "gradcam", "occlusion"]
    others = {"guided": FAILED, "gradient": PASSED}  # whatever layer Grad-CAM had beside them
    assert recorded_verdicts(run, "abc", methods, layer="stage1", with_layer=["gradcam"]) == {
        **others,
        "gradcam": PASSED,
    }
    assert recorded_verdicts(run, "abc", methods, layer="stage2", with_layer=["gradcam"]) == {
        **others,
        "gradcam": FAILED,
    }
    assert recorded_verdicts(run, "abc", methods[:2]) == others
    left = {"methods": {"gradcam left": {"verdict": FAILED, "layer": "box_conv"}}}
    (tmp_path / "explanations" / "a" / "check.json").write_text(json.dumps({"sha256": "abc", "randomization": left}))
    names = ["gradcam left"]
    assert recorded_verdicts(run, "abc", names, layer="box_conv", with_layer=names) == {"gradcam left": FAILED}
    assert recorded_verdicts(run, "abc", names, layer="stage1", with_layer=names) == {}


@pytest.mark.parametrize(
    ("mean", "error", "number", "expected"),
    [
        (0.1, 0.05, 16, None),
        (0.1, 0.05, 4, "weak: on 4 images; 16 would do"),
        (0.1, None, 1, "weak: on 1 image; 16 would do"),
        (0.4, 0.1, 16, "weak: on 16 images; 64 would do"),  # 2 errors of 0.05 are the distance from 0.5
        (0.4, 0.1, 64, "weak: on 64 images; 256 would do"),
        (0.6, 0.05, 16, None),
    ],
)
def test_a_verdict_is_weak_on_few_images_or_near_the_limit(
    mean: float, error: float | None, number: int, expected: str | None
) -> None:
    near, far = ({"mean": each, "standard_error": error, "n": number} for each in (mean, -0.9))
    assert weakness([far, near], limit=0.5, noun="image") == expected
    assert weakness([near, far], limit=0.5, noun="image") == expected


CLASSES = ("cat", "dog")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2", "--class 2: not a class of the network; the classes are cat, dog (numbers 0 to 1)."),
        ("11", "--class 11: not a class of the network; the classes are cat, dog (numbers 0 to 1)."),
        ("dig", "--class dig: not a class of the network; did you mean 'dog'?"),
    ],
)
def test_a_number_is_never_taken_for_a_misspelled_name(text: str, expected: str) -> None:
    with pytest.raises(InputError) as caught:
        class_index(text, CLASSES)
    assert str(caught.value) == expected
    assert (class_index("1", CLASSES), class_index("cat", CLASSES)) == (1, 0)
    assert class_index("1", ("9", "0", "1")) == 2  # a name before a number
    with pytest.raises(InputError, match="are 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, … "):
        class_index("12", [str(number) for number in range(11)])
