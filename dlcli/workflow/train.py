"""``dlcli train``: train and evaluate a model in a run directory; resume or extend a run."""

import contextlib
import signal
import sys
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import tensorflow as tf

from dlcli.errors import CheckFailed, InputError, Interrupted, Terminated, received_stop
from dlcli.files import read_file
from dlcli.recipe.language.overrides import Override
from dlcli.recipe.load import LoadedRecipe, load
from dlcli.recipe.sections.train import CommonTrain
from dlcli.recipe.yaml_writer import resolved, to_yaml
from dlcli.report.plots import curves
from dlcli.report.profile import Profiler
from dlcli.report.tensorboard import TensorBoard
from dlcli.report.tracking import Tracking
from dlcli.rundir.directory import RunDir
from dlcli.rundir.reading import file_digest
from dlcli.rundir.runs import create_run, now, run_name
from dlcli.rundir.tables import read_csv, rows_text
from dlcli.rundir.writing import replace_by, replace_file, replace_json
from dlcli.runtime.console import Console
from dlcli.runtime.launched import note_run
from dlcli.runtime.machine import commit_of, environment
from dlcli.runtime.members import reporting
from dlcli.runtime.model_files import describe_network, weights_digest
from dlcli.runtime.startup import Device, without_strategy
from dlcli.tasks.checks import check_same_data
from dlcli.tasks.dispatch import prepare
from dlcli.tasks.job import Job, describe, layers_text, num_parts, with_parts
from dlcli.tasks.optimization import stage_sections
from dlcli.tasks.run_models import check_base, model_file, with_architecture, with_code, with_run_files
from dlcli.tasks.split_choice import first_split
from dlcli.training import checkpoint
from dlcli.training.loop import Loop, Tracker
from dlcli.workflow.cluster import divide_reading, prepare_together, send_checkpoint, send_recipe, settle
from dlcli.workflow.same_recipe import check_same_recipe, moved_keys, moved_paths

CALL: ContextVar[list[str] | None] = ContextVar("call", default=None)
"""What is recorded as the command of a call from Python; None in a process of the command line."""

MAX_PLOT_BYTES = 2**28
STOPPED_BETWEEN_CHECKPOINTS = "stopped between two checkpoints"


def train(
    loaded: LoadedRecipe,
    *,
    runs: Path,
    name: str | None,
    device: Device,
    console: Console,
    split: str | None = None,
    check: Callable[[Job], None] | None = None,
    until: int | None = None,
    profile: int | None = None,
) -> dict[str, Any]:
    """Train a new run to the end and evaluate it.

    Args:
        split: the split to evaluate; None for the fold that `data.fold` holds out, else test, else validation.
        check: looks at what would be trained before anything is written, and raises an error to refuse it.
        until: stop after this many epochs, if there are more; the run is then interrupted, and can be resumed.
        profile: the number of steps to profile; None for none.

    Returns the final content of run.json, and ``run``, the run directory.

    Raises:
        InputError: the recipe or its data cannot be used; no run was created.
        CheckFailed: the loss is not finite.
        Interrupted: a signal was received; the run can be resumed.
    """
    loaded = with_run_files(loaded, runs)
    with reporting(device.members):
        job = prepare_together(loaded, device, console)
        if check is not None:
            check(job)
        name = name or loaded.recipe.name or run_name(loaded.path)
        with without_strategy():
            run = create_run(runs, name, lambda run: _write_initial_files(run, job))
        note_run(run.path)
        return _train_and_finish(run, job, split, until=until, profile=profile)


def resume(
    run: RunDir,
    *,
    device: Device,
    console: Console,
    given: LoadedRecipe | None,
    split: str | None = None,
    profile: int | None = None,
) -> dict[str, Any]:
    """Resume an interrupted run; the final weights and metrics equal those of an uninterrupted run.

    Args:
        given: a recipe that the user gave along with the run; it must equal the run's.
        split, profile: as of `train`.

    Raises:
        InputError: the run is complete, in use or corrupt, or its recipe or data has changed.
    """
    with reporting(device.members):
        return _resume(run, device, console, given, split, profile)


