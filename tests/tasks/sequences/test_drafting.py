"""``dlcli recipe init`` on texts and series: the drafted recipe loads, and reads the same data."""

import gzip
import os
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from dlcli.errors import InputError
from dlcli.recipe.load import load
from dlcli.runtime.console import Console
from dlcli.tasks.dispatch import task_of
from dlcli.tasks.draft import draft_recipe

WORDS = "1\tthe\t_\tDET\t_\t_\t0\t_\t_\t_\n2\tdog\t_\tNOUN\t_\t_\t0\t_\t_\t_\n\n"
TABLES = {
    "reviews.csv": "review,sentiment\n" + "".join(f"text {i},{'good' if i % 2 else 'bad'}\n" for i in range(20)),
    "reviews.tsv": "text\tlabel\n" + "".join(f"text {i}\t{'good' if i % 2 else 'bad'}\n" for i in range(20)),
    "tags.jsonl": "".join(f'{{"tokens": ["a{i}", "b"], "ner": ["O", "{"XY"[i % 2]}"]}}\n' for i in range(20)),
    "reviews.jsonl": "".join(f'{{"text": "text {i}", "label": "{i % 2}"}}\n' for i in range(20)),
    "topics.csv": "body,topics,labels\n" + "".join(f"text {i},x,{'a; b' if i % 2 else 'a'}\n" for i in range(20)),
    "flags.csv": "text,sport,money\n"
    + "".join(f"text {i},{i % 2},{'' if i == 3 else i % 3 // 2}\n" for i in range(20)),
    "topics.jsonl": "".join(f'{{"text": "text {i}", "topics": ["a", "b"], "label": 1}}\n' for i in range(20)),
    "prices.csv": "title,price,id\n" + "".join(f"text {i},{i / 3:.2f},{i}\n" for i in range(40)),
    "prices.jsonl": "".join(f'{{"review": "text {i}", "target": {i}, "split": "train"}}\n' for i in range(40)),
    "stars.jsonl": "".join(f'{{"review": "text {i}", "sentiment": {i % 5}}}\n' for i in range(40)),
    "pairs.csv": "source,target\n" + "".join(f"word {i},mot {i}\n" for i in range(20)),
    "pairs.tsv": "".join(f"word {i}\tmot {i}\tmore\n" for i in range(20)),
    "pairs.txt": "".join(f"word {i}\tmot {i}\n" for i in range(20)),
    "waves.csv": "sequence,a,b,label\n" + "".join(f"{i // 3},{i},{-i},{i // 3 % 2}\n" for i in range(60)),
    "doses.csv": "series,a,target\n" + "".join(f"{i // 2},{i},{i // 2 / 7}\n" for i in range(80)),
    "load.csv": "date,load,temperature,note\n"
    + "".join(f"2020-{i:03},{i % 7},{'' if i % 9 else i},x\n" for i in range(99)),
    "hours.csv": "year,month,day,pm\n" + "".join(f"2020,{i // 28 + 1},{i % 28 + 1},{i % 9}\n" for i in range(140)),
    "prose.txt": "It was a dark night.\n" * 30,
    "words.conllu": WORDS * 20,
    "waves.ts": "@univariate true\n@classlabel true a b\n@data\n"
    + "".join(f"1,2,{i}:{'ab'[i % 2]}\n" for i in range(20)),
    "visits.tsf": "@attribute name string\n@attribute start date\n@frequency weekly\n@horizon 3\n@data\n"
    + "".join(f"T{i}:2020-01-01 00-00-00:{','.join(map(str, range(i, 150 + i)))}\n" for i in range(3)),
    "doses.ts": "@targetLabel true\n@data\n" + "".join(f"1,2,{i}:{i / 8}\n" for i in range(20)),
}
TASKS = {
    "reviews.csv": "text_classification",
    "reviews.tsv": "text_classification",
    "reviews.jsonl": "text_classification",
    "topics.csv": "text_multilabel",
    "flags.csv": "text_multilabel",
    "topics.jsonl": "text_multilabel",
    "prices.csv": "text_regression",
    "prices.jsonl": "text_regression",
    "stars.jsonl": "text_classification",
    "tags.jsonl": "tagging",
    "pairs.csv": "sequence_to_sequence",
    "pairs.tsv": "sequence_to_sequence",
    "pairs.txt": "sequence_to_sequence",
    "waves.csv": "sequence_classification",
    "doses.csv": "sequence_regression",
    "load.csv": "forecasting",
    "hours.csv": "forecasting",
    "prose.txt": "language_model",
    "words.conllu": "tagging",
    "waves.ts": "sequence_classification",
    "doses.ts": "sequence_regression",
    "visits.tsf": "forecasting",
}


