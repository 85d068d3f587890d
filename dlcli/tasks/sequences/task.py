"""Tasks with texts or series of which one thing is predicted, and tagging: what they offer to the verbs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcli.data.sequences.dataset import SequenceDataset
from dlcli.exporting.exportable import Exportable
from dlcli.recipe.load import LoadedRecipe, SequenceRecipe
from dlcli.recipe.tasks.sequence_classification import SequenceClassification
from dlcli.recipe.tasks.sequence_regression import SequenceRegression
from dlcli.recipe.tasks.tagging import Tagging
from dlcli.recipe.tasks.text_classification import TextClassification
from dlcli.recipe.tasks.text_multilabel import TextMultilabel
from dlcli.recipe.tasks.text_regression import TextRegression
from dlcli.report.cost.layer_table import LayerTable
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.runtime.startup import Device
from dlcli.tasks.inspection import with_leakage, write_split_table
from dlcli.tasks.recurrent import RecurrentSamples
from dlcli.tasks.sequences import (
    evaluation,
    exporting,
    inspection,
    job,
    labeled_series_explanation,
    prediction,
    tag_explanation,
    text_explanation,
)
from dlcli.tasks.sequences.encoders import slow_on_gpu
from dlcli.tasks.sequences.predictor import SequencePredictor
from dlcli.tasks.sequences.sources import open_sequences
from dlcli.tasks.task import EvaluationRequest, Explained, ExplanationRequest, ExportRequest, PredictionRequest, Task


@dataclass(frozen=True)
class SequenceTask(Task):
    """Prediction of a class, labels or a number for each text, of a class or a number for each series, or of a tag for
    each word."""

    recipe: SequenceRecipe

    def open_data(self, loaded: LoadedRecipe, console: Console) -> SequenceDataset:
        return open_sequences(loaded, self.recipe.data)

    def prepare(
        self, loaded: LoadedRecipe, device: Device, console: Console, *, is_new: bool = True
    ) -> job.SequenceJob:
        return job.prepare(loaded, self.recipe, device, console, is_new=is_new)

    def evaluate(self, run: RunDir, request: EvaluationRequest, console: Console) -> dict[str, Any]:
        return evaluation.evaluate(run, self.recipe, request, console)

    def predict(self, run: RunDir, request: PredictionRequest, console: Console) -> dict[str, Any]:
        return prediction.predict(run, self.recipe, request, console)

    def predictor(self, run: RunDir, console: Console) -> SequencePredictor:
        return SequencePredictor(run, self.recipe, console)

    def exportable(self, run: RunDir, request: ExportRequest, console: Console) -> Exportable:
        return exporting.exportable(run, self.recipe, request, console)

    def explain(self, run: RunDir, request: ExplanationRequest, console: Console) -> Explained:
        match self.recipe:
            case TextClassification() | TextMultilabel() | TextRegression():
                return text_explanation.explain(run, self.recipe, request, console)
            case SequenceClassification() | SequenceRegression():
                return labeled_series_explanation.explain(run, self.recipe, request, console)
            case Tagging():
                return tag_explanation.explain(run, self.recipe, request, console)

    def recurrent_samples(self, run: RunDir, request: ExplanationRequest, console: Console) -> RecurrentSamples:
        match self.recipe:
            case TextClassification() | TextMultilabel() | TextRegression():
                return text_explanation.recurrent_samples(run, self.recipe, request, console)
            case SequenceClassification() | SequenceRegression():
                return labeled_series_explanation.recurrent_samples(run, self.recipe, request, console)
            case Tagging():
                return tag_explanation.recurrent_samples(run, self.recipe, request, console)

    def table_of_run(self, run: RunDir, data: dict[str, Any]) -> LayerTable:
        return job.table_of_run(self.recipe, data)

    @property
    def remark(self) -> str:
        return slow_on_gpu(self.recipe.model)

    def check(self, loaded: LoadedRecipe, console: Console) -> dict[str, Any]:
        return inspection.check(open_sequences(loaded, with_leakage(self.recipe.data)))

    def stats(self, loaded: LoadedRecipe, console: Console) -> dict[str, Any]:
        return inspection.stats(self.open_data(loaded, console))

    def divide(self, loaded: LoadedRecipe, output: Path | None, console: Console) -> dict[str, dict[str, int]]:
        dataset = self.open_data(loaded, console)
        write_split_table(dataset, output)
        return inspection.counts(dataset)
