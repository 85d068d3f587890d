"""Images and their masks in every layout in which people have them."""

from pathlib import Path

import pytest
from PIL import Image

from dlcli.data.masks.pairs import Paired, find_pairs, read_pairs
from dlcli.errors import InputError


def make(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in (".png", ".jpg", ".tif"):
            Image.new("L", (2, 2)).save(path)
        else:
            path.write_text("text")
    return root


def shown(found: Paired) -> dict[str, str]:
    return {pair.name: pair.mask_name for pair in found.pairs}


def error(root: Path, **options: str) -> str:
    with pytest.raises(InputError) as error:
        find_pairs(root, **options)  # type: ignore[arg-type]
    return str(error.value).replace(f"{root}", "ROOT")


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        ("images", "masks"),
        ("images", "labels"),
        ("image", "label"),
        ("Images", "Ground_Truth"),
        ("JPEGImages", "SegmentationClass"),
        ("PNGImages", "PedMasks"),
        ("imgs", "gt"),
        ("img_dir", "ann_dir"),
        ("images", "trimaps"),
    ],
)
def test_two_folders(tmp_path: Path, images: str, masks: str) -> None:
    make(tmp_path, f"{images}/a.jpg", f"{images}/b.jpg", f"{masks}/a.png", f"{masks}/b.png")
    found = find_pairs(tmp_path)
    assert shown(found) == {f"{images}/a.jpg": f"{masks}/a.png", f"{images}/b.jpg": f"{masks}/b.png"}
    assert {pair.split for pair in found.pairs} == {"train"}
    assert found.left_out == found.warnings == ()


def test_names_of_masks_may_have_a_word_more(tmp_path: Path) -> None:
    make(tmp_path, "images/a.jpg", "images/b_L.jpg", "images/c_sat.jpg", "images/e.x.jpg")
    make(tmp_path, "masks/a_mask.png", "masks/b_L_label.png", "masks/c_mask.png", "masks/seg-e.x.png")
    assert shown(find_pairs(tmp_path)) == {
        "images/a.jpg": "masks/a_mask.png",
        "images/b_L.jpg": "masks/b_L_label.png",
        "images/c_sat.jpg": "masks/c_mask.png",
        "images/e.x.jpg": "masks/seg-e.x.png",
    }


def test_the_same_name_comes_before_shorter_ones(tmp_path: Path) -> None:
    make(tmp_path, "images/a.png", "images/a_mask.png", "masks/a.png", "masks/a_mask.png")
    assert shown(find_pairs(tmp_path)) == {
        "images/a.png": "masks/a.png",
        "images/a_mask.png": "masks/a_mask.png",
    }


def test_folders_of_splits_beside_those_of_their_masks(tmp_path: Path) -> None:
    names = ("train", "trainannot", "val", "valannot", "test", "testannot")
    make(tmp_path, *(f"{name}/{name[:2]}.png" for name in names), "README.md")
    found = find_pairs(tmp_path)
    assert [(pair.split, pair.name, pair.mask_name) for pair in found.pairs] == [
        ("train", "train/tr.png", "trainannot/tr.png"),
        ("validation", "val/va.png", "valannot/va.png"),
        ("test", "test/te.png", "testannot/te.png"),
    ]


@pytest.mark.parametrize(
    ("images", "masks"), [("train", "train_labels"), ("train_images", "train_masks"), ("Train", "labels_train")]
)
def test_other_names_of_these(tmp_path: Path, images: str, masks: str) -> None:
    make(tmp_path, f"{images}/a.png", f"{masks}/a.png", "test/b.png")
    found = find_pairs(tmp_path)
    assert shown(found) == {f"{images}/a.png": f"{masks}/a.png"}
    assert [item.name for item in found.left_out] == ["test"]
    assert "not a split with its masks" in str(found.warnings[0])


def test_two_folders_in_a_folder_of_each_split(tmp_path: Path) -> None:
    make(tmp_path, "train/images/a.jpg", "train/masks/a.png", "valid/images/b.jpg", "valid/masks/b.png")
    found = find_pairs(tmp_path)
    assert [(pair.split, pair.name, pair.mask_name) for pair in found.pairs] == [
        ("train", "train/images/a.jpg", "train/masks/a.png"),
        ("validation", "valid/images/b.jpg", "valid/masks/b.png"),
    ]


def test_a_folder_for_each_split_in_two_folders(tmp_path: Path) -> None:
    make(tmp_path, "images/train/x/a.jpg", "images/val/b.jpg", "labels/train/x/a.png", "labels/val/b.png")
    found = find_pairs(tmp_path)
    assert [(pair.split, pair.mask_name) for pair in found.pairs] == [
        ("train", "labels/train/x/a.png"),
        ("validation", "labels/val/b.png"),
    ]


