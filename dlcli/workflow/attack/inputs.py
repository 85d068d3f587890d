"""The inputs of ``dlcli attack``: network, samples and classes, and where the results are written."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dlcli.data.images.samples import Samples
from dlcli.data.splits import evenly_spaced
from dlcli.errors import InputError
from dlcli.recipe.language.suggestions import did_you_mean
from dlcli.recipe.load import load
from dlcli.rundir.reading import file_digest
from dlcli.rundir.runs import find_run
from dlcli.runtime.console import Console
from dlcli.runtime.model_files import load_float32
from dlcli.tasks.attack_target import AttackTarget, load_target, target_of
from dlcli.tasks.dispatch import classifier_of_file, samples_for_file, task_of
from dlcli.tasks.run_models import load_model
from dlcli.tasks.task import AttackedModel
from dlcli.workflow.attack.request import Request, read_range


@dataclass(frozen=True)
class AttackInputs:
    """The network and samples of an attack.

    Attributes:
        name: the name of the samples.
        source: model and samples, for attack.json.
        parent: the folder of the results folders.
        prefix: starts the name of a results folder; for a model file, it contains the file's name.
        target_class: the index of the target class; None for an untargeted attack.
        scored_by: another network that the adversarial examples are scored on; None for the attacked one.
    """

    target: AttackTarget
    samples: Samples
    classes: tuple[str, ...]
    name: str
    source: dict[str, Any]
    parent: Path
    prefix: str
    target_class: int | None
    scored_by: AttackTarget | None

    def folder_name(self, kind: str, norm: str, target: str | None, transfer_to: str | None) -> str:
        """The name of a results folder: the attack, and every setting that is not the default."""
        words = [kind, *([norm] if norm != "linf" and kind != "deepfool" else [])]
        words += [f"to-{target}"] if target is not None else []
        words += [f"on-{Path(transfer_to).stem}"] if transfer_to is not None else []
        return self.prefix + re.sub(r"[^A-Za-z0-9._-]", "_", "-".join(words))[:80]


def load_inputs(request: Request, console: Console) -> AttackInputs:
    """Load network and samples; TensorFlow must have been started.

    Raises:
        InputError: they cannot be used, or do not match.
    """
    if request.is_file:
        attacked = _attacked_file(request, console)
        parent, prefix = Path("attacks"), f"{re.sub(r'[^A-Za-z0-9._-]', '_', attacked.file.stem)}-"
    else:
        run = find_run(request.runs, request.run)
        task = task_of(load(run.config).recipe)
        attacked = task.attacked(run, split=request.split, data=request.data, console=console)
        parent, prefix = run.attacks, ""
        console.say(f"run {run.path}")
    path, target, classes, samples = attacked.file, attacked.target, attacked.classes, attacked.samples
    if len(classes) != target.num_classes:
        raise InputError(
            f"{path}: has {target.num_classes} classes. Received {len(classes)} class names: {', '.join(classes[:5])}."
        )
    if samples.shape != target.shape:
        raise InputError(f"{path}: expects images of shape {target.shape}; the samples have shape {samples.shape}.")
    if request.limit is not None:
        samples = take_evenly(samples, request.limit)
    other_digest, scored_by = (
        (None, None) if request.transfer_to is None else _other_network(request, target, classes, console)
    )
    return AttackInputs(
        target=target,
        samples=samples,
        classes=classes,
        name=attacked.name,
        source={
            "model": str(path),
            "sha256": attacked.digest,
            "split": attacked.name,
            "transfer_to": request.transfer_to,
        }
        | ({} if other_digest is None else {"other_sha256": other_digest}),
        parent=parent,
        prefix=prefix,
        target_class=None if request.target is None else _class_index(request.target, classes),
        scored_by=scored_by,
    )


def _attacked_file(request: Request, console: Console) -> AttackedModel:
    path = Path(str(request.run))
    input_range = read_range(str(request.input_range))
    target = classifier_of_file(path, input_range=input_range, has_logits=request.has_logits)
    classes = tuple(name.strip() for name in str(request.classes).split(","))
    assert request.data is not None
    name, samples = samples_for_file(request.data, target, classes, split=request.split, console=console)
    return AttackedModel(path, file_digest(path), target, classes, samples, name)


def _other_network(
    request: Request, target: AttackTarget, classes: tuple[str, ...], console: Console
) -> tuple[str, AttackTarget]:
    """Load the network of --transfer-to; return the SHA-256 of its file and the network."""
    reference = str(request.transfer_to)
    if reference.endswith(".keras"):
        path = Path(reference)
        other, digest = load_target(path, input_range=read_range(str(request.transfer_input_range))), file_digest(path)
    else:
        run = find_run(request.runs, reference)
        best = load_model(run, console, load=load_float32)
        other, digest = target_of(best.model, best.file), best.digest
        if run.read_classes() != classes:
            raise InputError(
                f"--transfer-to {reference}: its classes, in the order of its outputs, are "
                f"{', '.join(run.read_classes()[:5])}; those of the attacked network are {', '.join(classes[:5])}."
            )
    if (other.shape, other.num_classes) != (target.shape, target.num_classes):
        raise InputError(
            f"--transfer-to {reference}: maps images of shape {other.shape} to {other.num_classes} classes; the "
            f"attacked network maps {target.shape} to {target.num_classes}."
        )
    return digest, other


def _class_index(text: str, classes: tuple[str, ...]) -> int:
    if text in classes:
        return classes.index(text)
    if text.isascii() and text.isdigit() and int(text) < len(classes):
        return int(text)
    hint = did_you_mean(text, classes) or f"; the classes are {', '.join(classes[:10])}."
    raise InputError(f"--target {text}: not a class of the network{hint}")


def take_evenly(samples: Samples, number: int) -> Samples:
    """Take a number of samples, evenly spaced over the split."""
    index = evenly_spaced(len(samples), number)
    return replace(
        samples,
        names=tuple(samples.names[i] for i in index),
        labels=samples.labels[index],
        digests=tuple(samples.digests[i] for i in index),
        groups=None,
        pixels=samples.load(index),
        files=None,
        unsized=None,
    )
