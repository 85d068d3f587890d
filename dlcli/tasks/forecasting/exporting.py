"""What is exported of a run that forecasts: its network, from a window of history to the next steps."""

from pathlib import Path
from typing import Any

import keras

from dlcli.errors import InputError
from dlcli.exporting.comparison import compare_outputs
from dlcli.exporting.exportable import ClientLines, Exportable, Runtime, single_samples, spread
from dlcli.recipe.tasks.forecasting import Forecasting
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.checks import own_data_at
from dlcli.tasks.evaluation_files import Destination
from dlcli.tasks.exported_model import exported_outputs
from dlcli.tasks.forecasting.baselines import fit_baselines
from dlcli.tasks.forecasting.evaluation import load_forecaster, offset_of_run, open_own, own_series
from dlcli.tasks.forecasting.scoring import evaluate_windows
from dlcli.tasks.split_choice import own_split
from dlcli.tasks.task import ExportRequest

NUM_REPRESENTATIVE = 200  # windows of the training split by which int8 ranges are chosen


def exportable(run: RunDir, recipe: Forecasting, request: ExportRequest, console: Console) -> Exportable:
    """As :meth:`dlcli.tasks.task.Task.exportable`."""
    best = load_forecaster(run, recipe, console)
    if offset := offset_of_run(run):
        raise InputError(
            f"{run.path}: its values are too large for float32, in which exported models compute. Subtract "
            f"{offset:.15g} from the column of the target, and train again."
        )
    data = request.data
    series = own_series(run, recipe, console=console) if data is None else own_data_at(run, data, open_own, console)
    if series is None:
        raise InputError(f"{data}: is not the run's own data. A forecaster is checked on them. Remove --data.")
    name = own_split(run, series.splits, None)
    model = keras.Model(best.model.inputs[0], {"forecast": best.model.output})
    key = model.inputs[0].name

    def values(split: str, number: int) -> Any:
        origins = series.splits[split].origins
        return [{key: series.windows(origins[[i]])[0]} for i in spread(len(origins), number)]

    def evaluate(runtime: Runtime, folder: Path) -> dict[str, Any]:
        found = exported_outputs(model, runtime)["forecast"]
        return evaluate_windows(
            Destination(folder),
            keras.Model(best.model.inputs[0], keras.layers.Identity(name="forecast")(found)),
            series,
            series.splits[name],
            recipe=recipe,
            info=run.read_data_info("scale", "mase_scale", "target"),
            baselines=fit_baselines(series, recipe),
            console=console,
        )

    features = run.read_data_info("features")["features"]
    window = recipe.window
    ahead = f", then {window.horizon} steps of what is known ahead, NaN elsewhere" * (
        model.inputs[0].shape[1] > window.history
    )
    return Exportable(
        model=model,
        digest=best.digest,
        epoch=best.epoch,
        num_bytes=best.file.stat().st_size,
        inputs={key: f"the last {window.history} steps by the columns 'features'{ahead}; NaN is missing"},
        outputs={"forecast": f"of the next {window.horizon} steps{' by quantile' if window.quantiles else ''}"},
        split=name,
        batches=values(name, request.num_samples),
        representative=lambda: single_samples(values("train", NUM_REPRESENTATIVE)),
        compare=compare_outputs,
        evaluate=evaluate,
        client=ClientLines(
            "Forecasts from a window, a row for each step: python client.py WINDOW.npy",
            ["import json"],
            [f"inputs = {{{key!r}: np.load(sys.argv[1]).astype(np.float32)[None]}}"],
            [
                'target = json.loads((here / "export.json").read_text(encoding="utf-8"))["features"][0]',
                'for step, value in enumerate(outputs["forecast"][0], start=1):',
                '    print(f"{target} in {step} steps: {value}")',
            ],
        ),
        info={"features": list(features), "quantiles": window.quantiles},
    )
