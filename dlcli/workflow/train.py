"""``dlcli train``: from a recipe to a trained and evaluated model in a run directory, and back to it after a stop."""

import platform
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlcli import __version__
from dlcli.data.batches import Batches
from dlcli.data.samples import SPLIT_COLUMNS, Dataset, describe_difference
from dlcli.errors import CheckFailed, InputError, Interrupted, Terminated
from dlcli.recipe.load import LoadedRecipe, load
from dlcli.recipe.override import Override
from dlcli.recipe.train import Constant, Train
from dlcli.recipe.write import resolved, to_yaml
from dlcli.report import plots
from dlcli.report.layers import layer_table, memory_text, table_text, training_memory
from dlcli.report.tensorboard import TensorBoard
from dlcli.rundir import RunDir, create_run, csv_text, now, read_csv, replace_by, replace_file, replace_json, suffixed
from dlcli.training import checkpoint, objective
from dlcli.training.loop import Loop
from dlcli.training.step import EvaluationStep, TrainStep
from dlcli.workflow.compare import differing
from dlcli.workflow.data import batches, in_memory, open_dataset
from dlcli.workflow.evaluate import evaluate_split
from dlcli.workflow.model import Classifier, build_classifier, set_trainable
from dlcli.workflow.optimization import make_settings, make_stage, slots_per_weight, stage_sections
from dlcli.workflow.start import Device, set_precision, set_seed
from dlcli.workflow.talk import Talk

SAMPLE_BATCH = 16  # pictures of plots/batch.png
OVERFIT_LOSS = 0.01  # nats; below it a batch counts as known by heart
OVERFIT_STEPS = 2000  # tried at most


@dataclass(frozen=True)
class Job:
    """All that training needs, checked and built, before anything is written."""

    loaded: LoadedRecipe
    dataset: Dataset
    classifier: Classifier
    train_data: Batches
    validation_data: Batches | None
    best_metric: str
    device: Device
    talk: Talk

    def loop(self, run: RunDir, observer: Any) -> Loop:
        """The training loop of this job in a run directory."""
        train = self.loaded.recipe.train
        steps = self.train_data.num_steps
        num_classes = len(self.dataset.classes)
        stages = [
            make_stage(
                section, train, steps_per_epoch=steps, set_trainable=lambda depth: set_trainable(self.classifier, depth)
            )
            for section in stage_sections(train)
        ]
        return Loop(
            run=run,
            model=self.classifier.logits,
            train_objective=objective.classification(
                num_classes=num_classes, label_smoothing=train.label_smoothing, class_weights=self.class_weights
            ),
            validation_objective=self.objective,
            train_data=self.train_data,
            validation_data=self.validation_data,
            stages=stages,
            settings=make_settings(train, best_metric=self.best_metric),
            observer=observer,
        )

    @property
    def objective(self) -> objective.Objective:
        """What is evaluated: the training loss without class weights."""
        smoothing = self.loaded.recipe.train.label_smoothing
        return objective.classification(
            num_classes=len(self.dataset.classes), label_smoothing=smoothing, class_weights=None
        )

    @property
    def class_weights(self) -> tuple[float, ...] | None:
        """The recipe's class weights, in the order of the outputs."""
        given = self.loaded.recipe.train.class_weights
        if given is None:
            return None
        classes = self.dataset.classes
        if given == "balanced":
            counts = np.bincount(self.dataset.splits["train"].labels, minlength=len(classes))
            return tuple((counts.sum() / (len(classes) * np.maximum(counts, 1))).tolist())
        return tuple(given[name] for name in classes)


