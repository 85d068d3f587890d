"""What ``dlcli data check`` finds in the words of training, and what ``dlcli data stats`` keeps in memory."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dlcli.data.images.samples import Samples
from dlcli.data.images.statistics import channel_statistics
from dlcli.errors import InputError
from dlcli.recipe.sections.image_data import Folder
from dlcli.recipe.sections.image_model import Mlp
from dlcli.recipe.tasks.classification import Classification
from dlcli.runtime.console import Console
from dlcli.tasks.images.classification import ClassificationHead
from dlcli.tasks.images.inspection import MAX_VALUES, NUM_LOADED, check, loaded_in_parts
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
