"""Pairs of texts from files and tables."""

from pathlib import Path
from typing import Any

import pytest

from dlcli.data.text.pairs import read_pairs_csv, read_pairs_tsv
from dlcli.errors import InputError

COMMON: dict[str, Any] = {"validation": 0.2, "test": 0.2, "split_seed": 0, "limit": None, "allow_leakage": False}
TABLE: dict[str, Any] = {"source": "en", "target": "fr", "split": None, "group": None, "encoding": "utf-8"}


def test_a_line_is_a_pair(tmp_path: Path) -> None:
    lines = [f"go {i}\tva {i}\tCC-BY\r" for i in range(20)]
    (tmp_path / "a.txt").write_text("\n".join([*lines, "", "alone\t", "\tnothing\n"]))
    dataset = read_pairs_tsv(path=tmp_path / "a.txt", encoding="utf-8", **COMMON)
    assert {split: len(part) for split, part in dataset.splits.items()} == {"train": 12, "validation": 4, "test": 4}
    for part in dataset.splits.values():
        assert part.texts is not None
        assert part.answers is not None
        assert [text.replace("go", "va") for text in part.texts] == list(part.answers)
    assert {left.reason for left in dataset.left_out} == {"an empty text", "an empty target"}
    assert {row["label"] for row in dataset.split_rows()} == {f"va {i}" for i in range(20)}


def test_no_break_spaces_of_both_texts_are_spaces(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("one\xa0two\tun\xa0deux\n")
    listing = read_pairs_tsv(path=tmp_path / "a.tsv", encoding="utf-8", **COMMON).splits["train"]
    assert (listing.texts, listing.answers) == (("one two",), ("un deux",))


def test_lines_without_a_tab_are_reported_together(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("a\tb\nno tab\nc\td\nneither\n")
    with pytest.raises(InputError) as caught:
        read_pairs_tsv(path=tmp_path / "a.tsv", encoding="utf-8", **COMMON)
    assert "a.tsv:2: there must be a tab between source and target. Received 'no tab'." in str(caught.value)
    assert "a.tsv:4" in str(caught.value)


def test_a_text_with_two_targets_stays_in_one_split(tmp_path: Path) -> None:
    rows = [f"word {i % 10},mot {i}" for i in range(40)]
    (tmp_path / "a.csv").write_text("\n".join(["en,fr", *rows]))
    dataset = read_pairs_csv(path=tmp_path / "a.csv", **TABLE, **COMMON)
    sides = [set(part.texts or ()) for part in dataset.splits.values()]
    assert sum(map(len, sides)) == len(set.union(*sides)) == 10


def test_a_table_without_the_column_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("en,de\na,b\n")
    with pytest.raises(InputError, match="fr"):
        read_pairs_csv(path=tmp_path / "a.csv", **TABLE, **COMMON)
    (tmp_path / "a.csv").write_text("en,fr\n,\n")
    with pytest.raises(InputError, match="there must be pairs to train on"):
        read_pairs_csv(path=tmp_path / "a.csv", **TABLE, **COMMON)


def test_pairs_in_files_of_splits(tmp_path: Path) -> None:
    for name in ("train", "test"):
        (tmp_path / f"{name}.tsv").write_text(f"{name}\tun\n{name} two\tdeux\n")
    common = COMMON | {"validation": 0.0, "test": None}
    by_folder = read_pairs_tsv(path=tmp_path, encoding="utf-8", **common)
    assert by_folder.splits["test"].texts == ("test", "test two")
    paths = {"path": tmp_path / "train.tsv", "test_path": tmp_path / "test.tsv"}
    by_path = read_pairs_csv(columns=("en", "fr"), **paths, **TABLE, **common)
    assert by_path.splits["test"].answers == ("un", "deux")
    assert by_path.splits["train"].names == ("train.tsv:1", "train.tsv:2")