def prepare(loaded: LoadedRecipe, device: Device, talk: Talk) -> Job:
    """Reads the data, checks the recipe against them, and builds the model.

    Raises:
        InputError: the data or the recipe cannot be used.
    """
    recipe = loaded.recipe
    dataset = open_dataset(loaded, talk)
    set_seed(recipe.train.seed, deterministic=recipe.train.deterministic)
    set_precision(recipe.train.precision)
    classifier = build_classifier(recipe.model, shape=dataset.shape, num_classes=len(dataset.classes))
    train, validation = dataset.splits["train"], dataset.splits.get("validation")
    _check_against_data(loaded, dataset, classifier, has_validation=validation is not None)
    batch_size = recipe.train.batch_size
    return Job(
        loaded=loaded,
        dataset=dataset,
        classifier=classifier,
        train_data=batches(in_memory(train), batch_size=batch_size, seed=recipe.train.seed),
        validation_data=None if validation is None else batches(in_memory(validation), batch_size=batch_size),
        best_metric=recipe.train.best_metric or ("train_loss" if validation is None else "val_loss"),
        device=device,
        talk=talk,
    )


def _check_against_data(
    loaded: LoadedRecipe, dataset: Dataset, classifier: Classifier, *, has_validation: bool
) -> None:
    """What only the data can tell: metrics need a validation split, weights the classes, stages the network.

    Raises:
        InputError: located at the key.
    """
    train = loaded.recipe.train
    metrics = {
        "train.best_metric": train.best_metric,
        "train.early_stopping.metric": train.early_stopping.metric if train.early_stopping else None,
        "train.schedule.metric": getattr(train.schedule, "metric", None),
    }
    for key, metric in metrics.items():
        if metric is not None and metric.startswith("val_") and not has_validation:
            raise loaded.fault(key, f"there is no validation split to take {metric} from; set data.validation above 0")
    if isinstance(train.class_weights, dict):
        missing = [name for name in dataset.classes if name not in train.class_weights]
        unknown = [name for name in train.class_weights if name not in dataset.classes]
        if missing or unknown:
            fault = f"lacks {', '.join(missing)}" if missing else f"has no class of the data: {', '.join(unknown)}"
            raise loaded.fault("train.class_weights", f"expected a weight for each class; {fault}")
    for position, stage in enumerate(train.stages):
        try:
            set_trainable(classifier, stage.trainable)
        except ValueError as error:
            raise loaded.fault(f"train.stages.{position}.trainable", str(error)) from None


# The verbs ------------------------------------------------------------------------------------------------------------


def train(loaded: LoadedRecipe, *, runs: Path, name: str | None, device: Device, talk: Talk) -> dict[str, Any]:
    """Trains a new run to its end and evaluates it.

    Returns what run.json holds at the end, and ``run``, its folder.

    Raises:
        InputError: the recipe or its data cannot be used; no run was made.
        CheckFailed: the loss is not finite.
        Interrupted: a signal came; the run can be resumed.
    """
    job = prepare(loaded, device, talk)
    run = create_run(runs, name or loaded.recipe.name or run_name(loaded.path))
    try:
        _write_beginning(run, job)
    except BaseException:  # nothing half-written
        shutil.rmtree(run.path)
        raise
    _describe(job, run)
    return _train_and_finish(run, job)


def resume(run: RunDir, *, device: Device, talk: Talk, asked: LoadedRecipe | None) -> dict[str, Any]:
    """Goes on with an interrupted run, to the weights and metrics of a run that was never stopped.

    Args:
        asked: a recipe that the user gave beside the run; it must say the same.

    Raises:
        InputError: the run is complete, in use or damaged, or its recipe or data have changed.
    """
    run.lock()
    info = run.read_info()
    if info.get("status") == "completed":
        raise InputError(
            f"{run.path}: this run is complete. Train it further with: dlcli train --extend {run.path} --epochs N"
        )
    loaded = load(run.config)
    _check_same_recipe(run, info, loaded)
    if asked is not None:
        _check_same_recipe(run, info, asked)
    job = prepare(loaded, device, talk)
    _check_same_data(run, info, job.dataset)
    run.remove_leftovers()
    run.update_info(status="running", resumed=[*info.get("resumed", []), now()])
    return _train_and_finish(run, job)