def _resume(
    run: RunDir,
    device: Device,
    console: Console,
    given: LoadedRecipe | None,
    split: str | None,
    profile: int | None,
) -> dict[str, Any]:
    run.lock()
    info = run.read_info()
    _refuse_untrained(run, info)
    if info.get("status") == "completed" and run.model.exists():  # if missing, it is rebuilt from the best checkpoint
        model_file(run)  # reports a corrupt one
        raise InputError(
            f"{run.path}: this run is complete. Train it further with: dlcli train --extend {run.path} --epochs N"
        )
    refuse_other_class_weights(run, info)
    loaded = load(run.config)
    check_same_recipe(run, info, loaded)
    if given is not None:
        given = with_run_files(given, run.path.parent)
        check_same_recipe(run, info, given)
        loaded = load(run.config, moved_paths(loaded, given))
    is_new = not run.checkpoint_names.exists()
    if is_new:
        check_base(run)
    in_parts = with_parts(loaded, _parts(info), console)
    send_recipe(device.members, in_parts, run, is_new=is_new)
    own = with_code(in_parts, run) if is_new else with_architecture(in_parts, run)
    job = prepare_together(own, device, console, is_new=is_new)
    check_same_data(run, job.dataset)
    if "classes" in info["data"]:
        run.read_classes()
    run.remove_leftovers()
    config = resolved(loaded.recipe)
    moved = _moves(info, loaded)
    if moved:
        replace_file(run.config, to_yaml(config))
    if not run.network.exists():
        _write_network(run, job)
    run.update_info(
        status="running",
        resumed=[*info.get("resumed", []), {"time": now(), "command": command()}],
        parts=num_parts(in_parts.recipe.train),
        **({"config": config, **moved} if moved else {}),
    )
    return _train_and_finish(run, job, split, profile=profile)


def extend(
    run: RunDir, total: int, *, device: Device, console: Console, data: Override | None = None
) -> dict[str, Any]:
    """Continue a finished run to a new total of epochs; with stages, the last stage becomes longer.

    Args:
        data: the new place of data that were moved.

    Raises:
        InputError: the run is not complete, or the total does not exceed its epochs.
    """
    run.lock()
    info = run.read_info()
    _refuse_untrained(run, info)
    if info.get("status") != "completed":
        raise InputError(f"{run.path}: this run is not complete. Resume it with: dlcli train --resume {run.path}")
    refuse_other_class_weights(run, info)
    rows = read_csv(run.metrics)
    done = len(rows)
    if total <= done:
        raise InputError(f"--epochs must be more than the {done} epochs of {run.path}. Received {total}.")
    longer = _new_total(load(run.config).recipe.train, rows, total)
    loaded = load(run.config, [longer] if data is None else [longer, data])
    check_same_recipe(run, info, loaded, but_for=longer.key)
    in_parts = with_parts(loaded, _parts(info), console)
    job = prepare(with_architecture(in_parts, run), device, console, is_new=False)
    check_same_data(run, job.dataset)
    if "classes" in info["data"]:
        run.read_classes()
    config = resolved(loaded.recipe)
    run.remove_leftovers()
    if not run.network.exists():
        _write_network(run, job)
    replace_file(run.config, to_yaml(config))
    run.update_info(
        status="running",
        config=config,
        extended=[*info.get("extended", []), {"time": now(), "command": command(), "from": done, "to": total}],
        parts=num_parts(in_parts.recipe.train),
        **_moves(info, loaded),
    )
    return _train_and_finish(run, job)


def _parts(info: dict[str, Any]) -> int:
    """The number of parts of a run's batches; runs of earlier versions do not record it."""
    train = info["config"].get("train")
    parts = info.get("parts", train.get("gradient_accumulation") if isinstance(train, dict) else 1)
    return parts if isinstance(parts, int) and parts > 0 else 1


def _refuse_untrained(run: RunDir, info: dict[str, Any]) -> None:
    is_complete = info.get("status") == "completed"
    if info.get("ensemble") and not is_complete:
        raise InputError(f"{run.path}: is an ensemble that was not finished. Remove it, and make it again.")
    if is_complete and info["best"] is None:
        verb = "dlcli ensemble" if info.get("ensemble") else "--top"
        raise InputError(f"{run.path}: was created without training ({verb}), so there is nothing to continue.")


