"""Which ``data`` section reads other data than a model was trained on."""

from pathlib import Path

import pytest

from dlcli.errors import InputError
from dlcli.recipe.sections.image_data import Csv, Digits, Npz
from dlcli.tasks.images.sources import section_for

TRAINED_ON = Digits(kind="digits")


@pytest.mark.parametrize(("name", "kind"), [("new.csv", Csv), ("NEW.CSV", Csv), ("new.npz", Npz), ("NEW.NPZ", Npz)])
def test_a_suffix_decides_in_any_case(tmp_path: Path, name: str, kind: type) -> None:
    section = section_for(tmp_path / name, TRAINED_ON, {})
    assert isinstance(section, kind)
    assert (section.validation, section.test) == (0.0, 0.0)


def test_other_suffixes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"data\.txt: expected a recipe, a folder of class folders, a \.csv or an "):
        section_for(tmp_path / "data.txt", TRAINED_ON, {})
