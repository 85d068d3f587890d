"""The head of image regression: one number or several for each image, evaluated next to the training split's means."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from dlcli.data.images.samples import Dataset, Samples
from dlcli.data.images.targets import target_values
from dlcli.errors import InputError
from dlcli.evaluation import regression
from dlcli.models.heads import vector as heads
from dlcli.recipe.load import LoadedRecipe
from dlcli.recipe.tasks.image_regression import ImageRegression
from dlcli.report.plots import images as image_plots
from dlcli.report.plots.numbers import predicted_against_true
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.checks import too_constant
from dlcli.tasks.evaluation_files import Destination, write_evaluation
from dlcli.tasks.images.aspects import Explainable
from dlcli.tasks.images.batches import in_order, predict_all
from dlcli.tasks.images.exported import ExportedHead, exported_numbers
from dlcli.tasks.images.head import Entries, ImageHead, Outputs, Predicted, TargetInfo, Trained
from dlcli.tasks.images.network import Features, HeadOutputs
from dlcli.tasks.images.number_aspects import explainable_numbers
from dlcli.tasks.images.target_inspection import require_targets
from dlcli.tasks.inspection import Finding, incomplete_findings, some
from dlcli.tasks.predictions import write_table
from dlcli.tasks.run_models import check_image_model
from dlcli.tasks.task import ExplanationRequest, PredictionRequest
from dlcli.training.objectives import regression as objectives
from dlcli.training.objectives.objective import Objective

FAR = 20.0  # interquartile ranges from the median beyond which values are reported
MAX_REPORTED = 10  # targets of which an evaluation prints the metrics; per_target.csv has all
NUM_WORST = 25  # images shown in plots/errors.png


@dataclass(frozen=True)
class RegressionHead(ImageHead):
    """One number or several for each image."""

    recipe: ImageRegression
    fact_names = ("targets",)

    def read(self, section: Any, console: Console, **keys: Any) -> Dataset:
        trained = keys.get("classes")
        dataset = super().read(section, console)
        require_targets(section, dataset, trained, task="image_regression")
        return dataset

    def check(self, loaded: LoadedRecipe, dataset: Dataset, console: Console) -> None:
        """Refuse targets from which nothing can be learned.

        Raises:
            InputError: a target is constant in training, or varies too little for float32; located at the key.
        """
        values = target_values(dataset.splits["train"])
        for i, name in enumerate(dataset.classes):
            reason = too_constant(f"'{name}'", values[:, i])
            if reason:
                raise loaded.error(f"data.targets.{i}", reason)

    def info(self, dataset: Dataset) -> TargetInfo:
        values = target_values(dataset.splits["train"])
        moments = {"mean": values.mean(axis=0).tolist(), "variance": values.var(axis=0).tolist()}
        return TargetInfo(dataset.classes, {"targets": moments})

    # The network ------------------------------------------------------------------------------------------------------

    def outputs(self, base: Features, info: TargetInfo) -> HeadOutputs:
        mean, variance = _moments(info)
        value = heads.numbers(
            base.vector, mean=mean.tolist(), deviation=np.sqrt(np.maximum(variance, 0.0)).tolist(), l2=base.l2
        )
        return HeadOutputs(final=value, trained=value)

    def check_model(self, run: RunDir, model: keras.Model) -> None:
        check_image_model(run, model, layer="value", noun="numbers")
        info = self.recorded(run)
        targets = info.facts["targets"]
        if not (isinstance(targets, dict) and all(_are_numbers(targets.get(k), info) for k in ("mean", "variance"))):
            raise InputError(
                f"{run.info}: is corrupt: data.targets must be the mean and variance of each of {len(info.names)} "
                "numbers. Restore it from a copy."
            )

    def objective(
        self, info: TargetInfo, *, train: Samples | None = None, losses: str = "all", exact: bool = False
    ) -> Objective:
        return objectives.numbers(variance=_moments(info)[1].tolist())

    # What is reported -------------------------------------------------------------------------------------------------

    def summary(self, info: TargetInfo) -> str:
        return f"{len(info.names)} {'number' if len(info.names) == 1 else 'numbers'}: {some(info.names)}"

    def notes(self, dataset: Dataset) -> list[str]:
        return [
            f"train: {row['name']} from {row['min']:g} to {row['max']:g}, mean {row['mean']:.4g}, standard deviation "
            f"{row['std']:.4g}"
            for row in self.statistics(dataset)["targets"][:MAX_REPORTED]
        ]

    def statistics(self, dataset: Dataset) -> dict[str, Any]:
        values = target_values(dataset.splits["train"])
        names = ("mean", "std", "min", "max")
        columns = (values.mean(axis=0), values.std(axis=0), values.min(axis=0), values.max(axis=0))
        return {
            "targets": [
                {"name": name, **{key: float(column[i]) for key, column in zip(names, columns, strict=True)}}
                for i, name in enumerate(dataset.classes)
            ]
        }

    def findings(self, dataset: Dataset) -> Iterator[Finding]:
        stops = getattr(self.recipe.data, "on_missing", None) == "error"
        yield from incomplete_findings(dataset.left_out, stops=stops)
        for split, samples in dataset.splits.items():
            for name, column in zip(dataset.classes, target_values(samples).T, strict=True):
                low, median, high = np.quantile(column, (0.25, 0.5, 0.75))
                reason = too_constant(f"'{name}'", column) if split == "train" else None
                if reason:
                    yield Finding("constant target", True, f"{reason}. Training refuses it", (name,))
                far = np.flatnonzero(np.abs(column - median) > FAR * (high - low)) if high > low else ()
                if len(far):
                    named = tuple(samples.names[i] for i in far)
                    shown = some([f"{samples.names[i]} ({column[i]:g})" for i in far])
                    text = f"{split}: '{name}' is far from its median, {median:g}: {shown}"
                    yield Finding("far value", False, text, named)

    def captions(self, dataset: Dataset, samples: Samples, index: NDArray[np.int64]) -> list[str]:
        return [_caption(dataset.classes, row) for row in target_values(samples)[index]]

    def plot_batch(self, images: NDArray[np.float32], entries: Entries, info: TargetInfo) -> bytes:
        return image_plots.sample_batch(images, [_caption(info.names, row) for row in entries["value"]])

    # After training ---------------------------------------------------------------------------------------------------

    def evaluate(
        self, to: Destination, model: keras.Model, samples: Samples, *, trained: Trained, console: Console
    ) -> dict[str, Any]:
        """As :meth:`ImageHead.evaluate`: writes metrics.json, per_target.csv, predictions.csv and two plots."""
        info = trained.info
        true, predicted = target_values(samples), self._predicted(model, samples, console)
        mean, variance = _moments(info)
        metrics = regression.metrics(true, predicted, mean=mean, variance=variance)
        per_target = regression.per_target(true, predicted, info.names, mean=mean, variance=variance)
        _report(per_target, console)
        write_evaluation(
            to,
            metrics | {"targets": per_target},
            tables={
                "per_target.csv": per_target,
                "predictions.csv": regression.predictions(samples.names, true, predicted, info.names),
            },
            others={
                "predictions.png": predicted_against_true(true, predicted, info.names),
                "errors.png": _plot_errors(samples, true, predicted, variance, info.names),
            },
        )
        return metrics | {"targets": per_target}

    def predict(
        self, outputs: Outputs, samples: Samples, *, trained: Trained, request: PredictionRequest, console: Console
    ) -> Predicted:
        info = trained.info
        (values,) = in_order(outputs(samples))
        if request.output is not None:
            columns = [f"predicted_{name}" for name in info.names] if len(info.names) > 1 else ["predicted"]
            rows = ([name, *map(float, row)] for name, row in zip(samples.names, values, strict=True))
            write_table(request.output, ["file", *columns], rows, safe_csv=request.safe_csv)
        return Predicted([{"predicted": dict(zip(info.names, map(float, row), strict=True))} for row in values])

    def _predicted(self, model: keras.Model, samples: Samples, console: Console) -> NDArray[np.float32]:
        """The predicted numbers in the order of the samples, float32 ``[n, t]``."""
        (values,) = predict_all(model, samples, batch_size=self.recipe.train.batch_size, console=console)
        return values

    def exported(self, run: RunDir) -> ExportedHead:
        return exported_numbers()

    def explainable(self, model: keras.Model, request: ExplanationRequest, names: Sequence[str]) -> Explainable:
        return explainable_numbers(model, request, names)


def _moments(info: TargetInfo) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The mean and the variance of each target in the training split."""
    targets = info.facts["targets"]
    return np.array(targets["mean"], np.float64), np.array(targets["variance"], np.float64)


