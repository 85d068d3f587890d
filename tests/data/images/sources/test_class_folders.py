import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dlcli.data.images.dataset import Reading
from dlcli.data.images.decoding import read_image
from dlcli.data.images.samples import Dataset
from dlcli.data.images.sources.class_folders import read_folder
from dlcli.errors import InputError

Save = Callable[..., Path]
Common = dict[str, Any]


def read(path: Path, common: Common, **options: Any) -> Dataset:
    known = {"on_bad_image": "error", **options}
    extra = {key: known.pop(key) for key in list(known) if key in common}
    reading = Reading(
        **{key: known.pop(key) for key in list(known) if key in Reading.__annotations__ | Reading.__annotations__}
    )
    return read_folder(path=path, reading=reading, **known, **{**common, **extra})


def error(path: Path, common: Common, **options: Any) -> str:
    with pytest.raises(InputError) as error:
        read(path, common, **options)
    return str(error.value)


def reasons(dataset: Dataset) -> dict[str, str]:
    return {item.name: item.reason for item in dataset.left_out}


# Layouts ------------------------------------------------------------------------------------------------------------


def test_flat_class_folders(save_classes: Save, common: Common) -> None:
    root = save_classes(dogs=20, cats=10)
    dataset = read(root, common)
    assert dataset.classes == ("cats", "dogs")
    assert dataset.shape == (8, 6, 3)
    assert dataset.dtype == "uint8"
    assert {split: len(samples) for split, samples in dataset.splits.items()} == {
        "train": 21,
        "validation": 3,
        "test": 6,
    }
    everything = [name for samples in dataset.splits.values() for name in samples.names]
    expected = [f"cats/{i:03}.png" for i in range(10)] + [f"dogs/{i:03}.png" for i in range(20)]
    assert sorted(everything) == expected
    assert dataset.left_out == ()
    assert dataset.warnings == ()
    for samples in dataset.splits.values():
        assert samples.labels.dtype == np.int32
        assert [dataset.classes[label] for label in samples.labels] == [name.split("/")[0] for name in samples.names]
        assert list(samples.names) == sorted(samples.names)


def test_loaded_pixels_are_those_of_the_files(save_classes: Save, common: Common) -> None:
    root = save_classes(a=6, b=6)
    dataset = read(root, common, image_size=(5, 4), color_mode="grayscale")
    samples = dataset.splits["train"]
    assert samples.pixels is None
    assert dataset.policy is not None
    index = np.array([3, 0, 3], np.int64)
    loaded = samples.load(index)
    assert loaded.shape == (3, 5, 4, 1)
    for position, image in zip(index, loaded, strict=True):
        assert np.array_equal(image, read_image(root / samples.names[position], policy=dataset.policy))


@pytest.mark.parametrize("validation", ["val", "validation", "Val"])
def test_folders_for_each_split(save_image: Save, tmp_path: Path, common: Common, validation: str) -> None:
    for split, number in (("train", 4), (validation, 2), ("test", 3)):
        for name in ("x", "y"):
            for i in range(number):
                save_image(f"data/{split}/{name}/{i}.png")
    dataset = read(tmp_path / "data", common)
    assert {split: len(samples) for split, samples in dataset.splits.items()} == {
        "train": 8,
        "validation": 4,
        "test": 6,
    }
    assert dataset.splits["validation"].names[0] == f"{validation}/x/0.png"
    message = error(tmp_path / "data", common, test=0.2)
    assert "data.test must be left out or null, because the data has its own test split. Received 0.2." in message
    assert len(read(tmp_path / "data", common, validation=0.0).splits["validation"]) == 4


def test_validation_is_drawn_if_only_test_is_given(save_classes: Save, common: Common) -> None:
    root = save_classes(train__x=20, train__y=20, test__x=3, test__y=3)
    dataset = read(root, common)
    assert {split: len(samples) for split, samples in dataset.splits.items()} == {
        "train": 36,
        "validation": 4,
        "test": 6,
    }


def test_test_is_not_drawn_if_validation_is_given(save_classes: Save, common: Common) -> None:
    root = save_classes(train__x=20, train__y=20, val__x=3, val__y=3)
    assert set(read(root, common).splits) == {"train", "validation"}
    assert set(read(root, common, test=0.25).splits) == {"train", "validation", "test"}


