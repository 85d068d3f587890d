"""``dlcli train --overfit``: train on a few batches until they are memorized."""

import time
from pathlib import Path
from typing import Any

from dlcli.errors import CheckFailed
from dlcli.recipe.load import LoadedRecipe
from dlcli.recipe.sections.schedule import Constant
from dlcli.runtime.console import Console
from dlcli.runtime.startup import Device
from dlcli.tasks.dispatch import prepare
from dlcli.tasks.job import describe
from dlcli.tasks.optimization import make_settings, make_stage, stage_sections
from dlcli.tasks.run_models import with_run_files
from dlcli.training.step import EvaluationStep, TrainStep
from dlcli.workflow.dry_run import SECONDS_BETWEEN_LINES

OVERFIT_STEPS = 2000  # maximum


def overfit(loaded: LoadedRecipe, *, runs: Path, num_batches: int, device: Device, console: Console) -> dict[str, Any]:
    """Train on a few batches until the network has memorized them. Nothing is written.

    The learning rate is the optimizer's, without a schedule; the loss is measured without dropout or label smoothing.

    Raises:
        CheckFailed: the loss does not approach zero, so the network, learning rate or data has an error.
    """
    job = prepare(with_run_files(loaded, runs), device, console)
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
        loss_scaling=train.precision == "mixed_float16",
        xla=train.xla,
    )
    evaluation = EvaluationStep(model=job.trained, objective=plain, data=data)
    last_line, goal = time.monotonic(), job.overfit_loss(data)
    for epoch in range(-(-OVERFIT_STEPS // data.num_steps)):
        if not step.run(data.source(epoch), 0, data.num_steps):
            raise CheckFailed(f"the loss is not finite in pass {epoch + 1}. Try a lower train.optimizer.learning_rate.")
        step.reset()
        evaluation.reset()
        evaluation.run(data.source(epoch), 0, data.num_steps)
        results = evaluation.results()
        if time.monotonic() - last_line > SECONDS_BETWEEN_LINES:
            last_line = time.monotonic()
            console.say(
                f"step {(epoch + 1) * data.num_steps:,} of at most {OVERFIT_STEPS:,}: loss {results['loss']:.4g}"
            )
        if results["loss"] < goal:
            break
    facts = {"samples": data.num_samples, "passes": epoch + 1, "steps": (epoch + 1) * data.num_steps, **results}
    if results["loss"] >= goal:
        others = "".join(f", {name} {value:.4g}" for name, value in results.items() if name != "loss")
        raise CheckFailed(
            f"not overfitted: after {facts['steps']} steps on {facts['samples']} samples the loss is "
            f"{results['loss']:.4g} (it must fall below {goal:.2g}){others}. "
            "Check the learning rate, samples with two labels, and the network's size."
        )
    return facts
