"""Explains the class or the number that is predicted for a series."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.data.sequences.dataset import SequenceDataset, Sequences
from dlcli.data.splits import NO_LABEL, evenly_spaced
from dlcli.errors import InputError
from dlcli.explanation.network import NotExplainable
from dlcli.explanation.sequences.permutation import Series
from dlcli.explanation.sequences.series import SeriesNetwork, open_series_network
from dlcli.recipe.tasks.sequence_classification import SequenceClassification
from dlcli.recipe.tasks.sequence_regression import SequenceRegression
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.explanation import check_target, class_index
from dlcli.tasks.recurrent import NUM_SEQUENCES, RecurrentSamples
from dlcli.tasks.run_models import load_sequence_model
from dlcli.tasks.sequences.evaluation import own_data
from dlcli.tasks.sequences.explanation import NUM_OF_SPLIT, methods_of
from dlcli.tasks.sequences.prediction import collect_series
from dlcli.tasks.sequences.series_explanation import NUM_PERMUTED, SERIES_AUTO, Judged, explain_series
from dlcli.tasks.sequences.series_explanation_check import NUM_CHECKED, ToCheck
from dlcli.tasks.sequences.series_explanation_files import ExplainedOutput, SeriesSamples
from dlcli.tasks.split_choice import own_split
from dlcli.tasks.task import Explained, ExplanationRequest

LabeledSeries = SequenceClassification | SequenceRegression


def explain(run: RunDir, recipe: LabeledSeries, request: ExplanationRequest, console: Console) -> Explained:
    """As :meth:`dlcli.tasks.task.Task.explain`: steps by columns, beside the permutation importance of columns."""
    best, info = load_sequence_model(run, recipe, console), run.read_data_info("scale")
    classes = run.read_classes() if isinstance(recipe, SequenceClassification) else ()
    if classes:
        check_target(request.target, classes, has_labels=not request.paths)
    methods = methods_of(request, SERIES_AUTO)
    needed_for = "permutation importance" if request.paths and not request.check else None
    dataset = own_data(run, recipe, needed_for=needed_for, console=console)
    samples, source = _samples(run, recipe, request, dataset)
    index = evenly_spaced(len(samples), request.limit or (len(samples) if request.paths else NUM_OF_SPLIT))
    console.say(f"run {run.path}: explaining {len(index):,} of {len(samples):,} series by {', '.join(methods)}")
    try:
        network = open_series_network(best.model, np.array(info["scale"]["mean"]), is_class=bool(classes))
    except NotExplainable as reason:
        raise InputError(f"{best.file}: {reason}") from None
    assert samples.values is not None
    values = [samples.values[int(i)] for i in index]
    outputs = network.outputs(values)
    if not np.isfinite(outputs).all():
        raise InputError(f"{best.file}: its outputs must be finite to be explained. Received NaN or infinity.")
    explained = SeriesSamples(
        names=[samples.names[i] for i in index],
        values=values,
        outputs=_outputs(request.target, outputs, samples.labels[index], classes, _true(samples, index, classes)),
        columns=info.get("features") or [f"feature {number + 1}" for number in range(len(network.means))],
        from_end=False,
        source=source,
        unit="the log-odds of the class" if classes else "the prediction",
    )
    judged = None if dataset is None else _judged(run, request, dataset, network, is_class=bool(classes))
    to_check = None
    if request.check:
        assert dataset is not None
        to_check = _to_check(run, request, dataset, network, np.sqrt(info["scale"]["variance"]))
    return explain_series(run, best, network, methods, explained, judged, to_check, request, console)


def recurrent_samples(
    run: RunDir, recipe: LabeledSeries, request: ExplanationRequest, console: Console
) -> RecurrentSamples:
    """As :meth:`dlcli.tasks.task.Task.recurrent_samples`."""
    best = load_sequence_model(run, recipe, console)
    dataset = own_data(run, recipe, console=console)
    assert dataset is not None
    values = dataset.splits[own_split(run, dataset.splits, request.split)].values
    assert values is not None
    index = evenly_spaced(len(values), request.limit or NUM_SEQUENCES)
    series = [values[int(i)][None] for i in index]
    return RecurrentSamples(best, series, is_class=isinstance(recipe, SequenceClassification))


def _samples(
    run: RunDir, recipe: LabeledSeries, request: ExplanationRequest, dataset: SequenceDataset | None
) -> tuple[Sequences, str]:
    """The series to choose from, and what they are called."""
    if request.paths:
        return collect_series(request.paths, recipe, run.read_data_info("scale")), ", ".join(map(str, request.paths))
    assert dataset is not None
    name = own_split(run, dataset.splits, request.split)
    return dataset.splits[name], name


def _true(samples: Sequences, index: NDArray[np.int64], classes: Sequence[str]) -> list[str]:
    """What is to be predicted for series, as text; empty where it is not known."""
    if not samples.digests:  # files, whose labels are not known
        return [""] * len(index)
    if samples.targets is not None:
        return [f"{samples.targets[i]:.6g}" for i in index]
    return ["" if samples.labels[i] == NO_LABEL else classes[samples.labels[i]] for i in index]


def _outputs(
    target: str,
    outputs: NDArray[np.float32],
    labels: NDArray[np.int32],
    classes: Sequence[str],
    true: Sequence[str],
) -> list[list[ExplainedOutput]]:
    """The output that is explained of each series."""
    if not classes:
        return [
            [ExplainedOutput("value", 0, float(value), text)] for value, text in zip(outputs[:, 0], true, strict=True)
        ]
    probabilities = tf.nn.softmax(outputs.astype(np.float64)).numpy()
    if target == "label":
        chosen = labels
    elif target == "predicted":
        chosen = outputs.argmax(axis=1)
    else:
        chosen = np.full(len(outputs), class_index(target, classes))
    return [
        [ExplainedOutput(classes[i], int(i), float(row[i]), text)]
        for i, row, text in zip(chosen, probabilities, true, strict=True)
    ]


def _judged(
    run: RunDir, request: ExplanationRequest, dataset: SequenceDataset, network: SeriesNetwork, *, is_class: bool
) -> Judged:
    """Series of a split with the errors of the network: 1 for a wrong class, or the absolute error of a number."""
    name = own_split(run, dataset.splits, request.split)
    samples = dataset.splits[name]
    assert samples.values is not None
    index = evenly_spaced(len(samples), NUM_PERMUTED)

    def errors(series: Sequence[Series]) -> NDArray[np.float64]:
        outputs = network.outputs(series)
        if is_class:
            return np.asarray(outputs.argmax(axis=1) != samples.labels[index], np.float64)
        assert samples.targets is not None
        return np.asarray(np.abs(outputs[:, 0].astype(np.float64) - samples.targets[index]))

    noun = "error rate" if is_class else "mean absolute error"
    title = f"increase of the {noun} on {len(index)} series of {name}, when a part is taken from other series"
    return Judged([samples.values[int(i)] for i in index], errors, title)


def _to_check(
    run: RunDir,
    request: ExplanationRequest,
    dataset: SequenceDataset,
    network: SeriesNetwork,
    deviations: NDArray[np.floating],
) -> ToCheck:
    """Series of a split with the class that is predicted for each, or the number."""
    name = own_split(run, dataset.splits, request.split)
    values = dataset.splits[name].values
    assert values is not None
    chosen = [values[int(i)] for i in evenly_spaced(len(values), request.limit or NUM_CHECKED)]
    choices = network.outputs(chosen).argmax(axis=1)  # 0 for the only number
    return ToCheck(chosen, [[int(choice)] for choice in choices], deviations, "series", name, len(values))
