"""``dlcli train --dry-run``: check and build everything, and report what would be trained."""

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from dlcli.recipe.load import LoadedRecipe
from dlcli.runtime.console import Console
from dlcli.runtime.startup import Device
from dlcli.tasks.dispatch import prepare
from dlcli.tasks.job import describe, layers_text, training_memory_of
from dlcli.tasks.optimization import make_stage, stage_sections
from dlcli.tasks.run_models import with_run_files

SECONDS_BETWEEN_LINES = 5.0


def dry_run(loaded: LoadedRecipe, *, runs: Path, device: Device, console: Console) -> dict[str, Any]:
    """Check and build everything that training would use, and report what it would do."""
    job = prepare(with_run_files(loaded, runs), device, console)
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
        "values": [float(np.nanmin(x)), float(np.nanmax(x))],  # in series, NaN marks missing values
    }


def _shapes(name: str, x: Any) -> dict[str, list[int]]:
    """The shapes of the inputs by name: of one tensor, or of each tensor in a dict."""
    if isinstance(x, dict):
        return {f"{name}.{key}": [*values.shape] for key, values in x.items()}
    return {name: [*x.shape]}
