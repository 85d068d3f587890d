"""What the drafts of all tasks share: columns by name, counts in words, and commented YAML."""

from collections import Counter
from pathlib import Path

import pytest

from dlcli.errors import InputError
from dlcli.recipe.language.yaml_reader import read_yaml
from dlcli.tasks import draft_text


def test_columns_are_found_by_the_order_of_the_names() -> None:
    assert draft_text.named([" Target ", "LABEL"], draft_text.LABEL) == "LABEL"
    assert draft_text.named([" Target ", "x"], draft_text.LABEL) == " Target "
    assert draft_text.named(["labels"], draft_text.LABEL) is None
    assert [key for key, *_ in draft_text.columns_of_splits(iter(["Subset", "patient"]))] == ["split", "group"]


def test_classes_are_counted_and_the_first_ten_listed() -> None:
    assert draft_text.in_classes(Counter(bees=1, ants=1200), "images") == (
        "1,201 images in 2 classes: ants (1,200), bees (1)"
    )
    assert draft_text.in_classes(Counter(a=2), "texts") == "2 texts in 1 class: a (2)"
    assert draft_text.in_classes(Counter(range(12)), "texts").endswith(", 7 (1) and 2 more")


def test_splits_of_a_table() -> None:
    rows = [{"Split": value, "x": "1"} for value in ("train", " VAL ", "Test", "validation")]
    assert draft_text.own_splits(Path("a.csv"), rows) == {"validation", "test"}
    assert draft_text.own_splits(Path("a.csv"), [{"x": "1"}]) == set()
    assert draft_text.own_splits(Path("a.csv"), []) == set()
    with pytest.raises(InputError, match=r"^a\.csv: the column Split must hold train, .* Received 'other'\.$"):
        draft_text.own_splits(Path("a.csv"), [*rows, {"Split": "other", "x": "1"}])
    with pytest.raises(InputError, match=r"Received ''\.$"):
        draft_text.own_splits(Path("a.csv"), [*rows, {"Split": "", "x": "1"}])


@pytest.mark.parametrize(
    ("given", "keys"),
    [((), ["validation", "test"]), (("test",), ["validation"]), (("validation",), []), (("validation", "test"), [])],
)
def test_a_test_split_is_drawn_only_from_data_without_any(given: tuple[str, ...], keys: list[str]) -> None:
    assert [key for key, *_ in draft_text.shares(given)] == keys


def test_lines_are_read_back_as_the_same_values() -> None:
    values = {"path": "a: b #c", "column": "yes", "box": {"left": "x, 1", "top": "null"}, "share": 0.1}
    text = "\n".join(draft_text.section("data", [(key, value, "a comment") for key, value in values.items()]))
    assert text.count("# a comment") == len(values)
    assert read_yaml(text, "draft").values == {"data": values}
