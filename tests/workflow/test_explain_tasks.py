"""``dlcli explain`` of tasks whose outputs are not one class: a detector from end to end."""

import json
from pathlib import Path

import numpy as np
import processes  # type: ignore[import-not-found]
import pytest
from processes import run_without_plots as run  # type: ignore[import-not-found]

from dlcli.rundir.tables import read_csv

RECIPE = """
task: detection
data: {kind: scenes, num_samples: 24, image_size: [32, 32]}
model:
  kind: fcos
  backbone: {kind: convnet, blocks: [{filters: 4}, {filters: 4}, {filters: 8}, {filters: 8}, {filters: 8}]}
  levels: [2, 3]
  channels: 8
  num_convs: 1
evaluate: {detect: {score: 0.001}}
train: {epochs: 1}
"""


@pytest.mark.slow
def test_an_object_of_a_detector_is_explained_checked_and_reported(tmp_path: Path) -> None:
    (tmp_path / "scenes.yaml").write_text(RECIPE)
    run("train", "scenes.yaml", folder=tmp_path)
    methods = ("--method", "gradcam", "--method", "occlusion")
    done = processes.run("explain", "scenes", "--limit", 2, *methods, "--check", folder=tmp_path).expect(0)
    assert "explaining 2 of 5 images by gradcam and occlusion" in done.stderr
    assert "no insertion and deletion: they follow the probability of a class of the whole image" in done.stdout
    assert "no grid pointing: it looks for an image of one class among images of others" in done.stdout
    assert "weak: on 2 images; " in done.stdout
    made = tmp_path / "runs" / "scenes" / "explanations" / "gradcam-occlusion"
    rows = read_csv(made / "explanations.csv")
    assert [row["method"] for row in rows] == ["gradcam", "occlusion"] * 2
    assert {row["object"] for row in rows} == {"1"}
    assert all(0 <= float(row["xmin"]) <= float(row["xmax"]) <= 32 for row in rows)
    check = json.loads((made / "check.json").read_text())
    assert set(check["randomization"]["methods"]) == {"gradcam", "occlusion"}
    assert (check["insertion"], set(check["not_made"])) == ({}, {"insertion and deletion", "grid pointing"})
    with np.load(made / "maps.npz") as arrays:
        assert arrays["gradcam"].shape == arrays["occlusion"].shape == (2, 32, 32)
    processes.run("report", "scenes", folder=tmp_path).expect(0)
    page = (tmp_path / "runs" / "scenes" / "report.html").read_text()
    assert "explanations/gradcam-occlusion, of samples from: test." in page
    assert "the randomization check (weak: on 2 images; " in page
    done = run("explain", "scenes", "--object", 9000, "--limit", 1, folder=tmp_path, status=2)
    assert "nothing to explain: fewer than 9000 objects are detected in any of the images." in done.stderr
    done = run("explain", "scenes", "--target", "left", folder=tmp_path, status=2)
    assert "--target: does not apply to explanations of runs/scenes: its task is detection." in done.stderr
    done = run("predict", "scenes", ".", "--output", "x.txt", folder=tmp_path, status=2)
    assert "x.txt: expected a file name ending in .csv or .json." in done.stderr
    done = run("explain", "scenes", "--features", "3", folder=tmp_path, status=2)
    assert "--features 3: names a stage or layer, and --filters the numbers of its filters" in done.stderr
    done = run("explain", "scenes", "--features", "stage3", "--filters", "0,5", folder=tmp_path)
    assert (tmp_path / "runs" / "scenes" / "explanations" / "features-stage3" / "stage3.png").exists()
