"""``dlcli ensemble``: one model that averages the probabilities of several runs, in a run of its own."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from dlcli.data.splits import SPLITS
from dlcli.errors import InputError
from dlcli.files import half_of_memory, read_file
from dlcli.recipe.load import load
from dlcli.recipe.yaml_writer import resolved, to_yaml
from dlcli.report.cost.layer_table import layer_table, table_text
from dlcli.rundir.directory import RunDir
from dlcli.rundir.reading import MAX_JSON_BYTES, file_digest
from dlcli.rundir.runs import create_run, now
from dlcli.rundir.tables import MAX_CSV_BYTES, read_csv
from dlcli.rundir.writing import replace_by, replace_file, replace_json
from dlcli.runtime.console import Console
from dlcli.runtime.machine import environment
from dlcli.runtime.model_files import load_keras_file, weights_digest
from dlcli.runtime.startup import Device
from dlcli.tasks.checks import check_same_data
from dlcli.tasks.dispatch import task_of
from dlcli.tasks.run_models import model_file
from dlcli.tasks.task import EvaluationRequest
from dlcli.workflow.comparison.samples import compare_on_samples
from dlcli.workflow.headline import final_metrics, headline, task_of_info
from dlcli.workflow.train import command

SMALLEST = 1e-30  # probability whose logarithm is still finite in float32
CLASSIFIER_OPTION = "--probabilities"
"""The option that tasks with one class for each sample have."""
COPIED = ("labels", "split", "vocabulary")
"""Files of the first member that describe its samples, where it has them."""


def make_ensemble(
    runs: Sequence[RunDir], *, folder: Path, name: str, split: str | None, device: Device, console: Console
) -> dict[str, Any]:
    """Make a run whose model averages the class probabilities of several runs, and evaluate it once.

    Args:
        folder: of the new run.
        split: to evaluate on; None for the split that the first run was evaluated on.

    Returns:
        The content of run.json, with ``run``; ``members``: name and headline metric of each run on the same split;
        ``headline``: name and value; and ``paired``: the comparison with the best member on
        the samples of the split, None if there is none.

    Raises:
        InputError: the runs are not classifiers with equal classes and inputs, one was trained on samples of the split,
            or the data have changed.
    """
    infos = [run.read_info() for run in runs]
    _check_members(runs, infos)
    evaluated = split or str(infos[0].get("evaluated"))
    if evaluated not in SPLITS or evaluated == "train":
        raise InputError(f"{runs[0].path}: was not evaluated on test or validation. Name one with --split.")
    _check_apart(runs, evaluated)
    loaded = load(runs[0].config)
    check_same_data(runs[0], task_of(loaded.recipe).open_data(loaded, console))  # before anything is written
    models = [load_keras_file(run.model) for run in runs]
    model = average_probabilities(models, [run.path for run in runs])
    made = create_run(folder, name, lambda run: _write(run, runs, infos, model, device))
    console.log = made.log
    try:
        task = task_of(load(made.config).recipe)
        metrics = task.evaluate(made, EvaluationRequest(evaluated), console)
        final = {f"{evaluated}_{key}": value for key, value in metrics.items() if isinstance(value, float)}
        made.update_info(status="completed", finished=now(), final=final, evaluated=evaluated)
    finally:
        made.unlock()
    return {"run": str(made.path), **made.read_info(), **_beside_members(made, runs, infos, evaluated, console)}


def average_probabilities(models: Sequence[keras.Model], places: Sequence[Path]) -> keras.Model:
    """A model with the mean of the probabilities of several classifiers.

    Its layer ``logits`` has the logarithms of the mean, which the softmax of the last one, ``probabilities``, undoes.

    Args:
        models: each takes the same input, ``[batch, …]``, and outputs probabilities, ``[batch, classes]``.
        places: of the models, for messages.

    Raises:
        InputError: they have different inputs or outputs.
    """
    for model, place in zip(models, places, strict=True):
        for kind, one, other in (
            ("one input", model.inputs, models[0].inputs),
            ("probabilities of each class as its output", model.outputs, models[0].outputs),
        ):
            is_same = len(one) == len(other) == 1 and one[0].shape == other[0].shape and one[0].dtype == other[0].dtype
            if not is_same:
                shapes = [", ".join(str(list(tensor.shape[1:])) for tensor in side) for side in (other, one)]
                raise InputError(f"{place}: must have {kind}, like {places[0]}: {shapes[0]}. Received {shapes[1]}.")
    first = models[0].inputs[0]
    inputs = keras.Input(first.shape[1:], dtype=first.dtype, name="inputs")
    for number, model in enumerate(models, start=1):
        model.name = f"member{number}"
    mean = keras.layers.Average(name="mean", dtype="float32")([model(inputs) for model in models])
    logarithms = keras.ops.log(keras.ops.maximum(mean, np.float32(SMALLEST).item()))
    logits = keras.layers.Activation("linear", name="logits", dtype="float32")(logarithms)
    outputs = keras.layers.Activation("softmax", name="probabilities", dtype="float32")(logits)
    return keras.Model(inputs, outputs, name="ensemble")


def _check_members(runs: Sequence[RunDir], infos: Sequence[dict[str, Any]]) -> None:
    seen: dict[Path, RunDir] = {}
    for run, info in zip(runs, infos, strict=True):
        if run.path.resolve() in seen:
            raise InputError(f"{run.path}: is named twice. Name each run once.")
        seen[run.path.resolve()] = run
        if run.status() != "completed":
            raise InputError(f"{run.path}: is not complete. Resume it with: dlcli train --resume {run.path}")
        model_file(run)
        schema = task_of_info(info)
        if schema is None or CLASSIFIER_OPTION not in schema.options or "predict" not in schema.verbs:
            raise InputError(
                f"{run.path}: cannot be in an ensemble, which averages the probabilities of one class for each sample: "
                f"its task is {info.get('task')}. Leave it out."
            )
        for what, one, other in (
            ("task", info.get("task"), infos[0].get("task")),
            ("classes, in their order,", run.read_classes(), runs[0].read_classes()),
            ("way of reading images", run.read_image_policy(), runs[0].read_image_policy()),
            ("shape of samples", info["data"].get("shape"), infos[0]["data"].get("shape")),
        ):
            if one != other:
                raise InputError(f"{run.path}: must have the same {what} as {runs[0].path}. Leave one of them out.")
    size = sum(run.model.stat().st_size for run in runs)
    if size > half_of_memory():
        raise InputError(f"{runs[0].path} and others: the models have {size / 2**30:.1f} GiB, too much for the memory.")


def _check_apart(runs: Sequence[RunDir], split: str) -> None:
    """Refuse a split of which another member has seen samples in training, as in runs of several folds."""
    held_out = {row["digest"] for row in read_csv(runs[0].split) if row["split"] == split}
    for run in runs:
        number = sum(row["split"] == "train" and row["digest"] in held_out for row in read_csv(run.split))
        if number:
            raise InputError(
                f"{run.path}: was trained on {number:,} samples of the {split} split of {runs[0].path}, so that the "
                "evaluation would be no test. Name runs with the same split, or another split with --split."
            )


def _write(
    run: RunDir, members: Sequence[RunDir], infos: Sequence[dict[str, Any]], model: keras.Model, device: Device
) -> None:
    first = members[0]
    recipe = load(first.config).recipe
    config = resolved(recipe.model_copy(update={"name": run.name}))
    replace_file(run.recipe, read_file(first.recipe, MAX_JSON_BYTES))
    replace_file(run.config, to_yaml(config))
    for name in COPIED:
        if (source := getattr(first, name)).exists():
            replace_file(getattr(run, name), read_file(source, MAX_CSV_BYTES))
    replace_file(run.layers, table_text(layer_table(model)) + "\n")
    run.plots.mkdir()
    replace_by(run.model, lambda path: model.save(path))
    replace_json(
        run.info,
        {
            "status": "running",
            "command": command(),
            "task": recipe.task,
            "seed": recipe.train.seed,
            "started": now(),
            **environment(device.name),
            "ensemble": [
                {"run": str(member.path.absolute()), "sha256": file_digest(member.model)} for member in members
            ],
            "data": infos[0]["data"],
            "baseline": infos[0].get("baseline"),
            "parameters": model.count_params(),
            "custom_layers": _own_layers(infos),
            "config": config,
            "best": None,
            "final": None,
            "model": file_digest(run.model),
            "weights": weights_digest(model),
        },
    )


def _own_layers(infos: Sequence[dict[str, Any]]) -> list[str]:
    lists = [layers for info in infos if isinstance(layers := info.get("custom_layers"), list)]
    return sorted({str(layer) for layers in lists for layer in layers})


def _beside_members(
    made: RunDir, runs: Sequence[RunDir], infos: Sequence[dict[str, Any]], split: str, console: Console
) -> dict[str, Any]:
    """The headline metrics of the ensemble and of its members, and how it compares with the best member.

    A member that was evaluated on another split, such as that of its fold, is evaluated on this one.
    """
    found = headline(made.read_info())
    metric = "" if found is None else found[0]
    members = []
    for run, info in zip(runs, infos, strict=True):
        value = final_metrics(info).get(metric)
        if value is None and found is not None:
            metrics = task_of(load(run.config).recipe).evaluate(run, EvaluationRequest(split), console)
            value = metrics.get(metric.removeprefix(f"{split}_"))
        members.append({"name": run.name, "value": value})
    known = [(member["value"], number) for number, member in enumerate(members) if isinstance(member["value"], float)]
    paired = None
    if known:
        best = runs[max(known)[1]]
        paired = compare_on_samples(best, made, split)
        paired = None if paired is None else {"with": best.name, **paired}
    return {"headline": list(found) if found else None, "members": members, "paired": paired}
