"""What ``dlcli predict --output`` writes: tables of all or of the most probable classes, and an .npz of all."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from dlcli.errors import InputError
from dlcli.evaluation.class_predictions import MANY_CLASSES, NUM_TOP
from dlcli.tasks.predictions import Ranking, listed, refuse_stdin, write_probabilities, write_values

NAMES = {"file": [f"{i}.png" for i in range(5)]}


def written(output: Path, num_classes: int, *, safe_csv: bool = False) -> tuple[np.ndarray, list[str], Ranking]:
    """Writes random predictions that come in two batches; returns the probabilities, the classes and the ranking."""
    probabilities = np.random.default_rng(0).dirichlet(np.ones(num_classes), 5).astype(np.float32)
    classes = [f"@{i}" for i in range(num_classes)]
    ranking = Ranking(5, num_classes, num_top=3, output=output)
    for part in (np.array([4, 1]), np.array([0, 2, 3])):
        ranking.add(part, np.log(probabilities[part]), probabilities[part])
    write_probabilities(output, NAMES, ranking, classes, {"xmin": [0.5] * 5}, safe_csv=safe_csv)
    return probabilities, classes, ranking


def test_a_table_has_all_probabilities_of_few_classes(tmp_path: Path) -> None:
    probabilities, classes, ranking = written(tmp_path / "a.csv", 4)
    with open(tmp_path / "a.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["file", "predicted", "confidence", "xmin", *(f"p_{name}" for name in classes)]
    for row, expected in zip(rows, probabilities, strict=True):
        assert [np.float32(row[f"p_{name}"]) for name in classes] == expected.tolist()
        assert row["predicted"] == classes[expected.argmax()]
    found = list(listed(ranking.ranked(), classes, 99))
    assert [len(row["top"]) for row in found] == [4] * 5
    assert found[2]["top"][0] == {"class": found[2]["predicted"], "probability": float(probabilities[2].max())}


@pytest.mark.parametrize("suffix", [".csv", ".json", ".CSV", ".JSON"])
def test_a_table_has_the_most_probable_of_many_classes(tmp_path: Path, suffix: str) -> None:
    output = tmp_path / f"a{suffix}"
    probabilities, classes, _ = written(output, MANY_CLASSES + 1)
    with open(output, newline="") as file:
        rows = list(csv.DictReader(file)) if suffix.lower() == ".csv" else json.load(file)
    order = np.argsort(-probabilities, axis=1, kind="stable")
    assert len(rows[0]) == 4 + 2 * NUM_TOP
    for row, ranked, expected in zip(rows, order, probabilities, strict=True):
        assert [row[f"top_{place + 1}"] for place in range(NUM_TOP)] == [classes[k] for k in ranked[:NUM_TOP]]
        assert np.float32(row[f"p_{NUM_TOP}"]) == expected[ranked[NUM_TOP - 1]]


@pytest.mark.parametrize(("name", "num_classes"), [("a.npz", 4), ("a.npz", MANY_CLASSES + 1), ("a.NPZ", 4)])
def test_an_npz_has_all_probabilities(tmp_path: Path, name: str, num_classes: int) -> None:
    probabilities, classes, _ = written(tmp_path / name, num_classes)
    with np.load(tmp_path / name, allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["probabilities"], probabilities)
        assert archive["file"].tolist() == NAMES["file"]
        assert archive["classes"].tolist() == classes
        assert archive["xmin"].tolist() == [0.5] * 5


def test_a_safe_table_has_no_formulas(tmp_path: Path) -> None:
    for safe, start in ((False, "@"), (True, "'@")):
        written(tmp_path / "a.csv", 4, safe_csv=safe)
        with open(tmp_path / "a.csv", newline="") as file:
            assert all(row["predicted"].startswith(start) for row in csv.DictReader(file))


def test_numbers_keep_all_their_digits(tmp_path: Path) -> None:
    values = np.array([1 / 3, 1e-30], np.float32)
    write_values(tmp_path / "values.csv", {"text": ['a, "b"\n', "c"]}, values)
    with open(tmp_path / "values.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["text"] for row in rows] == ['a, "b"\n', "c"]
    assert np.array_equal(np.array([row["predicted"] for row in rows], np.float32), values)


def test_tables_are_not_read_from_stdin() -> None:
    refuse_stdin([Path("a.csv")])
    with pytest.raises(InputError, match=r"^-: tables are read from files, not from stdin\."):
        refuse_stdin([Path("a.csv"), Path("-")])
