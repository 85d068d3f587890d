"""Loads a recipe: reads its file, applies the values of the command line, and checks it against its task's schema."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dlcli.errors import InputError
from dlcli.files import is_url
from dlcli.recipe.language.default_kinds import with_default_kinds
from dlcli.recipe.language.diagnosis import explain
from dlcli.recipe.language.errors import Diagnostic, RecipeError
from dlcli.recipe.language.overrides import Override, apply_overrides
from dlcli.recipe.language.yaml_reader import Tree, decode, read_bytes, read_yaml
from dlcli.recipe.sections.backbone import base_key, base_of
from dlcli.recipe.sections.image_model import PythonNetwork
from dlcli.recipe.tasks.classification import Classification
from dlcli.recipe.tasks.detection import Detection
from dlcli.recipe.tasks.forecasting import Forecasting
from dlcli.recipe.tasks.image_regression import ImageRegression
from dlcli.recipe.tasks.instance_segmentation import InstanceSegmentation
from dlcli.recipe.tasks.language_model import LanguageModel
from dlcli.recipe.tasks.localization import Localization
from dlcli.recipe.tasks.multilabel import Multilabel
from dlcli.recipe.tasks.segmentation import Segmentation
from dlcli.recipe.tasks.sequence_classification import SequenceClassification
from dlcli.recipe.tasks.sequence_regression import SequenceRegression
from dlcli.recipe.tasks.sequence_to_sequence import SequenceToSequence
from dlcli.recipe.tasks.step_prediction import StepPrediction
from dlcli.recipe.tasks.tagging import Tagging
from dlcli.recipe.tasks.text_classification import TextClassification
from dlcli.recipe.tasks.text_multilabel import TextMultilabel
from dlcli.recipe.tasks.text_regression import TextRegression

__all__ = ["TASKS", "LoadedRecipe", "Override", "Recipe", "load"]

ImageRecipe = (
    Classification | Localization | ImageRegression | Multilabel | Segmentation | Detection | InstanceSegmentation
)
"""A recipe of a task on images, signals or volumes."""
TextRecipe = TextClassification | TextMultilabel | TextRegression
"""A recipe of a task that predicts something of a whole text."""
NumberRecipe = TextRegression | SequenceRegression
"""A recipe of a task with a number for each text or sequence."""
SequenceRecipe = TextRecipe | SequenceClassification | SequenceRegression | Tagging
"""A recipe of a task with a class, labels or a number for a sequence, or a class for each of its steps."""
Recipe = ImageRecipe | SequenceRecipe | StepPrediction | Forecasting | LanguageModel | SequenceToSequence
"""A recipe of any task."""

TASKS: Mapping[str, type[Recipe]] = {
    "classification": Classification,
    "localization": Localization,
    "image_regression": ImageRegression,
    "multilabel": Multilabel,
    "segmentation": Segmentation,
    "detection": Detection,
    "instance_segmentation": InstanceSegmentation,
    "text_classification": TextClassification,
    "text_multilabel": TextMultilabel,
    "text_regression": TextRegression,
    "sequence_classification": SequenceClassification,
    "sequence_regression": SequenceRegression,
    "tagging": Tagging,
    "step_prediction": StepPrediction,
    "forecasting": Forecasting,
    "language_model": LanguageModel,
    "sequence_to_sequence": SequenceToSequence,
}
"""The schema of each task."""

OTHER_SPELLINGS: Mapping[str, str] = {
    "localisation": "localization",
    "train_localisation_accuracy": "train_localization_accuracy",
    "val_localisation_accuracy": "val_localization_accuracy",
}
"""Values that are read as others. Recipes and the config.yaml of runs from before American spelling have them."""

SPELLED_KEYS = ("task", "train.best_metric", "train.early_stopping.metric", "train.schedule.metric")
"""The keys whose values may be spelled so."""


@dataclass(frozen=True)
class LoadedRecipe:
    """A valid recipe, its file, and the places of its keys for later checks, which need the data."""

    path: Path
    """The file, as the user named it."""
    text: bytes
    """Its content, byte for byte."""
    recipe: Recipe
    """The recipe, with the values of the command line and all defaults, and with absolute paths."""
    tree: Tree
    """The values as they were written, and their places."""

    @property
    def of_images(self) -> ImageRecipe:
        """The recipe of a task on images.

        Raises:
            RecipeError: it is a recipe of another task.
        """
        if not isinstance(self.recipe, ImageRecipe):
            tasks = [task for task, schema in TASKS.items() if issubclass(schema, ImageRecipe)]
            raise self.error("task", f"this is for images: a recipe with task: {' or '.join(tasks)}")
        return self.recipe

    def locate(self, key: str) -> str:
        """The place of a dotted key's value, as ``recipe.yaml:7:3`` or ``--set train.epochs=5``.

        The place of a key that is not written is that of the section above it.
        """
        return str(self.tree.place(self.tree.path(key)))

    def check_data_path(self) -> None:
        """Checks that the path of the data exists.

        Raises:
            RecipeError: it does not; located at the key.
        """
        path = getattr(self.recipe.data, "path", None)
        if path is not None and not is_url(path) and not Path(path).exists():
            raise self.error(
                "data.path", f"no such file or folder: {path}. Correct it, or give another path with --data PATH"
            )

    def error(self, key: str, message: str) -> RecipeError:
        """The error for a valid value that cannot be used, such as the path of a missing file."""
        return RecipeError([Diagnostic(self.tree.place(self.tree.path(key)), key, message)])


def load(path: Path, overrides: Sequence[Override] = ()) -> LoadedRecipe:
    """Loads the recipe in a file.

    Args:
        path: the file; paths in the recipe are relative to its folder.
        overrides: values that replace those of the file, in this order.

    Raises:
        InputError: the file cannot be read.
        RecipeError: the recipe is invalid; it has all errors at once.
    """
    if path.name == "config.yaml" and (path.parent / "run.json").exists() and not path.exists():
        raise InputError(f"{path}: no such file. A run directory must contain it. Restore it from a copy.")
    return load_text(read_bytes(path), path, overrides)


def load_text(text: bytes, path: Path, overrides: Sequence[Override] = ()) -> LoadedRecipe:
    """Loads a recipe that is not in a file; ``path`` is where it would be, for messages and for paths in it.

    Raises:
        RecipeError: as for :func:`load`.
    """
    tree = read_yaml(decode(text, str(path)), str(path))
    if not tree.complete:
        raise RecipeError(tree.diagnostics)
    tree.values = _as_it_was_read(tree.values, path)
    written = tree.values
    apply_overrides(tree, overrides)
    tree.values = respelled(tree.values)
    if (schema := _schema(tree.values)) is not None:
        tree.values = with_default_kinds(tree.values, written, overrides, schema)
    recipe = None if tree.diagnostics else _validated(tree, path)
    if recipe is None:
        diagnostics = [*tree.diagnostics, *explain(TASKS, tree)]
        assert diagnostics, "a recipe was refused without a diagnosis"
        raise RecipeError(diagnostics)
    loaded = LoadedRecipe(path, text, recipe, tree)
    _check_code(loaded)
    return loaded


PERMISSIONS = ("data.allow_outside", "data.folders")
"""Keys of how data are read that runs made before them lack; they may differ where a run is resumed."""
ALLOWING_OUTSIDE = (("classification", "csv"), ("localization", "csv"), ("localization", "coco"))


def _as_it_was_read(values: Any, path: Path) -> Any:
    """The values of a recipe. Those of a run from before the keys of PERMISSIONS get them, so that its data are read as
    they were."""
    data = values.get("data") if isinstance(values, dict) else None
    if path.name != "config.yaml" or not isinstance(data, dict) or not (path.parent / "run.json").is_file():
        return values
    added: dict[str, Any] = {}
    if (values.get("task"), data.get("kind")) in ALLOWING_OUTSIDE:
        added["allow_outside"] = True
    if data.get("kind") in ("folder", "files") and _has_folders_of_classes(data.get("path"), path.parent):
        added["folders"] = "classes"
    return {**values, "data": {**added, **data}}


def _has_folders_of_classes(root: Any, run: Path) -> bool:
    """Whether the classes of a run are the folders directly in the folder of its data."""
    try:
        classes = json.loads(read_bytes(run / "labels.json"))["classes"]
        return all(Path(root, name).is_dir() for name in classes)
    except (InputError, OSError, ValueError, TypeError, KeyError, RecursionError):
        return False


def respelled(values: Any) -> Any:
    """A recipe's values, checked or not, with the spelling of this program in place of other ones."""
    for key in SPELLED_KEYS:
        values = _respelled(values, key.split("."))
    return values


