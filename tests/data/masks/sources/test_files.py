"""The source of mask files: by folder and by table, whatever their values mean."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dlcli.data.images.samples import Dataset
from dlcli.data.masks.sources.files import codings_of, read_masks
from dlcli.data.masks.statistics import count_masks
from dlcli.errors import InputError

Common = dict[str, Any]
KEYS: dict[str, Any] = {"images": None, "masks": None, "on_missing": "error", "on_bad_image": "error"}


def make(root: Path, num: int = 3, high: int = 1) -> Path:
    for folder in ("images", "masks"):
        (root / folder).mkdir()
    for number in range(num):
        pixels = np.random.default_rng(number).integers(0, 255, (4, 6), np.uint8)
        Image.fromarray(pixels).save(root / f"images/{number}.png")
        Image.fromarray((pixels > 99).astype(np.uint8) * high).save(root / f"masks/{number}.png")
    return root


def read(path: Path, common: Common, **keys: Any) -> Dataset:
    extra = {key: keys.pop(key) for key in list(keys) if key in common}
    return read_masks(path=path, **{**KEYS, **keys}, **{**common, "validation": 0.0, "test": 0.0, **extra})


def test_meanings() -> None:
    assert [coding.classes for coding in codings_of(classes=("a", "b"))] == [("a", "b")] * 2
    assert len(codings_of(classes=("a", "b"), ignore=(255,))) == 1
    assert len(codings_of(classes=("a", "b", "c"))) == 1
    (by_value,) = codings_of(classes={"a": 3, "b": 7}, ignore=(9,))
    assert by_value.encode(np.array([[7, 3, 9]])).mask.tolist() == [[1, 0, 255]]
    (by_color,) = codings_of(palette={"a": (0, 0, 0), "b": (1, 1, 1)}, ignore=((2, 2, 2),))
    assert by_color.encode(np.array([[[1, 1, 1], [2, 2, 2]]])).mask.tolist() == [[1, 255]]
    (instances,) = codings_of(foreground_class="person")
    assert instances.classes == ("background", "person")


@pytest.mark.parametrize("high", [1, 255])
def test_a_folder(tmp_path: Path, common: Common, high: int) -> None:
    data = read(make(tmp_path, high=high), common, codings=codings_of(classes=("a", "b")))
    assert data.classes == ("a", "b")
    assert count_masks(data.splits)["train"].pixels.sum() == 3 * 24


def test_excluded_images_and_patterns_that_fit_nothing(tmp_path: Path, common: Common) -> None:
    data = read(make(tmp_path), common, codings=codings_of(classes=("a", "b")), exclude=("*/1.png", "x*"))
    assert data.splits["train"].names == ("images/0.png", "images/2.png")
    assert [item.name for item in data.left_out] == ["images/1.png"]
    assert [str(warning) for warning in data.warnings if warning.kind == "exclude"] == [
        "data.exclude: 'x*' leaves out nothing. The names of samples are those in a run's split.csv."
    ]


def test_a_table(tmp_path: Path, common: Common) -> None:
    make(tmp_path)
    table = tmp_path / "pairs.csv"
    table.write_text("image,mask,split\n" + "".join(f"images/{i}.png,masks/{i}.png,{s}\n" for i, s in enumerate("ab")))
    with pytest.raises(InputError, match=r"pairs\.csv:2: column 'split' must be train"):
        read(table, common, codings=codings_of(classes=("a", "b")), split="split")
    table.write_text("image,mask,split\nimages/0.png,masks/0.png,train\nimages/1.png,masks/1.png,val\n")
    data = read(table, common, codings=codings_of(classes=("a", "b")), split="split")
    assert {split: samples.names for split, samples in data.splits.items()} == {
        "train": ("images/0.png",),
        "validation": ("images/1.png",),
    }


def test_the_classes_of_a_trained_model(tmp_path: Path, common: Common) -> None:
    make(tmp_path)
    codings = codings_of(classes=("a", "b"))
    assert read(tmp_path, common, codings=codings, classes=("a", "b")).classes == ("a", "b")
    with pytest.raises(InputError, match=r"in its order: b, a\. Received a, b\."):
        read(tmp_path, common, codings=codings, classes=("b", "a"))
