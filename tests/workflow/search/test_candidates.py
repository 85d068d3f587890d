"""Recipes of candidates: other cells, at the size of a trial or of a finalist."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dlcli.recipe.language.errors import RecipeError
from dlcli.recipe.load import Override, load
from dlcli.workflow.search.candidates import Candidates, written_values
from dlcli.workflow.search.proposer import CellProposer
from dlcli.workflow.trials.records import Record
from dlcli.workflow.trials.tasks import loaded_of

RECIPE = """
task: classification
name: mine
data: {kind: folder, path: photos, validation: 0.2}
model: {kind: cells, genotype: nasnet_a, repeats: 6, filters: 32}
train: {epochs: 30, seed: 7}
search:
  space: {kind: cells, operations: [identity, sep3], combinations: 2}
  trial: {repeats: 1, filters: 4, epochs: 2}
"""


@pytest.fixture
def loaded(tmp_path: Path) -> Any:
    (tmp_path / "r.yaml").write_text(RECIPE)
    return load(tmp_path / "r.yaml")


def test_a_candidate_differs_in_cells_size_and_seed(loaded: Any, tmp_path: Path) -> None:
    candidates = Candidates(written_values(loaded), loaded.recipe.search, 7)
    cells = CellProposer(loaded.recipe.search, 0).ask(0).choices["genotype"]
    trial: Any = loaded_of(candidates.trial(cells, 3), Path("elsewhere/r.yaml"), {}).recipe
    assert (trial.model.repeats, trial.model.filters, trial.model.stem_filters) == (1, 4, 12)  # 3 times the filters
    assert (trial.train.epochs, trial.train.seed, trial.search, trial.name) == (2, 10, None, None)
    assert trial.data.path == str(tmp_path / "photos")
    final: Any = loaded_of(candidates.final(cells, 1), Path("elsewhere/r.yaml"), {}).recipe
    assert (final.model.repeats, final.model.filters, final.model.stem_filters) == (6, 32, 96)
    assert (final.train.epochs, final.train.seed) == (30, 7 + 10**6 + 1)
    assert final.model.genotype == trial.model.genotype


@pytest.mark.parametrize(
    "method",
    ["{kind: tournament}", "{kind: reinforce}", "{kind: reinforce, policy: lstm, units: 4}", "{kind: random}"],
)
def test_every_method_proposes_and_learns_from_records(method: str, loaded: Any) -> None:
    recipe: Any = load(loaded.path, [Override("search.method", method, "x")]).recipe
    proposers = [CellProposer(recipe.search, 1) for _ in range(2)]
    for trial in range(4):
        proposal = proposers[0].ask(trial)
        record = Record(trial, None, proposal.choices, "complete", {"val_accuracy": 0.1 * trial}, {}, 1.0, 0, None)
        for proposer in proposers:
            proposer.tell(record)
    assert proposers[0].ask(4) == proposers[1].ask(4)


COST = {"parameters": 1, "multiply_adds": 1}


@pytest.mark.parametrize("encoded", [None, [0], [0] * 15 + [9], [0] * 15 + [0.5], [0] * 15 + [True]])
def test_a_record_of_another_space_is_a_mistake(encoded: Any, loaded: Any) -> None:
    record = Record(5, None, {"encoded": encoded}, "complete", {"val_accuracy": 0.1}, COST, 1.0, 0, None)
    assert CellProposer(loaded.recipe.search, 0).mistake(record) == "the choices are not in the space of this search"


def test_a_record_that_contradicts_itself_is_a_mistake(loaded: Any) -> None:
    proposer = CellProposer(loaded.recipe.search, 0)
    choices = proposer.ask(0).choices
    record = Record(0, None, choices, "complete", {"val_accuracy": 0.1}, COST, 1.0, 0, None)
    assert proposer.mistake(record) is None
    lacking = "the cost of a complete trial must have multiply_adds and parameters"
    assert proposer.mistake(replace(record, cost={"parameters": 1})) == lacking
    assert proposer.mistake(replace(record, metrics={})) == "the metrics of a complete trial must have val_accuracy"
    assert proposer.mistake(replace(record, metrics={}, status="failed")) is None
    other = replace(record, choices={**choices, "genotype": {"normal": {}}})
    assert proposer.mistake(other) == "the genotype is not that of the encoded choices"


def test_the_cells_of_a_backbone_are_searched_where_a_network_has_one(tmp_path: Path) -> None:
    text = (
        RECIPE.replace("classification", "segmentation")
        .replace("kind: folder, path: photos, validation: 0.2", "kind: scenes")
        .replace("model: {", "model: {kind: unet, backbone: {")
        .replace("filters: 32}", "filters: 32}}")
    )
    (tmp_path / "r.yaml").write_text(text)
    loaded: Any = load(tmp_path / "r.yaml")
    candidates = Candidates(written_values(loaded), loaded.recipe.search, 7)
    cells = CellProposer(loaded.recipe.search, 0).ask(0).choices["genotype"]
    trial: Any = loaded_of(candidates.trial(cells, 0), Path("r.yaml"), {}).recipe
    assert (trial.model.kind, trial.model.backbone.repeats, trial.model.backbone.filters) == ("unet", 1, 4)
    assert trial.model.backbone.genotype.normal.states == tuple(map(tuple, cells["normal"]["states"]))
    with pytest.raises(RecipeError, match=r"search: needs model.backbone.kind: cells, whose genotype it replaces. Re"):
        load(tmp_path / "r.yaml", [Override("model", "{kind: unet}", "x")])
