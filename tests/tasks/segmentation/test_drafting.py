"""Recipes that are drafted for folders of images with masks: what their values mean."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dlcli.errors import InputError
from dlcli.recipe.load import load_text
from dlcli.tasks.draft import draft_recipe
from dlcli.tasks.segmentation import mask_values

SIZE = (16, 20)


def write(root: Path, *masks: np.ndarray, suffix: str = "png") -> Path:
    for part in ("images", "masks"):
        (root / part).mkdir(parents=True)
    for number, mask in enumerate(masks):
        pixels = np.full((*SIZE, 3), 40 * number + 10, np.uint8)
        Image.fromarray(pixels).save(root / "images" / f"{number}.png")
        Image.fromarray(mask).save(root / "masks" / f"{number}.{suffix}")
    return root


def mask_of(*values: int | tuple[int, ...]) -> np.ndarray:
    """A mask in whose rows these values or colors are."""
    rows = np.array(values, np.uint8)[np.arange(SIZE[0]) % len(values)]
    return np.repeat(rows[:, None], SIZE[1], axis=1)


@pytest.mark.parametrize(
    ("masks", "lines"),
    [
        ([mask_of(0, 1, 3), mask_of(1, 2)], ["classes: [class_0, class_1, class_2, class_3]"]),
        ([mask_of(0, 2), mask_of(1, 255)], ["classes: [class_0, class_1, class_2]", "ignore: 255"]),
        ([mask_of(0, 255)], ["classes: [background, foreground]"]),
        ([mask_of(0, 1, 2), mask_of(0, 1, 2, 3)], ["foreground: object"]),
        ([mask_of((0, 0, 0), (128, 0, 0)), mask_of((0, 0, 9))], ["palette: {class_0: [0, 0, 0], class_1: [0, 0, 9]"]),
    ],
    ids=["classes", "ignored", "black and white", "objects", "colors"],
)
def test_what_masks_mean(tmp_path: Path, masks: list[np.ndarray], lines: list[str]) -> None:
    draft = draft_recipe(write(tmp_path / "data", *masks), tmp_path, "segmentation")
    for line in lines:
        assert f"\n  {line}" in draft.text
    recipe = load_text(draft.text.encode(), tmp_path / "r.yaml").recipe
    assert recipe.task == "segmentation"
    assert recipe.data.image_size == SIZE  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("mask", "what"),
    [
        (mask_of(0), "the value 0"),
        (mask_of(255), "the value 255"),
        (mask_of((9, 0, 0)), r"the color \[9, 0, 0\]"),
    ],
    ids=["black", "white", "one color"],
)
def test_masks_of_one_class_are_refused_as_by_training(tmp_path: Path, mask: np.ndarray, what: str) -> None:
    with pytest.raises(InputError, match=f"two classes or more. Received masks of {what} alone"):
        draft_recipe(write(tmp_path / "data", mask, mask), tmp_path)


def test_all_masks_are_read_if_those_in_between_show_a_single_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mask_values, "NUM_MASKS", 2)
    draft = draft_recipe(write(tmp_path / "data", *[mask_of(0)] * 4, mask_of(0, 1), mask_of(0)), tmp_path)
    assert "classes: [class_0, class_1]" in draft.text


def test_masks_that_cannot_be_classes_are_refused(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
    with pytest.raises(InputError, match="the masks have more than 64 colors"):
        draft_recipe(write(tmp_path / "noise", noise), tmp_path)
    with pytest.raises(InputError, match="none of the masks can be read"):
        draft_recipe(write(tmp_path / "lossy", noise, suffix="jpg"), tmp_path)


def test_lossy_masks_are_black_and_white_or_refused(tmp_path: Path) -> None:
    square = np.zeros(SIZE, np.uint8)
    square[: SIZE[0] // 2] = 1
    with pytest.raises(InputError, match=r"must be black and white.*as PNG"):
        draft_recipe(write(tmp_path / "small", square, suffix="jpg"), tmp_path)
    assert (
        "masks: black and white" in draft_recipe(write(tmp_path / "white", square * 255, suffix="jpg"), tmp_path).seen
    )


def test_lossy_masks_with_shades_are_refused_as_by_training(tmp_path: Path) -> None:
    shades = np.array([0, 100, 200], np.uint8)[np.arange(SIZE[0]) * 3 // SIZE[0]][:, None].repeat(SIZE[1], axis=1)
    with pytest.raises(InputError, match=r"must be black and white. Received one with other shades.*as PNG"):
        draft_recipe(write(tmp_path / "shades", shades, suffix="jpg"), tmp_path)


@pytest.mark.parametrize("split", ["", "train"])
def test_masks_beside_their_images(tmp_path: Path, split: str) -> None:
    for folder in {split, "valid" if split else ""}:
        (tmp_path / "data" / folder).mkdir(parents=True)
        for number in range(3):
            Image.new("RGB", SIZE[::-1], (number, 9, 9)).save(tmp_path / "data" / folder / f"{number}.jpg")
            Image.fromarray(mask_of(0, 1)).save(tmp_path / "data" / folder / f"{number}_mask.png")
            (tmp_path / "data" / folder / "_classes.csv").write_text("Pixel Value, Class\n0, a\n")
    draft = draft_recipe(tmp_path / "data", tmp_path)
    assert draft.seen[0] == f"images with masks: train 3{', validation 3' if split else ''}"
    assert "classes: [class_0, class_1]" in draft.text
    assert "on_missing" not in draft.text  # the table is no image without its mask


def test_a_table_with_two_paths_in_each_row(tmp_path: Path) -> None:
    write(tmp_path / "data", mask_of(0, 1), mask_of(0, 2), mask_of(0, 1))
    rows = [f"images/{number}.png,masks/{number}.png,{split}" for number, split in enumerate(("train", "val", "test"))]
    table = tmp_path / "data" / "pairs.csv"
    table.write_text("\n".join(["Image,Mask,split", *rows]) + "\n")
    draft = draft_recipe(table, tmp_path)
    data = load_text(draft.text.encode(), tmp_path / "r.yaml").recipe.data
    assert draft.seen[0] == "images with masks: train 1, validation 1, test 1"
    assert (data.kind, data.image, data.mask, data.split) == ("masks", "Image", "Mask", "split")  # type: ignore[union-attr]
    table.write_text("Image,Mask\nimages/0.png,masks/9.png\n")
    with pytest.raises(InputError, match=r"pairs.csv:2: masks/9.png: no such file"):
        draft_recipe(table, tmp_path)


@pytest.mark.parametrize("places", [("{}.jpg", "{}.json"), ("leftImg8bit/train/{}.jpg", "gtFine/train/{}.json")])
def test_polygons_of_each_image(tmp_path: Path, places: tuple[str, str]) -> None:
    content = {"imageWidth": 20, "imageHeight": 16, "shapes": [{"label": "cat", "points": [[1, 1], [9, 1], [5, 9]]}]}
    for number in range(3):
        image, polygons = (tmp_path / "data" / place.format(number) for place in places)
        image.parent.mkdir(parents=True, exist_ok=True)
        polygons.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", SIZE[::-1], (number, 9, 9)).save(image)
        polygons.write_text(json.dumps(content))
    draft = draft_recipe(tmp_path / "data", tmp_path)
    assert draft.seen == ("images with polygons: train 3", "sizes: 16x20")
    data = load_text(draft.text.encode(), tmp_path / "r.yaml").recipe.data
    assert (data.kind, data.image_size) == ("polygons", SIZE)  # type: ignore[union-attr]


def test_large_images_are_cut_into_tiles(tmp_path: Path) -> None:
    for part, mode in (("images", "RGB"), ("masks", "L")):
        (tmp_path / "data" / part).mkdir(parents=True)
        for number in range(4):
            Image.new(mode, (1300, 1000), number % 2).save(tmp_path / "data" / part / f"{number}.png")
    text = draft_recipe(tmp_path / "data", tmp_path).text
    comment = "cut from the images at their own size; or resize whole images: image_size: [256, 320]"
    assert f"tiles: {{size: 256, overlap: 64, per_image: 4}}  # {comment}" in text
    data = load_text(text.encode(), tmp_path / "r.yaml").recipe.data
    assert data.tiles.size == (256, 256)  # type: ignore[union-attr]
