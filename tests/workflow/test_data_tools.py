"""``dlcli data`` from the command line; the user's files stay unchanged."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import processes  # type: ignore[import-not-found]
import pytest
from PIL import Image

from dlcli.rundir.reading import read_json
from dlcli.rundir.tables import read_csv

RECIPE = """\
task: classification
data: {kind: folder, path: photos, image_size: [24, 32], validation: 0.25, test: 0.25}
augment: {rotation_range: 20, horizontal_flip: true, rand_augment: {}, random_erasing: {}, random_crop: {}}
model: {kind: convnet, blocks: [{filters: 4}]}
train: {epochs: 1}
"""


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """The user's folder: photos/ with 20 images in each of two classes, and r.yaml."""
    rng = np.random.default_rng(0)
    for i in range(40):
        path = tmp_path / "photos" / ("cat", "dog")[i % 2] / f"{i:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        small = Image.fromarray(rng.integers(0, 256, (5, 6, 3), np.uint8))
        small.resize((40, 30), Image.Resampling.BICUBIC).save(path)
    (tmp_path / "r.yaml").write_text(RECIPE)
    return tmp_path


def contents(folder: Path) -> dict[str, str]:
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


def kinds(report: str) -> dict[str, bool]:
    return {finding["kind"]: finding["is_problem"] for finding in json.loads(report)["findings"]}


def test_clean_data_have_no_problems(photos: Path) -> None:
    before = contents(photos / "photos")
    for source in ("photos", "r.yaml"):
        done = processes.run("data", "check", source, folder=photos).expect(0)
        assert "cat" in done.stdout
        assert "sizes (height x width): 30x40 (40)" in done.stdout
        assert "modes: RGB (40)" in done.stdout
        assert done.stderr.endswith(f"{source}: no problems found\n")
    assert contents(photos / "photos") == before


def test_all_problems_are_found(photos: Path) -> None:
    folder = photos / "photos"
    shutil.copy(folder / "cat/00.png", folder / "cat/again.png")  # a copy
    shutil.copy(folder / "cat/02.png", folder / "dog/cat.png")  # with different labels
    with Image.open(folder / "dog/01.png") as image:
        image.save(folder / "dog/small.jpg", quality=85)  # nearly a copy
        image.resize((80, 60)).save(folder / "dog/large.png", format="JPEG")  # and named as what it is not
    (folder / "cat/empty.jpg").touch()
    (folder / "cat/text.png").write_text("no image")
    (folder / "cat/cut.png").write_bytes((folder / "cat/04.png").read_bytes()[:300])
    (folder / "cat/notes.txt").write_text("notes")
    before = contents(folder)
    done = processes.run("data", "check", "photos", "--json", folder=photos).expect(1)
    assert done.stderr.startswith("photos: ")
    found = kinds(done.stdout)
    assert {
        "unreadable": True,
        "wrong suffix": True,
        "duplicates with different labels": True,
        "skipped": False,
    }.items() <= found.items()
    assert found.get("duplicates within a split") is False
    near = [kind for kind in found if kind.startswith("near duplicates")]
    assert near
    report = json.loads(done.stdout)
    assert report["problems"] == sum(finding["is_problem"] for finding in report["findings"])
    unreadable = sorted(f["samples"][0] for f in report["findings"] if f["kind"] == "unreadable")
    assert unreadable == ["cat/cut.png", "cat/empty.jpg", "cat/text.png"]
    suffix = next(f for f in report["findings"] if f["kind"] == "wrong suffix")
    assert suffix["samples"] == ["dog/large.png"]
    assert contents(folder) == before


