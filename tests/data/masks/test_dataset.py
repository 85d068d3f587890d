"""From pairs to a data set: what is wrong with masks is named, what they mean is found, and pixels are counted."""

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dlcli.data.images.samples import Dataset
from dlcli.data.masks.coding import Coding, black_and_white, by_color, by_index, foreground
from dlcli.data.masks.dataset import assemble_masks
from dlcli.data.masks.masks import masks_of
from dlcli.data.masks.pairs import find_pairs
from dlcli.data.masks.statistics import count_masks
from dlcli.errors import InputError

Common = dict[str, Any]
TWO: list[Coding] = [by_index(["membrane", "cell"]), black_and_white(["membrane", "cell"])]


def save(root: Path, name: str, mask: np.ndarray, image_size: tuple[int, int] | None = None, **options: Any) -> None:
    for folder in ("images", "masks"):
        (root / folder).mkdir(exist_ok=True)
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    height, width = image_size or mask.shape[:2]
    Image.fromarray(rng.integers(0, 255, (height, width, 3), np.uint8)).save(root / f"images/{name}.png")
    Image.fromarray(mask).save(root / f"masks/{name}.png", **options)


def read(root: Path, common: Common, codings: list[Coding], **keys: Any) -> Dataset:
    return assemble_masks(
        find_pairs(root),
        codings,
        source=root,
        on_bad_image=keys.pop("on_bad_image", "error"),
        has_groups=False,
        progress=keys.pop("progress", None),
        common={**common, "validation": 0.0, "test": 0.0, **keys},  # type: ignore[arg-type]
    )


def error(root: Path, common: Common, codings: list[Coding], **keys: Any) -> list[str]:
    with pytest.raises(InputError) as error:
        read(root, common, codings, **keys)
    return str(error.value).replace(f"{root}", "ROOT").splitlines()


def test_images_are_left_out_if_their_masks_cannot_be_read(tmp_path: Path, common: Common) -> None:
    for name in "abc":
        save(tmp_path, name, np.array([[0, 1, 1]], np.uint8))
    for name in "ac":
        (tmp_path / "masks" / f"{name}.png").write_bytes(b"no image")
    lines = error(tmp_path, common, TWO)
    assert [line.split(": ")[0] for line in lines[:2]] == ["ROOT/masks/a.png", "ROOT/masks/c.png"]
    assert lines[2].startswith("2 of 3 masks cannot be used.")
    assert lines[2].endswith(" or by `data.on_bad_image: skip`.")
    data = read(tmp_path, common, TWO, on_bad_image="skip")
    assert data.splits["train"].names == ("images/b.png",)
    assert [(item.name, item.kind) for item in data.left_out] == [
        ("images/a.png", "unreadable"),
        ("images/c.png", "unreadable"),
    ]
    assert data.left_out[0].reason.startswith("masks/a.png: not an image")
    (tmp_path / "masks" / "b.png").write_bytes(b"")
    assert len(error(tmp_path, common, TWO, on_bad_image="skip")) == 4


def test_indices_are_counted(tmp_path: Path, common: Common) -> None:
    save(tmp_path, "a", np.array([[0, 1, 2], [2, 2, 9]], np.uint8))
    save(tmp_path, "b", np.array([[0, 0, 0], [2, 9, 9]], np.uint8))
    data = read(tmp_path, common, [by_index(["sky", "road", "car"], ignore=[9])])
    assert data.classes == ("sky", "road", "car")
    assert not data.has_classes
    counted = count_masks(data.splits)["train"]
    assert counted.pixels.tolist() == [4, 1, 4]
    assert counted.ignored == 3
    assert counted.images.tolist() == [2, 1, 2]
    assert counted.shares.tolist() == [4 / 9, 1 / 9, 4 / 9]
    assert counted.ignored_share == 0.25
    rows = data.split_rows()
    assert [(row["file"], row["mask"]) for row in rows] == [
        ("images/a.png", "masks/a.png"),
        ("images/b.png", "masks/b.png"),
    ]
    assert len({row["mask_digest"] for row in rows}) == 2


