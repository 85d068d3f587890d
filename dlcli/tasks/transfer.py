"""The recipe of ``dlcli transfer``: a pretrained network, a new head on it, and training in two stages."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from dlcli.data.boxes.sources.voc import lists_of
from dlcli.data.files import list_folder
from dlcli.data.folders import walk
from dlcli.data.images.formats import IMAGE_SUFFIXES
from dlcli.data.junk import is_junk
from dlcli.data.listing import name_some
from dlcli.data.split_folders import find_splits
from dlcli.errors import InputError
from dlcli.files import suffix_of
from dlcli.recipe.language.errors import Place, RecipeError
from dlcli.recipe.language.suggestions import did_you_mean
from dlcli.recipe.language.yaml_reader import Mark
from dlcli.recipe.load import LoadedRecipe, Override, load_text
from dlcli.recipe.sections.image_model import ApplicationName
from dlcli.recipe.yaml_writer import to_yaml
from dlcli.tasks.draft import draft_layout, table_of_targets
from dlcli.tasks.layout import Layout, recognize

AUGMENTS: dict[str, dict[str, Any]] = {
    "none": {},
    "flip": {"horizontal_flip": True},
    "light": {
        "horizontal_flip": True,
        "rotation_range": 10.0,
        "width_shift_range": 0.1,
        "height_shift_range": 0.1,
        "zoom_range": 0.1,
    },
    "strong": {"horizontal_flip": True, "random_crop": {"area": (0.3, 1.0)}, "rand_augment": {}},
}
"""The ``augment`` section for each value of ``--augment``."""

DIGITS_SIDE = 96  # of the bundled digits: 8x8 pixels, enlarged so that five halvings leave feature maps
BOX_KINDS = ("voc", "coco", "yolo")
OBJECT_TASKS = ("detection", "instance_segmentation")  # those of all objects of an image
MASK_KINDS = ("masks", "coco", "yolo")  # sources whose objects may have masks
DETECTION_SIDE = 320  # of the images of a detector: small objects need more pixels than whole images
SYNTHETIC = {"multilabel": "scenes", "image_regression": "shapes", "localization": "shapes"}  # sources without --data
RARE = 0.05  # GIFs below this proportion of the images are excluded
L2 = 0.03  # on the head: with the few samples that transfer is meant for, a head without it overfits immediately


@dataclass(frozen=True)
class Defaults:
    """How a task is transferred to, unless the command line says otherwise.

    Attributes:
        name: beginning of the run's name.
        epochs, rate: of training the new layers.
        fine_tune_epochs, fine_tune_rate: of the second stage.
        unfreeze: the layers of the base to fine-tune.
        augments_head: augment in the first stage too; a head on a few boxes or masks would memorize them.
        batch_size: None for the recipe's default.
        best_metric: None for the task's default.
        network: ``model.kind`` of the network whose backbone the base is; None for a head on the base.
    """

    name: str = "transfer"
    epochs: int = 40
    rate: float = 3e-3
    fine_tune_epochs: int = 5
    fine_tune_rate: float = 1e-5
    unfreeze: str = "last_stage"
    augments_head: bool = False
    batch_size: int | None = None
    best_metric: str | None = None
    network: str | None = None


DENSE: dict[str, Any] = {"unfreeze": "all", "augments_head": True}  # of boxes and masks, which need the positions
DEFAULTS = {
    "classification": Defaults(),
    "multilabel": Defaults(),
    "image_regression": Defaults(),
    "localization": Defaults("localize", 15, 1e-3, 30, 3e-4, batch_size=16, **DENSE),
    "segmentation": Defaults(
        "segment", 5, 3e-3, 20, 5e-4, batch_size=8, best_metric="val_mean_iou", network="unet", **DENSE
    ),
    "detection": Defaults("detect", 3, 1e-3, 24, 5e-4, batch_size=8, network="fcos", **DENSE),
    "instance_segmentation": Defaults("instances", 3, 1e-3, 24, 5e-4, batch_size=8, network="mask_rcnn", **DENSE),
}
"""By the task of the new head."""


@dataclass(frozen=True)
class Base:
    """A pretrained network to start from.

    Attributes:
        name: the network's name, which becomes part of the run's name.
        model: the keys of the recipe's ``model`` section that identify the network.
        size: height and width of the images that it was trained on.
        channels: number of channels of these images.
    """

    name: str
    model: dict[str, Any]
    size: tuple[int, int]
    channels: int = 3


def application_base(name: str, side: int) -> Base:
    """A network of keras.applications as a base, for images of ``side`` x ``side`` pixels."""
    return Base(name, {"kind": "application", "network": name, "weights": "imagenet", "head": "average"}, (side, side))


def application_name(base: str) -> str:
    """The name of a network of keras.applications as recipes spell it.

    Raises:
        InputError: there is no such network; the text suggests the nearest name.
    """
    names = get_args(ApplicationName)
    plain = base.lower().replace("_", "").replace("-", "")
    if plain in names:
        return plain
    hint = did_you_mean(plain, names) or ". List the available ones with: dlcli models."
    raise InputError(
        f"--base {base}: no such network in keras.applications{hint} For your own: --base run:NAME or --base FILE.keras"
    )


@dataclass(frozen=True)
class Plan:
    """The options of ``dlcli transfer`` that are not themselves keys of the recipe.

    Attributes:
        dense: units of the layers between the features and the classes.
        augment: a key of `AUGMENTS`.
        unfreeze: the layers of the base to fine-tune: a stage's name, a number of layers, all, or none.
        fine_tune_epochs: epochs of the second stage; 0 for none.
        task: of the new head, a key of `DEFAULTS`.
    """

    dense: tuple[int, ...] = ()
    augment: str = "light"
    unfreeze: str | int = "last_stage"
    fine_tune_epochs: int = 5
    task: str = "classification"

    @property
    def defaults(self) -> Defaults:
        """How the task is transferred to."""
        return DEFAULTS[self.task]


def transfer_recipe(
    base: Base, data: dict[str, Any], plan: Plan, overrides: Sequence[Override], *, command: str
) -> LoadedRecipe:
    """Write the recipe and check it like any other.

    Args:
        data: the recipe's ``data`` section.
        overrides: the values given on the command line.
        command: the command that writes it, for the recipe's first line.

    Raises:
        InputError: a value is not valid; the text names the option.
    """
    defaults = plan.defaults
    if defaults.network is not None:
        backbone = {key: value for key, value in base.model.items() if key != "head"}
        model: dict[str, Any] = {"kind": defaults.network, "backbone": backbone}
    else:
        model = {**base.model, "l2": L2}
    if plan.dense:
        model["dense"] = plan.dense
    stages: list[dict[str, Any]] = [
        {"name": "head", "epochs": defaults.epochs, "trainable": "head", "augment": defaults.augments_head}
    ]
    is_tuned = plan.unfreeze != "none" and plan.fine_tune_epochs > 0
    if is_tuned:
        stages.append(
            {
                "name": "fine_tune",
                "epochs": plan.fine_tune_epochs,
                "learning_rate": defaults.fine_tune_rate,
                "trainable": _trainable(plan),
            }
        )
    if any((override.key, override.value_text) == ("data.resize", "none") for override in overrides):
        data = {key: value for key, value in data.items() if key != "image_size"}
    values: dict[str, Any] = {"task": plan.task, "name": f"{defaults.name}_{base.name}", "data": data}
    if (is_tuned or defaults.augments_head) and AUGMENTS[plan.augment]:
        values["augment"] = AUGMENTS[plan.augment]
    values["model"] = model
    if plan.task == "localization":
        values["box_head"] = {"dropout": 0.3, "loss": "giou"}
    values["train"] = {
        **({} if defaults.batch_size is None else {"batch_size": defaults.batch_size}),
        "optimizer": {"kind": "adam", "learning_rate": defaults.rate},
        "schedule": {"kind": "cosine"},
        **({} if defaults.best_metric is None else {"best_metric": defaults.best_metric}),
        "stages": tuple(stages),
    }
    return _loaded(values, overrides, command)


def _loaded(values: dict[str, Any], overrides: Sequence[Override], command: str) -> LoadedRecipe:
    """Load the recipe with the command line's values; errors in the other values are located at the command."""
    verb = Place(1, 1, 1, "dlcli transfer")
    try:
        loaded = load_text(to_yaml(values).encode(), Path("transfer.yaml"), overrides)
    except RecipeError as error:
        diagnostics = [
            diagnostic if diagnostic.place.order else replace(diagnostic, place=verb)
            for diagnostic in error.diagnostics
        ]
        raise RecipeError(diagnostics) from None
    for path, mark in loaded.tree.marks.items():
        if mark.value.order == 0:
            loaded.tree.marks[path] = Mark(verb, verb)
    text = f"# Written by: {command}\n{to_yaml(loaded.tree.values)}"
    return replace(loaded, text=text.encode())


