"""The tasks on images: what they offer to the verbs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcli.data.images.samples import Dataset
from dlcli.exporting.exportable import Exportable
from dlcli.recipe.load import ImageRecipe, LoadedRecipe
from dlcli.report.cost.layer_table import LayerTable
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.runtime.model_files import load_float32
from dlcli.runtime.startup import Device
from dlcli.tasks.attack_target import target_of
from dlcli.tasks.images import (
    embedding,
    evaluation,
    explanation,
    exporting,
    features,
    inspection,
    job,
    layer_table,
    packing,
    prediction,
)
from dlcli.tasks.images.head import ImageHead
from dlcli.tasks.images.predictor import ImagePredictor
from dlcli.tasks.run_models import load_model
from dlcli.tasks.task import (
    AttackedModel,
    Embedded,
    EvaluationRequest,
    Explained,
    ExplanationRequest,
    ExportRequest,
    PredictionRequest,
    SampleShape,
    Task,
)


@dataclass(frozen=True)
class ImageTask(Task):
    """A task on images, signals or volumes; its head has what differs between them."""

    recipe: ImageRecipe
    head: ImageHead

    def open_data(self, loaded: LoadedRecipe, console: Console) -> Dataset:
        return self.head.open_data(loaded, console)

    def prepare(self, loaded: LoadedRecipe, device: Device, console: Console, *, is_new: bool = True) -> job.ImageJob:
        return job.prepare(loaded, self.head, device, console, is_new=is_new)

    def evaluate(self, run: RunDir, request: EvaluationRequest, console: Console) -> dict[str, Any]:
        return evaluation.evaluate(run, self.head, request, console)

    def predict(self, run: RunDir, request: PredictionRequest, console: Console) -> dict[str, Any]:
        return prediction.predict(run, self.head, request, console)

    def predictor(self, run: RunDir, console: Console) -> ImagePredictor:
        return ImagePredictor(run, self.head, console)

    def embed(self, run: RunDir, paths: Sequence[Path], console: Console) -> Embedded:
        return embedding.embed_with_run(run, self.head, paths, console)

    def explain(self, run: RunDir, request: ExplanationRequest, console: Console) -> Explained:
        if request.features is not None:
            return features.explain_features(run, self.head, request, console)
        return explanation.explain(run, self.head, request, console)

    def exportable(self, run: RunDir, request: ExportRequest, console: Console) -> Exportable:
        return exporting.exportable(run, self.head, request, console)

    def table_of_run(self, run: RunDir, data: dict[str, Any]) -> LayerTable:
        return layer_table.table_of_run(run, self.head, data)

    def table_of_recipe(
        self, loaded: LoadedRecipe, assumed: SampleShape | None, console: Console
    ) -> tuple[LayerTable, int | None]:
        return layer_table.table_of_recipe(loaded, self.head, assumed, console)

    def check(self, loaded: LoadedRecipe, console: Console) -> dict[str, Any]:
        return inspection.check(self.recipe.data, self.head, console)

    def plot_data(self, loaded: LoadedRecipe, output: Path, console: Console) -> None:
        inspection.plot_data(loaded, self.head, output, console)

    def stats(self, loaded: LoadedRecipe, console: Console) -> dict[str, Any]:
        return inspection.stats(loaded, self.head, console)

    def divide(self, loaded: LoadedRecipe, output: Path | None, console: Console) -> dict[str, dict[str, int]]:
        return inspection.divide(loaded, self.head, output, console)

    def pack(self, loaded: LoadedRecipe, output: Path, max_bytes: int, console: Console) -> dict[str, Any]:
        return packing.pack(loaded, self.head, output, max_bytes, console)

    def preview(
        self, loaded: LoadedRecipe, output: Path, *, num_samples: int, num_epochs: int, console: Console
    ) -> None:
        inspection.preview(loaded, self.head, output, num_samples=num_samples, num_epochs=num_epochs, console=console)

    def attacked(self, run: RunDir, *, split: str | None, data: Path | None, console: Console) -> AttackedModel:
        best = load_model(run, console, load=load_float32)
        target = target_of(best.model, best.file)
        name, samples, _ = evaluation.samples_of_run(run, self.head, split=split, data=data, console=console)
        return AttackedModel(best.file, best.digest, target, run.read_classes(), samples, name)
