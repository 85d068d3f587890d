"""Data files after random changes: each is read, or refused in words; nothing else is raised."""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from mutations import mutated  # type: ignore[import-not-found]
from PIL import Image

from dlcli.errors import InputError
from dlcli.recipe.load import load_text
from dlcli.runtime.console import Console
from dlcli.tasks.dispatch import task_of

NUM = 24  # samples in each source
WORDS = ("good film", "bad plot", "great, really", 'a "dull" story')
Write = Callable[[Path], tuple[str, str]]  # writes the source; returns the recipe and the file to be changed


def images(root: Path) -> list[str]:
    for i in range(NUM):
        Image.new("RGB", (12, 10), (i * 9, 255 - i * 7, i)).save(root / f"{i}.png")
    return [f"{i}.png" for i in range(NUM)]


def image_table(root: Path) -> tuple[str, str]:
    rows = [f"{name},{'cat' if i % 2 else 'dog'}" for i, name in enumerate(images(root))]
    (root / "t.csv").write_text("\n".join(["file,label", *rows]))
    return "task: classification\ndata: {kind: csv, path: t.csv, image: file}\nmodel: {kind: mlp}\n", "t.csv"


def box_table(root: Path) -> tuple[str, str]:
    rows = [f"{name},{'cat' if i % 2 else 'dog'},1,2,{5 + i % 4},8" for i, name in enumerate(images(root))]
    (root / "t.csv").write_text("\n".join(["path,label,xmin,ymin,xmax,ymax", *rows]))
    return "task: localization\ndata: {kind: csv, path: t.csv, on_bad_box: skip}\nmodel: {kind: mlp}\n", "t.csv"


def coco(root: Path) -> tuple[str, str]:
    names = images(root)
    content = {
        "images": [{"id": i, "file_name": name, "width": 12, "height": 10} for i, name in enumerate(names)],
        "annotations": [{"id": i, "image_id": i, "category_id": i % 2, "bbox": [1, 2, 5, 6]} for i in range(NUM)],
        "categories": [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}],
    }
    (root / "a.json").write_text(json.dumps(content, indent=1))
    return "task: localization\ndata: {kind: coco, path: a.json, on_bad_box: skip}\nmodel: {kind: mlp}\n", "a.json"


def voc(root: Path) -> tuple[str, str]:
    for folder in ("JPEGImages", "Annotations"):
        (root / folder).mkdir()
    for i, name in enumerate(images(root / "JPEGImages")):
        box = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>9</xmax><ymax>8</ymax></bndbox>"
        size = "<size><width>12</width><height>10</height><depth>3</depth></size>"
        text = f"<annotation><filename>{name}</filename>{size}\n<object><name>cat</name>\n{box}</object></annotation>"
        (root / "Annotations" / f"{i}.xml").write_text(text)
    return "task: localization\ndata: {kind: voc, path: ., on_bad_box: skip}\nmodel: {kind: mlp}\n", "Annotations/3.xml"


def yolo(root: Path) -> tuple[str, str]:
    for folder in ("train/images", "train/labels"):
        (root / folder).mkdir(parents=True)
    for i, _ in enumerate(images(root / "train" / "images")):
        (root / "train" / "labels" / f"{i}.txt").write_text(f"{i % 2} 0.5 0.5 0.4 0.5\n")
    (root / "data.yaml").write_text("train: train/images\nnc: 2\nnames:\n  0: cat\n  1: dog\n")
    return "task: localization\ndata: {kind: yolo, path: ., on_bad_box: skip}\nmodel: {kind: mlp}\n", "data.yaml"


def arrays(root: Path) -> tuple[str, str]:
    x = np.arange(NUM * 30, dtype=np.uint8).reshape(NUM, 6, 5)
    np.savez(root / "a.npz", x_train=x, y_train=np.arange(NUM) % 2)
    return "task: classification\ndata: {kind: npz, path: a.npz}\nmodel: {kind: mlp}\n", "a.npz"


def text_table(root: Path) -> tuple[str, str]:
    rows = [f'"{WORDS[i % 4].replace(chr(34), chr(34) * 2)} {i}",{"pos" if i % 2 else "neg"}' for i in range(NUM)]
    (root / "t.csv").write_text("\n".join(["text,label", *rows]))
    return "task: text_classification\ndata: {kind: csv, path: t.csv}\nmodel: {kind: recurrent}\n", "t.csv"