def refuse_other_class_weights(run: RunDir, info: dict[str, Any]) -> None:
    """Refuse to continue a run whose loss would change: before ``train.loss``, class weights also weighted the divisor.

    Raises:
        InputError: the run has class weights and was made by such a version.
    """
    train = info["config"].get("train")
    if isinstance(train, dict) and train.get("class_weights") is not None and "loss" not in train:
        raise InputError(
            f"{run.path}: was trained with class weights by an earlier version, which divided the loss of a batch by "
            "the sum of its class weights; this one divides by the number of samples, as Keras does, so continuing "
            "would change the loss. Train a new run."
        )


def _new_total(train: CommonTrain, rows: list[dict[str, str]], total: int) -> Override:
    if not train.stages:
        return Override("train.epochs", str(total), f"--epochs {total}")
    earlier = sum(row["stage"] != train.stages[-1].name for row in rows)  # a stage may have stopped early
    return Override(f"train.stages.{len(train.stages) - 1}.epochs", str(total - earlier), f"--epochs {total}")


# Parts of a run -------------------------------------------------------------------------------------------------------


def _write_initial_files(run: RunDir, job: Job) -> None:
    """Write the files of a run before the first step; run.json comes last because it makes the folder a run."""
    loaded, dataset = job.loaded, job.dataset
    recipe = loaded.recipe
    config = resolved(recipe.model_copy(update={"name": run.name}))
    replace_file(run.recipe, loaded.text)
    replace_file(run.config, to_yaml(config))
    replace_file(run.split, rows_text(dataset.split_rows()))
    replace_file(run.layers, layers_text(job))
    run.plots.mkdir()
    job.write_initial_files(run)
    _write_network(run, job)
    replace_json(
        run.info,
        {
            "status": "running",
            "command": command(),
            "task": recipe.task,
            "seed": recipe.train.seed,
            "started": now(),
            **environment(job.device.name),
            "parts": num_parts(recipe.train),
            "commit": commit_of(loaded.path.parent),
            "data": {
                "fingerprint": dataset.fingerprint(),
                "samples": {split: len(samples) for split, samples in dataset.splits.items()},
                "left_out": [[left.name, left.reason] for left in dataset.left_out],
                "images": None,
                **job.data_info(),
            },
            "base": job.base(),
            "code": job.code(),
            "parameters": job.model.count_params(),
            "custom_layers": job.custom_layers,
            "config": config,
            "best": None,
            "final": None,
        },
    )


def _write_network(run: RunDir, job: Job) -> None:
    replace_json(run.network, describe_network(job.model, job.weight_keys()))


def command() -> list[str]:
    """The command line of this process, or the call from Python."""
    return CALL.get() or ["dlcli", *sys.argv[1:]]


def _restore(run: RunDir, job: Job, loop: Loop) -> None:
    """Restore a loop from the run's last checkpoint; without one, training starts over."""
    console = job.console
    if not run.checkpoint_names.exists():
        if run.metrics.exists():
            console.say("no checkpoint yet: starting over")
        send_checkpoint(job, None)
        loop.cut_metrics()
        return
    saved, corruption = checkpoint.load_last(run)
    if corruption is not None:
        console.warn(corruption)
    send_checkpoint(job, saved)
    loop.resume(saved)
    console.say(f"resuming after epoch {loop.state.epoch}, step {loop.state.step}")
    extended = run.read_info().get("extended", [])
    if extended and extended[-1]["from"] == loop.state.epoch:  # the checkpoint is from before the extension
        loop.extend()


def _moves(info: dict[str, Any], loaded: LoadedRecipe) -> dict[str, Any]:
    """The entry of run.json about data that were moved; empty if they are where they were."""
    places = moved_keys(info, loaded)
    if not places:
        return {}
    entry: dict[str, Any] = {"time": now(), "command": command()}
    entry |= {key: {"from": old, "to": new} for key, (old, new) in places.items()}
    return {"moved": [*info.get("moved", []), entry]}


class _Observer:
    """Forwards the loop's events to the console, the TensorBoard files and run.json."""

    def __init__(
        self,
        run: RunDir,
        metric: str,
        console: Console,
        tensorboard: TensorBoard,
        tracking: Tracking,
        profiler: Profiler | None,
    ) -> None:
        self.stage = console.stage
        self._profiler = profiler
        self.stopping = console.stopping
        self._run = run
        self._metric = metric
        self._console = console
        self._tensorboard = tensorboard
        self._tracking = tracking

    def progress(
        self, epoch: int, num_epochs: int, step: int, num_steps: int, samples_per_second: float, loss: float
    ) -> None:
        self._console.progress(epoch, num_epochs, step, num_steps, samples_per_second, loss)
        if self._profiler is not None:
            self._profiler.after_call(step, num_steps)

    def epoch(self, row: dict[str, Any], num_epochs: int, is_best: bool) -> None:
        self._tensorboard.write(row)
        self._tracking.epoch(row)
        if is_best:
            self._run.update_info(best={"epoch": row["epoch"], "metric": self._metric, "value": row[self._metric]})
        self._console.epoch(row, num_epochs, is_best)
        if self._profiler is not None:
            self._profiler.after_epoch()