def test_masks_of_all_splits_in_one_folder(tmp_path: Path) -> None:
    make(tmp_path, "images/train/a.jpg", "images/val/b.jpg", "masks/a.png", "masks/b.png")
    message = error(tmp_path)  # each mask is without image in one of the splits
    assert "masks/a.png: a mask without image" in message


def test_a_split_without_masks(tmp_path: Path) -> None:
    make(
        tmp_path, "images/train/a.jpg", "images/val/b.jpg", "images/test/c.jpg", "masks/train/a.png", "masks/val/b.png"
    )
    assert "ROOT/masks: there must be masks of each split in ROOT/images. Received none for 'test'" in error(tmp_path)


def test_side_by_side(tmp_path: Path) -> None:
    make(tmp_path, "p1/1.tif", "p1/1_mask.tif", "p2/1.tif", "p2/1_mask.tif", "notes.txt", ".DS_Store")
    found = find_pairs(tmp_path)
    assert shown(found) == {"p1/1.tif": "p1/1_mask.tif", "p2/1.tif": "p2/1_mask.tif"}
    assert {item.name: item.reason for item in found.left_out} == {
        ".DS_Store": "hidden",
        "notes.txt": "not an image by its suffix",
    }


def test_side_by_side_in_folders_of_splits(tmp_path: Path) -> None:
    make(tmp_path, "train/a.png", "train/a_seg.png", "test/b.png", "test/b_seg.png")
    assert [(pair.split, pair.mask_name) for pair in find_pairs(tmp_path).pairs] == [
        ("train", "train/a_seg.png"),
        ("test", "test/b_seg.png"),
    ]


def test_a_word_for_masks_in_the_name_of_an_image(tmp_path: Path) -> None:
    make(tmp_path, "a_L.png", "a_L_mask.png")
    assert shown(find_pairs(tmp_path)) == {"a_L.png": "a_L_mask.png"}


def test_all_that_is_missing_is_named(tmp_path: Path) -> None:
    make(tmp_path, *(f"images/{name}.jpg" for name in "abc"), "masks/a.png", "masks/d.png")
    assert error(tmp_path).splitlines() == [
        "ROOT/masks/d.png: a mask without image.",
        "ROOT/images/b.jpg: an image without mask.",
        "ROOT/images/c.jpg: an image without mask.",
        "3 images and masks have no counterpart. Add the files, or leave them out with data.exclude or "
        "data.on_missing: skip.",
    ]
    found = find_pairs(tmp_path, on_missing="skip")
    assert shown(found) == {"images/a.jpg": "masks/a.png"}
    assert sorted(item.name for item in found.left_out) == ["images/b.jpg", "images/c.jpg", "masks/d.png"]


def test_excluded_images_leave_their_masks(tmp_path: Path) -> None:
    make(tmp_path, "images/a.jpg", "images/b.jpg", "images/c.jpg", "masks/a.png", "masks/b.png")
    found = find_pairs(tmp_path, exclude=["b.*", "images/c*"])
    assert shown(found) == {"images/a.jpg": "masks/a.png"}
    assert {item.reason for item in found.left_out} == {"excluded by 'b.*'", "excluded by 'images/c*'"}


def test_several_masks_of_one_image_need_a_pattern(tmp_path: Path) -> None:
    stem = "town/town_01"
    make(tmp_path, f"leftImg8bit/train/{stem}_leftImg8bit.png", f"leftImg8bit/val/{stem}_leftImg8bit.png")
    for split in ("train", "val"):
        make(tmp_path, *(f"gtFine/{split}/{stem}_gtFine_{kind}.png" for kind in ("labelIds", "color")))
    message = error(tmp_path)
    assert "an image must have one mask. Received 'gtFine/train/town/town_01_gtFine_labelIds.png'" in message.replace(
        "'gtFine/train/town/town_01_gtFine_color.png', ", ""
    )
    assert "by a pattern, such as data.masks: gtFine/*_labelIds.png" in message
    found = find_pairs(tmp_path, masks="gtFine/*_gtFine_labelIds.png")
    assert [(pair.split, pair.mask_name) for pair in found.pairs] == [
        ("train", f"gtFine/train/{stem}_gtFine_labelIds.png"),
        ("validation", f"gtFine/val/{stem}_gtFine_labelIds.png"),
    ]


def test_folders_and_patterns_of_any_name(tmp_path: Path) -> None:
    make(tmp_path, "x/1.png", "x/2.png", "y/1.png", "y/2.png", "z/1.png")
    assert shown(find_pairs(tmp_path, images="x", masks="y")) == {"x/1.png": "y/1.png", "x/2.png": "y/2.png"}
    assert "ROOT/w: no such folder. Correct data.masks" in error(tmp_path, images="x", masks="w")
    flat = make(tmp_path / "flat", "in1.png", "in2.png", "out1.png", "out2.png")
    expected = {"in1.png": "out1.png", "in2.png": "out2.png"}
    assert shown(find_pairs(flat, images="in*.png", masks="out*.png")) == expected


