"""Drafts for tables of images with numbers or labels: which columns are predicted, and where the images are."""

from pathlib import Path

import pytest
from PIL import Image

from dlcli.errors import InputError
from dlcli.recipe.load import load
from dlcli.recipe.sections.target_data import LabelTable, NumberTable
from dlcli.tasks.draft import draft_recipe


@pytest.fixture(autouse=True)
def _in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("a/photos", "recipes"):
        Path(folder).mkdir(parents=True)
    for i in range(3):
        Image.new("RGB", (40, 30), (i, 0, 0)).save(f"a/photos/{i}.png")


def drafted(text: str) -> tuple[str, NumberTable | None]:
    """The drafted task, and the ``data`` section as loaded from another folder if it is a table of numbers."""
    Path("a/t.csv").write_text(text)
    Path("recipes/r.yaml").write_text(draft_recipe(Path("a"), Path("recipes")).text)
    recipe = load(Path("recipes/r.yaml")).recipe
    return recipe.task, recipe.data if isinstance(recipe.data, NumberTable) else None


def test_all_columns_of_numbers_but_names_flags_and_splits() -> None:
    text = "user_id,path,flag,age,weight,split\n7,photos/0.png,0,30,1.5,train\n8,photos/1.png,1,41,2.5,test\n"
    task, data = drafted(text + "9,photos/2.png,1,35,3.5,val\n")
    assert task == "image_regression"
    assert data is not None
    assert data.targets == ("age", "weight")
    assert (data.split, data.images, data.suffix, data.on_missing) == ("split", None, "", "error")
    assert data.image_size == (30, 40)
    assert data.path == str(Path("a/t.csv").absolute())


def test_images_in_a_folder_beside_the_table_named_without_suffix() -> None:
    _, data = drafted("Id,score\n0,3\n1,5\n2,9\n")
    assert data is not None
    assert (data.image, data.images, data.suffix) == ("Id", str(Path("a/photos").absolute()), ".png")


def test_missing_numbers_are_left_out() -> None:
    _, data = drafted("path,score\nphotos/0.png,3\nphotos/1.png,NA\nphotos/2.png,4\nphotos/1.png,7\n")
    assert data is not None
    assert data.on_missing == "skip"


@pytest.mark.parametrize("label", ["1.5,2.25,1.5", "0.1,0.9,0.5"])
def test_a_label_with_decimals_is_a_number(label: str) -> None:
    rows = "".join(f"photos/{i}.png,{value}\n" for i, value in enumerate(label.split(",")))
    task, data = drafted(f"path,label\n{rows}")
    assert task == "image_regression"
    assert data is not None
    assert data.targets == ("label",)


def test_a_label_without_decimals_is_a_class() -> None:
    assert (
        drafted("path,label,age\nphotos/0.png,1,3.5\nphotos/1.png,2,4.5\nphotos/2.png,3,5.5\n")[0] == "classification"
    )


def drafted_labels(text: str) -> LabelTable:
    Path("a/t.csv").write_text(text)
    Path("recipes/r.yaml").write_text(draft_recipe(Path("a"), Path("recipes")).text)
    recipe = load(Path("recipes/r.yaml")).recipe
    assert isinstance(recipe.data, LabelTable)
    return recipe.data


@pytest.mark.parametrize(
    ("text", "labels", "label", "separator"),
    [
        ("path,cat,dog\nphotos/0.png,1,0\nphotos/1.png,0,0\nphotos/2.png,1,1\n", ("cat", "dog"), None, None),
        ("image_name,tags\n0,haze sea\n1,sea\n2,clear\n", None, "tags", " "),
        ("path,label\nphotos/0.png,a|b\nphotos/1.png,b\nphotos/2.png,a\n", None, "label", "|"),
        ('path,labels\nphotos/0.png,"a, b c"\nphotos/1.png,b c\nphotos/2.png,a\n', None, "labels", ","),
    ],
)
def test_labels_in_columns_and_lists(
    text: str, labels: tuple[str, ...] | None, label: str | None, separator: str | None
) -> None:
    data = drafted_labels(text)
    assert (data.labels, data.label, data.separator, data.on_missing) == (labels, label, separator, "error")


def test_missing_flags_are_unknown() -> None:
    data = drafted_labels("path,cat,dog\nphotos/0.png,1,\nphotos/1.png,0,0\nphotos/2.png,1,1\n")
    assert data.on_missing == "unknown"


def seen(header: str, *cells: str) -> tuple[str, ...]:
    """What a draft says about a table of three images with these further columns."""
    rows = [f"photos/{i % 3}.png{delimiter(header)}{more}" for i, more in enumerate(cells)]
    Path("a/t.csv").write_text("\n".join([header, *rows, ""]))
    return draft_recipe(Path("a"), Path("recipes")).seen


def delimiter(header: str) -> str:
    return ";" if ";" in header else ","


def test_columns_that_mistakes_leave_out_are_named_with_the_line() -> None:
    assert seen("path,age,weight", "30,1.5", "41,2.5", "old,3.5", "7,4.5")[-1] == (
        "left out: a/t.csv:4: column 'age' must be a number. Received 'old'."
    )
    assert seen("path,cat,dog,cow", "1,0,True", "0,x,false", "1,1,true", "0,0,true", "1,1,true")[-2:] == (
        "sizes: 30x40",
        "left out: a/t.csv:3: column 'dog' must be 0 or 1. Received 'x'.",
    )
    assert seen("path,cat,dog,age", "1,0,2", "0,0,3", "1,1,4")[-1] == (
        "left out: the columns of 0 and 1, cat, dog: task multilabel predicts those"
    )


@pytest.mark.parametrize("column", ["age", "label"])
def test_a_table_with_no_target_but_for_a_mistake_is_refused(column: str) -> None:
    with pytest.raises(InputError) as caught:
        seen(f"path,{column}", "3.5", "4.5", "x", "5.5", "6.5", "", "7.5", "y", "8")
    assert str(caught.value) == (
        f"a/t.csv:4: column '{column}' must be a number. Received 'x'. 2 cells in the column are like it.\n"
        "Correct the cells, or write the recipe by hand."
    )


def test_decimal_commas_are_refused_with_a_hint() -> None:
    with pytest.raises(InputError, match=r"t\.csv:2: column 'age' must be a number\. .* Write decimals"):
        seen("path;age", "3,5", "4", "5,5")


def test_columns_of_words_are_no_mistakes() -> None:
    assert len(seen("path,name,age", "4,1.5", "tom,2.5", "7,3.5", "ann,4.5")) == 3
