"""The head of several labels per image: a sigmoid for each label, with thresholds that are chosen on validation."""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.data.images.samples import Dataset, Samples
from dlcli.data.images.targets import BETWEEN, target_values
from dlcli.errors import InputError
from dlcli.evaluation import multilabel, one_against_rest
from dlcli.models.heads import vector as heads
from dlcli.recipe.load import LoadedRecipe
from dlcli.recipe.tasks.multilabel import Multilabel
from dlcli.report.plots import classification as curve_plots
from dlcli.report.plots import images as image_plots
from dlcli.report.plots.class_scores import class_scores
from dlcli.rundir.directory import RunDir
from dlcli.rundir.reading import read_json
from dlcli.rundir.writing import replace_json
from dlcli.runtime.console import Console
from dlcli.tasks.calibration import Calibration
from dlcli.tasks.checks import check_positive_weights, weights_of_positives
from dlcli.tasks.evaluation_files import Destination, write_evaluation
from dlcli.tasks.images.batches import in_order, predict_all, with_logits
from dlcli.tasks.images.exported import ExportedHead, exported_labels
from dlcli.tasks.images.head import Entries, ImageHead, Outputs, Predicted, TargetInfo
from dlcli.tasks.images.network import Features, HeadOutputs
from dlcli.tasks.images.target_inspection import incomplete_findings, require_targets
from dlcli.tasks.inspection import Finding, similar_findings, some
from dlcli.tasks.losses import label_loss_arguments
from dlcli.tasks.predictions import write_table
from dlcli.tasks.run_models import check_image_model
from dlcli.tasks.task import PredictionRequest
from dlcli.training.objectives import multilabel as objectives
from dlcli.training.objectives.objective import Objective