def test_a_pattern_of_masks_leaves_the_images(tmp_path: Path) -> None:
    make(tmp_path, "1.png", "1-out.png", "2.png", "2-out.png")
    expected = {"1.png": "1-out.png", "2.png": "2-out.png"}
    assert shown(find_pairs(tmp_path, masks="*-out.png")) == expected


def test_several_folders_may_be_meant(tmp_path: Path) -> None:
    make(tmp_path, "images/a.png", "masks/a.png", "masks_color/a.png", "labels/a.png")
    assert error(tmp_path) == (
        "ROOT: there must be one folder of masks. Received 'labels', 'masks': name it in data.masks."
    )
    found = find_pairs(tmp_path, masks="masks")
    assert shown(found) == {"images/a.png": "masks/a.png"}


def test_folders_of_which_some_are_splits(tmp_path: Path) -> None:
    make(tmp_path, "train/a.png", "train/a_mask.png", "more/b.png", "more/b_mask.png")
    assert error(tmp_path) == (
        "ROOT: its folders must be one for each split, 'train' among them, or have no names of splits. Received "
        "'more', 'train': rename them, or move the others away."
    )


def test_folders_of_samples_are_no_splits(tmp_path: Path) -> None:
    for sample in "xy":
        make(tmp_path, f"{sample}/1/a.png", f"{sample}/1/a_mask.png", f"{sample}/2/a.png", f"{sample}/2/a_mask.png")
    assert len(find_pairs(tmp_path).pairs) == 4


def test_instances_of_voc_are_not_classes(tmp_path: Path) -> None:
    make(tmp_path, "JPEGImages/a.jpg", "SegmentationClass/a.png", "SegmentationObject/a.png", "Annotations/a.xml")
    assert shown(find_pairs(tmp_path)) == {"JPEGImages/a.jpg": "SegmentationClass/a.png"}


def test_no_pairs(tmp_path: Path) -> None:
    make(tmp_path, "cats/1.png", "dogs/2.png")
    message = error(tmp_path)
    assert "there must be images with masks of the same names" in message
    assert "Received 2 files, such as 'cats/1.png': name the two folders" in message


def test_two_images_of_one_name(tmp_path: Path) -> None:
    make(tmp_path, "images/a.jpg", "images/a.png", "images/b.jpg", "masks/a.png", "masks/b.png")
    assert "ROOT/masks/a.png: it may be the mask of a.jpg or a.png." in error(tmp_path)


# Tables ---------------------------------------------------------------------------------------------------------------


def read(table: Path, text: str, **options: object) -> Paired:
    table.write_text(text)
    keys = {"image": "path", "mask": "mask", "split": None, "group": None, **options}
    return read_pairs(table, **keys)  # type: ignore[arg-type]


def test_a_table(tmp_path: Path) -> None:
    make(tmp_path, "x/1.png", "y/1.png", "x/2.png", "y/2.png")
    text = "path;mask;split;patient\nx/1.png;y\\1.png;train;A\nx/2.png;y/2.png;val;B\n"
    found = read(tmp_path / "t.csv", text, split="split", group="patient", exclude=["nothing"])
    assert [(pair.name, pair.mask_name, pair.split, pair.group, pair.line) for pair in found.pairs] == [
        ("x/1.png", "y/1.png", "train", "A", 2),
        ("x/2.png", "y/2.png", "validation", "B", 3),
    ]
    assert [pair.name for pair in read(tmp_path / "t.csv", text, exclude=["x/2*"]).pairs] == ["x/1.png"]


def test_errors_of_a_table_have_lines(tmp_path: Path) -> None:
    make(tmp_path, "x/1.png", "x/2.png")
    with pytest.raises(InputError) as error:
        read(tmp_path / "t.csv", "path,mask\nx/1.png,y/1.png\nx/2.png,../y.png\nx/3.png,x/2.png\n")
    lines = str(error.value).replace(f"{tmp_path}/", "").splitlines()
    assert lines[0] == "t.csv:2: y/1.png: no such file."
    assert lines[1].startswith("t.csv:3: images must be in")
    assert lines[2] == "t.csv:4: x/3.png: no such file."


def test_real_data(shared_data: Path) -> None:
    counts = {"camvid": 352, "membrane": 30, "pennfudan": 170}
    for name, count in counts.items():
        assert len(find_pairs(shared_data / name).pairs) == count