def top_recipe(base: Base, overrides: Sequence[Override], *, command: str) -> LoadedRecipe:
    """Write the recipe of a network of keras.applications that keeps its classifier and is not trained.

    Raises:
        InputError: a value is not valid; the text names the option.
    """
    values = {
        "task": "classification",
        "name": f"{base.name}_imagenet",
        "data": {"kind": "none", "image_size": base.size, "resize": "crop", "color_mode": "rgb"},
        "model": {**base.model, "head": "paper"},
    }
    return _loaded(values, overrides, command)


def _trainable(plan: Plan) -> str | int:
    """The layers to train: those of the base that are unfrozen, and always those of the head."""
    return plan.unfreeze + len(plan.dense) + 1 if isinstance(plan.unfreeze, int) else plan.unfreeze


# Data -----------------------------------------------------------------------------------------------------------------


def data_section(path: Path, base: Base) -> dict[str, Any]:
    """The ``data`` section for a folder of class folders, a .csv or an .npz, with images of the base's size.

    Raises:
        InputError: the path does not exist, or is something else.
    """
    common = {
        "image_size": base.size,
        "resize": "crop",
        "color_mode": "rgb" if base.channels == 3 else "grayscale",
    }
    if not path.exists():
        raise InputError(f"--data {path}: no such file or folder.")
    layout = recognize(path)
    found = {"path": os.path.abspath(layout.path)}
    if layout.kind == "images":
        section = {"kind": "folder", **found, **common, "on_bad_image": "skip"}
        return section | ({"exclude": ("*.gif",)} if _has_few_gifs(layout.path) else {})
    if layout.kind == "shards":
        return {"kind": "shards", **found, **common}
    if (table := table_of_targets(layout)) is not None:
        names = table[1].get("targets") or table[1].get("labels") or (table[1]["label"],)
        raise InputError(f"--data {path}: holds images with {name_some(names)} to predict. Add --task {table[0]}.")
    if layout.kind == "file" and suffix_of(layout.path) == ".csv":
        return {"kind": "csv", **found, **common, "on_bad_image": "skip"}
    if layout.kind == "file" and layout.path.suffix.lower() == ".npz":
        return {"kind": "npz", **found, **common}
    if layout.kind == "masks":
        raise InputError(
            f"--data {path}: holds images with masks. Add --task segmentation or, if their values are objects, --task "
            "instance_segmentation."
        )
    if layout.kind in BOX_KINDS:
        raise InputError(
            f"--data {path}: holds images with boxes ({layout.kind}). Add --task detection or --task localization."
        )
    raise InputError(f"--data {path}: expected a folder of class folders, a .csv or an .npz.")