MAX_REPORTED = 20  # labels whose numbers are printed before training
NOTHING_TO_LEARN = "no label applies to some images of train and not to others: there is nothing to learn"
NUM_WRONG = 25  # images shown in plots/mistakes.png
NO_CURVES = 100  # labels above which no curves are drawn


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
        never, always = _constant(dataset, "train")
        if len(never) + len(always) == len(dataset.classes):
            raise loaded.error("data", NOTHING_TO_LEARN)
        for names, when in ((never, "never"), (always, "always")):
            if names:
                console.warn(_constant_text(dataset, "train", names, when))

    def info(self, dataset: Dataset) -> TargetInfo:
        true = target_values(dataset.splits["train"])
        frequencies = (true == 1).sum(axis=0) / np.maximum((~np.isnan(true)).sum(axis=0), 1)
        return TargetInfo(dataset.classes, {"frequencies": frequencies.tolist(), "thresholds": None})

    def recorded(self, run: RunDir) -> TargetInfo:
        """As :meth:`ImageHead.recorded`, with the thresholds of a complete run."""
        info = super().recorded(run)
        thresholds = _read_thresholds(run, info.names) if run.status() == "completed" else None
        return replace(info, facts={**info.facts, "thresholds": thresholds})

    # The network ------------------------------------------------------------------------------------------------------

    def outputs(self, base: Features, info: TargetInfo) -> HeadOutputs:
        probabilities = heads.labels(base.vector, num_labels=len(info.names), l2=base.l2)
        logits = keras.Model(base.inputs, probabilities, name=base.kind).get_layer("logits").output
        return HeadOutputs(final=probabilities, trained=logits)

    def check_model(self, run: RunDir, model: keras.Model) -> None:
        check_image_model(run, model, noun="labels")
        frequencies, names = super().recorded(run).facts["frequencies"], run.read_classes()
        if not _are_proportions(frequencies, len(names)):
            raise InputError(
                f"{run.info}: is corrupt: data.frequencies must be a number in [0, 1] for each of {len(names)} labels. "
                "Restore it from a copy."
            )

    def objective(
        self, info: TargetInfo, *, train: Samples | None = None, losses: str = "all", exact: bool = False
    ) -> Objective:
        weights = None
        if train is not None:
            true = target_values(train)
            positives, known = (true == 1).sum(axis=0), (~np.isnan(true)).sum(axis=0)
            weights = weights_of_positives(self.recipe.train, positives, known, info.names)
        return objectives.multilabel(
            num_labels=len(info.names),
            positive_weights=weights,
            **label_loss_arguments(self.recipe.train, exact=exact),
        )

    # What is reported -------------------------------------------------------------------------------------------------

    def summary(self, info: TargetInfo) -> str:
        return f"{len(info.names)} {'label' if len(info.names) == 1 else 'labels'}"

    def notes(self, dataset: Dataset) -> list[str]:
        of_labels = _positives(dataset.classes, dataset.splits["train"])
        if len(of_labels) > MAX_REPORTED:
            return []
        return ["train: " + ", ".join(f"{name} {number:,}" for name, number in of_labels.items())]

    def statistics(self, dataset: Dataset) -> dict[str, Any]:
        true = target_values(dataset.splits["train"])
        rows = []
        for name, column in zip(dataset.classes, true.T, strict=True):
            known = column[~np.isnan(column)]
            share = float(known.mean()) if len(known) else 0.0
            rows.append({"name": name, "images": int(known.sum()), "proportion": share, "known": len(known)})
        return {"targets": rows}

    def findings(self, dataset: Dataset) -> Iterator[Finding]:
        yield from incomplete_findings(self.recipe.data, dataset)
        yield from similar_findings(dataset.classes, nouns="labels")
        for split in dataset.splits:
            never, always = _constant(dataset, split)
            if split == "train" and len(never) + len(always) == len(dataset.classes):
                yield Finding("constant labels", True, f"{NOTHING_TO_LEARN}. Training refuses it", dataset.classes)
            for names, when in ((never, "never"), (always, "always")):
                if names:
                    yield Finding(f"label {when} applies", False, _constant_text(dataset, split, names, when), names)

    def captions(self, dataset: Dataset, samples: Samples, index: NDArray[np.int64]) -> list[str]:
        return [_caption(row, dataset.classes) for row in target_values(samples)[index]]

    def plot_batch(self, images: NDArray[np.float32], entries: Entries, info: TargetInfo) -> bytes:
        return image_plots.sample_batch(images, [_caption(row, info.names) for row in entries["labels"]])

    # After training ---------------------------------------------------------------------------------------------------

    def fitted(
        self, run: RunDir, model: keras.Model, dataset: Dataset, info: TargetInfo, console: Console
    ) -> TargetInfo:
        """Choose the threshold of each label on the validation split, and write thresholds.json."""
        if "validation" not in dataset.splits:
            thresholds = [multilabel.DEFAULT_THRESHOLD] * len(info.names)
            console.say("without a validation split, each label is predicted from a probability of 0.5 on")
        else:
            validation = dataset.splits["validation"]
            _, scores = self._predicted(model, validation, console)
            thresholds = multilabel.choose_thresholds(target_values(validation), scores).tolist()
        replace_json(run.thresholds, {"thresholds": dict(zip(info.names, thresholds, strict=True))})
        return replace(info, facts={**info.facts, "thresholds": thresholds})

    def evaluate(
        self,
        to: Destination,
        model: keras.Model,
        samples: Samples,
        *,
        info: TargetInfo,
        split: str | None,
        baseline: Mapping[str, Any] | None,
        calibration: Calibration | None,
        console: Console,
    ) -> dict[str, Any]:
        """As :meth:`ImageHead.evaluate`: writes metrics.json, per_label.csv, predictions.csv and plots."""
        names, true = info.names, target_values(samples)
        logits, scores = self._predicted(model, samples, console)
        thresholds = _thresholds(info, console)
        metrics = multilabel.metrics(
            *(true, scores, thresholds, names),
            loss=self._loss(info, logits, true),
            frequencies=np.array(info.facts["frequencies"]),
        )
        per_label = multilabel.per_label(true, scores, thresholds, names)
        _report(metrics, per_label, console)
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
                "per_label.png": _plot_scores(per_label, metrics),
                "mistakes.png": _plot_mistakes(samples, true, scores, thresholds, names),
                **_plot_curves(true, scores, names),
            },
        )
        return metrics

    def with_outputs(self, model: keras.Model) -> keras.Model:
        return with_logits(model)

    def predict(
        self,
        outputs: Outputs,
        samples: Samples,
        *,
        info: TargetInfo,
        request: PredictionRequest,
        calibration: Calibration | None,
        console: Console,
    ) -> Predicted:
        _, scores = in_order(outputs(samples))
        thresholds = _thresholds(info, console)
        is_predicted = multilabel.predicted_labels(scores, thresholds)
        if request.output is not None:
            header = ["file", "predicted", *(f"p_{name}" for name in info.names)]
            cells = (
                [name, BETWEEN.join(multilabel.named_labels(found, info.names)), *map(float, row)]
                for name, found, row in zip(samples.names, is_predicted, scores, strict=True)
            )
            write_table(request.output, header, cells, safe_csv=request.safe_csv)
        return Predicted([_row(*parts, info.names) for parts in zip(scores, is_predicted, strict=True)])

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

    def _loss(self, info: TargetInfo, logits: NDArray[np.float32], true: NDArray[np.float64]) -> float:
        """The mean loss over all known labels of all samples, without weights of positives."""
        batch = {"y": {"labels": tf.constant(true, tf.float32)}, "weight": tf.ones(len(true))}
        losses = self.objective(info).loss(tf.constant(logits), batch).numpy().astype(np.float64)
        weights = objectives.label_weight(batch).numpy()
        return float((losses * weights).sum() / max(1.0, weights.sum()))


