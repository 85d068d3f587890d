"""Forecasting, as the verbs see it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcli.data.series.windows import Series
from dlcli.recipe.load import LoadedRecipe
from dlcli.recipe.tasks.forecasting import Forecasting
from dlcli.report.cost.layer_table import layer_table
from dlcli.rundir import RunDir
from dlcli.runtime.console import Console
from dlcli.runtime.model_files import load_keras_file
from dlcli.runtime.startup import Device
from dlcli.tasks.forecasting import evaluation, inspection, job, prediction
from dlcli.tasks.forecasting.sources import open_series
from dlcli.tasks.inspection import write_split_table
from dlcli.tasks.run_models import model_file
from dlcli.tasks.sequences.cost import cost_of_job, cost_of_table, data_of_run
from dlcli.tasks.task import EvaluationRequest, NetworkCost, PredictionRequest, Task


@dataclass(frozen=True)
class ForecastingTask(Task):
    """A recipe of a table with one row for each time step, whose next steps are forecast."""

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

    def cost_of_recipe(
        self,
        loaded: LoadedRecipe,
        *,
        shape: tuple[int, ...] | None,
        num_classes: int | None,
        batch_size: int | None,
        console: Console,
    ) -> NetworkCost:
        return cost_of_job(self.prepare(loaded, Device("cpu", "CPU"), console), batch_size=batch_size)

    def cost_of_run(self, run: RunDir, *, batch_size: int | None) -> NetworkCost:
        with data_of_run(run) as data:
            table = layer_table(load_keras_file(model_file(run)))
            return cost_of_table(self.recipe, table, data["samples"]["train"], batch_size=batch_size)

    def check(self, loaded: LoadedRecipe, console: Console) -> dict[str, Any]:
        return inspection.check(self.open_data(loaded, console))

    def stats(self, loaded: LoadedRecipe, console: Console) -> dict[str, Any]:
        return inspection.stats(self.open_data(loaded, console))

    def divide(self, loaded: LoadedRecipe, output: Path | None, console: Console) -> dict[str, dict[str, int]]:
        dataset = self.open_data(loaded, console)
        write_split_table(dataset, output)
        return inspection.counts(dataset)