@pytest.mark.parametrize(
    ("header", "cells", "lines"),
    [
        ("date,load", [f"{i % 12 + 1:02}/{i % 12 + 1:02}/{2000 + i}" for i in range(40)], ["day_first: true"]),
        ("date,load", [f"{i % 28 + 1:02}.{i // 28 + 1:02}.2020" for i in range(60)], ["time: [date]"]),
        ("shop,t,load", [f"a,{i + 1:02}.01.2020" for i in range(31)], ["time: [t]"]),
        ("date,hour,load", [f"2020-01-0{i // 24 + 1},{i % 24}" for i in range(60)], ["time: [date, hour]"]),
        ("date,hour,load", [f"2020-01-01T{i // 60:02}:{i % 60:02},{i // 60}" for i in range(90)], ["time: [date]"]),
    ],
)
def test_the_time_of_a_series_is_drafted_so_that_it_is_read(
    tmp_path: Path, header: str, cells: list[str], lines: list[str]
) -> None:
    (tmp_path / "t.csv").write_text(f"{header}\n" + "".join(f"{cell},{i % 7}\n" for i, cell in enumerate(cells)))
    path = drafted(tmp_path / "t.csv", tmp_path)
    for line in lines:
        assert f"\n  {line}" in path.read_text()
    loaded = load(path)
    task_of(loaded.recipe).open_data(loaded, Console(quiet=True))


def drafted(data: Path, folder: Path) -> Path:
    recipe = folder / "drafted.yaml"
    recipe.write_text(draft_recipe(data, folder).text)
    return recipe


@pytest.mark.parametrize("name", [*TABLES, *(f"{name}.gz" for name in TABLES)])
def test_the_task_is_recognized_by_the_content(name: str, tmp_path: Path) -> None:
    plain = name.removesuffix(".gz")
    content = TABLES[plain].encode()
    (tmp_path / name).write_bytes(content if name == plain else gzip.compress(content))
    path = drafted(tmp_path / name, tmp_path)
    loaded = load(path)
    assert loaded.recipe.task == TASKS[plain]
    lines = path.read_text().splitlines()
    assert [line for line in lines if ":" in line and "#" not in line and not line.rstrip().endswith(":")] == []
    dataset = task_of(loaded.recipe).open_data(loaded, Console(quiet=True))
    assert "train" in dataset.splits
    assert all(len(part) for part in dataset.splits.values())


def test_columns_of_a_series_are_recognized(tmp_path: Path) -> None:
    (tmp_path / "load.csv").write_text(TABLES["load.csv"])
    data = load(drafted(tmp_path / "load.csv", tmp_path)).recipe.data
    assert (data.time, data.target, data.features) == (("date",), "load", ("temperature",))  # type: ignore[union-attr]
    (tmp_path / "hours.csv").write_text(TABLES["hours.csv"])
    data = load(drafted(tmp_path / "hours.csv", tmp_path)).recipe.data
    assert (data.time, data.target) == (("year", "month", "day"), "pm")  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("minutes", "season", "words"),
    [
        (60, 24, "a day"),
        (15, 96, "a day"),
        (1440, 7, "a week"),
        (10080, 52, "a year"),
        (1, None, ""),
        (100_000, None, ""),
    ],
)
def test_the_season_is_guessed_by_the_distance_between_rows(
    tmp_path: Path, minutes: int, season: int | None, words: str
) -> None:
    times = [datetime(2020, 1, 1) + timedelta(minutes=minutes * i) for i in range(600)]
    (tmp_path / "t.csv").write_text("date,load\n" + "".join(f"{time},{i % 9}\n" for i, time in enumerate(times)))
    seen = draft_recipe(tmp_path / "t.csv", tmp_path).seen[0]
    loaded = load(drafted(tmp_path / "t.csv", tmp_path))
    window = loaded.recipe.window  # type: ignore[union-attr]
    assert window.season == (season or 1)
    assert window.history == max(24, min(2 * (season or 1), 100))
    assert (f"a season of {season} steps, {words}" in seen) == (season is not None)