def _record_stop(run: RunDir, job: Job, stop: Interrupted) -> Interrupted:
    _record_end(run, job.console, "interrupted", str(stop))
    return Interrupted(f"{stop}. Resume with: dlcli train --resume {run.path}", stop.signal_number, run.path)


def _train_and_finish(
    run: RunDir, job: Job, split: str | None = None, *, until: int | None = None, profile: int | None = None
) -> dict[str, Any]:
    tensorboard = TensorBoard(run.tensorboard)
    tracking = Tracking(job.loaded.recipe.train.track, job.console.warn)
    if (members := job.device.members) is not None:
        members.remedy = f" Resume with: dlcli train --resume {run.path}"
        members.on_lost.append(lambda line: _record_end(run, job.console, "interrupted", line))
    try:
        describe(job, run)
        job.set_up_cache(run)
        divide_reading(job)
        profiler = None if profile is None else Profiler(run.tensorboard, profile, job.console.say)
        loop = job.loop(run, _Observer(run, job.best_metric, job.console, tensorboard, tracking, profiler))
        _restore(run, job, loop)
        tensorboard.rewrite(read_csv(run.metrics) if run.metrics.exists() else [])
        _track(run, tracking)
        with contextlib.nullcontext() if profiler is None else contextlib.closing(profiler):
            loop.train(until=until)
        if not loop.is_finished:
            _record_end(run, job.console, "interrupted", f"stopped after epoch {loop.state.epoch}, as asked")
            return {"run": str(run.path), **run.read_info()}
        if members is not None:
            members.leave()  # the workers have ended
        with without_strategy():
            result = _finish(run, job, loop, split or _split_to_evaluate(job))
        files = (run.config, run.metrics, run.model, *sorted(run.plots.glob("*.png")))
        tracking.finish(result["final"], files, epoch=loop.state.epoch)
        return result
    except (Interrupted, KeyboardInterrupt, Terminated) as stop:
        if not isinstance(stop, Interrupted):  # raised outside the loop
            by = stop.signal_number if isinstance(stop, Terminated) else signal.SIGINT
            stop = Interrupted(STOPPED_BETWEEN_CHECKPOINTS, by)
        raise _record_stop(run, job, stop) from None
    except Exception as error:
        number = received_stop()  # if any, the error is what a library made of it
        if number is not None:
            raise _record_stop(run, job, Interrupted(STOPPED_BETWEEN_CHECKPOINTS, number)) from None
        settle(job, error)
        user_error = _user_error(run, job, error)
        _record_end(run, job.console, "failed", str(user_error))
        raise user_error from error
    finally:
        job.console.close()
        tensorboard.close()
        tracking.stop()
        run.unlock()


def _track(run: RunDir, tracking: Tracking) -> None:
    """Open the run at its tracker, or open it again; its id there is recorded in run.json."""
    info = run.read_info()
    known = info.get("tracked")
    found = tracking.start(
        run.name, info["config"], folder=run.path.parent, known=known if isinstance(known, str) else None
    )
    if found is not None and found != known:
        run.update_info(tracked=found)


def _record_end(run: RunDir, console: Console, status: str, reason: str) -> None:
    """Record in run.json and train.log why training ended early."""
    with contextlib.suppress(OSError):  # a full disk has no space for this either
        run.update_info(status=status, reason=reason)
        console.note(f"{status}: {reason}")


