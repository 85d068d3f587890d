"""What ``dlcli data check`` finds in the words of training, and what ``dlcli data stats`` keeps in memory."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dlcli.data.images.samples import Samples
from dlcli.data.images.statistics import channel_statistics
from dlcli.errors import InputError
from dlcli.recipe.load import load
from dlcli.recipe.sections.image_data import Folder
from dlcli.recipe.sections.image_model import Mlp
from dlcli.recipe.tasks.classification import Classification
from dlcli.recipe.yaml_writer import to_yaml
from dlcli.runtime.console import Console
from dlcli.tasks.images.classification import ClassificationHead
from dlcli.tasks.images.inspection import MAX_VALUES, NUM_LOADED, check, loaded_in_parts, stats
from dlcli.tasks.images.multilabel import MultilabelHead
from dlcli.tasks.images.regression import RegressionHead
from dlcli.tasks.images.sources import read_dataset


def folder_of(root: Path, **numbers: int) -> Folder:
    """The section of a folder of random images, with a number of images for each class."""
    rng = np.random.default_rng(0)
    for name, number in numbers.items():
        (root / name).mkdir(parents=True)
        for i in range(number):
            Image.fromarray(rng.integers(0, 256, (12, 12, 3), np.uint8)).save(root / name / f"{i}.png")
    return Folder(kind="folder", path=str(root))


def head_of(section: Folder) -> ClassificationHead:
    return ClassificationHead(Classification(task="classification", data=section, model=Mlp(kind="mlp")))


def problems(report: dict[str, Any]) -> list[str]:
    return [finding["text"] for finding in report["findings"] if finding["is_problem"]]


@pytest.mark.parametrize("num", [1, 2, 3, 5])
def test_a_small_folder_has_notes_and_no_problems(tmp_path: Path, num: int) -> None:
    section = folder_of(tmp_path / "data", a=num, b=num)
    report = check(section, head_of(section), Console(quiet=True))
    assert problems(report) == []
    warnings = [warning.text.rstrip(".") for warning in read_dataset(section, Console(quiet=True)).warnings]
    assert warnings
    assert {finding["text"] for finding in report["findings"]} >= set(warnings)


@pytest.mark.parametrize("kind", ["empty", "unreadable", "in test only"])
def test_what_training_refuses_is_a_problem_in_the_same_words(tmp_path: Path, kind: str) -> None:
    root = tmp_path / "data"
    match kind:
        case "empty":
            section = folder_of(root, a=5, b=5, c=0)
        case "unreadable":
            section = folder_of(root, a=5, b=5)
            for path in (root / "b").iterdir():
                path.write_text("no image")
        case _:
            section = folder_of(root, **{"train/Cat": 5, "train/dog": 5, "test/cat": 5})
    skipping = section.model_copy(update={"on_bad_image": "skip"})
    with pytest.raises(InputError) as refused:
        read_dataset(skipping, Console(quiet=True))
    report = check(section, head_of(section), Console(quiet=True))
    assert problems(report)[-1] == str(refused.value).rstrip(".")
    assert "train has no sample of" not in "".join(problems(report))


def samples(*shape: int) -> Samples:
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    names = tuple(map(str, range(len(pixels))))
    return Samples(names, np.zeros(len(pixels), np.int32), names, None, None, pixels=pixels)


@pytest.mark.parametrize(
    ("shape", "sizes"),
    [((300, 2, 2, 1), [NUM_LOADED, 44]), ((50, 224, 224, 3), [26, 24]), ((2, 1500, 1500, 3), [1, 1])],
)
def test_parts_are_bounded_by_their_values(shape: Sequence[int], sizes: list[int]) -> None:
    data = samples(*shape)
    parts = list(loaded_in_parts(data, Console(quiet=True)))
    assert [len(part) for part in parts] == sizes
    assert all(len(part) == 1 or part.size <= MAX_VALUES for part in parts)
    assert data.pixels is not None
    assert np.array_equal(np.concatenate(parts), data.pixels)
    found = channel_statistics(parts)
    np.testing.assert_allclose(found, channel_statistics([data.pixels]), rtol=1e-9)


def test_what_is_skipped_is_reported_with_its_reason(tmp_path: Path) -> None:
    section = folder_of(tmp_path / "data", a=2, b=3, c=1)
    (tmp_path / "data" / "a" / "notes.txt").write_text("x")
    section = section.model_copy(update={"exclude": ("c/*",)})
    report = check(section, head_of(section), Console(quiet=True))
    (finding,) = (finding for finding in report["findings"] if finding["kind"] == "skipped")
    assert finding["text"] == "2 skipped: a/notes.txt (not an image by its suffix), c/0.png (excluded by 'c/*')"
    assert finding["samples"] == ["a/notes.txt", "c/0.png"]


@pytest.mark.parametrize(
    ("head", "kind", "values", "nouns"),
    [
        (RegressionHead, "image_regression", ("1.5", "1.5000001"), "numbers"),
        (RegressionHead, "image_regression", ("1.5", "1.50"), None),
        (MultilabelHead, "multilabel", ("x|y", "x"), "labels"),
        (MultilabelHead, "multilabel", ("x|y", "y|x"), None),
    ],
)
def test_copies_with_different_targets_are_a_problem(
    tmp_path: Path, head: Any, kind: str, values: tuple[str, str], nouns: str | None
) -> None:
    folder_of(tmp_path, images=8)
    shutil.copy(tmp_path / "images" / "0.png", tmp_path / "images" / "1.png")
    cells = [*values, *(("3", "7", "5", "1", "4", "8") if head is RegressionHead else ("x", "y", "x", "y", "x", "y"))]
    rows = [f"images/{i}.png,{cell},train" for i, cell in enumerate(cells)]
    (tmp_path / "t.csv").write_text("\n".join(["path,v,split", *rows, ""]))
    keys = {"targets": ["v"]} if head is RegressionHead else {"label": "v", "separator": "|"}
    data = {"kind": "csv", "path": "t.csv", "image": "path", "split": "split", "validation": 0.0, **keys}
    recipe = {"task": kind, "data": data, "model": {"kind": "convnet", "blocks": [{"filters": 4}]}}
    (tmp_path / "r.yaml").write_text(to_yaml(recipe))
    loaded = load(tmp_path / "r.yaml")
    report = check(loaded.of_images.data, head(loaded.recipe), Console(quiet=True))
    conflicts = [finding["text"] for finding in report["findings"] if " with different " in finding["text"]]
    assert conflicts == (
        []
        if nouns is None
        else [f"1 pair of byte-identical images with different {nouns}: images/0.png = images/1.png"]
    )


def test_statistics_come_with_the_warnings_of_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(3):
            pixels = rng.integers(1000, 1017, (12, 12)).astype(np.uint16)
            Image.fromarray(pixels).save(tmp_path / "data" / name / f"{i}.png")
    values = {"task": "classification", "data": {"kind": "folder", "path": "data"}, "model": {"kind": "mlp"}}
    (tmp_path / "r.yaml").write_text(to_yaml(values))
    loaded = load(tmp_path / "r.yaml")
    console = Console(quiet=True)
    assert stats(loaded, head_of(loaded.of_images.data), console)["std"][0] < 0.1
    assert "the values of 6 images of 16 bits are all between 1000 and 1016" in capsys.readouterr().err