def json_lines(root: Path) -> tuple[str, str]:
    rows = [json.dumps({"text": f"{WORDS[i % 4]} {i}", "label": "pos" if i % 2 else "neg"}) for i in range(NUM)]
    (root / "t.jsonl").write_text("\n".join(rows))
    return "task: text_classification\ndata: {kind: jsonl, path: t.jsonl}\nmodel: {kind: recurrent}\n", "t.jsonl"


def text_lists(root: Path) -> tuple[str, str]:
    rows = [json.dumps({"text": f"{WORDS[i % 4]} {i}", "tags": ["a", "b"][: i % 3]}) for i in range(NUM)]
    (root / "t.jsonl").write_text("\n".join(rows))
    data = "{kind: jsonl, path: t.jsonl, label: tags}"
    return f"task: text_multilabel\ndata: {data}\nmodel: {{kind: recurrent}}\n", "t.jsonl"


def text_numbers(root: Path) -> tuple[str, str]:
    (root / "t.csv").write_text("\n".join(["text,target", *(f"{WORDS[0]} {i},{i}.5" for i in range(NUM))]))
    return "task: text_regression\ndata: {kind: csv, path: t.csv}\nmodel: {kind: recurrent}\n", "t.csv"


def pairs(root: Path) -> tuple[str, str]:
    (root / "p.tsv").write_text("\n".join(f"{WORDS[i % 4]} {i}\t{i} {WORDS[-i % 4]}" for i in range(NUM)))
    return "task: sequence_to_sequence\ndata: {kind: tsv, path: p.tsv}\nmodel: {kind: encoder_decoder}\n", "p.tsv"


def tags(root: Path) -> tuple[str, str]:
    rows = [
        f"# sent {i}\n1\tdogs{i}\tdog\tNOUN\t_\t_\t2\tx\t_\t_\n2\tsee\tsee\tVERB\t_\t_\t0\tx\t_\t_" for i in range(NUM)
    ]
    (root / "t.conllu").write_text("\n\n".join(rows) + "\n")
    return "task: tagging\ndata: {kind: conllu, path: t.conllu}\nmodel: {kind: recurrent}\n", "t.conllu"


def time_table(root: Path) -> tuple[str, str]:
    rows = [f"2024-01-{1 + i // 24:02}T{i % 24:02}:00,{np.sin(i / 3):.3f},{i % 7}" for i in range(5 * NUM)]
    (root / "t.csv").write_text("\n".join(["time,load,wind", *rows]))
    data = "{kind: csv, path: t.csv, time: [time], target: load}"
    return f"task: forecasting\ndata: {data}\nwindow: {{history: 6, horizon: 2}}\nmodel: {{kind: recurrent}}\n", "t.csv"


def long_table(root: Path) -> tuple[str, str]:
    rows = [f"s{i},{t},{np.sin(i + t):.3f},{'up' if i % 2 else 'down'}" for i in range(NUM) for t in range(4)]
    (root / "t.csv").write_text("\n".join(["sequence,time,a,label", *rows]))
    return "task: sequence_classification\ndata: {kind: csv, path: t.csv}\nmodel: {kind: recurrent}\n", "t.csv"


def series_archive(root: Path) -> tuple[str, str]:
    rows = [f"{i}.5,2,3,{i * 2}:{'1' if i % 2 else '2'}" for i in range(NUM)]
    header = "@problemName x\n@univariate true\n@classLabel true 1 2\n@data\n"
    (root / "x_TRAIN.ts").write_text(header + "\n".join(rows))
    return "task: sequence_classification\ndata: {kind: ts, path: x_TRAIN.ts}\nmodel: {kind: recurrent}\n", "x_TRAIN.ts"


SOURCES: tuple[Write, ...] = (
    *(image_table, box_table, coco, voc, yolo, arrays, text_table, json_lines, pairs, tags, time_table, long_table),
    *(series_archive, text_lists, text_numbers),
)


@pytest.mark.parametrize(
    "seeds",
    [
        range(5),
        pytest.param(range(5, 25), marks=pytest.mark.slow),
        pytest.param(range(25, 160), marks=pytest.mark.long),
    ],
)
@pytest.mark.parametrize("write", SOURCES, ids=lambda write: write.__name__)
def test_mutated_data_are_read_or_refused(tmp_path: Path, write: Write, seeds: range) -> None:
    text, name = write(tmp_path)
    loaded = load_text(text.encode(), tmp_path / "r.yaml")
    task, console = task_of(loaded.recipe), Console(quiet=True)
    task.open_data(loaded, console)  # as it was written, it can be read
    content = (tmp_path / name).read_bytes()
    for seed in seeds:
        (tmp_path / name).write_bytes(mutated(content, seed))
        with contextlib.suppress(InputError):
            task.open_data(loaded, console)