def _user_error(run: RunDir, job: Job, error: Exception) -> Exception:
    """Translate an error for the user: a full disk, data that could not be read, or memory that ran out."""
    if isinstance(error, OSError) or "No space left" in str(error):
        place = getattr(error, "filename", None) or run.path
        reason = getattr(error, "strerror", None) or "No space left on device"
        return InputError(f"{place}: {reason}. Fix that, then resume with: dlcli train --resume {run.path}")
    for data in (job.train_data, job.validation_data):
        failure: Exception | None = getattr(data, "failure", None)
        if failure is not None:
            return failure
    if isinstance(error, (MemoryError, tf.errors.ResourceExhaustedError)):
        return CheckFailed("the device's memory is full. Lower train.batch_size or raise train.gradient_accumulation.")
    return error


def _split_to_evaluate(job: Job) -> str:
    is_fold = getattr(job.loaded.recipe.data, "fold", None) is not None
    return "validation" if is_fold else first_split(job.dataset.splits)


def _finish(run: RunDir, job: Job, loop: Loop, split: str) -> dict[str, Any]:
    """Save the best model, evaluate it on a split, draw the plots, and complete run.json."""
    rows = [_numbers(row) for row in read_csv(run.metrics)]
    _report_early_stop(rows, job, loop)
    loop.load_best()
    model = job.float32_model()
    replace_by(run.model, lambda path: model.save(path))
    best = next(row for row in rows if row["epoch"] == loop.state.best.epoch)
    metrics = job.evaluate(run, model, split)
    run.plots.mkdir(exist_ok=True)
    replace_file(run.plots / "curves.png", curves.learning_curves(rows, best_epoch=loop.state.best.epoch))
    for plot in sorted(run.evaluation(split).glob("*.png")):
        replace_file(run.plots / plot.name, read_file(plot, MAX_PLOT_BYTES))
    final = {key: value for key, value in best.items() if key.startswith(("train_", "val_"))}
    stages = _best_of_stages(rows, job.best_metric)
    _report_better_stage(stages, job)
    final = {f"{split}_{key}": value for key, value in metrics.items() if isinstance(value, float)} | final
    run.update_info(
        status="completed",
        reason=None,
        finished=now(),
        seconds=loop.state.seconds,
        best={"epoch": loop.state.best.epoch, "metric": job.best_metric, "value": loop.state.best.best},
        final=final,
        evaluated=split,
        stages=stages,
        model=file_digest(run.model),
        weights=weights_digest(model),
    )
    return {"run": str(run.path), **run.read_info()}


def read_history(run: RunDir) -> list[dict[str, Any]]:
    """The rows of metrics.csv, one for each epoch, with numbers; none before the end of the first one."""
    return [_numbers(row) for row in read_csv(run.metrics)] if run.metrics.exists() else []


def _report_early_stop(rows: list[dict[str, Any]], job: Job, loop: Loop) -> None:
    train = job.loaded.recipe.train
    last = stage_sections(train)[-1]
    done = sum(row["stage"] == last.name for row in rows)
    if train.early_stopping is not None and done < last.epochs:
        metric = train.early_stopping.metric or job.best_metric
        job.console.say(f"stopped early: {metric} has not improved for {loop.state.early_stopping.waited} epochs")


def _best_of_stages(rows: list[dict[str, Any]], metric: str) -> list[dict[str, Any]]:
    """Each stage's best epoch by the metric; as in the loop, the first one wins a tie."""
    trackers: dict[str, Tracker] = {}
    for row in rows:
        trackers.setdefault(row["stage"], Tracker()).update(metric, row[metric], row["epoch"])
    return [
        {"name": name, "epoch": tracker.epoch, "metric": metric, "value": tracker.best}
        for name, tracker in trackers.items()
    ]


def _report_better_stage(stages: list[dict[str, Any]], job: Job) -> None:
    losses = {job.losses_of(section) for section in stage_sections(job.loaded.recipe.train)}
    if len(losses) > 1 and job.best_metric.endswith("loss"):  # the stages' losses are not comparable
        return
    for stage in stages[:-1]:
        tracker = Tracker(best=stages[-1]["value"])
        if tracker.update(stage["metric"], stage["value"], stage["epoch"]):
            job.console.say(
                f"stage {stage['name']} had a better {stage['metric']}, {stage['value']:.4f} in epoch "
                f"{stage['epoch']}; the saved model is from the last stage, with {stages[-1]['value']:.4f}"
            )


def _numbers(row: dict[str, str]) -> dict[str, Any]:
    """Convert the numbers in a row of metrics.csv from text."""
    whole = ("epoch", "step")
    return {k: v if k == "stage" else int(v) if k in whole else float(v) for k, v in row.items()}