def test_the_fingerprint_depends_on_the_masks(tmp_path: Path, common: Common) -> None:
    save(tmp_path, "a", np.array([[0, 1]], np.uint8))
    before = read(tmp_path, common, TWO).fingerprint()
    assert read(tmp_path, common, TWO).fingerprint() == before
    save(tmp_path, "a", np.array([[1, 1]], np.uint8))
    assert read(tmp_path, common, TWO).fingerprint() != before


@pytest.mark.parametrize("high", [1, 255])
def test_masks_of_0_and_255_are_understood(tmp_path: Path, common: Common, high: int) -> None:
    save(tmp_path, "a", np.array([[0, high], [high, high]], np.uint8))
    save(tmp_path, "b", np.array([[0, 0], [0, high]], np.uint8))
    data = read(tmp_path, common, TWO)
    assert count_masks(data.splits)["train"].pixels.tolist() == [4, 4]
    masks = masks_of(data.splits["train"])
    assert masks is not None
    assert masks.masks[0].read().tolist() == [[0, 1], [1, 1]]


def test_the_few_that_do_not_fit_are_named(tmp_path: Path, common: Common) -> None:
    for name in "abc":
        save(tmp_path, name, np.array([[0, 255]], np.uint8))
    save(tmp_path, "d", np.array([[0, 1]], np.uint8))
    assert error(tmp_path, common, TWO) == [
        "ROOT/masks/d.png: a value must be that of a class (0, 255) or in data.ignore. Received 1 in 1 pixel.",
        "1 of 4 masks cannot be used. Correct the files or the classes in the recipe, ignore pixels by data.ignore: "
        "[1], or leave images out with data.exclude.",
    ]


def test_white_is_not_silently_ignored(tmp_path: Path, common: Common) -> None:
    save(tmp_path, "a", np.array([[0, 255]], np.uint8))
    for coding in (by_index(["membrane", "cell"], ignore=[255]), foreground("cell", ignore=[255])):
        (line,) = error(tmp_path, common, [coding])
        assert line == (
            "ROOT: the masks have no value but 0 and 255, and 255 is in data.ignore, so that no pixel is left of class "
            "'cell'. Remove data.ignore."
        )


def test_everything_that_is_wrong_is_named_at_once(tmp_path: Path, common: Common) -> None:
    save(tmp_path, "a", np.array([[0, 7], [7, 200]], np.uint8))
    save(tmp_path, "b", np.zeros((3, 5), np.uint8), image_size=(5, 3))
    save(tmp_path, "c", np.array([[[1, 2, 3], [4, 4, 4]]], np.uint8))
    save(tmp_path, "d", np.zeros((50, 50), np.uint8))
    data = (tmp_path / "masks/d.png").read_bytes()
    (tmp_path / "masks/d.png").write_bytes(data[:-40])
    lines = error(tmp_path, common, [by_index(["x", "y", "z"])], image_size=(4, 4))
    assert lines == [
        "ROOT/masks/a.png: a value must be that of a class (0 to 2) or in data.ignore. Received 7, 200 in 3 pixels.",
        "ROOT/masks/b.png: a mask must have the size of its image, 5x3 (height x width). Received 3x5.",
        "ROOT/masks/c.png: it has colors, such as [1, 2, 3]: declare them in data.palette of a recipe.",
        "ROOT/masks/d.png: truncated: the end of the file is missing.",
        "4 of 4 masks cannot be used. Correct the files or the classes in the recipe, ignore pixels by data.ignore: "
        "[7, 200], or leave images out with data.exclude, or by `data.on_bad_image: skip`.",
    ]


def test_colors(tmp_path: Path, common: Common) -> None:
    save(tmp_path, "a", np.array([[[0, 0, 255], [9, 9, 9]], [[0, 0, 0], [0, 0, 1]]], np.uint8))
    palette = {"sky": (0, 0, 255), "road": (9, 9, 9)}
    lines = error(tmp_path, common, [by_color(palette, ignore=[(0, 0, 0)])])
    assert lines[0] == (
        "ROOT/masks/a.png: a color must be in data.palette or data.ignore. Received [0, 0, 1] in 1 pixel."
    )
    data = read(tmp_path, common, [by_color(palette, ignore=[(0, 0, 0), (0, 0, 1)])])
    assert count_masks(data.splits)["train"].pixels.tolist() == [1, 1]


