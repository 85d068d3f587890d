"""What ``dlcli attack`` attacks: the network, the samples, the classes, and where the results go."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcli.errors import InputError
from dlcli.rundir import find_run

if TYPE_CHECKING:
    from dlcli.data.images.samples import Samples
    from dlcli.workflow.talk import Talk
    from dlcli.workflow.target import Target

USERS: dict[str, tuple[str, ...]] = {
    "steps": ("bim", "pgd", "mi-fgsm", "deepfool", "apgd", "apgd-dlr", "square"),
    "step_size": ("bim", "pgd", "mi-fgsm"),
    "restarts": ("pgd", "apgd", "apgd-dlr", "suite"),
    "loss": ("fgsm", "bim", "pgd", "mi-fgsm", "apgd", "suite"),
    "target": ("fgsm", "bim", "pgd", "mi-fgsm", "apgd", "apgd-dlr"),
}
"""The attacks that an option is for."""


@dataclass(frozen=True)
class Request:
    """The options that say what is attacked."""

    run: str | None
    runs: Path
    data: Path | None
    split: str | None
    limit: int | None
    input_range: str | None
    classes: str | None
    transfer_to: str | None
    transfer_input_range: str | None
    has_logits: bool
    target: str | None

    @property
    def is_file(self) -> bool:
        return self.run is not None and self.run.endswith((".keras", ".h5", ".hdf5"))

    def check(self) -> None:
        """What can be said without TensorFlow.

        Raises:
            InputError: the options do not go together.
        """
        to_file = self.transfer_to is not None and self.transfer_to.endswith(".keras")
        if to_file and self.transfer_input_range is None:
            raise InputError(
                f"{self.transfer_to}: a model file does not say what it takes for black and white: "
                "--transfer-input-range must, such as --transfer-input-range 0,255."
            )
        if not to_file and self.transfer_input_range is not None:
            raise InputError("--transfer-input-range is for --transfer-to MODEL.keras.")
        if to_file:
            read_range(str(self.transfer_input_range), "--transfer-input-range")
        if not self.is_file:
            find_run(self.runs, self.run)
            given_options = (
                ("--input-range", self.input_range),
                ("--classes", self.classes),
                ("--logits", self.has_logits or None),
            )
            for option, given in given_options:
                if given is not None:
                    raise InputError(f"{option} is for a MODEL.keras; a run says it itself.")
            return
        if not str(self.run).endswith(".keras"):
            raise InputError(f"{self.run}: whole models are read from .keras files only, which cannot hold code.")
        if not Path(str(self.run)).exists():
            raise InputError(f"{self.run}: no such file.")
        for option, value, example in (
            ("--data", self.data, "--data photos/"),
            ("--input-range", self.input_range, "--input-range 0,255"),
            ("--classes", self.classes, "--classes ants,bees"),
        ):
            if value is None:
                raise InputError(
                    f"{self.run}: a model file does not say what it was trained on: {option} must, such as {example}."
                )
        read_range(str(self.input_range))


def read_range(text: str, option: str = "--input-range") -> tuple[float, float]:
    """Two numbers with a comma between them."""
    number = r"\s*(-?[0-9]*\.?[0-9]+)\s*"
    match = re.fullmatch(f"{number},{number}", text)
    if match is None or float(match[1]) >= float(match[2]):
        raise InputError(f"{option}: expected LOW,HIGH such as 0,1 or -1,1. Received '{text}'.")
    return float(match[1]), float(match[2])


@dataclass(frozen=True)
class Found:
    """What is attacked.

    Attributes:
        name: of the samples.
        source: for attack.json.
        parent: of the results' folders; of a file, with its name before theirs.
        scored_by: the other network that examples are scored on.
    """

    target: "Target"
    samples: "Samples"
    classes: tuple[str, ...]
    name: str
    source: dict[str, Any]
    parent: Path
    prefix: str
    target_class: int | None
    scored_by: "Target | None"

    def folder_name(self, kind: str, norm: str, target: str | None, transfer_to: str | None) -> str:
        """Of the results of an attack: what it is, where it is not the usual one."""
        words = [kind, *([norm] if norm != "linf" and kind != "deepfool" else [])]
        words += [f"to-{target}"] if target is not None else []
        words += [f"on-{Path(transfer_to).stem}"] if transfer_to is not None else []
        return self.prefix + re.sub(r"[^A-Za-z0-9._-]", "_", "-".join(words))[:80]


def find(request: Request, talk: "Talk") -> Found:
    """Loads network and samples; TensorFlow must have been started.

    Raises:
        InputError: they cannot be used, or do not go together.
    """
    from dlcli.rundir import file_digest
    from dlcli.workflow.attack import take_evenly
    from dlcli.workflow.image_evaluation import samples_of_run
    from dlcli.workflow.load import model_file
    from dlcli.workflow.target import load_target

    if request.is_file:
        path = Path(str(request.run))
        target = load_target(path, input_range=read_range(str(request.input_range)), has_logits=request.has_logits)
        classes = tuple(name.strip() for name in str(request.classes).split(","))
        name, samples = _data_of_file(request, target, classes, talk)
        parent, prefix = Path("attacks"), f"{re.sub(r'[^A-Za-z0-9._-]', '_', path.stem)}-"
    else:
        run = find_run(request.runs, request.run)
        path = model_file(run)
        target = load_target(path)
        classes = run.read_classes()
        name, samples = samples_of_run(run, split=request.split, data=request.data, talk=talk)
        parent, prefix = run.path / "attacks", ""
        talk.say(f"run {run.path}")
    if len(classes) != target.num_classes:
        raise InputError(
            f"{path}: tells {target.num_classes} classes apart; {len(classes)} are named: {', '.join(classes[:5])}."
        )
    if samples.shape != target.shape:
        raise InputError(f"{path}: takes pictures of {target.shape}; the samples have shape {samples.shape}.")
    if request.limit is not None:
        samples = take_evenly(samples, request.limit)
    other_path, scored_by = (None, None) if request.transfer_to is None else _other(request, target, classes)
    return Found(
        target=target,
        samples=samples,
        classes=classes,
        name=name,
        source={"model": str(path), "sha256": file_digest(path), "split": name, "transfer_to": request.transfer_to}
        | ({} if other_path is None else {"other_sha256": file_digest(other_path)}),
        parent=parent,
        prefix=prefix,
        target_class=None if request.target is None else _class(request.target, classes),
        scored_by=scored_by,
    )


def _data_of_file(request: Request, target: "Target", classes: tuple[str, ...], talk: "Talk") -> tuple[str, "Samples"]:
    from dlcli.recipe.sections.image_data import Digits
    from dlcli.workflow.data import read_dataset, section_for
    from dlcli.workflow.image_evaluation import split_of_other

    data = request.data
    assert data is not None
    if not data.exists():
        raise InputError(f"{data}: no such file or folder.")
    pictures = {
        "image_size": target.shape[:2],
        "color_mode": "grayscale" if target.shape[-1] == 1 else "rgb",
    }
    section = section_for(data, Digits(kind="digits"), pictures)
    dataset = read_dataset(section, talk, classes=classes)
    split = split_of_other(data, dataset, request.split)
    return f"{data.stem}-{split}", dataset.splits[split]


def _other(request: Request, target: "Target", classes: tuple[str, ...]) -> tuple[Path, "Target"]:
    """The other network and its file."""
    from dlcli.workflow.load import model_file
    from dlcli.workflow.target import load_target

    reference = str(request.transfer_to)
    if reference.endswith(".keras"):
        path = Path(reference)
        other = load_target(path, input_range=read_range(str(request.transfer_input_range)))
    else:
        run = find_run(request.runs, reference)
        path = model_file(run)
        other = load_target(path)
        if run.read_classes() != classes:
            raise InputError(
                f"--transfer-to {reference}: its classes, in the order of its outputs, are "
                f"{', '.join(run.read_classes()[:5])}; those of what is attacked are {', '.join(classes[:5])}."
            )
    if (other.shape, other.num_classes) != (target.shape, target.num_classes):
        raise InputError(
            f"--transfer-to {reference}: takes pictures of {other.shape} to {other.num_classes} classes; what is "
            f"attacked takes {target.shape} to {target.num_classes}."
        )
    return path, other


def _class(text: str, classes: tuple[str, ...]) -> int:
    if text in classes:
        return classes.index(text)
    if text.isascii() and text.isdigit() and int(text) < len(classes):
        return int(text)
    from dlcli.recipe.language.suggestions import did_you_mean

    hint = did_you_mean(text, classes) or f"; the classes are {', '.join(classes[:10])}"
    raise InputError(f"--target {text}: no class of the network{hint}.")
