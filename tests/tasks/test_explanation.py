"""Statistics of checks, and the verdicts of earlier ones."""

import json
from pathlib import Path

import numpy as np
import pytest

from dlcli.rundir.directory import RunDir
from dlcli.tasks.explanation import FAILED, PASSED, recorded_verdicts, statistic


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