def test_both_val_and_validation(save_classes: Save, common: Common) -> None:
    root = save_classes(train__x=1, val__x=1, validation__x=1)
    assert "each split must be in one folder. Received 'val' and 'validation'" in error(root, common)


def test_splits_without_train(save_classes: Save, common: Common) -> None:
    assert "there must be a folder 'train' beside 'test', 'val'" in error(save_classes(val__x=1, test__x=1), common)


def test_a_class_may_be_called_train_where_the_recipe_says_so(save_classes: Save, common: Common) -> None:
    root = save_classes(train=5, car=5)
    assert "If they are classes, set data.folders: classes" in error(root, common).replace(
        "it is a class", "they are classes"
    )
    assert read(root, common, folders="classes").classes == ("car", "train")
    assert read(root, common, classes=("car", "train")).classes == ("car", "train")  # of a trained model


def test_a_misspelled_split_is_reported(save_classes: Save, common: Common) -> None:
    root = save_classes(train__x=2, train__y=2, test__x=2, test__y=2, vald__x=2)
    assert error(root, common).endswith(
        "vald: a split's folder must be train, validation (or val, valid, dev, eval) or test: rename it to 'valid'."
    )


def test_other_folders_beside_splits_are_left_out(save_classes: Save, common: Common) -> None:
    root = save_classes(train__x=4, train__y=4, test__x=2, test__y=2, notes=1)
    (root / "README.md").write_text("read me")
    dataset = read(root, common, validation=0.0)
    assert dataset.classes == ("x", "y")
    assert reasons(dataset) == {"README.md": "outside the split folders", "notes": "outside the split folders"}
    assert tuple(map(str, dataset.warnings)) == (f"{root}/notes is not a split folder and was left out.",)


def test_an_empty_split(save_classes: Save, common: Common) -> None:
    root = save_classes(train__x=4, train__y=4)
    (root / "test" / "x").mkdir(parents=True)
    message = f"{root}/test: there must be images in the folders of the classes. Received none in 'x'."
    assert error(root, common) == message


def test_subfolders_of_a_class(save_image: Save, tmp_path: Path, common: Common) -> None:
    for name in ("a/1.png", "a/deep/er/2.png", "b/1.png", "b/2.png", "b/.hidden/3.png", ".cache/x/4.png"):
        save_image(f"data/{name}")
    dataset = read(tmp_path / "data", common, validation=0.0, test=0.0)
    assert dataset.splits["train"].names == ("a/1.png", "a/deep/er/2.png", "b/1.png", "b/2.png")
    assert dataset.splits["train"].labels.tolist() == [0, 0, 1, 1]
    assert reasons(dataset) == {".cache": "hidden", "b/.hidden": "hidden"}


def test_classes_are_sorted_as_strings(save_classes: Save, common: Common) -> None:
    root = save_classes(**{"2": 1, "10": 1, "B": 1, "a": 1})
    assert read(root, common, validation=0.0, test=0.0).classes == ("10", "2", "B", "a")


def test_stray_files_are_left_out(save_classes: Save, save_image: Save, common: Common) -> None:
    root = save_classes(a=3, b=3)
    for name in ("notes.txt", "a/.DS_Store", "a/Thumbs.db", "b/.gitkeep", "b/._001.png", "b/no_suffix"):
        (root / name).write_bytes(b"junk")
    save_image("data/loose.png")
    dataset = read(root, common)
    assert reasons(dataset) == {
        "notes.txt": "not an image by its suffix",
        "a/.DS_Store": "hidden",
        "a/Thumbs.db": "left by a system, archive or tool",
        "b/.gitkeep": "hidden",
        "b/._001.png": "hidden",
        "b/no_suffix": "not an image by its suffix",
        "loose.png": "outside the class folders",
    }
    assert sum(map(len, dataset.splits.values())) == 6


# What is no data set ------------------------------------------------------------------------------------------------


def test_a_missing_folder(tmp_path: Path, common: Common) -> None:
    assert error(tmp_path / "no", common) == f"{tmp_path}/no: no such folder. Give the folder that contains the data."


def test_a_file_instead_of_a_folder(save_image: Save, common: Common) -> None:
    path = save_image("image.png")
    assert error(path, common).startswith(f"{path}: must be a folder.")


