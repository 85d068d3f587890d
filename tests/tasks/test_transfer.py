"""The recipes that transfer writes for tables of images with labels or numbers."""

from pathlib import Path

import pytest
from PIL import Image

from dlcli.errors import InputError
from dlcli.recipe.sections.detection_data import InstanceFiles
from dlcli.recipe.sections.mask_data import CocoMasks
from dlcli.recipe.tasks.image_regression import ImageRegression
from dlcli.recipe.tasks.instance_segmentation import InstanceSegmentation
from dlcli.recipe.tasks.multilabel import Multilabel
from dlcli.recipe.tasks.segmentation import Segmentation
from dlcli.tasks.transfer import (
    Plan,
    application_base,
    boxes_section,
    data_section,
    masks_section,
    table_section,
    transfer_recipe,
)

BASE = application_base("mobilenetv2", 224)


@pytest.fixture(autouse=True)
def _in_folder_of_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a/photos").mkdir(parents=True)
    for i in range(3):
        Image.new("RGB", (40, 30), (i, 0, 0)).save(f"a/photos/{i}.png")


def test_a_table_of_labels(tmp_path: Path) -> None:
    Path("a/t.csv").write_text("image_name,tags\n0,sky sea\n1,sea\n2,\n")
    section = table_section(Path("a"), BASE, "multilabel")
    recipe = transfer_recipe(BASE, section, Plan(task="multilabel"), [], command="dlcli transfer").recipe
    assert isinstance(recipe, Multilabel)
    assert recipe.data.kind == "csv"
    assert (recipe.data.path, recipe.data.images) == (str(tmp_path / "a/t.csv"), str(tmp_path / "a/photos"))
    assert (recipe.data.label, recipe.data.separator, recipe.data.image_size) == ("tags", " ", (224, 224))
    assert [stage.name for stage in recipe.train.stages] == ["head", "fine_tune"]
    assert recipe.augment is not None


def test_a_table_of_numbers() -> None:
    Path("a/t.csv").write_text("path,age\nphotos/0.png,3\nphotos/1.png,4.5\nphotos/2.png,7\n")
    section = table_section(Path("a/t.csv"), BASE, "image_regression")
    plan = Plan(task="image_regression", augment="none", unfreeze="none")
    recipe = transfer_recipe(BASE, section, plan, [], command="dlcli transfer").recipe
    assert isinstance(recipe, ImageRegression)
    assert recipe.data.targets == ("age",)
    assert [stage.name for stage in recipe.train.stages] == ["head"]


@pytest.mark.parametrize(("task", "kind"), [("multilabel", "scenes"), ("image_regression", "shapes")])
def test_synthetic_scenes_without_data(task: str, kind: str) -> None:
    section = table_section(None, BASE, task)
    assert transfer_recipe(BASE, section, Plan(task=task), [], command="x").recipe.data.kind == kind


def test_other_data_are_refused() -> None:
    Path("a/t.csv").write_text("path,age\nphotos/0.png,3\nphotos/1.png,4.5\nphotos/2.png,7\n")
    for data, task, message in (
        ("b", "multilabel", "--data b: no such file or folder."),
        (
            "a",
            "multilabel",
            "--data a: expected a table (.csv) of images with labels: columns of 0 and 1, or lists. Received a "
            "table for task: image_regression.",
        ),
        (
            "a/photos/0.png",
            "image_regression",
            "--data a/photos/0.png: expected a table (.csv) of images with numbers to predict. Received something "
            "else.",
        ),
    ):
        with pytest.raises(InputError) as caught:
            table_section(Path(data), BASE, task)
        assert str(caught.value) == message


def test_tables_of_other_tasks_are_named_with_the_option() -> None:
    Path("a/t.csv").write_text("path,age,weight\nphotos/0.png,3,1\nphotos/1.png,4.5,2\nphotos/2.png,7,5\n")
    with pytest.raises(InputError) as caught:
        data_section(Path("a"), BASE)
    assert str(caught.value) == ("--data a: holds images with 'age', 'weight' to predict. Add --task image_regression.")


def test_images_beside_masks_of_objects(tmp_path: Path) -> None:
    Path("a/masks").mkdir()
    Path("a/photos").rename("a/images")
    for i in range(3):
        Image.new("L", (40, 30), i).save(f"a/masks/{i}.png")
    section = boxes_section(Path("a"), BASE, "instance_segmentation")
    recipe = transfer_recipe(BASE, section, Plan(task="instance_segmentation"), [], command="dlcli transfer").recipe
    assert isinstance(recipe, InstanceSegmentation)
    assert isinstance(recipe.data, InstanceFiles)
    assert recipe.data.path == str(tmp_path / "a")
    assert recipe.data.image_size == (320, 320)
    assert recipe.model.backbone.weights == "imagenet"
    assert [stage.name for stage in recipe.train.stages] == ["head", "fine_tune"]
    for task in ("detection", "localization"):
        with pytest.raises(InputError, match=r"--data a: expected a folder of images with boxes"):
            boxes_section(Path("a"), BASE, task)
    with pytest.raises(InputError, match="if their values are objects, --task instance_segmentation"):
        data_section(Path("a"), BASE)


def test_a_coco_file_for_segmentation(tmp_path: Path) -> None:
    Path("a/train.json").write_text('{"images": [], "annotations": [], "categories": []}')
    section = masks_section(Path("a/train.json"), BASE)
    recipe = transfer_recipe(BASE, section, Plan(task="segmentation"), [], command="dlcli transfer").recipe
    assert isinstance(recipe, Segmentation)
    assert isinstance(recipe.data, CocoMasks)
    assert (recipe.data.path, recipe.data.image_size) == (str(tmp_path / "a" / "train.json"), (320, 320))


def test_boxes_alone_have_no_masks() -> None:
    Path("a/t.csv").write_text("path,label,xmin,ymin,xmax,ymax\nphotos/0.png,cat,1,1,9,9\n")
    with pytest.raises(InputError, match=r"--data a/t\.csv: expected images whose objects have masks"):
        boxes_section(Path("a/t.csv"), BASE, "instance_segmentation")
    for task, kind in (("instance_segmentation", "scenes"), ("detection", "scenes"), ("localization", "shapes")):
        assert boxes_section(None, BASE, task)["kind"] == kind
