"""Trials around training: a dry run, overfitting a few batches, and the same training with several seeds."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from dlcli.errors import CheckFailed, Interrupted
from dlcli.recipe.load import LoadedRecipe
from dlcli.recipe.sections.schedule import Constant
from dlcli.rundir import suffixed
from dlcli.training.step import EvaluationStep, TrainStep
from dlcli.workflow.job import describe, layers_text, training_memory_of
from dlcli.workflow.load import with_run_files
from dlcli.workflow.optimization import make_settings, make_stage, stage_sections
from dlcli.workflow.prepare import prepare
from dlcli.workflow.start import Device
from dlcli.workflow.talk import Talk
from dlcli.workflow.train import run_name, train

OVERFIT_STEPS = 2000  # tried at most
SECONDS_BETWEEN_LINES = 5.0


def dry_run(loaded: LoadedRecipe, *, runs: Path, device: Device, talk: Talk) -> dict[str, Any]:
    """Checks and builds everything that training would use, and says what it would do."""
    job = prepare(with_run_files(loaded, runs), device, talk)
    describe(job, None)
    train = loaded.recipe.train
    batch = job.train_data.assemble(job.train_data.element(job.train_data.source(0), tf.constant(0, tf.int64)))
    stages = []
    for section in stage_sections(train):
        stage = make_stage(
            section,
            train,
            steps_per_epoch=job.train_data.num_steps,
            prepare=lambda: None,
        )
        job.set_depth(section)
        num_steps = stage.num_epochs * job.train_data.num_steps
        rates = [float(stage.rate(tf.constant(step, tf.int64))) for step in (0, num_steps // 2, num_steps - 1)]
        stages.append(
            {
                "name": stage.name,
                "epochs": stage.num_epochs,
                "steps": num_steps,
                "learning_rate": dict(zip(("first", "middle", "last"), rates, strict=True)),
                "trainable_parameters": sum(int(np.prod(v.shape)) for v in job.model.trainable_variables),
            }
        )
    x = np.asarray(tf.nest.flatten(batch["x"])[0])
    table = job.table()
    memory, _ = training_memory_of(table, train, job.train_data.num_samples)
    return {
        "model": layers_text(job),
        "layers": table.as_dict(),
        "memory": memory.as_dict(),
        "schedule": stages,
        "batch": {
            **_shapes("x", batch["x"]),
            **{f"y.{name}": [*values.shape] for name, values in batch["y"].items()},
            "weight": [*batch["weight"].shape],
        },
        "values": [float(np.nanmin(x)), float(np.nanmax(x))],  # of series NaN stands for what is missing
    }


def _shapes(name: str, x: Any) -> dict[str, list[int]]:
    """Of what the network takes, by its name, or by the names of its parts."""
    if isinstance(x, dict):
        return {f"{name}.{key}": [*values.shape] for key, values in x.items()}
    return {name: [*x.shape]}


def overfit(loaded: LoadedRecipe, *, runs: Path, num_batches: int, device: Device, talk: Talk) -> dict[str, Any]:
    """Trains on a few batches until the network knows them by heart. Nothing is written.

    The rate is the optimizer's, without a schedule; the loss is measured without dropout or label smoothing.

    Raises:
        CheckFailed: the loss does not come near zero: network, rate or data have a fault.
    """
    job = prepare(with_run_files(loaded, runs), device, talk)
    describe(job, None)
    train = loaded.recipe.train
    data = job.overfit_data(num_batches)
    plain = job.objective(in_training=False, exact=True)
    section = train.model_copy(update={"schedule": Constant(kind="constant"), "stages": (), "ema": None})
    stage = make_stage(stage_sections(section)[0], section, steps_per_epoch=data.num_steps, prepare=lambda: None)
    optimizer = stage.optimizer(job.trained.trainable_variables)
    optimizer.build(job.trained.trainable_variables)
    step = TrainStep(
        model=job.trained,
        optimizer=optimizer,
        objective=plain,
        data=data,
        rate=stage.rate,
        clipping=make_settings(train, best_metric="train_loss").clipping,
        num_parts=train.gradient_accumulation,
        part_size=-(-train.batch_size // train.gradient_accumulation),
        loss_scaling=train.precision == "mixed_float16",
    )
    evaluation = EvaluationStep(model=job.trained, objective=plain, data=data)
    said, goal = time.monotonic(), job.overfit_loss(data)
    for epoch in range(-(-OVERFIT_STEPS // data.num_steps)):
        if not step.run(data.source(epoch), 0, data.num_steps):
            raise CheckFailed(f"the loss is not finite in pass {epoch + 1}. Try a lower train.optimizer.learning_rate.")
        step.reset()
        evaluation.reset()
        evaluation.run(data.source(epoch), 0, data.num_steps)
        results = evaluation.results()
        if time.monotonic() - said > SECONDS_BETWEEN_LINES:
            said = time.monotonic()
            talk.say(f"step {(epoch + 1) * data.num_steps:,} of at most {OVERFIT_STEPS:,}: loss {results['loss']:.4g}")
        if results["loss"] < goal:
            break
    facts = {"samples": data.num_samples, "passes": epoch + 1, "steps": (epoch + 1) * data.num_steps, **results}
    if results["loss"] >= goal:
        others = "".join(f", {name} {value:.4g}" for name, value in results.items() if name != "loss")
        raise CheckFailed(
            f"not overfitted: after {facts['steps']} steps on {facts['samples']} samples the loss is "
            f"{results['loss']:.4g} (it must come below {goal:.2g}){others}. "
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
        try:
            results.append(train(loaded, runs=runs, name=suffixed(base, f"-seed{seed}"), device=device, talk=talk))
        except Interrupted as stop:
            left = ", ".join(str(other) for other in seeds if other > seed)
            then = f"\nThen train the seeds {left} with --seed." if left else ""
            raise Interrupted(f"{stop}{then}", stop.signal_number) from None
    finals = [result["final"] for result in results]
    return {
        "runs": [result["run"] for result in results],
        "seeds": list(seeds),
        "mean": {key: float(np.mean([final[key] for final in finals])) for key in finals[0]},
        "spread": {key: float(np.std([final[key] for final in finals], ddof=1)) for key in finals[0]},
    }
