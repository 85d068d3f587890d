"""Texts with labels or numbers: lists and columns, tables and JSON lines, missing values, and refused rows."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlcli.data.listing import SplitKeys
from dlcli.data.sequences.dataset import SequenceDataset
from dlcli.data.text.targets import TargetFiles, read_text_labels, read_text_numbers
from dlcli.errors import InputError

WHOLE = SplitKeys(validation=0.0, test=0.0, split_seed=0, limit=None, allow_leakage=True)


def files(path: Path, **changed: Any) -> TargetFiles:
    keys: dict[str, Any] = {
        "path": path,
        "is_json": path.suffix == ".jsonl",
        "text": "text",
        "encoding": "utf-8",
        "exclude": (),
    }
    others = dict.fromkeys(("split", "group", "columns", "validation_path", "test_path"))
    return TargetFiles(**{**others, **keys, **changed})


def labels_of(source: TargetFiles, **changed: Any) -> SequenceDataset:
    keys: dict[str, Any] = {"labels": None, "label": "tags", "separator": None, "on_missing": "error"}
    return read_text_labels(source, **{**keys, **changed}, common=WHOLE)


def lines(*objects: dict[str, Any]) -> str:
    return "\n".join(map(json.dumps, objects)) + "\n\n"


def test_lists_in_tables_and_in_json_are_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('text,tags\n"a, b","x; y"\n"c",\n,x\n"d"," y;;y "\n')
    objects = [("a, b", ["x", "y"]), ("c", []), ("", ["x"]), ("d", ["y"])]
    (tmp_path / "a.jsonl").write_text(lines(*({"text": text, "tags": tags} for text, tags in objects)))
    for name, separator in (("a.csv", ";"), ("a.jsonl", None)):
        found = labels_of(files(tmp_path / name), separator=separator)
        train = found.splits["train"]
        assert found.classes == ("x", "y")
        assert train.texts == ("a, b", "c", "d")
        assert train.applies is not None
        np.testing.assert_array_equal(train.applies, [[1, 1], [0, 0], [0, 1]])
        assert [row["label"] for row in found.split_rows()] == ["x|y", "", "y"]
        assert [(item.name.split(":")[0], item.reason) for item in found.left_out] == [(name, "an empty text")]


def test_columns_of_labels_keep_their_order_and_unknown_ones(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("y,text,x\n1,a,0\nTrue,b,\n0,c,1\n")
    found = labels_of(files(tmp_path / "a.csv"), labels=("y", "x"), label=None, on_missing="unknown")
    assert found.classes == ("y", "x")
    applies = found.splits["train"].applies
    assert applies is not None
    np.testing.assert_array_equal(applies, [[1, 0], [1, np.nan], [0, 1]])
    assert [row["label"] for row in found.split_rows()] == ["y", "y|x?", "x"]
    skipped = labels_of(files(tmp_path / "a.csv"), labels=("y", "x"), label=None, on_missing="skip")
    assert skipped.splits["train"].texts == ("a", "c")
    assert [item.kind for item in skipped.left_out] == ["incomplete"]
    trained = labels_of(
        files(tmp_path / "a.csv"), labels=("y", "x"), label=None, on_missing="unknown", classes=("x", "y")
    )
    assert trained.splits["train"].applies is not None
    np.testing.assert_array_equal(trained.splits["train"].applies, applies[:, ::-1])


def test_numbers_keep_their_digits(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,n\na,123456789.125\nb,-2\nc,NA\n")
    (tmp_path / "a.jsonl").write_text(
        lines({"text": "a", "n": 123456789.125}, {"text": "b", "n": -2}, {"text": "c", "n": None})
    )
    for name in ("a.csv", "a.jsonl"):
        found = read_text_numbers(files(tmp_path / name), target="n", on_missing="skip", common=WHOLE)
        assert found.classes == ("",)
        train = found.splits["train"]
        assert train.targets is not None
        assert train.targets.dtype == np.float64
        assert train.targets.tolist() == [123456789.125, -2.0]
        assert [row["label"] for row in found.split_rows()] == ["123456789.125", "-2"]


def test_decimal_commas(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text;n\na;1.234,5\n")
    found = read_text_numbers(files(tmp_path / "a.csv"), target="n", on_missing="skip", decimal="comma", common=WHOLE)
    assert found.splits["train"].targets is not None
    assert found.splits["train"].targets.tolist() == [1234.5]
    with pytest.raises(InputError, match=r"Set data\.decimal: comma\."):
        read_text_numbers(files(tmp_path / "a.csv"), target="n", on_missing="skip", common=WHOLE)


def test_files_for_each_split_and_groups(tmp_path: Path) -> None:
    for split, names in (("train", "ab"), ("test", "c")):
        (tmp_path / f"{split}.csv").write_text("text,n\n" + "".join(f"{name},1\n" for name in names))
    found = read_text_numbers(files(tmp_path), target="n", on_missing="error", common=WHOLE | {"test": None})
    assert {name: part.texts for name, part in found.splits.items()} == {"train": ("a", "b"), "test": ("c",)}


@pytest.mark.parametrize(
    ("content", "changed", "message"),
    [
        ("text,tags\na,x\nb,z\n", {"classes": ("x", "y")}, "a.csv:3: a label must be one of the trained model's. "),
        ("text,tags,part\na,x,train\nb,w,dev\n", {"split": "part"}, "a.csv:3: a label must be in train too. "),
        ("text,tags\na,x|y\n", {}, "'x|y': a label must not contain '|'"),
        ("text,tags\na,\n", {}, "there must be a label that applies to a text of train. Received none."),
        ("text,tag\na,x\n", {}, "a.csv:1: there must be a column 'tags'. Received 'text', 'tag'. Did you mean 'tag'?"),
        ("text,x\na,2\nb,yes\n", {"labels": ("x",)}, "a.csv:2: column 'x' must be 0 or 1. Received '2'."),
        ("text,x\na,\n", {"labels": ("x",)}, "has no value. Fill it in, or set data.on_missing: skip or unknown."),
        ("text,x\na,1\n", {"labels": ("x",), "classes": ("y",)}, "must be those of the trained model, 'y'. "),
    ],
)  # fmt: skip
def test_refused_tables(tmp_path: Path, content: str, changed: dict[str, Any], message: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(content)
    split = changed.pop("split", None)
    keys = {"label": None} if "labels" in changed else {"separator": ";"}
    with pytest.raises(InputError) as caught:
        labels_of(files(path, split=split), **keys, **changed)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"text": "a", "tags": "x"}, "a.jsonl:1: 'tags' must be a list of labels, such as [\"a\", \"b\"]. "),
        ({"text": "a", "tags": None}, "must be a list of labels"),
        ({"text": "a", "tags": [True]}, "must be a list of labels"),
        ({"text": "a", "tags": [["x"]]}, "must be a list of labels"),
        ({"text": "a"}, "a.jsonl:1: there must be 'tags'. Received 'text'."),
        ({"text": 1, "tags": []}, "'text' must be text. Received 1."),
    ],
)  # fmt: skip
def test_refused_json(tmp_path: Path, record: dict[str, Any], message: str) -> None:
    (tmp_path / "a.jsonl").write_text(lines(record))
    with pytest.raises(InputError) as caught:
        labels_of(files(tmp_path / "a.jsonl"))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("Infinity", "column 'n' must be a number. Received 'Infinity'."),
        ("true", "column 'n' must be a number. Received 'true'."),
        ("[1]", "column 'n' must be a number. Received '[1]'."),
        ("1" + "0" * 400, "column 'n' must be a number."),
        ("NaN", "column 'n' has no value. Fill it in, or set data.on_missing: skip."),
        ("1e30", "must be at most 1e+18 in magnitude"),
    ],
)
def test_refused_numbers(tmp_path: Path, value: str, message: str) -> None:
    (tmp_path / "a.jsonl").write_text(f'{{"text": "a", "n": {value}}}\n')
    with pytest.raises(InputError) as caught:
        read_text_numbers(files(tmp_path / "a.jsonl"), target="n", on_missing="error", common=WHOLE)
    assert message in str(caught.value)
