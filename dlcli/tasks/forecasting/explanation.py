"""Explains forecasts: which lags of which columns they are due to."""

from collections.abc import Sequence
from dataclasses import replace

import keras
import numpy as np
from numpy.typing import NDArray

from dlcli.data.series.windows import Series as Table
from dlcli.data.series.windows import targets_of
from dlcli.data.splits import evenly_spaced
from dlcli.errors import InputError
from dlcli.explanation.sequences.permutation import Series
from dlcli.explanation.sequences.series import SeriesNetwork, open_series_network
from dlcli.models.sequences.offsets import inner
from dlcli.recipe.tasks.forecasting import Forecasting
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.forecasting.evaluation import (
    categories_of_run,
    load_forecaster,
    offset_of_run,
    own_series,
    step_of_run,
)
from dlcli.tasks.forecasting.last_windows import last_windows
from dlcli.tasks.forecasting.scoring import names_of
from dlcli.tasks.recurrent import NUM_SEQUENCES, RecurrentSamples
from dlcli.tasks.run_models import BestModel
from dlcli.tasks.sequences.explanation import methods_of
from dlcli.tasks.sequences.series_explanation import NUM_PERMUTED, SERIES_AUTO, Judged, explain_series
from dlcli.tasks.sequences.series_explanation_check import NUM_CHECKED, ToCheck
from dlcli.tasks.sequences.series_explanation_files import ExplainedOutput, SeriesSamples
from dlcli.tasks.split_choice import own_split
from dlcli.tasks.task import Explained, ExplanationRequest

NUM_OF_SPLIT = 4  # forecasts of a split that are explained unless another number is given


def explain(run: RunDir, recipe: Forecasting, request: ExplanationRequest, console: Console) -> Explained:
    """As :meth:`dlcli.tasks.task.Task.explain`: some steps of forecasts, by lags and columns."""
    best = _without_offset(load_forecaster(run, recipe, console))
    info = run.read_data_info("features", "scale")
    offset = offset_of_run(run)
    steps, methods = _steps(request.outputs, recipe.window.horizon), methods_of(request, SERIES_AUTO)
    network = open_series_network(_median(best.model, recipe), np.array(info["scale"]["mean"]), is_class=False)
    needed_for = "permutation importance" if request.paths and not request.check else None
    table = own_series(run, recipe, needed_for=needed_for, console=console)
    if request.paths:
        names, values, true = [], [], []
        for path in request.paths:
            windows, _ = last_windows(path, recipe, info["features"], categories_of_run(run), step_of_run(run), offset)
            for window in windows[: request.limit]:
                names.append(f"{path} after {window.after}{f', {window.series}' if window.series else ''}")
                values.append(window.values)
                true.append([""] * recipe.window.horizon)
        source = ", ".join(map(str, request.paths))
        num_windows = len(names)
    else:
        assert table is not None
        source = own_split(run, table.splits, request.split)
        origins = table.splits[source].origins
        num_windows = len(origins)
        origins = origins[evenly_spaced(num_windows, request.limit or NUM_OF_SPLIT)]
        names = [f"after {name}" for name in names_of(table, origins)]
        values = list(table.windows(origins)[0])
        true = [["" if np.isnan(value) else f"{value:.6g}" for value in row] for row in targets_of(table, origins)[1]]
    console.say(f"run {run.path}: explaining {len(names):,} of {num_windows:,} forecasts by {', '.join(methods)}")
    forecasts = network.outputs(values) + offset
    if not np.isfinite(forecasts).all():
        raise InputError(f"{best.file}: its outputs must be finite to be explained. Received NaN or infinity.")
    samples = SeriesSamples(
        names=names,
        values=values,
        outputs=[
            [ExplainedOutput(f"step {step + 1}", step, float(row[step]), of_row[step]) for step in steps]
            for row, of_row in zip(forecasts, true, strict=True)
        ],
        columns=info["features"],
        from_end=True,
        ahead=len(values[0]) - recipe.window.history,
        source=source,
        unit=f"the forecast of {info['features'][0]}",
    )
    judged = None if table is None else _judged(run, request, table, network)
    to_check = None
    if request.check:
        assert table is not None
        to_check = _to_check(run, request, table, steps, np.sqrt(info["scale"]["variance"]))
    return explain_series(run, best, network, methods, samples, judged, to_check, request, console)


def _steps(asked: Sequence[str], horizon: int) -> list[int]:
    """The positions of the steps ahead that are explained: those that are asked for, or the first and the last.

    Raises:
        InputError: there is no such step.
    """
    steps = []
    for text in asked or ("1", str(horizon)):
        digits = text.removeprefix("step ")
        is_number = digits.isascii() and digits.isdigit() and len(digits) <= len(str(horizon))
        if not is_number or not 1 <= int(digits) <= horizon:
            raise InputError(f"--target {text}: expected a step ahead, from 1 to {horizon}. Received {text}.")
        steps.append(int(digits) - 1)
    return list(dict.fromkeys(steps))


def recurrent_samples(
    run: RunDir, recipe: Forecasting, request: ExplanationRequest, console: Console
) -> RecurrentSamples:
    """As :meth:`dlcli.tasks.task.Task.recurrent_samples`."""
    best = load_forecaster(run, recipe, console)
    table = own_series(run, recipe, console=console)
    assert table is not None
    origins = table.splits[own_split(run, table.splits, request.split)].origins
    origins = origins[evenly_spaced(len(origins), request.limit or NUM_SEQUENCES)]
    samples = [window[None] for window in table.raw_windows(origins)]
    return RecurrentSamples(best, samples, is_class=False, part=_median(best.model, recipe))


def _without_offset(best: BestModel) -> BestModel:
    """The network that takes and returns values without the offset of large numbers."""
    return replace(best, model=inner(best.model))


def _median(model: keras.Model, recipe: Forecasting) -> keras.Model:
    """The model with the forecast alone as its output, ``[b, horizon]``."""
    levels, layers = recipe.window.quantiles, keras.layers
    if levels is None:
        return model
    by_level = layers.Permute((2, 1), name="by_level")(model.output)
    middle = levels.index(0.5)
    median = layers.Cropping1D((middle, len(levels) - 1 - middle), name="median_alone")(by_level)
    return keras.Model(model.input, layers.Reshape((recipe.window.horizon,), name="median")(median))


def _judged(run: RunDir, request: ExplanationRequest, table: Table, network: SeriesNetwork) -> Judged:
    """Windows of a split with the mean absolute error of each forecast, over the steps whose value is known."""
    name = own_split(run, table.splits, request.split)
    origins = table.splits[name].origins
    origins = origins[evenly_spaced(len(origins), NUM_PERMUTED)]
    future = targets_of(table, origins)[1] - table.table.offset

    def errors(series: Sequence[Series]) -> NDArray[np.float64]:
        return np.asarray(np.nanmean(np.abs(network.outputs(series).astype(np.float64) - future), axis=1))

    title = (
        f"increase of the mean absolute error on {len(origins)} forecasts of {name}, when a part is taken from others"
    )
    return Judged(list(table.windows(origins)[0]), errors, title)


def _to_check(
    run: RunDir, request: ExplanationRequest, table: Table, steps: Sequence[int], deviations: NDArray[np.floating]
) -> ToCheck:
    """Windows of a split with the steps ahead that are explained."""
    name = own_split(run, table.splits, request.split)
    origins = table.splits[name].origins
    chosen = origins[evenly_spaced(len(origins), request.limit or NUM_CHECKED)]
    windows = list(table.windows(chosen)[0])
    return ToCheck(windows, [steps] * len(windows), deviations, "forecasts", name, len(origins))
