"""``dlcli data check --run``: labels that are probably wrong."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import processes  # type: ignore[import-not-found]
import pytest

from dlcli.evaluation.label_errors import likely_label_errors
from dlcli.rundir.tables import read_csv


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    shutil.copytree(trained, tmp_path / "runs" / "tiny")
    return tmp_path


def check(folder: Path, *arguments: str, status: int = 0) -> processes.Finished:
    return processes.run("data", "check", "--run", "tiny", *arguments, folder=folder).expect(status)


def test_suspects_of_an_evaluation(folder: Path) -> None:
    table = folder / "runs" / "tiny" / "evaluation" / "test" / "predictions.csv"
    rows = read_csv(table)
    sure = max(rows, key=lambda row: float(row["confidence"]))
    wrong = str((int(sure["predicted"]) + 1) % 10)
    table.write_text(table.read_text().replace(f"{sure['file']},{sure['label']},", f"{sure['file']},{wrong},"))
    report = json.loads(check(folder, "--json").stdout)
    rows = read_csv(table)
    p = np.array([[float(row[f"p_{number}"]) for number in range(10)] for row in rows])
    found = likely_label_errors(p, np.array([int(row["label"]) for row in rows]))
    assert [of["file"] for of in report["suspects"]] == [rows[i]["file"] for i in found.index]
    suspect = next(of for of in report["suspects"] if of["file"] == sure["file"])
    assert (suspect["split"], suspect["label"], suspect["suggested"]) == ("test", wrong, sure["predicted"])
    assert report["samples"] == {"test": 60}
    assert report["share"] == len(found.index) / 60
    shown = check(folder)
    assert sure["file"] in shown.stdout
    assert shown.stdout.endswith(f"of 60 test samples are probably mislabeled ({report['share']:.1%})\n")


def test_errors(folder: Path) -> None:
    assert "Give no recipe" in check(folder, "x.yaml", status=2).stderr
    assert "or --run RUN" in processes.run("data", "check", folder=folder).expect(2).stderr
    evaluation = folder / "runs" / "tiny" / "evaluation"
    table = evaluation / "test" / "predictions.csv"
    table.write_text(table.read_text().replace(",True,", ",True,x", 1))
    assert "Evaluate the run again." in check(folder, status=2).stderr
    table.write_text("file,target\na,1.5\n")
    assert "by the probabilities of a classifier" in check(folder, status=2).stderr
    shutil.rmtree(evaluation)
    assert "Evaluate it first: dlcli evaluate runs/tiny" in check(folder, status=2).stderr


def test_suspects_of_all_folds(folder: Path) -> None:
    folds = folder / "runs" / "tiny-folds"
    folds.mkdir()
    (folds / "folds.json").write_text("{}")
    table = folder / "runs" / "tiny" / "evaluation" / "test" / "predictions.csv"
    header, *rows = table.read_text().splitlines()
    lines = [f"fold,{header}", *(f"{1 + i % 2},{row}" for i, row in enumerate(rows))]
    (folds / "predictions.csv").write_text("\n".join(lines) + "\n")

    def report_of(name: str) -> dict[str, Any]:
        done = processes.run("data", "check", "--run", name, "--json", folder=folder).expect(0)
        report: dict[str, Any] = json.loads(done.stdout)
        return report

    of_folds = report_of("runs/tiny-folds")
    assert of_folds["samples"] == {"out-of-fold": 60}
    assert {of.pop("split") for of in of_folds["suspects"]} <= {"fold 1", "fold 2"}
    of_run = report_of("tiny")
    for of in of_run["suspects"]:
        del of["split"]
    assert of_folds["suspects"] == of_run["suspects"]
    for wrong in ("nan", "1.5", "-0.1"):
        row = lines[-1].rpartition(",")[0]
        (folds / "predictions.csv").write_text("\n".join([*lines[:-1], f"{row},{wrong}"]) + "\n")
        refused = processes.run("data", "check", "--run", "runs/tiny-folds", folder=folder).expect(2).stderr
        assert refused.startswith("runs/tiny-folds: a predictions.csv of it is corrupt"), refused
    (folds / "predictions.csv").write_text("x\n")
    done = processes.run("data", "check", "--run", "tiny-folds", folder=folder).expect(2)
    assert done.stderr.startswith("runs/tiny-folds/predictions.csv: has no rows. Give the command with --folds again")
    (folds / "predictions.csv").unlink()
    done = processes.run("data", "check", "--run", "tiny-folds", folder=folder).expect(2)
    assert done.stderr == "runs/tiny-folds: has no predictions of held-out samples: the runs of this task write none.\n"