def test_duplicates_across_given_splits(photos: Path) -> None:
    folder = photos / "photos"
    for split, start in (("train", 0), ("test", 30)):
        for i in range(start, start + 30 if split == "train" else 40):
            name = f"{('cat', 'dog')[i % 2]}/{i:02}.png"
            (folder / split / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).rename(folder / split / name)
    shutil.rmtree(folder / "cat")
    shutil.rmtree(folder / "dog")
    shutil.copy(folder / "train/cat/00.png", folder / "test/cat/00.png")
    found = processes.run("data", "check", "photos", folder=photos).expect(1)
    assert "problem: 1 pair of byte-identical images across splits: " in found.stdout
    (photos / "r.yaml").write_text(RECIPE.replace(", validation: 0.25, test: 0.25", ""))
    refused = processes.run("train", "r.yaml", folder=photos).expect(2)
    assert "1 sample is both in test and in train: test/cat/00.png equals train/cat/00.png." in refused.stderr
    assert "data.allow_leakage: true" in refused.stderr
    assert not (photos / "runs").exists()


def test_classes_missing_from_a_split_are_reported(photos: Path) -> None:
    folder = photos / "photos"
    for split, numbers in (("train", range(10)), ("test", range(10, 20))):
        for i in numbers:
            name = f"{('cat', 'dog')[i % 2]}/{i:02}.png"
            (folder / split / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).rename(folder / split / name)
    shutil.rmtree(folder / "cat")
    (folder / "dog/21.png").rename(folder / "test/dog/21.png")
    shutil.rmtree(folder / "dog")
    (folder / "test/zebra").mkdir()
    (folder / "test/dog/21.png").rename(folder / "test/zebra/21.png")
    (folder / "train/yak").mkdir()
    (folder / "train/cat/broken.png").write_bytes(b"no image")
    found = processes.run("data", "check", "photos", "--json", folder=photos).expect(1)
    texts = [finding["text"] for finding in json.loads(found.stdout)["findings"]]
    refusal = next(text for text in texts if "yak" in text)
    assert refusal.endswith("train/yak: no image in this class folder. Add images or remove the folder")
    assert {"refused", "unreadable"} <= kinds(found.stdout).keys()
    (photos / "r.yaml").write_text(RECIPE.replace(", validation: 0.25, test: 0.25", ", on_bad_image: skip"))
    refused = processes.run("data", "split", "r.yaml", folder=photos).expect(2)
    assert refused.stderr == f"{refusal}.\n"


def test_a_file_name_that_is_not_utf_8_is_refused_in_a_table(photos: Path) -> None:
    odd = os.fsencode(photos / "photos/cat") + b"/odd\xff.png"
    shutil.copy(photos / "photos/cat/00.png", odd)
    processes.run("data", "split", "r.yaml", folder=photos).expect(0)
    done = processes.run("data", "split", "r.yaml", "-o", "split.csv", folder=photos).expect(2)
    assert "odd\\udcff.png: its name is not valid UTF-8, so a table cannot hold it. Rename it." in done.stderr
    assert not (photos / "split.csv").exists()


def test_images_that_a_preview_cannot_show_are_reported(photos: Path) -> None:
    mixing = ("-s", "augment.mixup=0.2", "-o", "mixed.png")
    done = processes.run("data", "preview", "r.yaml", *mixing, folder=photos).expect(0)
    assert "mixup and cutmix are not shown" in done.stderr
    whitening = ("-s", "augment.zca_whitening=true", "-s", "data.image_size=[80, 80]", "-o", "white.png")
    refused = processes.run("data", "preview", "r.yaml", *whitening, folder=photos).expect(2)
    assert "images of at most 4,096 values can be whitened" in refused.stderr
    assert not (photos / "white.png").exists()


def test_preview_stats_and_split(photos: Path) -> None:
    before = contents(photos / "photos")
    done = processes.run("data", "preview", "r.yaml", "--samples", 3, "--epochs", 2, folder=photos).expect(0)
    assert done.stdout == "preview.png\n"
    with Image.open(photos / "preview.png") as image:
        assert min(image.size) > 300
    again = processes.run("data", "preview", "r.yaml", folder=photos).expect(2)
    assert again.stderr == "preview.png: already exists. Choose another name, or use --force to replace it.\n"

    found = json.loads(processes.run("data", "stats", "r.yaml", "--json", folder=photos).expect(0).stdout)
    assert found["samples"] == {"train": 20, "validation": 10, "test": 10}
    assert found["shape"] == [24, 32, 3]
    assert all(60 < value < 200 for value in found["mean"])

    counts = processes.run("data", "split", "r.yaml", "-o", "table.csv", "--json", folder=photos).expect(0)
    assert json.loads(counts.stdout)["train"] == {"cat": 10, "dog": 10}
    table = read_csv(photos / "table.csv")
    assert len(table) == 40
    assert all((photos / row["file"]).is_file() for row in table)
    by_table = RECIPE.replace("kind: folder, path: photos", "kind: csv, path: table.csv, image: file, split: split")
    (photos / "csv.yaml").write_text(by_table.replace(", validation: 0.25, test: 0.25", ""))
    assert json.loads(
        processes.run("data", "split", "csv.yaml", "--json", folder=photos).expect(0).stdout
    ) == json.loads(counts.stdout)
    assert contents(photos / "photos") == before


