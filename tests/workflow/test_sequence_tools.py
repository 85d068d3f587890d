"""``dlcli data`` on sequences: what is wrong is found, nothing is changed."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import processes  # type: ignore[import-not-found]
import pytest

from dlcli.rundir.tables import read_csv

RECIPES = {
    "reviews": "task: text_classification\ndata: {kind: csv, path: reviews.csv, split: split}\n",
    "waves": "task: sequence_classification\ndata: {kind: npz, path: waves.npz}\n",
    "load": "task: forecasting\ndata: {kind: csv, path: load.csv, time: [t], target: y, features: [z], "
    "on_missing: keep}\nwindow: {history: 4}\n",
    "prose": "task: language_model\ndata: {kind: text, path: prose.txt}\n",
    "phrases": "task: sequence_to_sequence\ndata: {kind: tsv, path: phrases.tsv}\n",
    "tags": "task: tagging\ndata: {kind: columns, path: tags.txt}\n",
    "copy": "task: step_prediction\ndata: {kind: copy}\n",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("tools")
    for name, text in RECIPES.items():
        kind = "encoder_decoder" if name == "phrases" else "recurrent"
        (folder / f"{name}.yaml").write_text(f"{text}model: {{kind: {kind}}}\n")
    rows = [f"good text {i},good,train" for i in range(60)] + [f"bad text {i},bad,train" for i in range(2)]
    rows += ["good text 3,good,test", "both ways,good,train", "both ways,bad,train", "new,good,test", ",bad,train"]
    (folder / "reviews.csv").write_text("\n".join(["text,label,split", *rows]))
    x = np.random.default_rng(0).normal(size=(40, 6, 3)).astype(np.float32)
    x[:, :, 1], x[::4, 2, 0] = 5.0, np.nan
    np.savez(folder / "waves.npz", x_train=x, y_train=np.arange(40) % 2)
    values = ["" if 20 <= i < 24 else str(i % 7) for i in range(100)]
    (folder / "load.csv").write_text("\n".join(["t,y,z", *(f"{i},{value},1" for i, value in enumerate(values))]))
    (folder / "prose.txt").write_text("a plain text. " * 50 + "ö" * 40)
    pairs = [f"word {i}\tmot {i}" for i in range(30)] + ["word 1\tparole"]
    (folder / "phrases.tsv").write_text("\n".join(pairs))
    (folder / "tags.txt").write_text("".join(f"the D\ndog{i} N\n\n" for i in range(20)))
    return folder


def kinds(report: str) -> dict[str, Any]:
    return {finding["kind"]: finding for finding in json.loads(report)["findings"]}


@pytest.mark.parametrize(
    ("name", "problems", "notes"),
    [
        (
            "reviews",
            {"duplicates across splits", "duplicates with different labels"},
            {"imbalance", "missing class", "skipped"},
        ),
        ("waves", set(), {"missing values", "constant"}),
        ("load", set(), {"missing values", "constant"}),
        ("prose", set(), {"unknown characters"}),
        ("phrases", set(), {"duplicates within a split", "several targets"}),
        ("tags", set(), set()),
    ],
)
def test_problems_are_found(folder: Path, name: str, problems: set[str], notes: set[str]) -> None:
    before = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.is_file()}
    done = processes.run("data", "check", f"{name}.yaml", "--json", folder=folder).expect(1 if problems else 0)
    found = kinds(done.stdout)
    assert {kind for kind, finding in found.items() if finding["is_problem"]} == problems
    assert {kind for kind, finding in found.items() if not finding["is_problem"]} == notes
    if name == "load":
        assert found["missing values"]["text"] == "y: 4.0% of the values are missing, at most 4 in a row"
    after = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.is_file()}
    assert after == before


def test_counts_by_class_tag_or_sample(folder: Path) -> None:
    for name, first in (("waves", "0"), ("tags", "D"), ("phrases", "samples"), ("load", "forecasts")):
        counts = json.loads(processes.run("data", "split", f"{name}.yaml", "--json", folder=folder).expect(0).stdout)
        assert next(iter(counts["train"])) == first
        assert list(counts) == ["train", "validation", "test"]
    processes.run("data", "split", "phrases.yaml", "-o", "out.csv", folder=folder).expect(0)
    rows = read_csv(folder / "out.csv")
    (folder / "out.csv").unlink()
    assert len(rows) == 31
    assert {row["label"] for row in rows if row["file"] == "phrases.tsv:3"} == {"mot 2"}


def test_statistics(folder: Path) -> None:
    found = json.loads(processes.run("data", "stats", "waves.yaml", "--json", folder=folder).expect(0).stdout)
    assert found["lengths"]["train"]["steps"] == [6, 6, 6]
    assert found["features"][1]["mean"] == 5
    table = processes.run("data", "stats", "phrases.yaml", folder=folder).expect(0).stdout
    assert "characters (target)" in table
    assert "feature" in processes.run("data", "stats", "load.yaml", folder=folder).expect(0).stdout
    found = json.loads(processes.run("data", "stats", "prose.yaml", "--json", folder=folder).expect(0).stdout)
    assert found["texts"]["train"]["characters"] == [found["samples"]["train"], len(set("a plain text."))]
    assert found["texts"]["train"]["lines"] == [1, 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check", "copy.yaml"], "dlcli data check does not support task: step_prediction"),
        (
            ["preview", "prose.yaml"],
            "dlcli data preview does not support task: language_model, whose samples are texts.",
        ),
        (["stats", "prose.yaml", "--data", "absent.txt"], "data.path: no such file or folder"),
    ],
)
def test_refused_input(folder: Path, arguments: list[str], message: str) -> None:
    assert message in processes.run("data", *arguments, folder=folder).expect(2).stderr