def test_a_folder_that_cannot_be_listed(save_classes: Save, common: Common, monkeypatch: pytest.MonkeyPatch) -> None:
    root = save_classes(a=1, b=1)
    scandir = os.scandir

    def refuse(path: Path) -> Any:  # tests may run as root, for whom permissions do not apply
        if path.name == "b":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert error(root, common) == f"{root}/b: the folder cannot be listed (Permission denied). Fix its permissions."


def test_no_images(tmp_path: Path, save_image: Save, common: Common) -> None:
    message = "there must be a folder of images for each class, such as"
    assert message in error(tmp_path, common)
    save_image("loose.png")
    assert error(tmp_path, common).endswith("Received none (1 images are directly in it).")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "notes.txt").write_text("no image")
    (tmp_path / "b").mkdir()
    assert error(tmp_path, common).endswith(
        ": there must be images in the folders of the classes. Received none in 'a', 'b'."
    )


def test_one_class_only(save_classes: Save, common: Common) -> None:
    assert error(save_classes(only=3), common).endswith("there must be at least two classes. Received one: 'only'.")


def test_an_empty_class(save_classes: Save, common: Common) -> None:
    root = save_classes(a=3, b=3)
    (root / "c").mkdir()
    assert error(root, common) == f"{root}/c: no image in this class folder. Add images or remove the folder."
    (root / "c" / "notes.txt").write_text("no image")
    assert f"{root}/c: no image in this class folder." in error(root, common)


def test_a_class_missing_from_train(save_classes: Save, common: Common) -> None:
    root = save_classes(train__x=2, train__y=2, val__x=2, val__Y=2)
    assert (
        "every class in validation must also be in train. Received 'Y', which differs from 'y' only in case:"
        in error(root, common)
    )


def test_names_of_classes_that_differ_only_in_case_are_reported(save_classes: Save, common: Common) -> None:
    dataset = read(save_classes(Cat=10, cat=10, dog=10), common)
    assert dataset.classes == ("Cat", "cat", "dog")
    assert [warning.text for warning in dataset.warnings if "case" in warning.text] == [
        "classes whose names differ only in case are different classes: 'Cat' and 'cat'. If one is meant, rename them."
    ]


def test_names_of_classes_that_differ_only_in_code_points_are_refused(save_classes: Save, common: Common) -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    root = save_classes(**{composed: 3, decomposed: 3})
    assert f"two classes are both called '{composed}', with different Unicode code points: " in error(root, common)
    root = save_classes(**{f"train__{composed}": 3, "train__x": 3, f"test__{decomposed}": 3})
    shutil.rmtree(root / composed)
    shutil.rmtree(root / decomposed)
    message = f"Received '{decomposed}', which differs from '{composed}' only in its Unicode code points:"
    assert message in error(root, common)


def test_a_class_missing_from_another_split(save_classes: Save, common: Common) -> None:
    root = save_classes(train__x=2, train__y=2, train__z=2, val__x=2)
    (root / "val" / "y").mkdir()
    assert tuple(map(str, read(root, common).warnings)) == (
        "validation has no sample of 2 of the 3 classes: 'y', 'z'.",
    )


def test_a_class_too_small_for_the_splits(save_classes: Save, common: Common) -> None:
    dataset = read(save_classes(a=30, b=1), common)
    assert tuple(map(str, dataset.warnings)) == (
        "validation has no sample of class 'b'.",
        "test has no sample of class 'b'.",
    )
    assert "b/000.png" in dataset.splits["train"].names


def test_too_few_samples_for_a_split(save_classes: Save, common: Common) -> None:
    dataset = read(save_classes(a=1, b=1), common)
    assert set(dataset.splits) == {"train"}
    assert tuple(map(str, dataset.warnings)) == (
        "2 samples are too few for validation: 0.1. There is no validation split.",
        "2 samples are too few for test: 0.2. There is no test split.",
    )


def test_copies_between_splits_are_refused(save_classes: Save, common: Common) -> None:
    root = save_classes(train__x=2, train__y=2, test__x=2, test__y=2)
    (root / "test/x/copy.png").write_bytes((root / "train/x/000.png").read_bytes())
    found = "1 sample is both in test and in train: test/x/copy.png equals train/x/000.png."
    with pytest.raises(InputError) as caught:
        read(root, common, validation=0.0)
    assert str(caught.value) == (
        f"{root}: {found} A score on them says nothing about new data: remove them from one of the splits, or set "
        "data.allow_leakage: true."
    )
    assert tuple(map(str, read(root, common, validation=0.0, allow_leakage=True).warnings)) == (found,)