PACKED = "task: classification\ndata: {kind: shards, path: packed, image_size: [24, 32]}\nmodel: {kind: mlp}\n"


def test_packed_images_are_the_same_data(photos: Path) -> None:
    before = contents(photos / "photos")
    done = processes.run("data", "pack", "r.yaml", "-o", "packed", folder=photos).expect(0)
    counts, key = done.stdout.splitlines()
    assert counts.startswith("20 train, 10 validation, 10 test in 3 shards of ")
    assert key == "data: {kind: shards, path: packed}"
    assert contents(photos / "photos") == before
    (photos / "packed.yaml").write_text(PACKED)
    split = processes.run("data", "split", "r.yaml", "--json", folder=photos).expect(0).stdout
    assert processes.run("data", "split", "packed.yaml", "--json", folder=photos).expect(0).stdout == split
    drafted = processes.run("recipe", "init", "packed", "-o", "drafted.yaml", folder=photos).expect(0)
    assert "train: 20 images in 2 classes" in drafted.stdout + drafted.stderr
    assert "kind: shards" in (photos / "drafted.yaml").read_text()
    again = processes.run("data", "pack", "r.yaml", "-o", "packed", folder=photos).expect(2)
    assert again.stderr == "packed: already exists. Choose another name, or remove it first.\n"


@pytest.mark.slow
def test_training_on_packed_images_gives_the_same_model(photos: Path) -> None:
    processes.run("data", "pack", "r.yaml", "-o", "packed", folder=photos).expect(0)
    (photos / "p.yaml").write_text(
        RECIPE.replace("kind: folder, path: photos", "kind: shards, path: packed").replace(
            ", validation: 0.25, test: 0.25", ""
        )
    )
    for name in ("r", "p"):
        processes.run_without_plots("train", f"{name}.yaml", folder=photos)
    folder, shards = (read_json(photos / "runs" / name / "run.json") for name in ("r", "p"))
    assert folder["data"]["fingerprint"] == shards["data"]["fingerprint"]
    assert folder["final"] == shards["final"]
    assert (photos / "runs" / "r" / "split.csv").read_bytes() == (photos / "runs" / "p" / "split.csv").read_bytes()
    found = processes.run_without_plots("evaluate", "r", "--data", "packed", "--json", folder=photos).stdout
    assert json.loads(found)["accuracy"] == folder["final"]["test_accuracy"]


def test_signals_can_be_checked_and_not_previewed(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(30, 20, 2)).astype(np.float32)
    np.savez(tmp_path / "waves.npz", x_train=x, y_train=np.arange(30) % 2)
    (tmp_path / "r.yaml").write_text(
        "task: classification\ndata: {kind: npz, path: waves.npz, layout: signal}\nmodel: {kind: mlp}\n"
    )
    assert processes.run("data", "check", "r.yaml", folder=tmp_path).expect(0).stdout.startswith("class  train")
    refused = processes.run("data", "preview", "r.yaml", folder=tmp_path).expect(2)
    assert refused.stderr == "r.yaml: only images can be previewed; the samples have shape (20, 2).\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("check", "nowhere"), "nowhere: no such recipe or folder."),
        (("check", "table.csv"), "table.csv: expected a recipe or a folder of data."),
        (("preview", "r.yaml", "-o", "x.jpg"), "x.jpg: expected a file name ending in .png."),
        (("split", "r.yaml", "-o", "no/x.csv"), "no: no such folder to write x.csv to."),
        (("pack", "r.yaml", "-o", "no/packed"), "no: no such folder to create packed in."),
        (("pack", "r.yaml", "-o", "photos"), "photos: already exists. Choose another name, or remove it first."),
        (("stats", "r.yaml", "-s", "data.path=nowhere"), "--set data.path=nowhere: data.path: no such file or folder"),
    ],
)
def test_refused_input(photos: Path, arguments: tuple[str, ...], message: str) -> None:
    (photos / "table.csv").write_text("path,label\n")
    done = processes.run("data", *arguments, folder=photos).expect(2)
    assert done.stderr.splitlines()[-1].startswith(message)
    assert done.stdout == ""