def _positives(names: tuple[str, ...], samples: Samples) -> dict[str, int]:
    """The number of images to which each label applies."""
    return dict(zip(names, (target_values(samples) == 1).sum(axis=0).tolist(), strict=True))


def _constant(dataset: Dataset, split: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The labels that apply to no image of a split as far as is known, and those that apply to all."""
    true = target_values(dataset.splits[split])
    never, not_absent = ~(true == 1).any(axis=0), ~(true == 0).any(axis=0)
    names = np.array(dataset.classes, object)
    return tuple(names[never]), tuple(names[not_absent & ~never])


def _constant_text(dataset: Dataset, split: str, names: tuple[str, ...], when: str) -> str:
    apply = "label of {} {} applies" if len(names) == 1 else "labels of {} {} apply"
    return f"{split}: {len(names)} {apply.format(len(dataset.classes), when)}: {some(names)}"


def _read_thresholds(run: RunDir, names: tuple[str, ...]) -> list[Any]:
    """The thresholds that were chosen at the end of training, in the order of the outputs.

    Raises:
        InputError: thresholds.json is missing or corrupt.
    """
    found = read_json(run.thresholds).get("thresholds")
    values = [found.get(name) for name in names] if isinstance(found, dict) else None
    if values is None or not _are_proportions(values, len(names)):
        raise InputError(
            f"{run.thresholds}: is corrupt: it must have a threshold in [0, 1] for each label. Restore it from a copy."
        )
    return values


def _are_proportions(values: Any, number: int) -> bool:
    is_list = isinstance(values, list) and len(values) == number
    return is_list and all(isinstance(value, float) and 0 <= value <= 1 for value in values)


def _thresholds(info: TargetInfo, console: Console) -> NDArray[np.float64]:
    """The thresholds of the labels; 0.5, which is reported, before they are chosen."""
    chosen = info.facts["thresholds"]
    if chosen is None:
        console.say("the thresholds of the labels are chosen at the end of training; until then they are 0.5")
        return np.full(len(info.names), multilabel.DEFAULT_THRESHOLD)
    return np.array(chosen, np.float64)


def _row(scores: NDArray[np.float32], is_predicted: NDArray[np.bool_], names: tuple[str, ...]) -> dict[str, Any]:
    """The prediction for one sample: all labels, the most probable ones first."""
    order = np.argsort(-scores, kind="stable")
    labels = [{"label": names[i], "probability": float(scores[i]), "predicted": bool(is_predicted[i])} for i in order]
    return {"predicted": [row["label"] for row in labels if row["predicted"]], "labels": labels}


def _caption(row: NDArray[Any], names: tuple[str, ...]) -> str:
    """The labels of a sample, with their proportions if it is mixed."""
    shown = [
        name if value == 1 else f"{value:.2f} {name}" for name, value in zip(names, row, strict=True) if value >= 0.005
    ]
    return ", ".join(shown) or "none"


def _report(metrics: Mapping[str, Any], per_label: list[dict[str, Any]], console: Console) -> None:
    """Say which labels are never predicted, and whether the labels are predicted better than by the baselines."""
    missed = [row["label"] for row in per_label if row["support"] and not row["predicted"]]
    if missed:
        console.say(
            f"{'label' if len(missed) == 1 else 'labels'} never predicted: {some(missed)}; see train.positive_weights"
        )
    if metrics["macro_f1"] <= metrics["baseline_macro_f1"]:
        console.say("no better than always predicting every label (baseline_macro_f1)")


def _plot_scores(per_label: list[dict[str, Any]], metrics: Mapping[str, Any]) -> bytes:
    return class_scores(
        [row["label"] for row in per_label],
        [row["f1"] for row in per_label],
        measure="F1",
        baseline=[row["baseline_f1"] for row in per_label],
        baseline_name="always predicted",
        mean=metrics["macro_f1"],
    )


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


def _plot_curves(true: NDArray[np.float64], scores: NDArray[np.float32], names: tuple[str, ...]) -> dict[str, bytes]:
    """The precision-recall curves of the labels that apply to some samples and not to others."""
    curves = []
    for name, own, values in zip(names, true.T, scores.T, strict=True):
        is_known = ~np.isnan(own)
        curve = one_against_rest.curve(own[is_known] == 1, values[is_known])
        if curve is not None:
            x, y = curve.true_positive_rate[1:], curve.precision
            curves.append(curve_plots.ClassCurve(name, x, y, curve.average_precision))
    if not curves or len(names) > NO_CURVES:
        return {}
    return {"precision_recall.png": curve_plots.precision_recall(curves)}
