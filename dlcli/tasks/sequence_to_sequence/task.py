"""Sequence-to-sequence learning: what it offers to the verbs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcli.data.sequences.dataset import SequenceDataset
from dlcli.exporting.exportable import Exportable
from dlcli.recipe.load import LoadedRecipe
from dlcli.recipe.tasks.sequence_to_sequence import SequenceToSequence
from dlcli.report.cost.layer_table import LayerTable
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.runtime.startup import Device
from dlcli.tasks.inspection import with_leakage, write_split_table
from dlcli.tasks.recurrent import RecurrentSamples
from dlcli.tasks.sequence_to_sequence import evaluation, explanation, exporting, job, prediction
from dlcli.tasks.sequence_to_sequence.predictor import TextPredictor
from dlcli.tasks.sequence_to_sequence.sources import open_pairs
from dlcli.tasks.sequences import inspection
from dlcli.tasks.sequences.encoders import slow_on_gpu
from dlcli.tasks.task import EvaluationRequest, Explained, ExplanationRequest, ExportRequest, PredictionRequest, Task


@dataclass(frozen=True)
class SequenceToSequenceTask(Task):
    """Generation of a target text from each source text."""

    recipe: SequenceToSequence

    def open_data(self, loaded: LoadedRecipe, console: Console) -> SequenceDataset:
        return open_pairs(loaded, self.recipe.data)

    def prepare(self, loaded: LoadedRecipe, device: Device, console: Console, *, is_new: bool = True) -> job.PairJob:
        return job.prepare(loaded, self.recipe, device, console)

    def evaluate(self, run: RunDir, request: EvaluationRequest, console: Console) -> dict[str, Any]:
        return evaluation.evaluate(run, self.recipe, request, console)

    def predict(self, run: RunDir, request: PredictionRequest, console: Console) -> dict[str, Any]:
        return prediction.predict(run, self.recipe, request, console)

    def predictor(self, run: RunDir, console: Console) -> TextPredictor:
        return TextPredictor(run, self.recipe, console)

    def exportable(self, run: RunDir, request: ExportRequest, console: Console) -> Exportable:
        return exporting.exportable(run, self.recipe, request, console)

    def explain(self, run: RunDir, request: ExplanationRequest, console: Console) -> Explained:
        return explanation.explain(run, self.recipe, request, console)

    def recurrent_samples(self, run: RunDir, request: ExplanationRequest, console: Console) -> RecurrentSamples:
        return explanation.recurrent_samples(run, self.recipe, request, console)

    def table_of_run(self, run: RunDir, data: dict[str, Any]) -> LayerTable:
        return job.table_of_run(self.recipe, data)

    @property
    def remark(self) -> str:
        return slow_on_gpu(self.recipe.model)

    def check(self, loaded: LoadedRecipe, console: Console) -> dict[str, Any]:
        return inspection.check(open_pairs(loaded, with_leakage(self.recipe.data)))

    def stats(self, loaded: LoadedRecipe, console: Console) -> dict[str, Any]:
        return inspection.stats(self.open_data(loaded, console))

    def divide(self, loaded: LoadedRecipe, output: Path | None, console: Console) -> dict[str, dict[str, int]]:
        dataset = self.open_data(loaded, console)
        write_split_table(dataset, output)
        return inspection.counts(dataset)
