"""The files of an evaluation of many classes, whose confusion matrix is sparse and in a file of its own."""

from pathlib import Path

import numpy as np
import pytest

from dlcli.evaluation import classification
from dlcli.evaluation.class_predictions import MANY_CLASSES, ScoredClasses
from dlcli.report.plots import classification as classification_plots
from dlcli.rundir.reading import read_json
from dlcli.rundir.tables import read_csv
from dlcli.runtime.console import Console
from dlcli.tasks.evaluation_files import Destination, Source, write_classification
from dlcli.tasks.reduction import Reduction
from dlcli.tasks.task import EvaluationRequest


def evaluate(to: Destination, num_classes: int, *, letter: str = "=") -> tuple[ScoredClasses, np.ndarray, np.ndarray]:
    """Writes the evaluation of random predictions; returns the scores, labels and probabilities."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, num_classes, 30).astype(np.int32)
    probabilities = rng.dirichlet(np.ones(num_classes), 30).astype(np.float32)
    kept = to.probability_file(30, num_classes)
    reduction = Reduction(labels, kept)
    for part in (np.arange(20, 30), np.arange(20)):
        reduction.add(part, np.log(probabilities[part]), probabilities[part], part.astype(np.float32))
    scored, classes, names = (
        reduction.scored(),
        [f"{letter}{i}" for i in range(num_classes)],
        [f"-{i}" for i in range(30)],
    )
    assert reduction.mean_loss() == np.mean(np.arange(30))
    write_classification(
        to,
        classification.metrics(scored, classes, loss=reduction.mean_loss()),
        scored,
        classes,
        names=names,
        per_class=classification.per_class(scored, classes),
        predictions=classification.predictions(names, scored, classes),
        others={"more.txt": "more"},
        console=Console(quiet=False),
        probabilities=kept,
    )
    return scored, labels, probabilities


@pytest.fixture
def to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Destination:
    for name in ("confusion_matrix", "confused_classes", "roc", "precision_recall"):
        monkeypatch.setattr(classification_plots, name, lambda *arguments: b"plot")
    return Destination(tmp_path / "evaluation" / "test", Source("some data"))


def test_the_confusion_matrix_of_many_classes_is_a_table(to: Destination) -> None:
    scored, labels, _ = evaluate(to, MANY_CLASSES + 1)
    assert {path.name for path in to.folder.iterdir()} == {
        *("metrics.json", "per_class.csv", "predictions.csv", "confusion_matrix.csv", "confusion_matrix.png"),
        "more.txt",
    }
    rows = read_csv(to.folder / "confusion_matrix.csv")
    assert list(rows[0]) == ["label", "predicted", "count"]
    pairs = [(int(row["label"][1:]), int(row["predicted"][1:])) for row in rows for _ in range(int(row["count"]))]
    assert sorted(pairs) == sorted(zip(labels.tolist(), scored.predicted.tolist(), strict=True))
    assert pairs == sorted(pairs)
    assert "confusion_matrix" not in read_json(to.folder / "metrics.json")
    assert read_json(to.folder / "metrics.json")["data"] == "some data"


def test_the_confusion_matrix_of_few_classes_is_among_the_metrics(to: Destination) -> None:
    evaluate(to, 4)
    assert not (to.folder / "confusion_matrix.csv").exists()
    assert (to.folder / "roc.png").exists()
    assert (to.folder / "precision_recall.png").exists()
    assert np.sum(read_json(to.folder / "metrics.json")["confusion_matrix"]) == 30


@pytest.mark.parametrize("num_classes", [4, MANY_CLASSES + 1])
def test_all_probabilities_are_written_on_demand(to: Destination, num_classes: int) -> None:
    to = Destination(to.folder, to.source, EvaluationRequest(all_probabilities=True))
    _, labels, probabilities = evaluate(to, num_classes)
    with np.load(to.folder / "probabilities.npz", allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["probabilities"], probabilities)
        np.testing.assert_array_equal(archive["label"], labels)
        assert archive["file"].tolist() == [f"-{i}" for i in range(30)]
        assert archive["classes"][3] == "=3"


def test_safe_tables_have_no_formulas(to: Destination) -> None:
    evaluate(Destination(to.folder, to.source, EvaluationRequest(safe_csv=True)), MANY_CLASSES + 1)
    for name, column in (("per_class.csv", "class"), ("predictions.csv", "top_2"), ("confusion_matrix.csv", "label")):
        cells = [row[column] for row in read_csv(to.folder / name)]
        assert all(cell.startswith("'=") for cell in cells), name
    assert read_csv(to.folder / "predictions.csv")[9]["file"] == "-9"  # a number, which is harmless


def test_characters_that_cannot_be_drawn_are_said_once(to: Destination, capsys: pytest.CaptureFixture[str]) -> None:
    evaluate(to, 3, letter="\U0010ffff")
    assert capsys.readouterr().err.splitlines() == [
        "plots: no installed font has '\U0010ffff', drawn as □; install a Noto font of the script"
    ]
    evaluate(to, 3)
    assert capsys.readouterr().err == ""