def extend(run: RunDir, total: int, *, device: Device, talk: Talk) -> dict[str, Any]:
    """Goes on with a finished run to a new total of epochs; with stages, the last one becomes longer.

    Raises:
        InputError: the run is not complete, or the total is not more than the epochs it has.
    """
    run.lock()
    info = run.read_info()
    if info.get("status") != "completed":
        raise InputError(f"{run.path}: this run is not complete. Go on with it with: dlcli train --resume {run.path}")
    done = int(read_csv(run.metrics)[-1]["epoch"])
    if total <= done:
        raise InputError(f"--epochs must be more than the {done} that {run.path} has. Received {total}.")
    longer = _new_total(load(run.config).recipe.train, total)
    loaded = load(run.config, [longer])
    _check_same_recipe(run, info, loaded, but_for=longer.key)
    job = prepare(loaded, device, talk)
    _check_same_data(run, info, job.dataset)
    config = resolved(loaded.recipe)
    run.remove_leftovers()
    replace_file(run.config, to_yaml(config))
    run.update_info(
        status="running",
        config=config,
        extended=[*info.get("extended", []), {"time": now(), "from": done, "to": total}],
    )
    return _train_and_finish(run, job)


def _new_total(train: Train, total: int) -> Override:
    stages = stage_sections(train)
    if not train.stages:
        return Override("train.epochs", str(total), f"--epochs {total}")
    earlier = sum(stage.epochs for stage in stages[:-1])
    return Override(f"train.stages.{len(stages) - 1}.epochs", str(total - earlier), f"--epochs {total}")


def run_name(recipe: Path) -> str:
    """The name of a run: the recipe's file name without its suffix, characters that a name cannot have replaced."""
    stem = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in recipe.stem)
    return suffixed(stem.lstrip("._-") or "run", "")


# Parts of a run -------------------------------------------------------------------------------------------------------


def _write_beginning(run: RunDir, job: Job) -> None:
    """What a run directory says before the first step; run.json last, for it makes the folder a run."""
    loaded, dataset = job.loaded, job.dataset
    recipe = loaded.recipe
    config = resolved(recipe.model_copy(update={"name": run.name}))
    replace_file(run.recipe, loaded.text)
    replace_file(run.config, to_yaml(config))
    replace_json(run.labels, {"classes": list(dataset.classes)})
    rows = dataset.split_rows()
    replace_file(run.split, csv_text(SPLIT_COLUMNS, ([row[column] for column in SPLIT_COLUMNS] for row in rows)))
    replace_file(run.layers, layers_text(job))
    run.plots.mkdir()
    replace_file(run.plots / "batch.png", _plot_first_batch(job))
    replace_json(
        run.info,
        {
            "status": "running",
            "command": ["dlcli", *sys.argv[1:]],
            "task": recipe.task,
            "seed": recipe.train.seed,
            "started": now(),
            "device": job.device.name,
            "versions": versions(),
            "data": {
                "fingerprint": dataset.fingerprint(),
                "shape": list(dataset.shape),
                "samples": {split: len(samples) for split, samples in dataset.splits.items()},
                "left_out": [[left.name, left.reason] for left in dataset.left_out],
                "pictures": None if dataset.policy is None else dataset.policy.to_dict(),
            },
            "parameters": job.classifier.model.count_params(),
            "custom_layers": [],
            "config": config,
            "best": None,
            "final": None,
        },
    )


def versions() -> dict[str, str]:
    """The versions that a result may depend on."""
    packages = ("tensorflow", "keras", "numpy", "pillow", "scikit-learn")
    return {"dlcli": __version__, "python": platform.python_version(), **{name: version(name) for name in packages}}


