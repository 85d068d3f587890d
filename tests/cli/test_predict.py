"""The paths of ``dlcli predict``, and the form in which it shows what each task predicts."""

from pathlib import Path
from typing import Any, get_args

import pytest

from dlcli.cli.paths import expanded
from dlcli.cli.predict import _show, _show_line
from dlcli.errors import InputError
from dlcli.recipe.load import TASKS
from dlcli.recipe.tasks.base import Prediction


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("photos/b.jpg", "photos/a.jpg", "photos/in/c.jpg", "photos/d.png", "photos/x[1].jpg"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


@pytest.mark.parametrize(
    ("paths", "found"),
    [
        (["photos/?.jpg"], ["photos/a.jpg", "photos/b.jpg"]),
        (["photos/d.png", "photos/[ab].jpg", "-"], ["photos/d.png", "photos/a.jpg", "photos/b.jpg", "-"]),
        (["photos/**/c.jpg"], ["photos/in/c.jpg"]),
        (["photos/x[1].jpg"], ["photos/x[1].jpg"]),  # a file's own name
        (["photos", "missing.jpg"], ["photos", "missing.jpg"]),  # the task reports what is missing
    ],
)
def test_patterns_stand_for_files(paths: list[str], found: list[str]) -> None:
    assert expanded(paths) == [Path(path) for path in found]


def test_patterns_without_files_are_all_reported() -> None:
    with pytest.raises(InputError) as error:
        expanded(["photos/*.gif", "photos/a.jpg", "images/*"])
    assert str(error.value).splitlines() == [
        "photos/*.gif: no file matches this pattern. Name an existing file.",
        "images/*: no file matches this pattern. Name an existing file.",
    ]


TOP = [{"class": "cat", "probability": 0.75}, {"class": "dog", "probability": 0.25}]
FORMS: dict[str, tuple[list[dict[str, Any]], list[str]]] = {
    "classes": ([{"file": "a.png", "predicted": "cat", "top": TOP}], ["file", "#1", "#2", "a.png", "cat 0.7500"]),
    "box": (
        [{"file": "a.png", "top": TOP, "box": [1.4, 2.0, 30.6, 40.0]}],
        ["file", "box (x1 y1 x2 y2)", "#1", "1 2 31 40", "dog 0.2500"],
    ),
    "objects": (
        [
            {
                "file": "a.png",
                "objects": [{"class": "cat", "score": 0.75, "box": [1, 2, 3, 4]}] * 2,
                "counts": {"cat": 2},
            },
            {"file": "b.png", "objects": [], "counts": {}},
        ],
        ["file", "objects", "counts", "highest score", "a.png", "2", "cat 2", "0.7500", "b.png", "0", "none"],
    ),
    "value": ([{"file": "a.csv", "predicted": 1.5}], ["file", "predicted", "a.csv", "1.5"]),
    "numbers": (
        [{"file": "a.png", "predicted": {"age": 31.5, "weight": -2.25}}],
        ["file", "age", "weight", "a.png", "31.5", "-2.25"],
    ),
    "labels": (
        [
            {"file": "a.png", "labels": [{"label": "cat", "probability": 0.75, "predicted": True}]},
            {"file": "b.png", "labels": [{"label": "cat", "probability": 0.25, "predicted": False}]},
        ],
        ["file", "labels", "a.png", "cat 0.7500", "b.png", "none"],
    ),
    "masks": (
        [
            {
                "file": "a.png",
                "height": 20,
                "width": 30,
                "areas": {
                    "cell": {"pixels": 450, "share": 0.75, "area": 112.5},
                    "ground": {"pixels": 150, "share": 0.25, "area": 37.5},
                },
            }
        ],
        ["file", "height x width", "#1", "a.png", "20x30", "cell 75.0% (112.5)", "ground 25.0% (37.5)"],
    ),
    "tags": ([{"file": "-:1", "words": ["a", "cat"], "tags": ["DET", "NOUN"]}], ["a/DET cat/NOUN"]),
    "steps": ([{"file": "a.csv", "step": 1, "predicted": 2.5}], ["file", "step", "predicted", "2.5"]),
}


@pytest.mark.parametrize("form", get_args(Prediction))
def test_every_form_of_a_prediction_is_shown(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows, expected = FORMS[form]
    _show(form, "file", rows)
    shown = capsys.readouterr().out
    assert all(text in shown for text in expected), shown


def test_a_sample_is_named_as_its_schema_says(capsys: pytest.CaptureFixture[str]) -> None:
    _show("value", "text", [{"file": "--text 1", "text": "12+34", "predicted": "46"}])
    assert "12+34" in (shown := capsys.readouterr().out)
    assert "--text 1" not in shown
    _show("value", "text", [{"text": "x" * 10_000, "predicted": "1"}])
    assert capsys.readouterr().out.splitlines()[1] == f"{'x' * 79}…  1"
    by_text = {task for task, schema in TASKS.items() if "predict" in schema.verbs and schema.named_by == "text"}
    assert by_text == {"text_classification", "text_multilabel", "text_regression", "sequence_to_sequence"}


LABELS = [
    {"label": "x", "probability": 0.75, "predicted": True},
    {"label": "y", "probability": 0.5, "predicted": False},
]


@pytest.mark.parametrize(
    ("form", "row", "line"),
    [
        ("classes", {"file": "-:1", "top": TOP}, "-:1\tcat 0.7500\tdog 0.2500\n"),
        ("value", {"file": "-:2\t", "predicted": 0.5}, "-:2\\t\t0.5000\n"),
        ("tags", {"file": "-:3", "words": ["a", "b"], "tags": ["X", "Y"]}, "a/X b/Y\n"),
        ("labels", {"file": "-:4", "labels": LABELS}, "-:4\tx 0.7500\n"),
    ],
)  # fmt: skip
def test_a_line_of_stdin_has_a_line_of_output(
    form: str, row: dict[str, Any], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _show_line(form, "file", row)
    assert capsys.readouterr().out == line