@pytest.mark.parametrize("shops", [("north", "south", "west"), ("1", "2", "3")])
def test_several_series_are_recognized(tmp_path: Path, shops: tuple[str, ...]) -> None:
    rows = [f"{2000 + i // 12}-{i % 12 + 1:02},{i % 9},{shop}" for i in range(40) for shop in shops]
    (tmp_path / "t.csv").write_text("\n".join(["month,sales,shop", *rows]))
    assert "120 rows of 3 series (shop)" in draft_recipe(tmp_path / "t.csv", tmp_path).seen[0]
    loaded = load(drafted(tmp_path / "t.csv", tmp_path))
    data = loaded.recipe.data
    assert (data.series, data.target, data.features) == ("shop", "sales", ())  # type: ignore[union-attr]
    assert "  normalize: window" in (tmp_path / "drafted.yaml").read_text()
    assert "train" in task_of(loaded.recipe).open_data(loaded, Console(quiet=True)).splits


def test_folders_of_lines_and_of_files(tmp_path: Path) -> None:
    for label in ("North", "South"):
        (tmp_path / "lines").mkdir(exist_ok=True)
        (tmp_path / "lines" / f"{label}.txt").write_text("".join(f"{label} {i}\n" for i in range(12)))
        (tmp_path / "files" / label).mkdir(parents=True)
        for i in range(12):
            (tmp_path / "files" / label / f"{i}.txt").write_text(f"{label} {i}")
    draft = draft_recipe(tmp_path / "lines", tmp_path)
    assert draft.seen == ("24 texts in 2 classes: North (12), South (12)",)
    assert load(drafted(tmp_path / "lines", tmp_path)).recipe.data.kind == "lines"
    assert load(drafted(tmp_path / "files", tmp_path)).recipe.data.kind == "files"


def test_a_split_column_is_used(tmp_path: Path) -> None:
    rows = [f"text {i},{'good' if i % 2 else 'bad'},{('train', 'train', 'Test')[i % 3]},{i // 4}" for i in range(24)]
    (tmp_path / "a.csv").write_text("\n".join(["text,label,split,author", *rows]))
    data = load(drafted(tmp_path / "a.csv", tmp_path)).recipe.data
    assert (data.split, data.group, data.validation) == ("split", "author", 0.1)  # type: ignore[union-attr]
    assert "  test:" not in (tmp_path / "drafted.yaml").read_text()
    (tmp_path / "b.csv").write_text("source,target,set\na,b,train\nc,d,first\n")
    with pytest.raises(InputError, match=r"the column set must hold train, .*Received 'first'"):
        draft_recipe(tmp_path / "b.csv", tmp_path)


def test_short_texts_get_characters_and_short_series_get_short_windows(tmp_path: Path) -> None:
    (tmp_path / "names").mkdir()
    for label, name in (("Italian", "Rossi"), ("Russian", "Abakov")):
        (tmp_path / "names" / f"{label}.txt").write_text(f"{name}\n" * 9)
    assert load(drafted(tmp_path / "names", tmp_path)).recipe.text.unit == "characters"  # type: ignore[union-attr]
    (tmp_path / "reviews.csv").write_text(TABLES["reviews.csv"].replace("text", "a longer text"))
    assert load(drafted(tmp_path / "reviews.csv", tmp_path)).recipe.text.unit == "words"  # type: ignore[union-attr]
    (tmp_path / "sales.csv").write_text("Month,Sales\n" + "".join(f"{i},{i % 7}\n" for i in range(36)))
    assert load(drafted(tmp_path / "sales.csv", tmp_path)).recipe.window.history == 6  # type: ignore[union-attr]


