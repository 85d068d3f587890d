"""``dlcli transfer``: the base, data and plan that its options ask for. Only a .keras base needs TensorFlow."""

import re
from pathlib import Path
from typing import Any

from dlcli.errors import InputError
from dlcli.recipe.language.fields import RUN_NAME
from dlcli.rundir.runs import find_run
from dlcli.runtime.startup import start_tensorflow
from dlcli.tasks.transfer import (
    DEFAULTS,
    OBJECT_TASKS,
    Base,
    Plan,
    application_base,
    application_name,
    boxes_section,
    data_section,
    digits_section,
    has_class_folders,
    masks_section,
    table_section,
    top_recipe,
    transfer_recipe,
)
from dlcli.workflow.models import side_of_application

__all__ = ["DEFAULTS", "find_base", "find_data", "make_plan", "top_recipe", "transfer_recipe"]

DEFAULT_SIDE = 224  # of images in pixels, for a saved base that accepts any size


def find_base(base: str, *, runs: Path, device: str, takes_cluster: bool = False) -> Base:
    """Find the network that ``--base`` names: run:NAME, a .keras file, or a network of keras.applications.

    Args:
        takes_cluster: as for :func:`~dlcli.runtime.startup.start_tensorflow`.

    Raises:
        InputError: it does not exist, or it is not an image classifier.
    """
    if base.startswith("run:"):
        if RUN_NAME.fullmatch(base.removeprefix("run:")) is None:
            raise InputError(f"--base {base}: expected run: followed by the name of a run in {runs}.")
        run = find_run(runs, base.removeprefix("run:"))
        info = run.read_info()["data"]
        shape = tuple(info.get("shape") or ())
        if len(shape) != 3:
            raise InputError(f"--base {base}: not an image classifier: its samples have shape {list(shape)}.")
        if None in shape:  # of images that are not resized the median
            shape = (*info["images"]["image_size"], shape[2])
        return Base(run.name, {"kind": "saved", "file": base}, (shape[0], shape[1]), shape[2])
    if base.endswith(".keras"):
        path = Path(base).expanduser()
        start_tensorflow(device, takes_cluster=takes_cluster)
        from dlcli.tasks.dispatch import shape_of_saved  # loads TensorFlow

        height, width, channels = shape_of_saved(path)
        name = re.sub(r"[^A-Za-z0-9._-]", "_", path.stem)
        size = (height or DEFAULT_SIDE, width or DEFAULT_SIDE)
        return Base(name, {"kind": "saved", "file": str(path.absolute())}, size, channels)
    name = application_name(base)
    return application_base(name, side_of_application(name))


def find_data(path: Path | None, base: Base, *, task: str) -> tuple[dict[str, Any], str]:
    """The ``data`` section, and a line that tells the user which data is used.

    Args:
        path: the value of ``--data``; None for the class folders of the current folder or data that ships with dlcli.

    Raises:
        InputError: the path does not exist, or its content is not supported.
    """
    path = None if path is None else path.expanduser()
    if task in ("localization", *OBJECT_TASKS):
        noun = "shapes" if task == "localization" else "scenes"
        source = f"synthetic {noun} (use --data PATH for other data)" if path is None else str(path)
        return boxes_section(path, base, task), f"data: {source}"
    if task in ("multilabel", "image_regression"):
        source = "synthetic scenes (use --data PATH for other data)" if path is None else str(path)
        return table_section(path, base, task), f"data: {source}"
    if task == "segmentation":
        source = "synthetic scenes (use --data PATH for other data)" if path is None else str(path)
        section = masks_section(path, base)
        made_up = "; the names of the classes are made up: set data.classes" if "classes" in section else ""
        return section, f"data: {source}{made_up}"
    if path is not None:
        return data_section(path, base), f"data: {path}"
    current = Path()
    if has_class_folders(current):
        source = f"the class folders in the current folder, {current.absolute()} (use --data PATH for other data)"
        return data_section(current, base), f"data: {source}"
    source = "the bundled digits, because the current folder has no class folders (use --data PATH for other data)"
    return digits_section(base), f"data: {source}"


def make_plan(
    *,
    task: str,
    head: str,
    unfreeze: str | None,
    fine_tune_epochs: str | None,
    augment: str | None,
    is_digits: bool,
) -> Plan:
    """The plan that the options ask for, with the defaults of the task.

    Raises:
        InputError: an option has an invalid value.
    """
    defaults = DEFAULTS[task]
    unfreeze = unfreeze or defaults.unfreeze
    epochs = fine_tune_epochs or str(defaults.fine_tune_epochs)
    if defaults.network is not None and head != "linear":
        raise InputError(
            f"--head {head}: is for a head on whole images; the head of --task {task} is on feature maps. Remove it."
        )
    if head != "linear" and re.fullmatch(r"[1-9][0-9]{0,5}(,[1-9][0-9]{0,5})*", head) is None:
        raise InputError(f"--head {head}: expected linear or the units of dense layers, such as 256 or 512,128.")
    if re.fullmatch(r"[1-9][0-9]{0,5}|last_stage|stage[1-9][0-9]?|all|none", unfreeze) is None:
        raise InputError(f"--unfreeze {unfreeze}: expected a number of layers, a stage such as stage4, all or none.")
    if re.fullmatch(r"[0-9]{1,6}", epochs) is None:
        raise InputError(f"--fine-tune-epochs {epochs}: expected a whole number.")
    return Plan(
        dense=() if head == "linear" else tuple(map(int, head.split(","))),
        augment=augment or ("none" if is_digits or task == "image_regression" else "light"),
        unfreeze=int(unfreeze) if unfreeze.isdigit() else unfreeze,
        fine_tune_epochs=int(epochs),
        task=task,
    )