def _respelled(value: Any, path: Sequence[str]) -> Any:
    if not path:
        return OTHER_SPELLINGS.get(value, value) if isinstance(value, str) else value
    if not isinstance(value, dict) or path[0] not in value:
        return value
    return {**value, path[0]: _respelled(value[path[0]], path[1:])}


def _schema(values: Any) -> type[Recipe] | None:
    """The schema of a recipe's task; None if there is no such task."""
    task = values.get("task") if isinstance(values, dict) else None
    return TASKS.get(task) if isinstance(task, str) else None


def _validated(tree: Tree, path: Path) -> Recipe | None:
    """The recipe of the values by the schema of their task; None where that refuses them."""
    schema = _schema(tree.values)
    if schema is None:
        return None
    try:
        return schema.model_validate(tree.values, context={"folder": os.path.abspath(path.parent)})
    except ValidationError:
        return None


def _check_code(loaded: LoadedRecipe) -> None:
    """Refuses a file of code in another folder than the recipe's. The configuration of a run names where it was.

    Raises:
        RecipeError: it is elsewhere.
    """
    base = base_of(loaded.recipe.model)
    is_run = loaded.path.name == "config.yaml" and (loaded.path.parent / "run.json").is_file()
    if not isinstance(base, PythonNetwork) or is_run:
        return
    if os.path.dirname(base.file) != os.path.abspath(loaded.path.parent):
        raise loaded.error(
            f"{base_key(loaded.recipe.model)}.file",
            f"code is executed only from a file beside the recipe. Received {base.file}: copy it there",
        )