def _are_numbers(values: Any, info: TargetInfo) -> bool:
    """Whether it is a list of a number for each target."""
    is_list = isinstance(values, list) and len(values) == len(info.names)
    return is_list and all(isinstance(value, float) and np.isfinite(value) for value in values)


def _caption(names: tuple[str, ...], row: NDArray[Any]) -> str:
    """The numbers of a sample in words: of one target its number alone, of several the first four with their names."""
    if len(names) == 1:
        return f"{row[0]:.4g}"
    return ", ".join(f"{name} {value:.4g}" for name, value in list(zip(names, row, strict=True))[:4])


def _report(per_target: list[dict[str, Any]], console: Console) -> None:
    """Say how well each of several targets is predicted, and which no better than by their mean in training."""
    for row in per_target[:MAX_REPORTED] if len(per_target) > 1 else ():
        explained = "" if row["r2"] is None else f", r2 {row['r2']:.4f}"
        console.say(
            f"{row['target']}: mae {row['mae']:.4g} (baseline {row['baseline_mae']:.4g}), rmse {row['rmse']:.4g} "
            f"(baseline {row['baseline_rmse']:.4g}){explained}"
        )
    if len(per_target) > MAX_REPORTED:
        console.say(f"… and {len(per_target) - MAX_REPORTED} more in per_target.csv")
    poor = [row["target"] for row in per_target if row["rmse"] >= row["baseline_rmse"]]
    if poor:
        which = "" if len(per_target) == 1 else f"{some(poor)}: "
        console.say(f"{which}no better than always predicting the training split's mean (baseline_rmse)")


def _plot_errors(
    samples: Samples,
    true: NDArray[np.float64],
    predicted: NDArray[np.float32],
    variance: NDArray[np.float64],
    names: tuple[str, ...],
) -> bytes:
    """The images with the largest errors, relative to how much each target varies."""
    errors = np.mean((predicted - true) ** 2 / variance, axis=1)
    worst = np.argsort(-errors, kind="stable")[:NUM_WORST]
    return image_plots.with_captions(
        samples.of_one_size().load(worst),
        [f"true: {_caption(names, true[i])}\npredicted: {_caption(names, predicted[i])}" for i in worst],
        names=[samples.names[i] for i in worst],
        title="The largest errors",
    )