def boxes_section(path: Path | None, base: Base, task: str) -> dict[str, Any]:
    """The ``data`` section for images with boxes: Pascal VOC, COCO, YOLO, a .csv, an .npz; with masks of objects: COCO,
    YOLO, a folder of images and one of masks; for None, synthetic images.

    Args:
        task: localization, detection or instance_segmentation.

    Raises:
        InputError: the path does not exist, or is something else.
    """
    kinds = {".json": "coco", ".csv": "csv", ".npz": "npz", ".yaml": "yolo", ".yml": "yolo"}
    color_mode, is_saved = "rgb" if base.channels == 3 else "grayscale", base.model["kind"] == "saved"
    if path is None:
        kind, size = SYNTHETIC.get(task, "scenes"), (DIGITS_SIDE, DIGITS_SIDE)
        return {"kind": kind, "image_size": base.size if is_saved else size, "color_mode": color_mode}
    if not path.exists():
        raise InputError(f"--data {path}: no such file or folder.")
    layout = recognize(path)
    found = layout.kind if layout.kind in (*BOX_KINDS, "masks") else kinds.get(suffix_of(layout.path))
    if task == "instance_segmentation" and found not in MASK_KINDS:
        raise InputError(
            f"--data {path}: expected images whose objects have masks: a folder of images and one of masks, a COCO "
            ".json, or a YOLO data.yaml."
        )
    if found is None or (found == "masks" and task != "instance_segmentation"):
        raise InputError(
            f"--data {path}: expected a folder of images with boxes in the format of Pascal VOC, COCO or YOLO, a COCO "
            ".json, a data.yaml, a .csv or an .npz."
        )
    section: dict[str, Any] = {"kind": found, "path": os.path.abspath(layout.path)}
    if found == "voc" and layout.kind == "voc":
        section |= {f"{split}_list": name for split, name in lists_of(layout.path).items()}
    if found == "coco":
        section |= _further_coco_files(layout)
    larger = (DETECTION_SIDE, DETECTION_SIDE)
    size = larger if task in OBJECT_TASKS and not is_saved else base.size
    section |= {"image_size": size, "color_mode": color_mode}
    return section | ({} if found == "npz" else {"on_bad_image": "skip"})


