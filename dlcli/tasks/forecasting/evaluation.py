"""Evaluates a forecaster on a split or on another table, next to the naive forecasts."""

from typing import Any

from dlcli.data.series.division import divide
from dlcli.data.series.windows import Series
from dlcli.errors import InputError
from dlcli.files import suffix_of
from dlcli.recipe.load import LoadedRecipe, load
from dlcli.recipe.tasks.forecasting import Forecasting
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.checks import check_same_data, own_data_at
from dlcli.tasks.evaluation_files import Destination, Source
from dlcli.tasks.forecasting.baselines import Baselines, fit_baselines
from dlcli.tasks.forecasting.scoring import evaluate_windows
from dlcli.tasks.forecasting.sources import check_step, open_series, read_time_table
from dlcli.tasks.run_models import BestModel, load_model
from dlcli.tasks.split_choice import OWN_DATA, own_split
from dlcli.tasks.task import EvaluationRequest


def evaluate(run: RunDir, recipe: Forecasting, request: EvaluationRequest, console: Console) -> dict[str, Any]:
    """As :meth:`dlcli.tasks.task.Task.evaluate`; other data are a table with the same columns.

    Raises:
        InputError: there is no model yet, or the data cannot be used.
    """
    split, data = request.split, request.data
    best = load_forecaster(run, recipe, console)
    moved = None if data is None else own_data_at(run, data, open_own, console)
    is_own = data is None or moved is not None
    source = Source(OWN_DATA if is_own else str(data and data.absolute()), best.epoch)
    if data is None or moved is not None:
        series = moved or open_series(load(run.config), recipe)
        check_same_data(run, series)
        name = own_split(run, series.splits, split)
        windows = series.splits[name]
    else:
        if suffix_of(data) not in (".csv", ".tsf"):
            raise InputError(f"{data}: expected a .csv or .tsf file with the columns of the training data.")
        if split is not None:
            raise InputError(f"--split: {data} is not divided into splits and is evaluated as a whole. Omit --split.")
        window = recipe.window
        table = read_time_table(recipe.data, data, categories_of_run(run)).without(offset_of_run(run))
        check_step(table, step_of_run(run), data)
        series = divide(
            table,
            source=str(data),
            history=window.history,
            horizon=window.horizon,
            validation=0.0,
            test=0.0,
            stride=window.evaluation_stride,
        )
        name, windows = f"{data.stem}-all", series.splits["train"]
        features = run.read_data_info("features")["features"]
        if list(series.table.features) != features:
            raise InputError(
                f"{data}: must have the columns {', '.join(features)}. Received {', '.join(series.table.features)}."
            )
    name = run.free_evaluation(name, source.data)
    console.say(f"run {run.path}: evaluating {len(windows):,} forecasts of {name}")
    to = Destination(run.evaluation(name), source, request)
    trained_on = series if is_own else own_series(run, recipe, needed_for="ridge regression", console=console)
    info = run.read_data_info("scale", "mase_scale", "target")
    baselines = Baselines(recipe.window, info["scale"]["mean"][0] + offset_of_run(run))
    if trained_on is not None:
        baselines = fit_baselines(trained_on, recipe)
    metrics = evaluate_windows(
        to,
        best.model,
        series,
        windows,
        recipe=recipe,
        info=info,
        baselines=baselines,
        console=console,
    )
    return {"run": str(run.path), "split": name, "folder": str(to.folder), **source.facts, **metrics}


def own_series(run: RunDir, recipe: Forecasting, *, needed_for: str | None = None, console: Console) -> Series | None:
    """The run's own data.

    Args:
        needed_for: all that is lost without them, such as ``permutation importance``; None if they cannot be done
            without.

    Returns:
        None if they are not available and can be done without.

    Raises:
        InputError: they cannot be used, nor done without.
    """
    try:
        series = open_series(load(run.config), recipe)
        check_same_data(run, series)
    except InputError as error:
        if needed_for is None:
            raise
        console.warn(f"{needed_for} is not available: {error}")
        return None
    return series


def categories_of_run(run: RunDir) -> dict[str, tuple[str, ...]]:
    """The values of the static columns that the run's network knows, by column."""
    found = run.read_info()["data"].get("categories", {})  # older runs have none
    return {name: tuple(values) for name, values in found.items()}


def step_of_run(run: RunDir) -> float | None:
    """The usual distance between the rows of a run's training data; None if it is unknown."""
    step = run.read_info()["data"].get("step")  # older runs have none
    return step if isinstance(step, float | int) else None


def offset_of_run(run: RunDir) -> float:
    """What is subtracted from the target before it is rounded to float32."""
    return float(run.read_info()["data"].get("offset", 0.0))  # older runs have none


def open_own(loaded: LoadedRecipe) -> Series:
    """The data of a recipe that forecasts."""
    assert isinstance(loaded.recipe, Forecasting)
    return open_series(loaded, loaded.recipe)


def load_forecaster(run: RunDir, recipe: Forecasting, console: Console) -> BestModel:
    """Load the best model of a run: float32 ``[b, history, features]`` -> ``[b, horizon]``.

    Raises:
        InputError: there is no model yet, or it is corrupt.
    """
    best = load_model(run, console)
    model = best.model
    window, features = recipe.window, run.read_data_info("features")["features"]
    levels = [] if window.quantiles is None else [len(window.quantiles)]
    ahead = window.horizon if recipe.data.future_features or recipe.data.calendar else 0
    expected = ([window.history + ahead, len(features)], [window.horizon, *levels])
    received = (list(model.inputs[0].shape[1:]), list(model.output.shape[1:]))
    if received != expected:
        raise InputError(
            f"{run.model}: is not the model that this run saved: it must have the input shape {expected[0]} and the "
            f"output shape {expected[1]}. Received {received[0]} and {received[1]}."
        )
    return best
