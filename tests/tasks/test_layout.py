"""Folders as people have them: recognized once, so that init, check, train and transfer agree about each of them."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from PIL import Image

from dlcli.errors import InputError
from dlcli.recipe.load import load, load_text
from dlcli.recipe.yaml_writer import to_yaml
from dlcli.runtime.console import Console
from dlcli.tasks.dispatch import check_folder, task_of
from dlcli.tasks.draft import draft_recipe
from dlcli.tasks.layout import Layout, recognize
from dlcli.tasks.transfer import Base, boxes_section, data_section

BASE = Base("mobilenetv2", {"kind": "application", "network": "mobilenetv2", "weights": None}, (16, 16))
QUIET = Console(quiet=True)
ALL = {"train": 4, "validation": 2, "test": 2}


def write(root: Path, *names: str, text: str = "some words\n") -> Path:
    """Files below root: images by their suffixes, each of another color; else texts that differ."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in (".jpg", ".png"):
            number = len(list(root.rglob("*")))
            Image.new("RGB", (20, 16), (number * 7 % 256, number * 31 % 256, number)).save(path)
        else:
            path.write_text(f"{name} {text}")
    return root


def classes(root: Path, splits: Mapping[str, int], suffix: str = "jpg") -> Path:
    for split, number in splits.items():
        write(root, *(f"{split}/{label}/{i}.{suffix}" for label in ("cats", "dogs") for i in range(number)))
    return root


def voc(root: Path, annotations: str, images: str, *names: str) -> Path:
    for name in names:
        write(root, f"{images}/{name}.jpg")
        box = "<bndbox><xmin>2</xmin><ymin>2</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>"
        xml = f"<annotation><filename>x\\{name}.jpg</filename><object><name>cat</name>{box}</object></annotation>"
        (root / annotations).mkdir(parents=True, exist_ok=True)
        (root / annotations / f"{name}.xml").write_text(xml)
    return root


def yolo(root: Path) -> Path:
    for split, number in (("train", 4), ("valid", 2), ("test", 2)):
        for i in range(number):
            write(root, f"{split}/images/{i}.jpg", f"{split}/labels/{i}.txt")
            (root / split / "labels" / f"{i}.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    (root / "data.yaml").write_text(
        "train: ../train/images\nval: ../valid/images\ntest: ../test/images\nnames: [cat]\n"
    )
    return write(root, "README.roboflow.txt", "README.dataset.txt")


def coco(root: Path) -> Path:
    for split, number in (("train", 4), ("valid", 2), ("test", 2)):
        images = [{"id": i, "file_name": f"{i}.jpg", "width": 20, "height": 16} for i in range(number)]
        objects = [{"id": i, "image_id": i, "category_id": 1, "bbox": [2, 2, 8, 8]} for i in range(number)]
        content = {"images": images, "annotations": objects, "categories": [{"id": 1, "name": "cat"}]}
        write(root, *(f"{split}/{i}.jpg" for i in range(number)))
        (root / split / "_annotations.coco.json").write_text(json.dumps(content))
    return write(root, "README.roboflow.txt")


def table(root: Path) -> Path:
    write(root, *(f"images/{i}.jpg" for i in range(8)), "README.md")
    splits = ["training"] * 4 + ["Valid"] * 2 + ["test"] * 2
    rows = [f"images/{i}.jpg,{'cats' if i % 2 else 'dogs'},{split}" for i, split in enumerate(splits)]
    (root / "labels.csv").write_text("\n".join(["path,label,split", *rows]))
    return root


def lines(root: Path) -> Path:
    root.mkdir()
    for label in ("cats", "dogs"):
        (root / f"{label}.txt").write_text("".join(f"{label} number {i}\n" for i in range(10)))
    return root


JUNK = (
    "README.md",
    "LICENSE",
    "SOURCE.md",
    ".DS_Store",
    "Thumbs.db",
    "desktop.ini",
    "__MACOSX/._a.jpg",
    ".ipynb_checkpoints/1.jpg",
)

