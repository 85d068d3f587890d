"""Which ``data`` section reads other data than a model was trained on, and samples that a section leaves out."""

from pathlib import Path

import numpy as np
import pytest

from dlcli.errors import InputError
from dlcli.recipe.sections.box_data import BoxNpz, Shapes
from dlcli.recipe.sections.image_data import Csv, Digits, Npz
from dlcli.runtime.console import Console
from dlcli.tasks.images.sources import AnyData, read_dataset, section_for

TRAINED_ON = Digits(kind="digits")


@pytest.mark.parametrize(("name", "kind"), [("new.csv", Csv), ("NEW.CSV", Csv), ("new.npz", Npz), ("NEW.NPZ", Npz)])
def test_a_suffix_decides_in_any_case(tmp_path: Path, name: str, kind: type) -> None:
    section = section_for(tmp_path / name, TRAINED_ON, {})
    assert isinstance(section, kind)
    assert (section.validation, section.test) == (0.0, 0.0)


def test_other_suffixes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"data\.txt: expected a recipe, a folder of class folders, a \.csv or an "):
        section_for(tmp_path / "data.txt", TRAINED_ON, {})


def check_exclusion(section: AnyData, *, excluded: set[str]) -> None:
    """Reads the section with and without ``exclude``, which must leave out these samples and report the other entry."""
    every = read_dataset(section, Console(quiet=True))
    exclude = (*sorted(excluded), "absent/*")
    dataset = read_dataset(section.model_copy(update={"exclude": exclude}), Console(quiet=True))
    names = {name for samples in every.splits.values() for name in samples.names}
    assert {name for samples in dataset.splits.values() for name in samples.names} == names - excluded
    assert excluded <= names
    assert {item.name: item.reason for item in dataset.left_out} == {name: f"excluded by '{name}'" for name in excluded}
    assert "data.exclude: 'absent/*' leaves out nothing." in " ".join(map(str, dataset.warnings))
    assert not [warning for warning in every.warnings if warning.kind == "exclude"]


@pytest.mark.parametrize(
    ("section", "excluded"),
    [
        (Digits(kind="digits"), {"digits/0", "digits/1796"}),
        (Shapes(kind="shapes", num_samples=40, image_size=(16, 16)), {"shapes/3", "shapes/39"}),
    ],
)
def test_samples_that_are_not_files_are_excluded(section: AnyData, excluded: set[str]) -> None:
    check_exclusion(section, excluded=excluded)


@pytest.mark.parametrize("layout", ["image", "signal"])
def test_samples_of_arrays_are_excluded(tmp_path: Path, layout: str) -> None:
    rng = np.random.default_rng(0)
    arrays = {f"x_{split}": rng.integers(0, 256, (20, 8, 8), np.uint8) for split in ("train", "test")}
    labels = {f"y_{split}": np.arange(20) % 2 for split in ("train", "test")}
    np.savez(tmp_path / "a.npz", **arrays, **labels)
    section = Npz(kind="npz", path=str(tmp_path / "a.npz"), layout=layout)
    check_exclusion(section, excluded={"train/3", "test/0"})
    boxes = {f"box_{split}": np.tile([1, 1, 6, 6], (20, 1)) for split in ("train", "test")}
    np.savez(tmp_path / "b.npz", **arrays, **labels, **boxes)
    check_exclusion(BoxNpz(kind="npz", path=str(tmp_path / "b.npz")), excluded={"train/3", "test/0"})


def test_nothing_left_to_train_on(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"^digits: data\.exclude must leave samples to train on\. It excludes all 1,797\.$"
    ):
        read_dataset(Digits(kind="digits", exclude=("*",)), Console(quiet=True))