def test_exif_turns_both(tmp_path: Path, common: Common) -> None:
    """The image is stored as 2x3 and rotated upright to 3x2; a mask may be stored either way."""
    exif = Image.Exif()
    exif[0x0112] = 6
    mask = np.array([[0, 1, 2], [1, 1, 0]], np.uint8)
    upright = np.rot90(mask, -1)
    for name, values, options in (("a", mask, {"exif": exif}), ("b", np.ascontiguousarray(upright), {})):
        save(tmp_path, name, values, **options)
        Image.new("RGB", (3, 2), name.encode()[0]).save(tmp_path / f"images/{name}.png", exif=exif)
    data = read(tmp_path, common, [by_index(["x", "y", "z"])])
    assert data.shape == (3, 2, 3)
    masks = masks_of(data.splits["train"])
    assert masks is not None
    assert [found.read().tolist() for found in masks.masks] == [upright.tolist()] * 2


def test_warnings(tmp_path: Path, common: Common) -> None:
    save(tmp_path, "a", np.array([[0, 9], [9, 9]], np.uint8))
    data = read(tmp_path, common, [by_index(["sky", "road", "car"], ignore=[9])])
    assert [str(warning) for warning in data.warnings] == [
        "train has no pixel of 2 of the 3 classes: 'road', 'car'.",
        "75% of the pixels of train are ignored (data.ignore).",
    ]
    assert {warning.kind for warning in data.warnings} == {"masks"}  # which data check reports too


def test_lossy_masks_are_warned_about(tmp_path: Path, common: Common) -> None:
    save(tmp_path, "a", np.kron(np.eye(2, dtype=np.uint8) * 255, np.ones((13, 11), np.uint8)))
    mask = Image.open(tmp_path / "masks/a.png")
    mask.save(tmp_path / "masks/a.jpg", quality=30)
    (tmp_path / "masks/a.png").unlink()
    data = read(tmp_path, common, [foreground("cell")])
    assert "1 mask is of a format with lossy compression" in str(data.warnings[0])
    assert count_masks(data.splits)["train"].pixels.tolist() == [286, 286]
    lines = error(tmp_path, common, [by_index(["a", "b", "c"])])
    assert lines[0].startswith("ROOT/masks/a.jpg: its format is lossy")


def test_lossy_masks_of_small_values_are_refused(tmp_path: Path, common: Common) -> None:
    save(tmp_path, "a", np.kron(np.eye(2, dtype=np.uint8), np.ones((13, 11), np.uint8)))
    Image.open(tmp_path / "masks/a.png").save(tmp_path / "masks/a.jpg", quality=95)
    (tmp_path / "masks/a.png").unlink()
    (line,) = error(tmp_path, common, [foreground("cell")])
    assert "none of the masks with lossy compression (JPEG and the like) has a value from 128 on" in line


def test_only_what_is_used_is_read(tmp_path: Path, common: Common) -> None:
    calls: list[tuple[int, int]] = []
    for name in "abcdef":
        save(tmp_path, name, np.array([[0, 1]], np.uint8))
    data = read(tmp_path, common, TWO, limit=2, progress=lambda done, total: calls.append((done, total)))
    assert len(data.splits["train"]) == 2
    assert calls == [(2, 2), (2, 2)]  # images, then masks


def test_splits_are_drawn_without_classes(tmp_path: Path, common: Common) -> None:
    for number in range(20):
        save(tmp_path, f"{number:02}", np.array([[0, 1]], np.uint8))
    data = read(tmp_path, common, TWO, validation=0.2, test=0.3)
    assert {split: len(samples) for split, samples in data.splits.items()} == {"train": 10, "validation": 4, "test": 6}
    assert sum(part.pixels.sum() for part in count_masks(data.splits).values()) == 40


def test_real_data(shared_data: Path, common: Common) -> None:
    names = ["sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist"]
    data = read(shared_data / "camvid", common, [by_index(names, ignore=[11])], validation=None, test=None)
    assert {split: len(samples) for split, samples in data.splits.items()} == {
        "train": 184,
        "validation": 51,
        "test": 117,
    }
    data = read(shared_data / "membrane", common, TWO)
    assert count_masks(data.splits)["train"].pixels.sum() == 30 * 512 * 512