def layers_text(job: Job) -> str:
    """The layer table of the job's network, with the memory that training takes."""
    train = job.loaded.recipe.train
    table = layer_table(job.classifier.model)
    batch_size = min(-(-train.batch_size // train.gradient_accumulation), job.train_data.num_samples)
    memory = training_memory(
        table,
        batch_size=batch_size,
        slots_per_weight=slots_per_weight(train),
        bytes_per_activation=4 if train.precision == "float32" else 2,
    )
    return f"{table_text(table)}\n{memory_text(memory, batch_size)}\n"


def _plot_first_batch(job: Job) -> bytes:
    """The first pictures of the first epoch, as the model sees them."""
    index = job.train_data.order(0)[: min(SAMPLE_BATCH, job.train_data.batch_size)]
    samples = job.dataset.splits["train"]
    titles = [job.dataset.classes[label] for label in samples.labels[index]]
    return plots.sample_batch(samples.load(index), titles)


def _describe(job: Job, run: RunDir | None) -> None:
    """The first lines that a person sees: data, network, and where the run goes."""
    dataset, talk = job.dataset, job.talk
    if run is not None:
        talk.log = run.log
        talk.say(f"run {run.path} on {job.device.name}")
    counts = ", ".join(f"{len(samples):,} {split}" for split, samples in dataset.splits.items())
    shape = "x".join(str(side) for side in dataset.shape)
    talk.say(f"data: {counts}; {len(dataset.classes)} classes; samples of {shape}")
    if dataset.left_out:
        first = dataset.left_out[0]
        talk.say(f"left out: {len(dataset.left_out)} files, such as {first.name} ({first.reason})")
    for warning in dataset.warnings:
        talk.warn(warning)
    talk.say(f"model: {job.loaded.recipe.model.kind}, {job.classifier.model.count_params():,} parameters")


def _go_back(run: RunDir, loop: Loop, talk: Talk) -> None:
    """Takes a loop to where the run stands: the last checkpoint, or the start where there is none yet."""
    if not (run.path / "checkpoints.json").exists():
        loop.cut_metrics()
        return
    saved, damage = checkpoint.load_last(run)
    if damage is not None:
        talk.warn(damage)
    loop.resume(saved)
    extended = run.read_info().get("extended", [])
    if extended and extended[-1]["from"] == loop.state.epoch:  # its checkpoint is still that of the shorter run
        loop.extend()


def _check_same_recipe(run: RunDir, info: dict[str, Any], loaded: LoadedRecipe, *, but_for: str = "name") -> None:
    """Refuses a recipe that is not the one that the run was trained with; one key may differ."""
    changes = differing(info["config"], resolved(loaded.recipe))
    changes.pop(but_for, None)
    if changes:
        described = "; ".join(f"{key} was {old} and is {new}" for key, (old, new) in changes.items())
        raise InputError(
            f"{loaded.path}: is not what {run.path} was trained with: {described}. "
            "Put it back to go on with the run, or train it as a new one."
        )


def _check_same_data(run: RunDir, info: dict[str, Any], dataset: Dataset) -> None:
    if dataset.fingerprint() != info["data"]["fingerprint"]:
        difference = describe_difference(read_csv(run.split), dataset.split_rows())
        raise InputError(
            f"{run.path}: the data are not those that the run began with: {difference}. "
            "Put them back to resume, or train a new run."
        )


class _Observer:
    """Hands the loop's events to the talk and to TensorBoard's files."""

    def __init__(self, talk: Talk, tensorboard: TensorBoard) -> None:
        self.stage = talk.stage
        self.progress = talk.progress
        self._talk = talk
        self._tensorboard = tensorboard

    def epoch(self, row: dict[str, Any], num_epochs: int, is_best: bool) -> None:
        self._tensorboard.write(row)
        self._talk.epoch(row, num_epochs, is_best)


def _train_and_finish(run: RunDir, job: Job) -> dict[str, Any]:
    job.talk.log = run.log
    tensorboard = TensorBoard(run.tensorboard)
    try:
        loop = job.loop(run, _Observer(job.talk, tensorboard))
        _go_back(run, loop, job.talk)
        tensorboard.rewrite(read_csv(run.metrics) if run.metrics.exists() else [])
        loop.train()
        return _finish(run, job, loop)
    except (Interrupted, KeyboardInterrupt, Terminated) as stop:
        run.update_info(status="interrupted")
        if not isinstance(stop, Interrupted):  # it came outside of the loop
            number = signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT
            stop = Interrupted("stopped between two checkpoints", number)
        raise Interrupted(f"{stop}. Go on with: dlcli train --resume {run.path}", stop.signal_number) from None
    except tf.errors.OpError as error:
        run.update_info(status="failed")
        raise _plain_fault(job, error) from error
    except Exception:
        run.update_info(status="failed")
        raise
    finally:
        job.talk.close()
        tensorboard.close()
        run.unlock()


def _plain_fault(job: Job, error: Exception) -> Exception:
    """A picture that became unreadable, or memory that ran out, inside TensorFlow, in words for the user."""
    for data in (job.train_data, job.validation_data):
        failure = None if data is None else data.failure
        if failure is not None:
            return failure
    if isinstance(error, tf.errors.ResourceExhaustedError):
        return CheckFailed("the device's memory is full. Lower train.batch_size or raise train.gradient_accumulation.")
    return error


def _finish(run: RunDir, job: Job, loop: Loop) -> dict[str, Any]:
    """Writes the best model, evaluates it, draws the plots, and completes run.json."""
    loop.load_best()
    model = float32_model(job)
    replace_by(run.model, lambda path: model.save(path))
    rows = [_numbers(row) for row in read_csv(run.metrics)]
    best = next(row for row in rows if row["epoch"] == loop.state.best.epoch)
    split = "test" if "test" in job.dataset.splits else "validation" if "validation" in job.dataset.splits else "train"
    metrics = evaluate_split(
        run.evaluation(split),
        model,
        job.dataset.splits[split],
        classes=job.dataset.classes,
        label_smoothing=job.loaded.recipe.train.label_smoothing,
        batch_size=job.loaded.recipe.train.batch_size,
        talk=job.talk,
    )
    replace_file(run.plots / "curves.png", plots.learning_curves(rows, best_epoch=loop.state.best.epoch))
    for name in ("confusion_matrix.png", "mistakes.png"):
        replace_file(run.plots / name, (run.evaluation(split) / name).read_bytes())
    final = {key: value for key, value in best.items() if key.startswith(("train_", "val_"))}
    final |= {f"{split}_{key}": value for key, value in metrics.items() if isinstance(value, float)}
    run.update_info(
        status="completed",
        finished=now(),
        seconds=loop.state.seconds,
        best={"epoch": loop.state.best.epoch, "metric": job.best_metric, "value": loop.state.best.best},
        final=final,
    )
    return {"run": str(run.path), **run.read_info()}


def _numbers(row: dict[str, str]) -> dict[str, Any]:
    """A row of metrics.csv with its numbers as numbers."""
    whole = ("epoch", "step")
    return {k: v if k == "stage" else int(v) if k in whole else float(v) for k, v in row.items()}


def float32_model(job: Job) -> keras.Model:
    """The classifier with float32 layers, whatever it was trained with, and the weights it has now."""
    recipe, dataset = job.loaded.recipe, job.dataset
    if recipe.train.precision == "float32":
        return job.classifier.model
    set_precision("float32")
    model = build_classifier(recipe.model, shape=dataset.shape, num_classes=len(dataset.classes)).model
    set_precision(recipe.train.precision)
    model.set_weights(job.classifier.model.get_weights())
    return model


# Trials ---------------------------------------------------------------------------------------------------------------


def dry_run(loaded: LoadedRecipe, *, device: Device, talk: Talk) -> dict[str, Any]:
    """Checks and builds everything that training would use, and says what it would do."""
    job = prepare(loaded, device, talk)
    _describe(job, None)
    train = loaded.recipe.train
    batch = job.train_data.assemble(job.train_data.element(job.train_data.source(0), tf.constant(0, tf.int64)))
    stages = []
    for section in stage_sections(train):
        stage = make_stage(
            section,
            train,
            steps_per_epoch=job.train_data.num_steps,
            set_trainable=lambda depth: set_trainable(job.classifier, depth),
        )
        stage.prepare()
        num_steps = stage.num_epochs * job.train_data.num_steps
        rates = [float(stage.rate(tf.constant(step, tf.int64))) for step in (0, num_steps // 2, num_steps - 1)]
        stages.append(
            {
                "name": stage.name,
                "epochs": stage.num_epochs,
                "steps": num_steps,
                "learning_rate": dict(zip(("first", "middle", "last"), rates, strict=True)),
                "trainable_parameters": sum(int(np.prod(v.shape)) for v in job.classifier.model.trainable_variables),
            }
        )
    return {
        "layers": layers_text(job),
        "schedule": stages,
        "batch": {
            "x": [*batch["x"].shape],
            "y.class": [*batch["y"]["class"].shape],
            "weight": [*batch["weight"].shape],
        },
        "values": [float(tf.reduce_min(batch["x"])), float(tf.reduce_max(batch["x"]))],
    }


def overfit(loaded: LoadedRecipe, *, num_batches: int, device: Device, talk: Talk) -> dict[str, Any]:
    """Trains on a few batches until the network knows them by heart. Nothing is written.

    The rate is the optimizer's, without a schedule; the loss is measured without dropout or label smoothing.

    Raises:
        CheckFailed: the loss does not come near zero: network, rate or data have a fault.
    """
    job = prepare(loaded, device, talk)
    _describe(job, None)
    train, samples = loaded.recipe.train, job.dataset.splits["train"]
    num_samples = min(num_batches * train.batch_size, len(samples))
    # evenly over the split, which may be sorted by class
    chosen = np.unique(np.linspace(0, len(samples) - 1, num_samples).round().astype(np.int64))
    data = batches(samples, batch_size=train.batch_size, seed=train.seed, chosen=chosen)
    plain = objective.classification(num_classes=len(job.dataset.classes), label_smoothing=0.0, class_weights=None)
    section = train.model_copy(update={"schedule": Constant(kind="constant"), "stages": (), "ema": None})
    stage = make_stage(
        stage_sections(section)[0], section, steps_per_epoch=data.num_steps, set_trainable=lambda _: None
    )
    optimizer = stage.optimizer(job.classifier.logits.trainable_variables)
    optimizer.build(job.classifier.logits.trainable_variables)
    step = TrainStep(
        model=job.classifier.logits,
        optimizer=optimizer,
        objective=plain,
        data=data,
        rate=stage.rate,
        clipping=make_settings(train, best_metric="train_loss").clipping,
        num_parts=train.gradient_accumulation,
        part_size=-(-train.batch_size // train.gradient_accumulation),
        loss_scaling=train.precision == "mixed_float16",
    )
    evaluation = EvaluationStep(model=job.classifier.logits, objective=plain, data=data)
    for epoch in range(-(-OVERFIT_STEPS // data.num_steps)):
        if not step.run(data.source(epoch), 0, data.num_steps):
            raise CheckFailed(f"the loss is not finite in pass {epoch + 1}. Try a lower train.optimizer.learning_rate.")
        step.reset()
        evaluation.reset()
        evaluation.run(data.source(epoch), 0, data.num_steps)
        results = evaluation.results()
        talk.progress(epoch + 1, OVERFIT_STEPS // data.num_steps, 1, 1, 0.0, results["loss"])
        if results["loss"] < OVERFIT_LOSS:
            break
    talk.close()
    facts = {"samples": data.num_samples, "passes": epoch + 1, "steps": (epoch + 1) * data.num_steps, **results}
    if results["loss"] >= OVERFIT_LOSS:
        raise CheckFailed(
            f"not overfitted: after {facts['steps']} steps on {facts['samples']} samples the loss is "
            f"{results['loss']:.4g} (near zero is below {OVERFIT_LOSS}), accuracy {results['accuracy']:.4f}. "
            "Look at the learning rate, at samples with two labels, and at the network's size."
        )
    return facts


def train_seeds(
    load_with_seed: Callable[[int], LoadedRecipe],
    seeds: Sequence[int],
    *,
    runs: Path,
    name: str | None,
    device: Device,
    talk: Talk,
) -> dict[str, Any]:
    """Trains a run for each seed; gives each final metric's mean and standard deviation (n - 1) over them."""
    results = []
    for seed in seeds:
        loaded = load_with_seed(seed)
        base = name or loaded.recipe.name or run_name(loaded.path)
        talk.log = None
        results.append(train(loaded, runs=runs, name=suffixed(base, f"-seed{seed}"), device=device, talk=talk))
    finals = [result["final"] for result in results]
    return {
        "runs": [result["run"] for result in results],
        "seeds": list(seeds),
        "mean": {key: float(np.mean([final[key] for final in finals])) for key in finals[0]},
        "spread": {key: float(np.std([final[key] for final in finals], ddof=1)) for key in finals[0]},
    }