def test_copies_stay_in_one_split(save_classes: Save, common: Common) -> None:
    root = save_classes(x=20, y=20)
    for i in range(20):
        (root / f"x/again{i:03}.png").write_bytes((root / f"x/{i:03}.png").read_bytes())
    splits = read(root, common).splits
    assert {len(samples) for samples in splits.values()} <= set(range(1, 60))
    where = {name: split for split, samples in splits.items() for name in samples.names}
    assert len(where) == 60
    assert all(where[f"x/{i:03}.png"] == where[f"x/again{i:03}.png"] for i in range(20))


# Formats ------------------------------------------------------------------------------------------------------------


def save_16_bits(root: Path, name: str, values: tuple[int, int]) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.array([values] * 4, np.uint16)).save(root / name)


def test_a_narrow_range_of_values_is_a_warning_that_names_the_key(tmp_path: Path, common: Common) -> None:
    for i in range(4):
        save_16_bits(tmp_path, f"a/{i}.png", (860, 900 + i))
        save_16_bits(tmp_path, f"b/{i}.tif", (900, 1080 + i))
    (warning,) = [w for w in read(tmp_path, common).warnings if w.kind == "range"]
    assert "the values of 8 images of 16 bits are all between 860 and 1083" in warning.text
    assert "set data.value_range, for example to [860, 1083]" in warning.text
    assert "such as [0, 2047]" in warning.text
    ranged = read(tmp_path, common, file_range=(0.0, 2047.0))
    assert not [w for w in ranged.warnings if w.kind == "range"]
    assert ranged.policy is not None
    assert ranged.policy.value_range == (0.0, 2047.0)
    assert ranged.splits["train"].load(np.array([0])).max() > 100
    (warning,) = [w for w in read(tmp_path, common, file_range=(0.0, 1000.0)).warnings if w.kind == "range"]
    assert "between 860 and 1083: those outside data.value_range, [0, 1000], are clipped" in warning.text


def test_a_range_without_effect_is_a_warning(save_classes: Save, common: Common) -> None:
    (warning,) = [w for w in read(save_classes(a=5, b=5), common, file_range=(0.0, 9.0)).warnings if w.kind == "range"]
    assert warning.text.startswith("data.value_range has no effect")


def test_further_frames_are_reported_once(save_classes: Save, common: Common) -> None:
    root = save_classes(a=5, b=5)
    for name in ("a/x.gif", "b/y.gif"):
        frames = [Image.new("L", (6, 8), 90 * i) for i in range(3)]
        frames[0].save(root / name, save_all=True, append_images=frames[1:])
    frames_warnings = [w.text for w in read(root, common).warnings if w.kind == "frames"]
    assert frames_warnings == ["2 files have several frames or pages; the first is read."]


# Bad images -------------------------------------------------------------------------------------------------------


def spoil(root: Path) -> None:
    (root / "a/000.png").write_bytes(b"")
    (root / "b/new.jxl").write_bytes(b"RIFF")
    (root / "b/new.png").mkdir()
    os.mkfifo(root / "b/pipe.gif")
    (root / "b/gone.jpg").symlink_to("nowhere")


def test_unreadable_images_are_an_error(save_classes: Save, common: Common) -> None:
    root = save_classes(a=5, b=5)
    spoil(root)
    assert error(root, common).splitlines() == [
        f"{root}/a/000.png: the file is empty",
        f"{root}/b/gone.jpg: a link to a file that does not exist",
        f"{root}/b/new.jxl: .jxl files are not supported: convert it to PNG or JPEG",
        f"{root}/b/new.png: a folder, not a file",
        f"{root}/b/pipe.gif: a pipe or device, not a file",
        "5 of 14 images cannot be read. Repair or remove the files above, or leave them out with "
        "`data.on_bad_image: skip`.",
    ]


def test_many_bad_images_are_counted(save_classes: Save, common: Common) -> None:
    root = save_classes(a=5, b=15)
    for i in range(15):
        (root / f"b/{i:03}.png").write_text("text")
    lines = error(root, common, validation=0.0, test=0.0).splitlines()
    assert len(lines) == 12
    assert lines[10] == "… and 5 more"
    assert lines[11].startswith("15 of 20 images cannot be read.")