def test_a_folder_of_one_text_is_that_text(tmp_path: Path) -> None:
    (tmp_path / "texts" / "north").mkdir(parents=True)
    (tmp_path / "texts" / "SOURCE.md").write_text("from somewhere\n")
    (tmp_path / "texts" / "north" / "1.txt").write_text("a text\n")
    draft = draft_recipe(tmp_path / "texts", tmp_path)
    assert draft.seen[0] == f"data: {tmp_path}/texts/north/1.txt"
    assert load(drafted(tmp_path / "texts", tmp_path)).recipe.task == "language_model"


def test_files_of_splits_are_read_together(tmp_path: Path) -> None:
    for name in ("en-ud-train.conllu", "en-ud-dev.conllu", "en-ud-test.conllu"):
        (tmp_path / name).write_text(TABLES["words.conllu"])
    (tmp_path / "README.md").write_text("words\n")
    data = load(drafted(tmp_path, tmp_path)).recipe.data
    paths = (data.path, data.validation_path, data.test_path)  # type: ignore[union-attr]
    assert paths == tuple(f"{tmp_path}/en-ud-{split}.conllu" for split in ("train", "dev", "test"))


def test_word_vectors_are_not_a_text(tmp_path: Path) -> None:
    (tmp_path / "glove.txt").write_text("".join(f"word{i} {'0.5 ' * 19}0.25\n" for i in range(9)))
    with pytest.raises(InputError, match=r"must be text\. Received word vectors"):
        draft_recipe(tmp_path / "glove.txt", tmp_path)


@pytest.mark.parametrize("name", ["e.conllu", "e.ts", "e.jsonl", "e.txt"])
def test_empty_files_are_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("")
    with pytest.raises(InputError, match=rf"{name}: must contain (text|sentences)"):
        draft_recipe(tmp_path / name, tmp_path)


def test_other_data_are_drafted_as_images(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text("a,b\n")
    with pytest.raises(InputError, match="must have a header"):
        draft_recipe(tmp_path / "empty.csv", tmp_path)
    (tmp_path / "strange.bin").write_bytes(b"\0\1")
    with pytest.raises(InputError, match="expected a folder, a table"):
        draft_recipe(tmp_path / "strange.bin", tmp_path)
    np.savez(tmp_path / "x.npz", x_train=np.zeros((9, 8, 8)), y_train=np.arange(9) % 2)
    assert "classification" in draft_recipe(tmp_path / "x.npz", tmp_path).text


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("utf16.txt", "some text".encode("utf-16-le"), "It may be UTF-16: save it as UTF-8"),
        ("latin.txt", "caf\xe9 au lait".encode("latin-1"), "latin.txt:1: must be UTF-8 text. Received byte 0xe9"),
    ],
)
def test_unreadable_files_are_refused(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        draft_recipe(tmp_path / name, tmp_path)
    assert message in str(caught.value)


def test_long_cells_semicolons_hours_and_row_numbers(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text;label\n" + "a" * 200_000 + ";x\nb;y\n")
    assert load(drafted(tmp_path / "a.csv", tmp_path)).recipe.task == "text_classification"
    rows = [f"{i + 1},2020,1,{1 + i // 24},{i % 24},{i % 5}" for i in range(100)]
    (tmp_path / "b.csv").write_text("\n".join(["No,year,month,day,hour,pm", *rows]))
    data = load(drafted(tmp_path / "b.csv", tmp_path)).recipe.data
    assert data.time == ("year", "month", "day", "hour")  # type: ignore[union-attr]
    assert (data.target, data.features) == ("pm", ())  # type: ignore[union-attr]


def test_a_pipe_among_texts_does_not_block(tmp_path: Path) -> None:
    for name in ("train/cats.txt", "train/dogs.txt", "val/cats.txt"):
        (tmp_path / "texts" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "texts" / name).write_text(f"{name}\n")
    os.mkfifo(tmp_path / "texts" / "val" / "dogs.txt")
    with pytest.raises(InputError, match=r"val/dogs\.txt: a pipe or device, not a file"):
        draft_recipe(tmp_path / "texts", tmp_path)