def test_with_the_exclude_list_no_copies_are_left(photos: Path) -> None:
    """Identical, re-saved and mirrored copies, in a recipe that leaves out other files already."""
    folder = photos / "photos"
    shutil.copy(folder / "cat/00.png", folder / "cat/again [1].png")
    with Image.open(folder / "dog/01.png") as image:
        image.save(folder / "dog/saved.jpg", quality=85)
    with Image.open(folder / "dog/03.png") as image:
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / "dog/mirrored.png")
    shutil.copy(folder / "cat/02.png", folder / "cat/old.png")
    recipe = RECIPE.replace("path: photos", "path: photos, exclude: ['old*']").replace("[24, 32]", "[30, 40]")
    (photos / "r.yaml").write_text(recipe)
    given = processes.run("data", "check", "r.yaml", "--exclude-list", "copies.yaml", folder=photos)
    assert "probably the same image: " in given.stdout
    assert "mirrored)" in given.stdout
    assert "4 patterns for data.exclude written to copies.yaml" in given.stderr
    text = (photos / "copies.yaml").read_text()
    assert "old*" in text
    below = f"task: classification\ndata:\n  kind: folder\n  path: photos\n  exclude:\n{text}model: {{kind: mlp}}\n"
    (photos / "below.yaml").write_text(below)
    for source, sets in (("r.yaml", ("--set", f"data.exclude={text}")), ("below.yaml", ())):
        done = processes.run("data", "check", source, *sets, "--json", folder=photos).expect(0)
        assert kinds(done.stdout) == {"skipped": False}
        assert sum(map(sum, (c.values() for c in json.loads(done.stdout)["splits"].values()))) == 40
    again = processes.run("data", "check", "r.yaml", "--exclude-list", "copies.yaml", folder=photos).expect(2)
    assert "copies.yaml: already exists. Choose another name, or use --force to replace it." in again.stderr


def test_an_exclude_list_for_arrays_and_none_for_texts(photos: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 8, 8), np.uint8)
    pixels[5] = pixels[3]
    np.savez(photos / "a.npz", x_train=pixels, y_train=np.arange(20) % 2)
    (photos / "a.yaml").write_text("task: classification\ndata: {kind: npz, path: a.npz}\nmodel: {kind: mlp}\n")
    done = processes.run("data", "check", "a.yaml", "--exclude-list", "c.yaml", folder=photos).expect(0)
    assert "note: 1 pair of byte-identical images within a split: train/3 = train/5" in done.stdout
    sets = ("--set", f"data.exclude={(photos / 'c.yaml').read_text()}")
    done = processes.run("data", "check", "a.yaml", *sets, folder=photos).expect(0)
    assert "1 skipped: train/5" in done.stdout
    assert "train/3 = " not in done.stdout
    (photos / "t.csv").write_text("text,label\n" + "".join(f"text {i},{'ab'[i % 2]}\n" for i in range(20)))
    (photos / "t.yaml").write_text(
        "task: text_classification\ndata: {kind: csv, path: t.csv}\nmodel: {kind: convolutional}\n"
    )
    done = processes.run("data", "check", "t.yaml", "--exclude-list", "d.yaml", folder=photos).expect(2)
    assert "t.yaml: --exclude-list is for images, of which copies are looked for." in done.stderr
    assert not (photos / "d.yaml").exists()
