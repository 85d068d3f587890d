import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dlcli.data.images.dataset import Reading
from dlcli.data.images.samples import Dataset
from dlcli.data.images.sources.class_folders import read_folder
from dlcli.data.splits import SPLIT_COLUMNS, describe_difference

Save = Callable[..., Path]
Common = dict[str, Any]


@pytest.fixture
def root(save_classes: Save) -> Path:
    return save_classes(cats=10, dogs=10)


def read(root: Path, common: Common) -> Dataset:
    return read_folder(path=root, reading=Reading("error"), **common)


def test_split_rows_name_every_sample_once(root: Path, common: Common) -> None:
    dataset = read(root, common)
    rows = dataset.split_rows()
    assert {tuple(row) for row in rows} == {SPLIT_COLUMNS}
    assert len({row["file"] for row in rows}) == len(rows) == 20
    assert [row["split"] for row in rows] == ["train"] * 14 + ["validation"] * 2 + ["test"] * 4
    assert all(row["label"] == row["file"].split("/")[0] for row in rows)
    assert all(len(row["digest"]) == 16 and row["group"] == "" for row in rows)
    json.dumps(rows)


def test_the_fingerprint_follows_from_the_data(root: Path, common: Common, tmp_path: Path) -> None:
    before = read(root, common).fingerprint()
    assert len(before) == 64
    assert read(root, common).fingerprint() == before
    moved = root.rename(tmp_path / "elsewhere")
    assert read(moved, common).fingerprint() == before
    assert read(moved, {**common, "split_seed": 1}).fingerprint() != before
    assert read(moved, {**common, "image_size": (4, 4)}).fingerprint() != before
    (moved / "cats").rename(moved / "tigers")
    assert read(moved, common).fingerprint() != before
    (moved / "tigers").rename(moved / "cats")
    (moved / "cats/000.png").write_bytes((moved / "cats/001.png").read_bytes())
    assert read(moved, common).fingerprint() != before


def test_differences_are_described(root: Path, common: Common, save_image: Save) -> None:
    before = read(root, common).split_rows()
    assert describe_difference(before, before) == "no sample differs"
    for name in ("cats/new1.png", "cats/new2.png", "cats/new3.png"):
        save_image(f"data/{name}")
    (root / "dogs/000.png").unlink()
    (root / "dogs/001.png").write_bytes((root / "dogs/002.png").read_bytes())
    (root / "dogs/005.png").rename(root / "cats/005-dog.png")
    after = read(root, {**common, "validation": 0.0, "test": 0.0}).split_rows()
    words = describe_difference(before, after)
    assert words.startswith("4 samples added (cats/005-dog.png, …), 2 removed (")
    assert "1 changed (dogs/001.png)" in words
    num_moved = sum(row["split"] != "train" for row in before if row["file"] not in ("dogs/000.png", "dogs/005.png"))
    assert f"{num_moved} moved to another split (" in words
    relabeled = [{**row, "label": "cow"} if row["file"] == "cats/003.png" else row for row in before]
    assert describe_difference(before, relabeled) == "1 sample with another label (cats/003.png)"
