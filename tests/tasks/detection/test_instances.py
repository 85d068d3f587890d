"""The head of instance segmentation on synthetic scenes: data with masks, plots, the baseline, what is warned of."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dlcli.data.boxes.objects import objects_of
from dlcli.errors import InputError
from dlcli.recipe.load import LoadedRecipe, load_text
from dlcli.recipe.tasks.instance_segmentation import InstanceSegmentation
from dlcli.runtime.console import Console
from dlcli.tasks.detection.baseline import from_dict
from dlcli.tasks.detection.instances import InstanceHead

RECIPE = """\
task: instance_segmentation
data: {kind: scenes, num_samples: 20, image_size: [32, 48]}
model: {kind: mask_rcnn, backbone: {kind: vgg}}
"""


def head_of(text: str) -> tuple[InstanceHead, LoadedRecipe]:
    loaded = load_text(text.encode(), Path("scenes.yaml"))
    assert isinstance(loaded.recipe, InstanceSegmentation)
    return InstanceHead(loaded.recipe), loaded


def test_objects_have_masks_and_plots_show_them() -> None:
    head, loaded = head_of(RECIPE)
    dataset = head.open_data(loaded, Console(quiet=True))
    train = dataset.splits["train"]
    objects: Any = objects_of(train)
    first = objects.instances[0].read()
    assert first.shape == (objects.counts[0], 32, 48)
    images = np.zeros((1, 32, 48, 3), np.float32)
    entries = {
        "boxes": np.array([[[0.25, 0.25, 0.75, 0.75], [0, 0, 0, 0]]], np.float32),
        "box_class": np.array([[1, -1]]),
        "masks": np.zeros((1, 2, 32, 48), np.uint8),
    }
    plain = np.array(Image.open(io.BytesIO(head.plot_batch(images, entries, head.info(dataset)))))
    entries["masks"][0, 0, 8:24, 12:36] = 1
    tinted = np.array(Image.open(io.BytesIO(head.plot_batch(images, entries, head.info(dataset)))))
    assert (plain != tinted).any()
    columns = [("original", images, ("0",))]
    preview = np.array(Image.open(io.BytesIO(head.preview(columns, [entries], dataset.classes))))
    assert preview.shape[0] > 50
    values = head.baseline(dataset)
    shapes = from_dict(values, num_classes=4, place=Path("run.json"), has_masks=True).shapes
    assert shapes is not None
    share = dict(zip(dataset.classes, shapes.mean(axis=(1, 2)), strict=True))
    assert share["square"] > 0.95
    assert share["triangle"] < 0.75


def test_other_data_are_read_as_those_of_the_recipe(tmp_path: Path) -> None:
    head, _ = head_of(RECIPE)
    with pytest.raises(InputError, match="whose objects have masks"):
        head.section_for(tmp_path / "a.csv", {})


@pytest.mark.parametrize(("limit", "is_warned"), [(2, True), (5, False)])
def test_more_objects_than_the_model_finds(limit: int, is_warned: bool, capsys: pytest.CaptureFixture[str]) -> None:
    head, loaded = head_of(f"{RECIPE}evaluate: {{detect: {{max_boxes: {limit}}}}}\n")
    head.check(loaded, head.open_data(loaded, Console(quiet=True)), Console(quiet=False))
    shown = " ".join(capsys.readouterr().err.split())
    assert ("raise evaluate.detect.max_boxes to 5 or more" in shown) == is_warned