def test_unreadable_images_can_be_skipped(save_classes: Save, common: Common) -> None:
    root = save_classes(a=5, b=5)
    spoil(root)
    dataset = read(root, common, on_bad_image="skip")
    assert sum(map(len, dataset.splits.values())) == 9
    assert set(reasons(dataset)) == {"a/000.png", "b/new.jxl", "b/new.png", "b/pipe.gif", "b/gone.jpg"}
    for samples in dataset.splits.values():
        assert len(samples.digests) == len(samples.labels) == len(samples)
        assert samples.load(np.arange(len(samples))).shape == (len(samples), 8, 6, 3)


def test_a_class_with_only_unreadable_images(save_classes: Save, common: Common) -> None:
    root = save_classes(a=2, b=2)
    for path in (root / "b").iterdir():
        path.write_text("text")
    options = {"on_bad_image": "skip", "validation": 0.0, "test": 0.0}
    assert "train must have a readable image of each class. Received none of class 'b':" in error(
        root, common, **options
    )
    for path in (root / "a").iterdir():
        path.write_text("text")
    assert "none of the images can be read." in error(root, common, **options)


def test_an_image_that_vanishes_after_the_check(save_classes: Save, common: Common) -> None:
    root = save_classes(a=4, b=4)
    samples = read(root, common).splits["train"]
    (root / samples.names[0]).unlink()
    with pytest.raises(InputError, match=r"no such file\. It was modified or removed after the data was checked"):
        samples.load(np.arange(len(samples)))


def test_links_are_followed_but_not_in_cycles(save_classes: Save, tmp_path: Path, common: Common) -> None:
    root = save_classes(a=3, b=3)
    (tmp_path / "elsewhere").mkdir()
    Image.new("RGB", (6, 8)).save(tmp_path / "elsewhere" / "1.png")
    (root / "b" / "link").symlink_to(tmp_path / "elsewhere")
    (root / "a" / "up").symlink_to(root)
    (root / "loop").symlink_to(tmp_path)
    (root / "self").symlink_to("self")
    dataset = read(root, common)
    assert dataset.classes == ("a", "b")
    assert sum(map(len, dataset.splits.values())) == 7
    assert reasons(dataset) == {
        "a/up": "a link back to a folder above it",
        "loop": "a link back to a folder above it",
        "self": "not an image by its suffix",
    }


def test_the_progress_of_the_check(save_classes: Save, common: Common) -> None:
    calls: list[tuple[int, int]] = []
    read(save_classes(a=50, b=40), common, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(64, 90), (90, 90)]


# Size, color, limit, labels ----------------------------------------------------------------------------------------


def test_images_of_different_sizes_need_a_size(save_image: Save, tmp_path: Path, common: Common) -> None:
    for i, size in enumerate([(4, 4), (8, 6), (8, 6), (10, 20)]):
        save_image(f"data/a/{i}.png", size=size)
        save_image(f"data/b/{i}.png", size=size)
    assert error(tmp_path / "data", common) == (
        f"{tmp_path}/data: the images must have the same size, or data.image_size must be set to resize them, for "
        "example to [8, 6]. Received 3 sizes [height, width]: smallest [4, 4], median [8, 6], largest [10, 20]."
    )
    assert read(tmp_path / "data", common, image_size=(7, 5)).shape == (7, 5, 3)


def test_the_size_is_that_of_the_upright_image(tmp_path: Path, common: Common) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (30, 20)).save(tmp_path / name / "turned.jpg", exif=exif)
        Image.new("RGB", (20, 30)).save(tmp_path / name / "upright.jpg")
    assert read(tmp_path, common).shape == (30, 20, 3)


@pytest.mark.parametrize(("modes", "channels"), [(("L", "1"), 1), (("L", "RGB"), 3), (("RGB", "RGB"), 3)])
def test_the_color_mode_is_that_of_the_images(
    save_image: Save, tmp_path: Path, common: Common, modes: tuple[str, str], channels: int
) -> None:
    for name, mode in zip("ab", modes, strict=True):
        save_image(f"data/{name}/1.png", mode=mode)
    assert read(tmp_path / "data", common).shape == (8, 6, channels)


