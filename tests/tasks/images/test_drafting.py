"""Drafting image recipes: the summary of a folder, an .npz or a .csv, and that the draft is a valid recipe."""

import io
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dlcli.errors import InputError
from dlcli.recipe.load import load
from dlcli.recipe.sections.image_data import Csv, Folder, Npz
from dlcli.recipe.sections.image_model import Convnet
from dlcli.recipe.tasks.classification import Classification
from dlcli.tasks.draft import draft_recipe


@pytest.fixture(autouse=True)
def _in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def image(path: str, size: tuple[int, int] = (40, 30)) -> None:
    """Writes an image; the size is width and height."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path)


def drafted(data: str) -> tuple[tuple[str, ...], Classification]:
    """The summary of the data, and the recipe as loaded from another folder."""
    folder = Path("recipes")
    folder.mkdir(exist_ok=True)
    draft = draft_recipe(Path(data), folder)
    (folder / "r.yaml").write_text(draft.text)
    recipe = load(folder / "r.yaml").recipe
    assert isinstance(recipe.model, Convnet)
    uncommented = {line for line in draft.text.splitlines() if "#" not in line and not line.startswith("    - ")}
    assert uncommented == {"", "data:", "model:", "train:"}
    return draft.seen, recipe


def refusal(data: str) -> str:
    with pytest.raises(InputError) as caught:
        draft_recipe(Path(data), Path())
    return str(caught.value)


def test_class_folders() -> None:
    for i in range(3):
        image(f"photos/cats/{i}.png")
    image("photos/dogs/deeper/1.JPG")
    image("photos/.hidden/1.png")
    Path("photos/dogs/notes.txt").touch()
    Path("photos/README.md").touch()
    Path("photos/__MACOSX").mkdir()
    seen, recipe = drafted("photos")
    assert seen == ("train: 4 images in 2 classes: cats (3), dogs (1)", "sizes: 30x40")
    assert isinstance(recipe.data, Folder)
    assert recipe.data.path == str(Path("photos").absolute())
    assert recipe.data.image_size == (30, 40)
    assert (recipe.data.validation, recipe.data.test) == (0.1, 0.2)


def test_split_folders_and_mixed_sizes() -> None:
    for split in ("train", "val"):
        image(f"photos/{split}/a b/1.png", (500, 300))
        image(f"photos/{split}/it's: #1/1.png", (200, 100))
    seen, recipe = drafted("photos")
    assert seen == (
        "train: 2 images in 2 classes: a b (1), it's: #1 (1)",
        "validation: 2 images in 2 classes: a b (1), it's: #1 (1)",
        "sizes: 100x200 to 300x500 (height x width)",
    )
    assert recipe.data.image_size == (192, 192)
    assert (recipe.data.validation, recipe.data.test) == (None, None)
    assert len(recipe.model.blocks) == 5


def test_what_training_refuses_is_not_drafted() -> None:
    image("vehicles/train/1.png")
    image("vehicles/tram/1.png")
    assert refusal("vehicles").endswith("If it is a class, set data.folders: classes in a recipe.")
    image("photos/a/1.png")
    image("photos/b/1.png")
    Path("photos/empty").mkdir()
    assert refusal("photos") == "photos/empty: no image in this class folder. Add images or remove the folder."


def test_only_the_first_classes_are_listed() -> None:
    for i in range(13):
        image(f"photos/c{i:02}/1.png")
    seen, _ = drafted("photos")
    assert seen[0].endswith("c08 (1), c09 (1) and 3 more")


def test_corrupt_images_are_skipped() -> None:
    image("photos/a/1.png")
    Path("photos/a/2.png").write_text("no image")
    image("photos/b/1.png")
    seen, _ = drafted("photos")
    assert seen == ("train: 3 images in 2 classes: a (2), b (1)", "sizes: 30x40")


def test_what_is_left_out_is_reported() -> None:
    for split in ("train", "test"):
        for label in ("a", "b"):
            image(f"photos/{split}/{label}/1.png")
    image("photos/unlabeled/1.png")
    assert drafted("photos")[0][-1] == "photos/unlabeled is not a split folder and was left out."


def test_pipes_are_not_counted_as_images() -> None:
    image("photos/a/1.png")
    image("photos/b/1.png")
    os.mkfifo("photos/b/2.png")
    assert refusal("photos") == (
        "photos: images must be files. Received pipes, devices or links to nothing: 'b/2.png'. Remove them."
    )


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "photos: must hold images in folders named after their classes, such as photos/cats/1.jpg; "),
        (["photos/1.png"], "photos: must hold images in folders named after their classes"),
        (
            ["photos/cats/1.png"],
            "photos: there must be at least two classes. Received one: 'cats'.",
        ),
        (["photos/cats/1.png", "photos/1.png"], "photos: there must be at least two classes. Received one: 'cats'."),
    ],
)
def test_folders_without_classes(files: list[str], message: str) -> None:
    Path("photos").mkdir()
    for file in files:
        image(file)
    assert refusal("photos").startswith(message)


def test_folders_without_readable_images() -> None:
    for name in ("a", "b"):
        Path("photos", name).mkdir(parents=True)
        Path("photos", name, "1.png").touch()
    assert refusal("photos").startswith("photos: none of the images can be read. Give JPEG, PNG, ")


def save_npz(**arrays: Any) -> None:
    np.savez("x.npz", **arrays)


@pytest.mark.parametrize(
    ("x", "value_range"),
    [
        (np.zeros((6, 12, 10), np.uint8), (0.0, 255.0)),
        (np.full((6, 12, 10, 3), 0.5), (0.0, 1.0)),
        (np.full((6, 12, 10, 1), -0.5), (-1.0, 1.0)),
        (np.full((6, 12, 10), 77.0), (0.0, 255.0)),
        (np.linspace(-3.0, 7.0, 720).reshape(6, 12, 10), (-3.0, 7.0)),
    ],
)
def test_npz_of_images(x: Any, value_range: tuple[float, float]) -> None:
    save_npz(x_train=x, y_train=[0, 1, 2, 0, 1, 2], x_test=x, y_test=[0, 1, 2, 0, 1, 2])
    seen, recipe = drafted("x.npz")
    assert seen[0] == "train: 6 images in 3 classes: 0 (2), 1 (2), 2 (2)"
    assert seen[2] == "splits: train, test"
    assert isinstance(recipe.data, Npz)
    assert recipe.data.image_size == (12, 10)
    assert recipe.data.value_range == value_range
    assert (recipe.data.validation, recipe.data.test) == (0.1, None)


@pytest.mark.parametrize(("shape", "layout", "rank"), [((6, 50, 2), "signal", 1), ((6, 9, 9, 9, 1), "volume", 3)])
def test_npz_of_signals_and_volumes(shape: tuple[int, ...], layout: str, rank: int) -> None:
    save_npz(x_train=np.zeros(shape), y_train=np.eye(3)[[0, 1, 2, 0, 1, 2]])
    seen, recipe = drafted("x.npz")
    assert "in 3 classes" in seen[0]
    assert isinstance(recipe.data, Npz)
    assert isinstance(recipe.model, Convnet)
    assert (recipe.data.layout, recipe.model.rank) == (layout, rank)


def test_unusable_npz_files() -> None:
    save_npz(images=[1])
    assert refusal("x.npz") == (
        "x.npz: expected arrays x_train and y_train; or x_train, boxes_train and box_class_train. Received images."
    )
    save_npz(x_train=np.zeros((2, 5)), y_train=[0, 1])
    assert refusal("x.npz").endswith("Received [2, 5].")
    save_npz(x_train=np.zeros((2, 9, 9), np.uint8), y_train=[1, 1])
    assert refusal("x.npz") == "x.npz: y_train has only one class; a classifier needs at least two"
    save_npz(x_train=np.zeros((2, 9, 9), np.uint8), y_train=np.array([None, {}]))
    assert refusal("x.npz") == "x.npz: y_train must hold plain numbers or text. Received pickled Python objects."
    save_npz(x_train=np.zeros((2, 9, 9), np.uint8), y_train=[0, 1, 2])
    assert refusal("x.npz").endswith("must have one entry for each sample. Received shapes [2, 9, 9] and [3].")
    save_npz(x_train=np.zeros((0, 9, 9), np.uint8), y_train=np.zeros(0))
    assert refusal("x.npz") == "x.npz: x_train is empty: its shape is [0, 9, 9]"
    Path("x.npz").write_bytes(b"PK\x03\x04 and no more")
    assert refusal("x.npz") == "x.npz: the .npz archive is corrupt or truncated. Write or download it again."


@pytest.mark.parametrize("count", [-2, 10**6, 10**25])
def test_npz_with_a_header_that_does_not_match_its_size(count: int) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (count, 9, 9)})
    with zipfile.ZipFile("x.npz", "w") as archive:
        archive.writestr("x_train.npy", header.getvalue() + bytes(2 * 9 * 9))
        archive.writestr("y_train.npy", b"")
    assert refusal("x.npz") == "x.npz: the .npz archive is corrupt or truncated. Write or download it again."


def test_csv() -> None:
    for name in "abc":
        image(f"table/{name}.png", (64, 64))
    Path("table/labels.csv").write_text(
        "File;Class;patient;split\na.png;cat;1;train\nb.png;dog;2;train\nc.png;dog;3;test\n"
    )
    seen, recipe = drafted("table/labels.csv")
    assert seen == ("train: 2 images in 2 classes: cat (1), dog (1)", "sizes: 64x64")
    assert isinstance(recipe.data, Csv)
    assert (recipe.data.image, recipe.data.label) == ("File", "Class")
    assert (recipe.data.split, recipe.data.group) == ("split", "patient")
    assert (recipe.data.validation, recipe.data.test) == (0.1, None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "x.csv: must have a header and rows below it. The file is empty."),
        (
            "a,b\n1,2\n",
            "x.csv: expected columns whose names tell the task: path and label, or path and numbers, for images, image "
            "and mask for images with masks, text and label for texts, source and target for pairs of texts, "
            "sequence and label for sequences, date and numbers for a series. "
            "Received a, b. Rename the columns, or write the recipe by hand.",
        ),
        ("path,label\n1.png,a\n", "x.csv: the column label has only one class; a classifier needs at least two"),
        (
            "path,label\n1.png,a\n2.png,b\n",
            "x.csv: none of the images in the column path can be read. The first is 1.png",
        ),
    ],
)
def test_unusable_csv_files(text: str, message: str) -> None:
    Path("x.csv").write_text(text)
    assert refusal("x.csv") == message


def test_a_pipe_does_not_block() -> None:
    for name in ("p.csv", "p.npz"):
        os.mkfifo(name)
        assert refusal(name) == f"{name}: expected a file or folder. Received a pipe or device"


def test_a_split_column_with_other_values() -> None:
    Path("x.csv").write_text("path,label,split\n1.png,a,train\n2.png,b,Trainn\n")
    assert refusal("x.csv") == (
        "x.csv: the column split must hold train, validation (or val, valid, dev, eval) or test. Received 'Trainn'."
    )
    Path("x.csv").write_text("path,label,split\n1.png,a,train\n2.png,b,test\n")
    assert refusal("x.csv") == (
        "x.csv: the column label has only one class in the rows with split train; a classifier needs at least two"
    )


def test_neither_folder_nor_table() -> None:
    Path("x.pdf").touch()
    assert refusal("x.pdf") == (
        "x.pdf: expected a folder, a table (.csv, .tsv, .jsonl), an .npz, a text (.txt), .conllu, .ts or .tsf"
    )
    Path("x.txt").touch()
    assert refusal("x.txt") == "x.txt: must contain text. The file is empty."
    assert refusal("y") == "y: no such file or folder"
