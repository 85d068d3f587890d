"""Which candidates become finalists, and how their scores are compared."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from dlcli.workflow.search.finals import FinalProposer, best_trials, difference, ranked
from dlcli.workflow.trials.records import Record


def record(trial: int, value: float | None, *, encoded: int = -1, of: int = 0, **choices: object) -> Record:
    return Record(
        trial=trial,
        parent=None,
        choices={"encoded": [trial if encoded < 0 else encoded], "genotype": {}, "trial": of, **choices},
        status="failed" if value is None else "complete",
        metrics={} if value is None else {"val_accuracy": value, "val_loss": value},
        cost={"parameters": 1, "multiply_adds": 1},
        seconds=1.0,
        seed=0,
        error=None,
    )


def test_the_best_trials_differ_in_their_cells() -> None:
    records = [
        record(0, 0.5),
        record(1, 0.9),
        record(2, None),
        record(3, 0.8, encoded=1),
        record(4, 0.9),
        record(5, 0.1),
    ]
    assert [one.trial for one in best_trials(records, "val_accuracy", 3)] == [1, 4, 0]
    assert [one.trial for one in best_trials(records, "val_loss", 2)] == [5, 0]


def test_a_training_that_is_of_no_finalist_is_a_mistake() -> None:
    proposer = FinalProposer({"search": [record(3, 0.9)]}, 2, "val_accuracy")
    own = replace(record(1, 0.9), choices=json.loads(json.dumps(proposer.proposals[1].choices)))
    assert proposer.mistake(own) is None
    wrong = "the choices are not those of a finalist of this search"
    assert proposer.mistake(replace(own, trial=0)) == proposer.mistake(replace(own, trial=2)) == wrong
    assert proposer.mistake(replace(own, choices={**own.choices, "origin": "../x"})) == wrong
    assert proposer.mistake(replace(own, metrics={})) == "the metrics of a complete trial must have val_accuracy"


def test_finalists_are_ranked_by_their_mean_if_all_trainings_are_complete() -> None:
    values = {("search", 3): [0.8, 0.9], ("random", 1): [0.95, 0.9], ("search", 7): [0.99, None]}
    records = [
        record(number, value, origin=origin, repeat=number % 2, of=trial)
        for number, (origin, trial, value) in enumerate((*key, value) for key, each in values.items() for value in each)
    ]
    found = ranked(records, "val_accuracy", 2)
    assert [(one.origin, one.trial, one.runs) for one in found] == [
        ("random", 1, ("random-0001-0", "random-0001-1")),
        ("search", 3, ("search-0003-0", "search-0003-1")),
    ]
    assert found[0].mean == pytest.approx(0.925)
    assert found[0].spread == pytest.approx(np.std([0.95, 0.9], ddof=1))


def test_the_interval_is_welchs() -> None:
    one, other = [0.93, 0.95, 0.97, 0.96], [0.9, 0.91, 0.86]
    found = difference(one, other)
    expected = stats.ttest_ind(one, other, equal_var=False).confidence_interval(0.95)
    assert found["interval"] == pytest.approx([expected.low, expected.high])
    assert found["is_evidence"]
    assert not difference(one, [0.93, 0.9, 0.97])["is_evidence"]


def test_one_seed_and_equal_values_are_no_evidence() -> None:
    assert difference([0.9], [0.8]) == {
        "difference": pytest.approx(0.1),
        "interval": None,
        "level": 0.95,
        "is_evidence": False,
    }
    assert not difference([0.9, 0.9], [0.9, 0.9])["is_evidence"]
