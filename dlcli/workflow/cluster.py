"""Training by several processes: what the chief tells the workers, and what a worker does.

The chief alone has the run directory: it creates and locks it, writes metrics and checkpoints, and evaluates the model.
Every process reads the data, builds the network and takes the steps. A worker needs no run directory: what it keeps
for a while, such as the features of a frozen base, is in a temporary folder of its own.
"""

import functools
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from dlcli.data.findings import Sharing, sharing
from dlcli.data.images.batches import Batches
from dlcli.errors import InputError, Interrupted
from dlcli.recipe.language.fields import path_keys
from dlcli.recipe.load import LoadedRecipe, load_text
from dlcli.recipe.sections.backbone import base_key, base_of
from dlcli.recipe.sections.image_model import PythonNetwork
from dlcli.recipe.yaml_writer import resolved, to_yaml
from dlcli.rundir.directory import RunDir
from dlcli.rundir.writing import write_file
from dlcli.runtime.console import Console
from dlcli.runtime.members import Members
from dlcli.runtime.startup import Device
from dlcli.tasks.dispatch import prepare
from dlcli.tasks.job import Job, num_parts
from dlcli.tasks.run_models import with_architecture, with_run_files
from dlcli.temporary import private_folder
from dlcli.training.checkpoint import Saved
from dlcli.training.parts import share_of

FILES = ("weights", "file")  # keys of a model whose files may be elsewhere on each machine
SETTLE_SECONDS = 5.0  # to hear from another process why the networks differ


def prepare_together(loaded: LoadedRecipe, device: Device, console: Console, *, is_new: bool = True) -> Job:
    """Prepare a job, by each process of the cluster or by one that is alone.

    Raises:
        InputError: the recipe or its data cannot be used, or are not the same in all processes.
    """
    members = device.members
    if members is None:
        return prepare(loaded, device, console, is_new=is_new)
    if isinstance(base_of(loaded.recipe.model), PythonNetwork):
        raise loaded.error(
            f"{base_key(loaded.recipe.model)}.kind",
            "a network in Python needs one process, because no process runs code that another one names",
        )
    members.check_same("the recipe", _without_places(loaded))
    own = members.cluster.describe(members.cluster.index)
    try:
        with sharing(Sharing(members.is_chief, members.from_chief, own)):  # the chief alone scans the data
            job = prepare(loaded, device, console, is_new=is_new)
    except tf.errors.OpError as error:  # the weights, which the chief sends, do not fit
        members.settle(SETTLE_SECONDS)
        raise InputError(
            f"{own}: the networks of the processes differ, because their "
            f"data do: {str(error.message).splitlines()[0][:300]}"
        ) from None
    base = job.base() or {}
    members.check_same("the content of the data", [job.dataset.fingerprint(), base.get("sha256", base.get("weights"))])
    return job


def _without_places(loaded: LoadedRecipe) -> dict[str, Any]:
    """A recipe without the places of its files, which may be other ones on each machine."""
    config = resolved(loaded.recipe)
    for key in path_keys(type(loaded.recipe.data)):
        config["data"].pop(key, None)
    for section in (config["model"], config["model"].get("backbone")):
        for key in FILES if isinstance(section, dict) else ():
            section.pop(key, None)
    return {key: value for key, value in config.items() if key != "name"}


def divide_reading(job: Job) -> None:
    """Let each process read only its own samples of each batch from files."""
    members = job.device.members
    if members is None:
        return
    size, index = members.size, members.cluster.index
    parts = num_parts(job.loaded.recipe.train)
    for data, number in ((job.train_data, parts), (job.validation_data, size)):
        if isinstance(data, Batches):
            data.read_only(functools.partial(share_of, num_parts=number, num_replicas=size, replica=index))


# The chief -----------------------------------------------------------------------------------------------------------


def send_recipe(members: Members | None, loaded: LoadedRecipe, run: RunDir, *, is_new: bool) -> None:
    """Send the recipe of a run that is resumed to the workers, which do not have it."""
    if members is None:
        return
    architecture = run.architecture.read_text() if run.architecture.exists() else None
    values = {
        "run": str(run.path),
        "path": str(run.config),
        "recipe": to_yaml(resolved(loaded.recipe)),
        "architecture": architecture,
        "is_new": is_new,
    }
    members.from_chief(json.dumps(values).encode())


def send_checkpoint(job: Job, saved: Saved | None) -> None:
    """Send the checkpoint from which training goes on, or that there is none, to the workers."""
    if job.device.members is None:
        return
    buffer = io.BytesIO()
    if saved is not None:
        np.savez(buffer, allow_pickle=False, **saved.arrays)
    facts = None if saved is None else {key: value for key, value in vars(saved).items() if key != "arrays"}
    job.device.members.from_chief(json.dumps(facts).encode())
    job.device.members.from_chief(buffer.getvalue())


def settle(job: Job, error: Exception) -> None:
    """If the loss of another process may be the reason of an error, wait for what is known about it. Then this process
    ends."""
    members = job.device.members
    is_of_data = any(getattr(data, "failure", None) is not None for data in (job.train_data, job.validation_data))
    is_joint = isinstance(error, tf.errors.OpError) and not isinstance(error, tf.errors.ResourceExhaustedError)
    if members is not None and is_joint and not is_of_data:
        members.settle()


# A worker ------------------------------------------------------------------------------------------------------------


def work(loaded: LoadedRecipe | None, *, runs: Path, device: Device, console: Console) -> None:
    """Train as one of the workers.

    Args:
        loaded: the recipe of a new run; None for a run that is resumed, whose recipe the chief sends.

    Raises:
        InputError: the recipe or its data cannot be used, or differ from the chief's.
        CheckFailed: the loss is not finite.
        Interrupted: a signal was received, by this or another process.
    """
    members = device.members
    assert members is not None
    own = members.cluster.describe(members.cluster.index)
    with members.reporting(), private_folder("dlcli-worker") as folder:
        members.on_lost.append(lambda line: shutil.rmtree(folder, ignore_errors=True))
        scratch = RunDir(folder / "run")
        scratch.path.mkdir()
        if loaded is None:
            loaded, is_new = _receive_recipe(members, scratch)
        else:
            loaded, is_new = with_run_files(loaded, runs), True
        quiet = Console(quiet=True)  # the chief reports
        job = prepare_together(loaded, device, quiet, is_new=is_new)
        console.say(f"{own} trains with {members.cluster.describe(0)}, which reports and writes the run")
        try:
            _train(job, scratch, members)
        except Interrupted as stop:
            raise Interrupted(f"{own}: {stop}", stop.signal_number) from None
        except Exception as error:
            settle(job, error)
            failures = [getattr(data, "failure", None) for data in (job.train_data, job.validation_data)]
            raise next((failure for failure in failures if failure is not None), error) from error


def _receive_recipe(members: Members, scratch: RunDir) -> tuple[LoadedRecipe, bool]:
    values = json.loads(members.from_chief())
    loaded = load_text(values["recipe"].encode(), Path(values["path"]))
    if values["architecture"] is not None:
        write_file(scratch.architecture, values["architecture"].encode())
    return loaded if values["is_new"] else with_architecture(loaded, scratch), bool(values["is_new"])


def _train(job: Job, scratch: RunDir, members: Members) -> None:
    job.set_up_cache(scratch)
    divide_reading(job)
    loop = job.loop(scratch, job.console)
    facts, arrays = json.loads(members.from_chief()), members.from_chief()
    if facts is not None:
        with np.load(io.BytesIO(arrays), allow_pickle=False) as file:
            loop.resume(Saved(arrays={key: file[key] for key in file.files}, **facts))
    loop.train()