IMAGES: dict[str, tuple[Callable[[Path], Path], dict[str, int]]] = {
    "train_val_test": (lambda root: classes(root, {"train": 2, "val": 1, "test": 1}), ALL),
    "roboflow": (lambda root: classes(root, {"train": 2, "valid": 1, "test": 1}), ALL),
    "capitals": (lambda root: classes(root, {"Training": 2, "Testing": 1}), {"train": 4, "test": 2}),
    "kaggle_twice": (
        lambda root: classes(root, {"training_set/training_set": 2, "test_set/test_set": 1}),
        {"train": 4, "test": 2},
    ),
    "kaggle_words": (
        lambda root: write(
            classes(root, {"seg_train/seg_train": 2, "seg_test/seg_test": 1}), "seg_pred/seg_pred/1.jpg"
        ),
        {"train": 4, "test": 2},
    ),
    "flat": (lambda root: classes(root, {".": 10}), {"train": 20}),
    "deeper": (lambda root: classes(root, {"photos/data": 10}), {"train": 20}),
    "table": (table, ALL),
}
BOXES: dict[str, tuple[Callable[[Path], Path], dict[str, int]]] = {
    "voc": (lambda root: voc(root, "annots", "images", *"abcd"), {"train": 4}),
    "voc_splits": (
        lambda root: voc(voc(root, "train", "train", *"abcd"), "valid", "valid", "e", "f"),
        {"train": 4, "validation": 2},
    ),
    "coco": (coco, ALL),
    "yolo": (yolo, ALL),
    "yolo_index": (lambda root: yolo(root) / "data.yaml", ALL),
    "coco_file": (lambda root: coco(root) / "train" / "_annotations.coco.json", {"train": 4}),
}
TEXTS: dict[str, tuple[Callable[[Path], Path], dict[str, int]]] = {
    "lines": (lines, {"train": 20}),
    "lines_in_splits": (
        lambda root: write(root, "Train/cats.txt", "Train/dogs.txt", "dev/cats.txt", "dev/dogs.txt"),
        {"train": 2, "validation": 2},
    ),
    "files": (lambda root: classes(root, {"tr": 2, "eval": 1, "testing": 1}, "txt"), ALL),
}


def sizes_of_recipe(text: str, path: Path, expected: Mapping[str, int]) -> dict[str, int]:
    """The number of samples of each split that training reads, none of them drawn."""
    loaded = load_text(text.encode(), path)
    section = loaded.recipe.data.model_copy(  # type: ignore[union-attr]
        update={split: 0.0 for split in ("validation", "test") if split not in expected}
    )
    loaded = load_text(
        to_yaml({**loaded.tree.values, "data": {**section.model_dump()}}).encode(),
        path,  # as train reads it
    )
    return {name: len(split) for name, split in task_of(loaded.recipe).open_data(loaded, QUIET).splits.items()}


SLOW = ("roboflow", "yolo_index", "coco_file", "kaggle_twice")  # a second each, like one that is quick


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in (*IMAGES, *BOXES, *TEXTS)]
)
def test_init_check_train_and_transfer_agree(name: str, tmp_path: Path) -> None:
    make, expected = {**IMAGES, **BOXES, **TEXTS}[name]
    root = make(tmp_path / "data")
    write(tmp_path / "data", *JUNK)
    draft = draft_recipe(root, tmp_path)
    assert sizes_of_recipe(draft.text, tmp_path / "r.yaml", expected) == expected
    report = check_folder(root, QUIET)  # a file too, though the command reads a .yaml as a recipe
    assert report["problems"] == 0, report["findings"]
    checked = {split: sum(counts.values()) for split, counts in report["splits"].items()}
    assert sum(checked.values()) == sum(expected.values())
    if name in TEXTS:
        return
    section = data_section(root, BASE) if name in IMAGES else boxes_section(root, BASE, "localization")
    if name == "table":
        section |= {"split": "split"}
    task = "classification" if name in IMAGES else "localization"
    values = {"task": task, "data": section, "model": {"kind": "mlp"}, "train": {"epochs": 1}}
    assert sizes_of_recipe(to_yaml(values), tmp_path / "t.yaml", expected) == expected


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("cats/1.png", "dogs/1.png", "test/1.png"), "'test' has the name of the test split, and 'cats', 'dogs' have"),
        (("train/1.png", "test/2.png"), "Received images without classes."),
        (("a.csv", "b.csv"), "holds several tables. Name one of them instead of the folder: 'a.csv', 'b.csv'."),
        (("x.npz", "photos/cats/1.png", "photos/dogs/1.png"), "may be several data sets. Name one of them instead"),
        (("README.md", "__MACOSX/1.png"), "Received nothing of the kind."),
        (("train.txt", "valid.txt", "more.txt"), "a class must not have the name of a split. Received 'train'"),
        (("a/1.txt", "a/1.png", "a/2.png"), "Received one: 'a'."),
    ],
)
def test_what_is_unclear_is_refused_by_every_verb(tmp_path: Path, names: tuple[str, ...], message: str) -> None:
    write(tmp_path, *names)
    for verb in (
        lambda: draft_recipe(tmp_path, tmp_path),
        lambda: check_folder(tmp_path, QUIET),
    ):
        with pytest.raises(InputError) as caught:
            verb()
        assert message in str(caught.value)


