"""Training on packed images: the same splits, the same model and the same results as on the files, for each task."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import processes  # type: ignore[import-not-found]
import pytest
from PIL import Image
from processes import run_without_plots as run  # type: ignore[import-not-found]

from dlcli.rundir.reading import read_json

SIDE = 32
BLOCKS = "[{filters: 4, batch_norm: true}, {filters: 8}, {filters: 8}, {filters: 8}, {filters: 8}]"
DETECTOR = f"levels: [3, 4], channels: 8, backbone: {{kind: convnet, blocks: {BLOCKS}}}"
ROI = "anchor_sizes: [2], sampled_anchors: 16, proposal_candidates: 20, num_proposals: 8, sampled_boxes: 8, bins: 3"
MODELS = {
    "detection": f"{{kind: fcos, num_convs: 1, {DETECTOR}}}",
    "segmentation": "{kind: unet, filters: 4, backbone: {kind: convnet, blocks: [{filters: 4}, {filters: 8}]}}",
    "instance_segmentation": f"{{kind: mask_rcnn, {ROI}, dense: [8], mask_convs: 1, {DETECTOR}}}",
}
SOURCES = {
    "detection": "kind: coco, path: objects.json",
    "segmentation": "kind: coco, path: objects.json",
    "instance_segmentation": "kind: masks, path: ids",
}
RECIPE = """\
task: {task}
data: {{{source}}}
augment: {{horizontal_flip: true}}
model: {model}
train: {{epochs: 2, batch_size: 4, optimizer: {{kind: adam, learning_rate: 0.01}}}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen images of rectangles, with COCO polygons in objects.json, and with masks of ids in ids."""
    root: Path = tmp_path_factory.mktemp("shards")
    for name in ("images", "masks"):
        (root / "ids" / name).mkdir(parents=True)
    images, annotations = [], []
    for i in range(16):
        rng = np.random.default_rng(i)
        pixels = rng.integers(0, 60, (SIDE, SIDE, 3), np.uint8)
        mask = np.zeros((SIDE, SIDE), np.uint8)
        for k in range(2):
            x, y, width, height = (
                16 * k + int(rng.integers(0, 6)),
                int(rng.integers(0, 20)),
                9,
                int(rng.integers(6, 12)),
            )
            pixels[y : y + height, x : x + width, k] = 220
            mask[y : y + height, x : x + width] = k + 1
            polygon = [x, y, x + width, y, x + width, y + height, x, y + height]
            annotations.append(
                {"id": 2 * i + k + 1, "image_id": i, "category_id": k, "iscrowd": 0, "area": width * height}
                | {"bbox": [x, y, width, height], "segmentation": [polygon]}
            )
        Image.fromarray(pixels).save(root / f"ids/images/{i}.png")
        Image.fromarray(mask).save(root / f"ids/masks/{i}.png")
        images.append({"id": i, "file_name": f"ids/images/{i}.png", "width": SIDE, "height": SIDE})
    categories = [{"id": 0, "name": "red"}, {"id": 1, "name": "green"}]
    content: dict[str, Any] = {"images": images, "annotations": annotations, "categories": categories}
    (root / "objects.json").write_text(json.dumps(content))
    return root


@pytest.mark.parametrize(
    "task",
    [
        pytest.param("segmentation", marks=pytest.mark.slow),
        *(pytest.param(task, marks=pytest.mark.long) for task in ("detection", "instance_segmentation")),
    ],
)
def test_training_on_shards_gives_the_same_model(folder: Path, task: str) -> None:
    for name, source in (
        (f"{task}_files", SOURCES[task]),
        (f"{task}_shards", f"kind: shards, path: {task}, cache_folder: copies"),
    ):
        (folder / f"{name}.yaml").write_text(RECIPE.format(task=task, source=source, model=MODELS[task]))
    run("data", "pack", f"{task}_files.yaml", "-o", task, folder=folder)
    files, shards = folder / "runs" / f"{task}_files", folder / "runs" / f"{task}_shards"
    for path in (files, shards):
        run("train", f"{path.name}.yaml", folder=folder)
    ours, theirs = read_json(shards / "run.json"), read_json(files / "run.json")
    for key in ("final", "weights"):
        assert ours[key] == theirs[key]
    assert ours["data"]["fingerprint"] == theirs["data"]["fingerprint"]
    for name in ("split.csv", "predictions.csv"):
        pairs = [sorted(path.rglob(name)) for path in (files, shards)]
        assert [path.read_bytes() for path in pairs[0]] == [path.read_bytes() for path in pairs[1]] != []
    url = f"file://{folder}/{task}"
    done = json.loads(run("evaluate", shards, "--data", url, "--split", "test", "--json", folder=folder).stdout)
    score = {"segmentation": "mean_iou", "detection": "ap", "instance_segmentation": "mask_ap"}[task]
    assert done[score] == ours["final"][f"test_{score}"]
    assert done["split"] == "test"  # the copies are the run's own data at another place
    assert [path.name for path in folder.glob("copies/*/*")].count(task) == 1
    assert processes.run("data", "check", f"{task}_shards.yaml", folder=folder).status in (0, 1)
