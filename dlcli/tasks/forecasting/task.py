"""Forecasting: what it offers to the verbs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcli.data.series.windows import Series
from dlcli.exporting.exportable import Exportable
from dlcli.recipe.load import LoadedRecipe
from dlcli.recipe.tasks.forecasting import Forecasting, Linear
from dlcli.report.cost.layer_table import LayerTable, layer_table
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.runtime.model_files import load_described_network, load_keras_file
from dlcli.runtime.startup import Device
from dlcli.tasks.forecasting import evaluation, explanation, exporting, inspection, job, prediction
from dlcli.tasks.forecasting.predictor import ForecastPredictor
from dlcli.tasks.forecasting.sources import open_series
from dlcli.tasks.inspection import write_split_table
from dlcli.tasks.recurrent import RecurrentSamples
from dlcli.tasks.run_models import model_file
from dlcli.tasks.sequences.encoders import slow_on_gpu
from dlcli.tasks.task import EvaluationRequest, Explained, ExplanationRequest, ExportRequest, PredictionRequest, Task


@dataclass(frozen=True)
class ForecastingTask(Task):
    """Forecasting of the next steps of a table with one row per time step."""

    recipe: Forecasting

    def open_data(self, loaded: LoadedRecipe, console: Console) -> Series:
        return open_series(loaded, self.recipe)

    def prepare(
        self, loaded: LoadedRecipe, device: Device, console: Console, *, is_new: bool = True
    ) -> job.ForecastJob:
        return job.prepare(loaded, self.recipe, device, console)

    def evaluate(self, run: RunDir, request: EvaluationRequest, console: Console) -> dict[str, Any]:
        return evaluation.evaluate(run, self.recipe, request, console)

    def predict(self, run: RunDir, request: PredictionRequest, console: Console) -> dict[str, Any]:
        return prediction.predict(run, self.recipe, request, console)

    def predictor(self, run: RunDir, console: Console) -> ForecastPredictor:
        return ForecastPredictor(run, self.recipe, console)

    def exportable(self, run: RunDir, request: ExportRequest, console: Console) -> Exportable:
        return exporting.exportable(run, self.recipe, request, console)

    def explain(self, run: RunDir, request: ExplanationRequest, console: Console) -> Explained:
        return explanation.explain(run, self.recipe, request, console)

    def recurrent_samples(self, run: RunDir, request: ExplanationRequest, console: Console) -> RecurrentSamples:
        return explanation.recurrent_samples(run, self.recipe, request, console)

    def table_of_run(self, run: RunDir, data: dict[str, Any]) -> LayerTable:
        return layer_table(
            load_described_network(run.network) if run.network.exists() else load_keras_file(model_file(run))
        )

    @property
    def remark(self) -> str:
        model = self.recipe.model
        return "" if isinstance(model, Linear) else slow_on_gpu(model)

    def check(self, loaded: LoadedRecipe, console: Console) -> dict[str, Any]:
        return inspection.check(self.open_data(loaded, console))

    def stats(self, loaded: LoadedRecipe, console: Console) -> dict[str, Any]:
        return inspection.stats(self.open_data(loaded, console))

    def divide(self, loaded: LoadedRecipe, output: Path | None, console: Console) -> dict[str, dict[str, int]]:
        dataset = self.open_data(loaded, console)
        write_split_table(dataset, output)
        return inspection.counts(dataset)