def test_a_table_of_boxes_and_images_outside_of_the_folder(tmp_path: Path) -> None:
    write(tmp_path, "photos/1.png", "photos/2.png")
    (tmp_path / "tables").mkdir()
    rows = [f"../photos/{i}.png,cat,2,2,9,9" for i in (1, 2)]
    (tmp_path / "tables" / "boxes.csv").write_text("\n".join(["filename,class,xmin,ymin,xmax,ymax", *rows]))
    draft = draft_recipe(tmp_path / "tables", tmp_path)
    assert draft.seen[-1] == "outside of the table's folder: 2 images (data.allow_outside)"
    (tmp_path / "r.yaml").write_text(draft.text)
    recipe = load(tmp_path / "r.yaml").recipe
    assert (recipe.task, recipe.data.kind) == ("localization", "csv")
    assert recipe.data.allow_outside  # type: ignore[union-attr]


def test_only_the_folder_that_holds_the_data_is_named(tmp_path: Path) -> None:
    root = write(classes(tmp_path / "download" / "photos", {".": 1}), "SOURCE.md")
    assert recognize(tmp_path / "download").path == root
    assert draft_recipe(tmp_path / "download", tmp_path).seen[0] == f"data: {root}"


def test_empty_folders_of_classes_are_named(tmp_path: Path) -> None:
    for name in ("cats", "dogs"):
        (tmp_path / name).mkdir()
    message = "there must be images in the folders of the classes. Received none in 'cats', 'dogs'."
    with pytest.raises(InputError, match=f"^{re.escape(f'{tmp_path}: {message}')}$"):
        recognize(tmp_path)


def test_recipes_and_runs_beside_the_data_are_no_data(tmp_path: Path) -> None:
    root = tmp_path / "project"
    for name in ("photos/cats/1.png", "photos/cats/2.png", "photos/dogs/1.png", "photos/dogs/2.png"):
        write(root, name)
    write(root, "runs/photos/plots/mistakes.png", "runs/photos/plots/curves.png")
    (root / "runs" / "photos" / "run.json").write_text("{}")
    (root / "photos.yaml").write_text(draft_recipe(root / "photos", root).text)
    assert recognize(root) == Layout("images", root / "photos")
    (root / "other.yaml").write_text("names: [a, b]\n")
    with pytest.raises(InputError, match=r"may be several data sets\..* 'photos', 'other\.yaml'\.$"):
        recognize(root)


def test_an_archive_of_series_has_other_formats_beside(tmp_path: Path) -> None:
    names = [f"Waves_{split}.{suffix}" for split in ("TRAIN", "TEST") for suffix in ("arff", "ts", "tsv", "txt")]
    write(tmp_path, *names, "README.md")
    layout = recognize(tmp_path)
    assert layout == Layout("file", tmp_path / "Waves_TRAIN.ts", {"test": tmp_path / "Waves_TEST.ts"})


def test_texts_named_after_splits_are_a_text_for_each_split(tmp_path: Path) -> None:
    write(tmp_path, "ptb.train.txt", "ptb.valid.txt", "ptb.test.txt", "README", text="words of a language model\n" * 9)
    layout = recognize(tmp_path)
    others = {"validation": tmp_path / "ptb.valid.txt", "test": tmp_path / "ptb.test.txt"}
    assert layout == Layout("file", tmp_path / "ptb.train.txt", others)
    drafted = load_text(draft_recipe(tmp_path, tmp_path).text.encode(), tmp_path / "drafted.yaml").recipe
    assert drafted.task == "language_model"
    assert drafted.data.test_path == str(tmp_path / "ptb.test.txt")  # type: ignore[union-attr]
    write(tmp_path, "ptb.other.txt")
    assert recognize(tmp_path).kind == "lines"
