"""Drafting recipes for images with boxes: of all objects, or of one in each image."""

import json
import shutil
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dlcli.errors import InputError
from dlcli.recipe.load import load
from dlcli.recipe.sections.detection_data import InstanceFiles
from dlcli.recipe.tasks.detection import Detection
from dlcli.recipe.tasks.instance_segmentation import InstanceSegmentation
from dlcli.recipe.tasks.localization import Localization
from dlcli.tasks.detection.drafting import _epochs, _has_small_classes, _size
from dlcli.tasks.draft import BoxTask, draft_recipe
from dlcli.tasks.images.box_drafting import BoxSource

BOX = "<bndbox><xmin>2</xmin><ymin>2</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>"
OBJECTS = {"a": ["cat", "dog"], "b": [], "c": ["dog"], "d": ["cat"]}


@pytest.fixture(autouse=True)
def _in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def image(path: str, size: tuple[int, int] = (40, 30)) -> None:
    """Writes an image; the size is width and height."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path)


def voc(objects: dict[str, list[str]] = OBJECTS) -> str:
    Path("data/Annotations").mkdir(parents=True)
    for name, labels in objects.items():
        image(f"data/JPEGImages/{name}.jpg")
        found = "".join(f"<object><name>{label}</name>{BOX}</object>" for label in labels)
        text = f"<annotation><filename>{name}.jpg</filename>{found}</annotation>"
        Path(f"data/Annotations/{name}.xml").write_text(text)
    return "data"


def coco(objects: dict[str, list[str]] = OBJECTS) -> str:
    for name in objects:
        image(f"data/{name}.jpg")
    listed = [(i, label) for i, labels in enumerate(objects.values()) for label in labels]
    content = {
        "images": [{"id": i, "file_name": f"{name}.jpg"} for i, name in enumerate(objects)],
        "categories": [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}],
        "annotations": [
            {"id": i, "image_id": number, "category_id": int(label == "dog"), "bbox": [2, 2, 7, 7]}
            for i, (number, label) in enumerate(listed)
        ],
    }
    Path("data/boxes.json").write_text(json.dumps(content))
    return "data/boxes.json"


def yolo(objects: dict[str, list[str]] = OBJECTS) -> str:
    Path("data/labels").mkdir(parents=True)
    for name, labels in objects.items():
        image(f"data/images/{name}.jpg")
        Path(f"data/labels/{name}.txt").write_text("\n".join(f"{int(x == 'dog')} .5 .5 .2 .3" for x in labels))
    Path("data/data.yaml").write_text("train: images\nnames: [cat, dog]\n")
    return "data"


def csv(objects: dict[str, list[str]] = OBJECTS) -> str:
    rows = ["filename,class,xmin,ymin,xmax,ymax"]
    for name, labels in objects.items():
        image(f"data/{name}.jpg")
        rows += [f"{name}.jpg,{label},2,2,9,9" for label in labels] or [f"{name}.jpg,,,,,"]
    Path("data/boxes.csv").write_text("\n".join(rows))
    return "data/boxes.csv"


FORMATS = {"voc": voc, "coco": coco, "yolo": yolo, "csv": csv}


def drafted(data: str, task: BoxTask | None = None) -> tuple[tuple[str, ...], Detection | Localization]:
    """The summary of the data, and the recipe as loaded from another folder."""
    folder = Path("recipes")
    folder.mkdir(exist_ok=True)
    draft = draft_recipe(Path(data), folder, task)
    (folder / "r.yaml").write_text(draft.text)
    recipe = load(folder / "r.yaml").recipe
    assert isinstance(recipe, Detection | Localization)
    return draft.seen, recipe


@pytest.mark.parametrize("name", FORMATS)
def test_images_with_several_objects_are_for_detection(name: str) -> None:
    seen, recipe = drafted(FORMATS[name]())
    assert isinstance(recipe, Detection)
    assert recipe.data.kind == name
    assert Path(recipe.data.path) == Path("data" if name == "voc" else recipe.data.path).absolute()
    assert "train: 4 objects in 2 classes: cat (2), dog (2)" in seen
    assert "images: 4, of which 1 with several objects, at most 2, 1 without" in seen
    assert recipe.data.image_size == (32, 32)
    assert (recipe.data.validation, recipe.data.test) == (0.1, 0.2)
    assert recipe.model.kind == "fcos"


@pytest.mark.parametrize("name", FORMATS)
def test_a_class_of_small_objects_starts_at_a_stride_of_4_pixels(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.image", partial(image, size=(1280, 960)))
    _, small = drafted(FORMATS[name]({"a": ["cat", "dog"], "b": ["dog"]}))
    assert small.model.levels == ((3, 4, 5, 6, 7) if name == "yolo" else (2, 3, 4, 5))  # yolo's boxes are proportions


def test_few_pixels_of_large_images_are_small() -> None:
    def source(**sizes: float) -> BoxSource:
        shapes = Counter({(480, 640): 9, (960, 1280): 1})
        return BoxSource((), (), shapes, num_images=200, most=5, splits=frozenset(), class_sizes=sizes)

    assert _has_small_classes(source(cell=200, platelet=46))  # 23.8 pixels in an input of 256x320, less than 3 strides
    assert not _has_small_classes(source(cell=200, platelet=47))
    assert not _has_small_classes(source())
    assert not _has_small_classes(replace(source(cell=1), sizes=Counter()))


@pytest.mark.parametrize("name", FORMATS)
def test_images_with_one_object_each_are_for_localization(name: str) -> None:
    alone = {key: labels[:1] for key, labels in OBJECTS.items() if labels}
    _, recipe = drafted(FORMATS[name](alone))
    assert isinstance(recipe, Localization)
    assert recipe.data.kind == name


@pytest.mark.parametrize("name", FORMATS)
def test_the_task_can_be_chosen(name: str) -> None:
    data = FORMATS[name]()
    _, recipe = drafted(data, "localization")
    assert isinstance(recipe, Localization)
    assert recipe.data.kind == name
    _, recipe = drafted(data, "detection")
    assert isinstance(recipe, Detection)


def test_the_task_is_for_images_with_boxes() -> None:
    for name in ("photos/a/1.png", "photos/b/1.png"):
        image(name)
    with pytest.raises(InputError) as error:
        draft_recipe(Path("photos"), Path(), "detection")
    assert str(error.value) == (
        "photos: --task is for images with boxes: Pascal VOC, COCO, YOLO, or a .csv with the columns xmin, ymin, xmax, "
        "ymax. Received none of these: leave the option out."
    )
    with pytest.raises(InputError, match="photos: --task instance_segmentation is for images whose objects"):
        draft_recipe(Path("photos"), Path(), "instance_segmentation")
    with pytest.raises(InputError, match="photos: --task segmentation is for images beside masks or files of polygons"):
        draft_recipe(Path("photos"), Path(), "segmentation")


def test_what_training_refuses_is_not_drafted() -> None:
    voc()
    Path("data/Annotations/a.xml").write_text("<annotation><object>")
    with pytest.raises(InputError, match=r"a\.xml:1: this is not valid XML"):
        draft_recipe(Path("data"), Path())


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([(480, 640)], (240, 320)),
        ([(640, 480)], (320, 240)),
        ([(100, 100), (4000, 3000), (4000, 3000)], (320, 256)),
        ([(20, 3000)], (32, 320)),
        ([(48, 64)], (64, 64)),
        ([], (320, 320)),
    ],
)
def test_the_size_has_the_median_shape(sizes: list[tuple[int, int]], expected: tuple[int, int]) -> None:
    height, width = _size(Counter(sizes))
    assert (height % 32, width % 32) == (0, 0)
    assert max(height, width) <= 320
    assert abs(height - expected[0]) <= 16
    assert abs(width - expected[1]) <= 16


# Instances ------------------------------------------------------------------------------------------------------------


def masks(values: list[list[int]], *, split: str = "") -> str:
    """Writes images and masks whose squares have these values."""
    for number, of_image in enumerate(values):
        image(f"data/{split}images/{number}.png")
        mask = Image.new("L", (40, 30))
        for place, value in enumerate(of_image):
            mask.paste(value, (8 * place, 0, 8 * place + 5, 5))
        Path(f"data/{split}masks").mkdir(parents=True, exist_ok=True)
        mask.save(f"data/{split}masks/{number}.png")
    return "data"


def drafted_instances(data: str) -> tuple[tuple[str, ...], InstanceSegmentation]:
    draft = draft_recipe(Path(data), Path(), "instance_segmentation")
    Path("r.yaml").write_text(draft.text)
    recipe = load(Path("r.yaml")).recipe
    assert isinstance(recipe, InstanceSegmentation)
    return draft.seen, recipe


def test_images_beside_masks_of_objects() -> None:
    seen, recipe = drafted_instances(masks([[1, 2, 3], [1], [4, 9]]))
    assert seen[0] == "images with masks: train 3"
    assert "objects: at most 3 in each of 3 masks" in seen
    assert isinstance(recipe.data, InstanceFiles)
    assert (recipe.data.label, recipe.data.image_size) == ("object", (32, 32))
    assert recipe.evaluate.detect.max_boxes == 10
    assert recipe.model.kind == "mask_rcnn"
    masks([[1, 2, 3], [1], [1, 2]])
    draft = draft_recipe(Path("data"), Path())
    assert "masks: probably an id for each object; --task segmentation learns one class" in draft.seen
    assert "task: instance_segmentation" in draft.text
    draft = draft_recipe(Path("data"), Path(), "segmentation")
    assert "task: segmentation" in draft.text
    assert "masks: values 0 to 3, probably an id for each object" in draft.seen
    masks([[1, 2], [1, 2], [1, 2]])  # as often as each other: classes
    assert "task: segmentation" in draft_recipe(Path("data"), Path()).text


def test_masks_in_which_each_object_has_a_color() -> None:
    masks([[1], [1, 2]])
    colored = Image.new("RGB", (40, 30))
    colored.paste((255, 0, 0), (0, 0, 5, 5))
    colored.paste((0, 0, 9), (8, 0, 13, 5))
    colored.paste((7, 7, 7), (16, 0, 21, 5))
    colored.save("data/masks/0.png")
    seen, _ = drafted_instances("data")
    assert "objects: at most 3 in each of 2 masks" in seen


def test_arrays_of_boxes() -> None:
    labels = np.array([["cat", "dog"], ["cat", ""], ["", ""]])
    arrays = {"x_train": np.zeros((3, 30, 40, 3)), "boxes_train": np.zeros((3, 2, 4)), "box_class_train": labels}
    np.savez("objects.npz", **arrays, x_test=np.zeros((1, 30, 40, 3)))
    seen, recipe = drafted("objects.npz")
    assert seen[:2] == (
        "train: 3 objects in 2 classes: cat (2), dog (1)",
        "images: 3, of which 1 with several objects, at most 2, 1 without",
    )
    assert isinstance(recipe, Detection)
    assert recipe.data.kind == "npz"
    assert recipe.data.value_range == (0, 1)
    assert recipe.data.validation > 0
    with pytest.raises(InputError, match="--task localization is for arrays x, y and box"):
        draft_recipe(Path("objects.npz"), Path(), "localization")


@pytest.mark.parametrize(
    ("num_images", "splits", "epochs"),
    [
        (205, {"validation", "test"}, 29),
        (364, set(), 24),  # 255 of them are trained on
        (364, {"test"}, 18),
        (10, set(), 60),
        (100_000, set(), 12),
    ],
)
def test_epochs_depend_on_the_number_of_training_images(num_images: int, splits: set[str], epochs: int) -> None:
    source = BoxSource((), (), Counter(), num_images, most=5, splits=frozenset(splits))
    assert _epochs(source, 60) == epochs


def test_epochs_are_fewer_where_an_image_takes_longer() -> None:
    source = BoxSource((), (), Counter(), num_images=205, most=5, splits=frozenset({"validation", "test"}))
    assert _epochs(source, 60, times=2) == 15


def test_data_without_objects_are_refused() -> None:
    with pytest.raises(InputError, match=r"^data: no image has an object\. Give images of which some have objects\.$"):
        draft_recipe(Path(yolo({"a": [], "b": []})), Path())


def test_errors_of_a_data_yaml_beside_labels_are_reported() -> None:
    data = Path(yolo())
    (data / "data.yaml").write_text("train: images\nnames: [cat\n")
    with pytest.raises(InputError, match=r"data\.yaml:3: this is not valid YAML"):
        draft_recipe(data, Path())


def test_masks_with_lossy_compression_are_refused() -> None:
    masks([[1, 2, 3], [1, 2]])
    Image.open("data/masks/0.png").save("data/masks/0.jpg")
    Path("data/masks/0.png").unlink()
    with pytest.raises(InputError, match=r"0\.jpg: ids of objects must be stored without loss"):
        draft_recipe(Path("data"), Path(), "instance_segmentation")


def test_objects_with_polygons() -> None:
    path = Path(coco())
    content = json.loads(path.read_text())
    for entry in content["annotations"][:3]:
        entry["segmentation"] = [[2, 2, 9, 2, 9, 9]]
    path.write_text(json.dumps(content))
    seen, recipe = drafted_instances(str(path))
    assert "masks: 3 of 4 objects have one" in seen
    assert recipe.data.kind == "coco"
    assert recipe.data.on_bad_box == "skip"
    seen, _ = drafted(str(path))
    assert "masks: 3 of 4 objects have one; --task instance_segmentation learns them too" in seen


def test_boxes_alone_are_no_masks() -> None:
    for name in ("yolo", "voc"):
        with pytest.raises(InputError, match="Received boxes alone: use --task detection"):
            draft_recipe(Path(FORMATS[name]()), Path(), "instance_segmentation")
        shutil.rmtree("data")
