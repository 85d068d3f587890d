"""Language modeling: what it offers to the verbs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcli.data.text.corpus import LongTexts
from dlcli.exporting.exportable import Exportable
from dlcli.recipe.load import LoadedRecipe
from dlcli.recipe.tasks.language_model import LanguageModel
from dlcli.report.cost.layer_table import LayerTable
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.runtime.startup import Device
from dlcli.tasks.inspection import with_leakage, write_split_table
from dlcli.tasks.language_model import evaluation, explanation, exporting, generation, inspection, job
from dlcli.tasks.language_model.predictor import LanguagePredictor
from dlcli.tasks.language_model.sources import Texts, open_texts
from dlcli.tasks.recurrent import RecurrentSamples
from dlcli.tasks.sequences import inspection as line_inspection
from dlcli.tasks.sequences.encoders import slow_on_gpu
from dlcli.tasks.task import EvaluationRequest, Explained, ExplanationRequest, ExportRequest, GenerationRequest, Task


@dataclass(frozen=True)
class LanguageModelTask(Task):
    """Prediction of the next token of one long text, or of many lines."""

    recipe: LanguageModel

    def open_data(self, loaded: LoadedRecipe, console: Console) -> Texts:
        return open_texts(loaded, self.recipe.data)

    def prepare(
        self, loaded: LoadedRecipe, device: Device, console: Console, *, is_new: bool = True
    ) -> job.LanguageJob:
        return job.prepare(loaded, self.recipe, device, console)

    def evaluate(self, run: RunDir, request: EvaluationRequest, console: Console) -> dict[str, Any]:
        return evaluation.evaluate(run, self.recipe, request, console)

    def generate(self, run: RunDir, request: GenerationRequest, console: Console) -> dict[str, Any]:
        return generation.generate(run, self.recipe, request, console)

    def predictor(self, run: RunDir, console: Console) -> LanguagePredictor:
        return LanguagePredictor(run, self.recipe, console)

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
        dataset = open_texts(loaded, with_leakage(self.recipe.data))
        if isinstance(dataset, LongTexts):
            return inspection.check(dataset)
        return line_inspection.check(dataset, classes_are_predicted=False)

    def stats(self, loaded: LoadedRecipe, console: Console) -> dict[str, Any]:
        dataset = self.open_data(loaded, console)
        return inspection.stats(dataset) if isinstance(dataset, LongTexts) else line_inspection.stats(dataset)

    def divide(self, loaded: LoadedRecipe, output: Path | None, console: Console) -> dict[str, dict[str, int]]:
        dataset = self.open_data(loaded, console)
        write_split_table(dataset, output)
        return inspection.counts(dataset) if isinstance(dataset, LongTexts) else line_inspection.counts(dataset)
