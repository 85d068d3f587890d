"""Texts from tables, JSON lines, files of lines and folders of files, and the errors in them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dlcli.data.sequences.dataset import SequenceDataset
from dlcli.data.text.labeled import (
    read_line_file,
    read_text_csv,
    read_text_files,
    read_text_jsonl,
    read_text_lines,
    read_unlabeled,
)
from dlcli.errors import InputError

COMMON: dict[str, Any] = {"validation": 0.0, "test": 0.0, "split_seed": 0, "limit": None, "allow_leakage": False}
COLUMNS: dict[str, Any] = {"text": "text", "label": "label", "split": None, "group": None}
CSV = "text,label\ngood film,pos\nbad film,neg\n"


def write(folder: Path, files: dict[str, str | bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def from_csv(path: Path, **options: Any) -> SequenceDataset:
    return read_text_csv(path=path, **{"encoding": "utf-8", **COLUMNS, **COMMON, **options})


def from_jsonl(path: Path, **options: Any) -> SequenceDataset:
    return read_text_jsonl(path=path, **{"encoding": "utf-8", **COLUMNS, **COMMON, **options})


def from_lines(path: Path, **options: Any) -> SequenceDataset:
    return read_text_lines(path=path, **{"encoding": "utf-8", **COMMON, **options})


def from_files(path: Path, **options: Any) -> SequenceDataset:
    return read_text_files(path=path, **{"encoding": "utf-8", **COMMON, **options})


def rows(dataset: SequenceDataset, split: str = "train") -> list[tuple[str, str]]:
    samples = dataset.splits[split]
    assert samples.texts is not None
    return [(text, dataset.classes[label]) for text, label in zip(samples.texts, samples.labels, strict=True)]


def error(read: Callable[..., Any], path: Path, **options: Any) -> list[str]:
    with pytest.raises(InputError) as error:
        read(path, **options)
    return str(error.value).replace(f"{path.parent}/", "").splitlines()


# What is read ---------------------------------------------------------------------------------------------------------


def test_all_sources_give_the_same_texts(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "a.csv": 'text,label\n"good, film",pos\nbad film,neg\nzwei Wörter,neg\n',
            "a.tsv": "label\ttext\npos\tgood, film\nneg\tbad film\nneg\tzwei Wörter\n",
            "a.jsonl": '{"text": "good, film", "label": "pos"}\n\n{"label": "neg", "text": "bad film"}\n'
            '{"text": "zwei W\\u00f6rter", "label": "neg"}\n',
            "lines/pos.txt": "good, film\n",
            "lines/neg.txt": "bad film\n\n  zwei Wörter  \n",
            "files/pos/1.txt": "good, film\n",
            "files/neg/1.txt": "bad film",
            "files/neg/2.txt": "zwei Wörter",
        },
    )
    expected = {("good, film", "pos"), ("bad film", "neg"), ("zwei Wörter", "neg")}
    datasets = [
        *(from_csv(tmp_path / name) for name in ("a.csv", "a.tsv")),
        from_jsonl(tmp_path / "a.jsonl"),
        from_lines(tmp_path / "lines"),
        from_files(tmp_path / "files"),
    ]
    for dataset in datasets:
        assert dataset.classes == ("neg", "pos")
        assert set(rows(dataset)) == expected
    names = [dataset.splits["train"].names for dataset in datasets]
    assert names[0] == ("a.csv:2", "a.csv:3", "a.csv:4")
    assert set(names[3]) == {"pos.txt:1", "neg.txt:1", "neg.txt:3"}
    assert set(names[4]) == {"pos/1.txt", "neg/1.txt", "neg/2.txt"}
    assert len({dataset.splits["train"].digests for dataset in datasets[:3]}) == 1


def test_quotes_have_no_meaning_in_tab_separated_files(tmp_path: Path) -> None:
    write(tmp_path, {"a.tsv": 'text\tlabel\n"so good\tpos\nno "no" no"\tneg\n'})
    assert rows(from_csv(tmp_path / "a.tsv")) == [('"so good', "pos"), ('no "no" no"', "neg")]


def test_given_splits_and_groups_are_used(tmp_path: Path) -> None:
    lines = ["words;kind;part;who", "a;x;train;1", "b;y;train;2", "c;x;val;3", "d;y;Test;4"]
    write(tmp_path, {"a.csv": "\n".join(lines)})
    dataset = from_csv(tmp_path / "a.csv", text="words", label="kind", split="part", group="who", validation=None)
    assert {split: rows(dataset, split) for split in dataset.splits} == {
        "train": [("a", "x"), ("b", "y")],
        "validation": [("c", "x")],
        "test": [("d", "y")],
    }
    write(tmp_path, {f"l/{split}/{label}.txt": split + label for split in ("train", "test") for label in "xy"})
    assert rows(from_lines(tmp_path / "l"), "test") == [("testx", "x"), ("testy", "y")]
    write(tmp_path, {f"f/{split}/{label}/1": split + label for split in ("train", "val") for label in "xy"})
    assert rows(from_files(tmp_path / "f"), "validation") == [("valx", "x"), ("valy", "y")]


def test_copies_of_a_text_stay_in_one_drawn_split(tmp_path: Path) -> None:
    write(tmp_path, {"l/a.txt": "\n".join(f"text {i % 20}" for i in range(60)), "l/b.txt": "text 1\nother\n" * 9})
    dataset = from_lines(tmp_path / "l", test=0.3, validation=0.2)
    found = {split: {text for text, _ in rows(dataset, split)} for split in dataset.splits}
    assert len(found) == 3
    assert not found["train"] & found["test"] | found["train"] & found["validation"]


def test_files_with_equal_stems_keep_their_suffix(tmp_path: Path) -> None:
    write(tmp_path, {"rt-polarity.pos": "good\n", "rt-polarity.neg": "bad\n", ".hidden": "x"})
    dataset = from_lines(tmp_path)
    assert dataset.classes == ("rt-polarity.neg", "rt-polarity.pos")
    assert [(left.name, left.reason) for left in dataset.left_out] == [(".hidden", "hidden")]


def test_empty_texts_are_left_out_and_named(tmp_path: Path) -> None:
    write(tmp_path, {"a.csv": CSV + " ,pos\n"})
    dataset = from_csv(tmp_path / "a.csv")
    assert len(dataset.splits["train"]) == 2
    assert [(left.name, left.reason) for left in dataset.left_out] == [("a.csv:4", "an empty text")]


def test_a_no_break_space_is_a_space(tmp_path: Path) -> None:
    write(tmp_path, {"a.csv": CSV + "very\xa0good\u3000film,pos\n"})
    assert rows(from_csv(tmp_path / "a.csv"))[2] == ("very good film", "pos")


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "cp1252"])
def test_other_encodings(tmp_path: Path, encoding: str) -> None:
    write(tmp_path, {"a.csv": "text,label\nschön,pos\nübel,neg\n".encode(encoding)})
    assert rows(from_csv(tmp_path / "a.csv", encoding=encoding)) == [("schön", "pos"), ("übel", "neg")]


def test_a_long_text_is_no_error(tmp_path: Path) -> None:
    write(tmp_path, {"a.csv": CSV + "x" * 200_000 + ",pos\n"})
    assert len(rows(from_csv(tmp_path / "a.csv"))[2][0]) == 200_000


def test_classes_of_a_trained_model_are_used(tmp_path: Path) -> None:
    write(tmp_path, {"a.csv": CSV})
    dataset = from_csv(tmp_path / "a.csv", classes=("mixed", "pos", "negative"), aliases={"neg": "negative"})
    assert dataset.classes == ("mixed", "pos", "negative")
    assert rows(dataset) == [("good film", "pos"), ("bad film", "negative")]


def test_the_fingerprint_depends_on_the_samples_only(tmp_path: Path) -> None:
    write(tmp_path, {"a.csv": CSV, "b/a.csv": CSV, "c/a.csv": CSV.replace("bad", "sad"), "d/a.csv": CSV + "x,pos\n"})
    prints = [from_csv(tmp_path / name).fingerprint() for name in ("a.csv", "b/a.csv", "c/a.csv", "d/a.csv")]
    assert prints[0] == prints[1]
    assert len(set(prints)) == 3


# What is wrong --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "options", "expected"),
    [
        ("", {}, ["a.csv:1: there must be a column 'text'. Received no header."]),
        ("txt,label\na,b\n", {}, [
            "a.csv:1: there must be a column 'text'. Received 'txt', 'label'. Did you mean 'txt'?"
        ]),
        ("text,label\n", {}, ["a.csv: there must be texts to train on. Received none."]),
        (CSV + "lost,\n\nmany,too,many\n", {}, [
            "a.csv:4: column 'label' must not be empty.",
            "a.csv:6: a row must have 2 values, like the header. Received 3.",
        ]),
        ("text,label\na,x\n", {}, ["a.csv: there must be at least two classes. Received one: 'x'."]),
        (CSV + '"open,pos\n', {}, [
                "a.csv:4: this row is not valid CSV: a quote is not closed or not doubled, or a cell is too long. "
                "Correct it."
            ]),
        ("text,label\nsch\xf6n,pos\n".encode("latin-1"), {}, [
            "a.csv:2: the table must be UTF-8 text. Received byte 0xf6: save it as UTF-8, or set data.encoding "
            "to its encoding."
        ]),
        ("text,label\na,b\n".encode("utf-16-le"), {}, [
            "a.csv:1: the table must be text. Received a null character: it may be UTF-16."
        ]),
        (CSV, {"split": "label"}, [
            "a.csv:2: column 'label' must be train, validation (or val, valid, dev, eval) or test. Received 'pos'.",
            "a.csv:3: column 'label' must be train, validation (or val, valid, dev, eval) or test. Received 'neg'.",
        ]),
        ("text,label,s\na,x,train\nb,y,train\na,x,test\n", {"split": "s"}, [
            "a.csv: 1 sample is both in test and in train: a.csv:4 equals a.csv:2. A score on them says nothing about "
            "new data: remove them from one of the splits, or set data.allow_leakage: true."
        ]),
    ],
)  # fmt: skip
def test_errors_of_tables(tmp_path: Path, content: str | bytes, options: dict[str, Any], expected: list[str]) -> None:
    write(tmp_path, {"a.csv": content})
    assert error(from_csv, tmp_path / "a.csv", **options) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("{", "this is not valid JSON from column 2. Correct the line."),
        ("[" * 100_000, "this is not valid JSON: too deep or too long. Correct the line."),
        ("[1]", 'a line must be a JSON object, such as {"text": …, "label": …}.'),
        ('{"label": "x", "txt": "a"}', "there must be 'text'. Received 'label', 'txt'."),
        ("{}", "there must be 'text'. Received none."),
        ('{"text": 5, "label": "x"}', "'text' must be text. Received 5."),
        ('{"text": "a", "label": true}', "'label' must be text or a whole number. Received true."),
        ('{"text": "a", "label": ""}', "'label' must be text or a whole number. Received \"\"."),
        ('{"text": "a", "label": 1.5}', "'label' must be text or a whole number. Received 1.5."),
        (r'{"text": "a", "label": "b\ud800"}', "'label' must be valid Unicode. Received \"b\\ud800\"."),
    ],
)
def test_errors_of_json_lines(tmp_path: Path, line: str, expected: str) -> None:
    write(tmp_path, {"a.jsonl": f'{{"text": "a", "label": 1}}\n{line}\n'})
    assert error(from_jsonl, tmp_path / "a.jsonl") == [f"a.jsonl:2: {expected}"]


def test_errors_of_folders(tmp_path: Path) -> None:
    assert error(from_lines, tmp_path / "none") == ["none: no such folder. Give the folder that contains the data."]
    write(tmp_path, {"l/a.txt": "\n\n", "f/loose.txt": "x"})
    assert error(from_lines, tmp_path / "l") == [
        "l: there must be a file for each class with a text on each line. Received none."
    ]
    assert error(from_files, tmp_path / "f") == ["f: there must be a folder of texts for each class. Received none."]
    write(tmp_path, {"l/a.txt": b"a\n\xff\n"})
    assert error(from_lines, tmp_path / "l") == [
        "l/a.txt:2: the file of texts must be UTF-8 text. Received byte 0xff: save it as UTF-8, or set "
        "data.encoding to its encoding."
    ]


# To predict -----------------------------------------------------------------------------------------------------------


def test_texts_to_predict(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "a.txt": "one\r\n\ntwo words\n",
            "a.csv": 'id,text\n1,"a, b"\n2,\n',
            "a.jsonl": '{"text": "a"}\n\n{"text": ""}\n',
            "empty.txt": "",
        },
    )
    found = {path.name: read_unlabeled(path, column="text", encoding="utf-8")[1] for path in sorted(tmp_path.iterdir())}
    assert found == {
        "a.csv": ["a, b", ""],
        "a.jsonl": ["a", ""],
        "a.txt": ["one", "", "two words"],
        "empty.txt": [],
    }
    with pytest.raises(InputError, match=r"a\.jsonl:1: there must be 'body'\. Received 'text'\."):
        read_unlabeled(tmp_path / "a.jsonl", column="body", encoding="utf-8")


def test_documents_and_excluded_files_are_left_out(tmp_path: Path) -> None:
    for name in ("cats.txt", "dogs.txt", "README.md", "LICENSE", "Thumbs.db", "notes.txt"):
        (tmp_path / name).write_text(f"{name} one\n{name} two\n")
    dataset = from_lines(tmp_path, exclude=("notes.*", "dogs.txt:2"))
    assert dataset.classes == ("cats", "dogs")
    assert {item.name: item.reason for item in dataset.left_out} == {
        "README.md": "a document beside the data",
        "LICENSE": "a document beside the data",
        "Thumbs.db": "left by a system, archive or tool",
        "notes.txt": "excluded by 'notes.*'",
        "dogs.txt:2": "excluded by 'dogs.txt:2'",
    }


def test_a_class_of_texts_may_have_the_name_of_a_split_where_the_recipe_says_so(
    tmp_path: Path,
) -> None:
    for name in ("tr.txt", "en.txt"):
        (tmp_path / name).write_text(f"{name} one\n")
    with pytest.raises(InputError, match=r"must not have the name of a split\. Received 'tr'"):
        from_lines(tmp_path)
    assert from_lines(tmp_path, folders="classes").classes == ("en", "tr")


@pytest.mark.parametrize("is_folder", [True, False])
@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_files_of_splits(tmp_path: Path, suffix: str, is_folder: bool) -> None:
    for name, number in (("train", 4), ("dev", 2), ("test", 3)):
        rows = [{"text": f"{name} {i}", "label": "ab"[i % 2]} for i in range(number)]
        lines = (
            [json.dumps(row) for row in rows]
            if suffix == "jsonl"
            else ["text,label", *(f"{row['text']},{row['label']}" for row in rows)]
        )
        (tmp_path / f"{name}.{suffix}").write_text("\n".join(lines))
    (tmp_path / "README.md").write_text("from somewhere")
    paths: dict[str, Any] = {"path": tmp_path}
    if not is_folder:
        paths = {f"{key}path": tmp_path / f"{name}.{suffix}" for key, name in zip(KEYS, SPLIT_FILES, strict=True)}
    dataset = (from_csv if suffix == "csv" else from_jsonl)(**paths)
    assert {split: len(part) for split, part in dataset.splits.items()} == {"train": 4, "validation": 2, "test": 3}
    first = 2 if suffix == "csv" else 1
    assert dataset.splits["validation"].names == (f"dev.{suffix}:{first}", f"dev.{suffix}:{first + 1}")


KEYS, SPLIT_FILES = ("", "validation_", "test_"), ("train", "dev", "test")


def test_files_of_splits_with_one_name_are_named_after_their_folders(tmp_path: Path) -> None:
    for name in ("train", "test"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "data.csv").write_text(f"text,label\n{name} 1,a\n{name} 2,b\n")
    dataset = from_csv(tmp_path / "train" / "data.csv", test_path=tmp_path / "test" / "data.csv")
    assert dataset.splits["test"].names == ("test/data.csv:2", "test/data.csv:3")
    with pytest.raises(InputError, match=r"the folder must have \.csv or \.tsv files\. Received none\."):
        from_csv(tmp_path)


def test_a_table_without_a_header(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("3,good,very nice\n1,bad,not nice\n")
    dataset = from_csv(tmp_path / "a.csv", columns=("stars", "label", "text"))
    assert dataset.classes == ("bad", "good")
    assert dataset.splits["train"].texts == ("very nice", "not nice")
    names, texts = read_unlabeled(
        tmp_path / "a.csv", column="text", encoding="utf-8", columns=("stars", "label", "text")
    )
    assert (names[0], texts[0]) == (f"{tmp_path}/a.csv:1", "very nice")


def test_lines_in_files_of_splits(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text(f"{name} one\n\n{name} two\n")
    dataset = read_line_file(path=tmp_path / "a.txt", validation_path=tmp_path / "b.txt", encoding="utf-8", **COMMON)
    assert dataset.splits["validation"].texts == ("b one", "b two")
    assert dataset.splits["validation"].names == ("b.txt:1", "b.txt:3")