def test_a_limit_checks_only_what_is_used(save_classes: Save, common: Common) -> None:
    root = save_classes(a=40, b=40)
    calls: list[tuple[int, int]] = []
    dataset = read(root, common, limit=4, progress=lambda done, total: calls.append((done, total)))
    assert {split: len(samples) for split, samples in dataset.splits.items()} == {
        "train": 4,
        "validation": 4,
        "test": 4,
    }
    assert calls == [(12, 12)]
    assert np.bincount(dataset.splits["train"].labels).tolist() == [2, 2]
    whole = read(root, common)
    assert set(dataset.splits["test"].names) <= set(whole.splits["test"].names)


def test_the_labels_of_a_trained_model(save_classes: Save, common: Common) -> None:
    root = save_classes(dog=3, cat=3)
    options = {"validation": 0.0, "test": 0.0}
    dataset = read(root, common, classes=("zebra", "dog", "cat"), **options)
    assert dataset.classes == ("zebra", "dog", "cat")
    assert dataset.splits["train"].labels.tolist() == [2, 2, 2, 1, 1, 1]
    message = error(root, common, classes=("dog", "mouse"), **options)
    assert "every class must be one of the trained model's. Received 'cat':" in message
    one = save_classes(dog=3).parent / "one"
    (one / "dog").mkdir(parents=True)
    Image.new("RGB", (6, 8)).save(one / "dog" / "1.png")
    assert len(read(one, common, classes=("cat", "dog"), **options).splits["train"]) == 1


def test_names_that_are_not_valid_utf8(tmp_path: Path, common: Common) -> None:
    for name in (b"a\xff", b"b\n"):
        folder = os.fsencode(tmp_path) + b"/" + name
        os.mkdir(folder)
        Image.new("RGB", (2, 2)).save(os.fsdecode(folder + b"/1.png"))
    dataset = read(tmp_path, common, validation=0.0, test=0.0)
    assert dataset.classes == ("a\\udcff", "b\\n")
    assert dataset.splits["train"].names == ("a\\udcff/1.png", "b\\n/1.png")
    assert dataset.splits["train"].load(np.arange(2)).shape == (2, 2, 2, 3)
    dataset.fingerprint()


def test_classes_with_the_same_printed_name_are_refused(save_classes: Save, common: Common) -> None:
    root = save_classes(x=2, y=2)
    (root / "x").rename(root / "e\nf")
    (root / "y").rename(root / "e\\nf")
    with pytest.raises(InputError) as caught:
        read(root, common)
    assert str(caught.value) == (f"{root}: two classes would both be called 'e\\nf'. Rename one of the folders.")


# What is left out -----------------------------------------------------------------------------------------------------


def test_patterns_of_names_and_of_paths(save_classes: Save, common: Common) -> None:
    root = save_classes(cats=12, dogs=12)
    Image.new("P", (6, 8)).save(root / "cats" / "button.gif")
    dataset = read(root, common, exclude=("*.gif", "dogs/00?.*"))
    assert reasons(dataset) == {
        "cats/button.gif": "excluded by '*.gif'",
        **{f"dogs/{i:03}.png": "excluded by 'dogs/00?.*'" for i in range(10)},
    }
    assert sum(len(samples) for samples in dataset.splits.values()) == 14
    with pytest.raises(InputError, match=r"at least two classes\. Received one: 'cats'"):
        read(root, common, exclude=("dogs/*",))


def test_runs_are_not_classes(save_classes: Save, common: Common) -> None:
    root = save_classes(cats=12, dogs=12, **{"runs/flowers/plots": 3})
    (root / "runs" / "flowers" / "run.json").write_text("{}")
    dataset = read(root, common)
    assert dataset.classes == ("cats", "dogs")
    assert reasons(dataset) == {"runs": "a folder of runs"}


def test_a_class_may_be_excluded_but_not_all_of_them(tmp_path: Path, save_image: Save, common: Common) -> None:
    for name in ("a/1.png", "a/2.png", "b/1.png", "c/1.png"):
        save_image(name)
    dataset = read_folder(path=tmp_path, reading=Reading(exclude=["b/*"]), **common)
    assert dataset.classes == ("a", "c")
    assert [(item.name, item.kind) for item in dataset.left_out] == [("b/1.png", "excluded")]
    with pytest.raises(InputError, match=r"data\.exclude must leave samples to train on\. It excludes all 4\.$"):
        read_folder(path=tmp_path, reading=Reading(exclude=["*"]), **common)
