"""The head of several labels per image: a sigmoid for each label, with thresholds that are chosen on validation."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from dlcli.data.images.samples import Dataset, Samples
from dlcli.data.images.targets import target_values
from dlcli.data.label_lists import BETWEEN
from dlcli.evaluation import multilabel
from dlcli.models.heads import vector as heads
from dlcli.recipe.load import LoadedRecipe
from dlcli.recipe.tasks.multilabel import Multilabel
from dlcli.report.plots import images as image_plots
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.checks import check_positive_weights
from dlcli.tasks.evaluation_files import Destination, write_evaluation
from dlcli.tasks.images.batches import in_order, predict_all, with_logits
from dlcli.tasks.images.exported import ExportedHead, exported_labels
from dlcli.tasks.images.head import Entries, ImageHead, Outputs, Predicted, TargetInfo, Trained
from dlcli.tasks.images.network import Features, HeadOutputs
from dlcli.tasks.images.target_inspection import require_targets
from dlcli.tasks.inspection import Finding, incomplete_findings, similar_findings
from dlcli.tasks.predictions import write_table
from dlcli.tasks.run_models import check_image_model
from dlcli.tasks.several_labels import (
    check_frequencies,
    choose_thresholds,
    constant_lines,
    counts_line,
    frequencies_of,
    label_findings,
    label_objective,
    label_plots,
    label_row,
    mean_loss,
    nothing_to_learn,
    prediction_table,
    read_thresholds,
    report_labels,
    usable_thresholds,
)
from dlcli.tasks.task import PredictionRequest
from dlcli.training.objectives.objective import Objective

NUM_WRONG = 25  # images shown in plots/mistakes.png


@dataclass(frozen=True)
class MultilabelHead(ImageHead):
    """Any number of labels for each image."""

    recipe: Multilabel
    fact_names = ("frequencies",)

    def read(self, section: Any, console: Console, **keys: Any) -> Dataset:
        dataset = super().read(section, console, **keys)
        require_targets(section, dataset, keys.get("classes"), task="multilabel")
        return dataset

    def check(self, loaded: LoadedRecipe, dataset: Dataset, console: Console) -> None:
        """Refuse data from which nothing can be learned, and report the labels of which that is true.

        Raises:
            InputError: no label applies to some images of train and not to others; or the weights do not fit.
        """
        check_positive_weights(loaded, self.recipe.train, dataset.classes)
        true = target_values(dataset.splits["train"])
        if reason := nothing_to_learn(true, dataset.classes, samples="images"):
            raise loaded.error("data", reason)
        for text, _ in constant_lines(true, dataset.classes, "train").values():
            console.warn(text)

    def info(self, dataset: Dataset) -> TargetInfo:
        frequencies = frequencies_of(target_values(dataset.splits["train"]))
        return TargetInfo(dataset.classes, {"frequencies": frequencies, "thresholds": None})

    def recorded(self, run: RunDir) -> TargetInfo:
        """As :meth:`ImageHead.recorded`, with the thresholds of a complete run."""
        info = super().recorded(run)
        return replace(info, facts={**info.facts, "thresholds": read_thresholds(run, info.names)})

    # The network ------------------------------------------------------------------------------------------------------

    def outputs(self, base: Features, info: TargetInfo) -> HeadOutputs:
        probabilities = heads.labels(base.vector, num_labels=len(info.names), l2=base.l2)
        logits = keras.Model(base.inputs, probabilities, name=base.kind).get_layer("logits").output
        return HeadOutputs(final=probabilities, trained=logits)

    def check_model(self, run: RunDir, model: keras.Model) -> None:
        check_image_model(run, model, noun="labels")
        check_frequencies(run, super().recorded(run).facts["frequencies"], len(run.read_classes()))

    def objective(
        self, info: TargetInfo, *, train: Samples | None = None, losses: str = "all", exact: bool = False
    ) -> Objective:
        applies = None if train is None else target_values(train)
        return label_objective(self.recipe.train, info.names, applies=applies, exact=exact)

    # What is reported -------------------------------------------------------------------------------------------------

    def summary(self, info: TargetInfo) -> str:
        return f"{len(info.names)} {'label' if len(info.names) == 1 else 'labels'}"

    def notes(self, dataset: Dataset) -> list[str]:
        return counts_line(target_values(dataset.splits["train"]), dataset.classes)

    def statistics(self, dataset: Dataset) -> dict[str, Any]:
        true = target_values(dataset.splits["train"])
        rows = []
        for name, column in zip(dataset.classes, true.T, strict=True):
            known = column[~np.isnan(column)]
            share = float(known.mean()) if len(known) else 0.0
            rows.append({"name": name, "images": int(known.sum()), "proportion": share, "known": len(known)})
        return {"targets": rows}

    def findings(self, dataset: Dataset) -> Iterator[Finding]:
        stops = getattr(self.recipe.data, "on_missing", None) == "error"
        yield from incomplete_findings(dataset.left_out, stops=stops)
        yield from similar_findings(dataset.classes, nouns="labels")
        splits = {split: target_values(samples) for split, samples in dataset.splits.items()}
        yield from label_findings(splits, dataset.classes, samples="images")

    def captions(self, dataset: Dataset, samples: Samples, index: NDArray[np.int64]) -> list[str]:
        return [_caption(row, dataset.classes) for row in target_values(samples)[index]]

    def plot_batch(self, images: NDArray[np.float32], entries: Entries, info: TargetInfo) -> bytes:
        return image_plots.sample_batch(images, [_caption(row, info.names) for row in entries["labels"]])

    # After training ---------------------------------------------------------------------------------------------------

    def fitted(
        self, run: RunDir, model: keras.Model, dataset: Dataset, info: TargetInfo, console: Console
    ) -> TargetInfo:
        """Choose the threshold of each label on the validation split, and write thresholds.json."""
        true = scores = None
        if "validation" in dataset.splits:
            true = target_values(dataset.splits["validation"])
            _, scores = self._predicted(model, dataset.splits["validation"], console)
        thresholds = choose_thresholds(run, info.names, true, scores, console)
        return replace(info, facts={**info.facts, "thresholds": thresholds})

    def evaluate(
        self, to: Destination, model: keras.Model, samples: Samples, *, trained: Trained, console: Console
    ) -> dict[str, Any]:
        """As :meth:`ImageHead.evaluate`: writes metrics.json, per_label.csv, predictions.csv and plots."""
        info = trained.info
        names, true = info.names, target_values(samples)
        logits, scores = self._predicted(model, samples, console)
        thresholds = usable_thresholds(info.facts["thresholds"], len(info.names), console)
        metrics = multilabel.metrics(
            *(true, scores, thresholds, names),
            loss=mean_loss(self.objective(info), logits, true),
            frequencies=np.array(info.facts["frequencies"]),
        )
        per_label = multilabel.per_label(true, scores, thresholds, names)
        report_labels(metrics, per_label, console)
        write_evaluation(
            to,
            metrics,
            tables={
                "per_label.csv": per_label,
                "predictions.csv": multilabel.predictions(
                    samples.names, true, scores, thresholds, names, between=BETWEEN
                ),
            },
            others={
                **label_plots(per_label, metrics, true, scores, names),
                "mistakes.png": _plot_mistakes(samples, true, scores, thresholds, names),
            },
        )
        return metrics

    def with_outputs(self, model: keras.Model) -> keras.Model:
        return with_logits(model)

    def predict(
        self, outputs: Outputs, samples: Samples, *, trained: Trained, request: PredictionRequest, console: Console
    ) -> Predicted:
        info = trained.info
        _, scores = in_order(outputs(samples))
        thresholds = usable_thresholds(info.facts["thresholds"], len(info.names), console)
        is_predicted = multilabel.predicted_labels(scores, thresholds)
        if request.output is not None:
            header, rows = prediction_table({"file": samples.names}, scores, is_predicted, info.names)
            write_table(request.output, header, rows, safe_csv=request.safe_csv)
        return Predicted([label_row(*parts, info.names) for parts in zip(scores, is_predicted, strict=True)])

    def exported(self, run: RunDir) -> ExportedHead:
        thresholds = self.recorded(run).facts["thresholds"]
        return exported_labels([0.5] * len(run.read_classes()) if thresholds is None else list(thresholds))

    def _predicted(
        self, model: keras.Model, samples: Samples, console: Console
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The logits and the probabilities of each label in the order of the samples, float32 ``[n, l]``."""
        logits, scores = predict_all(
            with_logits(model), samples, batch_size=self.recipe.train.batch_size, console=console
        )
        return logits, scores


def _caption(row: NDArray[Any], names: tuple[str, ...]) -> str:
    """The labels of a sample, with their proportions if it is mixed."""
    shown = [
        name if value == 1 else f"{value:.2f} {name}" for name, value in zip(names, row, strict=True) if value >= 0.005
    ]
    return ", ".join(shown) or "none"


def _plot_mistakes(
    samples: Samples,
    true: NDArray[np.float64],
    scores: NDArray[np.float32],
    thresholds: NDArray[np.float64],
    names: tuple[str, ...],
) -> bytes:
    """The images with the most wrong labels."""
    is_predicted = multilabel.predicted_labels(scores, thresholds)
    num_wrong = (~np.isnan(true) & (is_predicted != (true == 1))).sum(axis=1)
    worst = np.argsort(-num_wrong, kind="stable")[:NUM_WRONG]
    of_labels = functools.partial(_caption, names=names)
    return image_plots.with_captions(
        samples.of_one_size().load(worst),
        [f"true: {of_labels(true[i])}\npredicted: {of_labels(is_predicted[i])}" for i in worst],
        names=[samples.names[i] for i in worst],
        title="The most wrong labels",
    )