def table_section(path: Path | None, base: Base, task: str) -> dict[str, Any]:
    """The ``data`` section for a table of images with labels or numbers; for None, synthetic scenes.

    Args:
        task: multilabel or image_regression.

    Raises:
        InputError: the path does not exist, or is not a table whose columns show what is to be predicted.
    """
    color_mode = "rgb" if base.channels == 3 else "grayscale"
    if path is None:
        kind, size = SYNTHETIC[task], base.size if base.model["kind"] == "saved" else (DIGITS_SIDE, DIGITS_SIDE)
        return {"kind": kind, "image_size": size, "color_mode": color_mode}
    if not path.exists():
        raise InputError(f"--data {path}: no such file or folder.")
    found = table_of_targets(recognize(path))
    if found is None or found[0] != task:
        received = "something else" if found is None else f"a table for task: {found[0]}"
        noun = "labels: columns of 0 and 1, or lists" if task == "multilabel" else "numbers to predict"
        raise InputError(f"--data {path}: expected a table (.csv) of images with {noun}. Received {received}.")
    common = {"image_size": base.size, "resize": "crop", "color_mode": color_mode, "on_bad_image": "skip"}
    return {**found[1], **common}


def masks_section(path: Path | None, base: Base) -> dict[str, Any]:
    """The ``data`` section for images with masks, as it is drafted for them, or of COCO; for None, synthetic scenes.

    Raises:
        InputError: the path does not exist, or has no images with masks.
    """
    color_mode = "rgb" if base.channels == 3 else "grayscale"
    if path is None:
        return {"kind": "scenes", "image_size": (DIGITS_SIDE, DIGITS_SIDE), "color_mode": color_mode}
    if not path.exists():
        raise InputError(f"--data {path}: no such file or folder.")
    layout = recognize(path)
    expected = (
        f"--data {path}: expected images with masks: a folder of images and one of their masks, a table of both, or a "
        "COCO .json."
    )
    if layout.kind == "coco" or suffix_of(layout.path) == ".json":
        size = base.size if base.model["kind"] == "saved" else (DETECTION_SIDE, DETECTION_SIDE)
        keys = {"image_size": size, "color_mode": color_mode, "on_bad_image": "skip"}
        return {"kind": "coco", "path": os.path.abspath(layout.path), **_further_coco_files(layout), **keys}
    if layout.kind not in ("masks", "polygons", "file"):
        raise InputError(expected)
    drafted = load_text(draft_layout(layout, Path()).text.encode(), Path("transfer.yaml")).tree.values
    if drafted["task"] != "segmentation":
        raise InputError(expected)
    return {**drafted["data"], "path": os.path.abspath(layout.path), "color_mode": color_mode}


def _further_coco_files(layout: Layout) -> dict[str, str]:
    """The keys of the files of other splits."""
    return {f"{split}_path": os.path.abspath(file) for split, file in layout.others.items()}


def digits_section(base: Base) -> dict[str, Any]:
    """The ``data`` section for the bundled digits."""
    size = base.size if base.model["kind"] == "saved" else (DIGITS_SIDE, DIGITS_SIDE)
    return {"kind": "digits", "image_size": size, "color_mode": "rgb" if base.channels == 3 else "grayscale"}


def has_class_folders(folder: Path) -> bool:
    """Whether a folder, or its folder of the training split, has at least two folders with images directly in them."""
    try:
        train = find_splits(folder)[0]["train"]
        return sum(_has_images(entry) for entry in list_folder(train)[0] if not is_junk(entry.name)) >= 2
    except InputError:
        return False


def _has_images(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        return any(entry.name.lower().endswith(IMAGE_SUFFIXES) for entry in entries)


def _has_few_gifs(folder: Path) -> bool:
    """Whether a few of the images are GIFs: among photos, these are buttons and "not found" notices, not photos."""
    names = [name.lower() for walked in walk(folder) for name in walked.files]
    images = [name for name in names if name.endswith(IMAGE_SUFFIXES)]
    num_gifs = sum(name.endswith(".gif") for name in images)
    return 0 < num_gifs < RARE * len(images)
