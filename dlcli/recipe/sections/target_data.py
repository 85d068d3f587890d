"""The ``data`` section of tasks that predict numbers or labels of an image: a table with a row for each image."""

from collections.abc import Iterator
from typing import Annotated, Literal

from annotated_types import MinLen
from pydantic import Field

from dlcli.recipe.language.fields import Count, Expected, LocalPath, Seed, Text
from dlcli.recipe.sections.augment import Augment, rules_of_composition
from dlcli.recipe.sections.image_data import FilesOfImages, Images, ShardFolder
from dlcli.recipe.sections.image_model import Convnet, ImageClassifier
from dlcli.recipe.sections.table_data import Decimals

Names = Annotated[tuple[Text, ...], MinLen(1), Expected("a list of names of columns")]


class ImageTable(FilesOfImages):
    """The keys of a table with a row for each image."""

    may_keep_sizes = True

    path: LocalPath
    """The .csv file, or a folder that contains one, relative to the recipe's folder."""
    image: Text = "path"
    """Name of the column that holds the image's path."""
    images: LocalPath | None = None
    """The folder to which the paths in the table are relative. Default: the table's folder."""
    suffix: str = ""
    """What is appended to each path, where the table names images without their suffix: `.jpg`."""
    split: Text | None = None
    """Name of a column that holds train, validation (or val, valid, dev, eval) or test. Default: a random split."""
    group: Text | None = None
    """Name of a column whose equal values must stay in one split: the patient, the scene, the photographer."""
    exclude: tuple[Text, ...] = ()
    """Patterns of images to leave out, by name or by path as in the table: `*.gif`."""
    allow_outside: bool = False
    """Read images outside of that folder too: absolute paths, and paths that leave the folder by `..`."""
    on_bad_image: Literal["error", "skip"] = "error"
    """What to do about an image that cannot be read: stop before training starts, or leave it out and count it."""

    @property
    def roles(self) -> dict[str, str]:
        """The columns that are not learned, by the keys that name them."""
        named = {"image": self.image, "split": self.split, "group": self.group}
        return {key: name for key, name in named.items() if name is not None}


def rules_of_columns(key: str, names: tuple[str, ...], roles: dict[str, str]) -> Iterator[tuple[str, str]]:
    """The rules of columns that are learned: each once, and none that has another role."""
    for i, name in enumerate(names):
        if name in names[:i]:
            yield f"{key}.{i}", f"each column can be named once. Received '{name}' twice."
        role = next((role for role, other in roles.items() if other == name), None)
        if role is not None:
            yield f"{key}.{i}", f"must be another column than data.{role}. Received '{name}'."


def rules_of_labels(
    labels: tuple[str, ...] | None, label: str | None, roles: dict[str, str]
) -> Iterator[tuple[str, str]]:
    """The rules of labels in a column each, or as lists in one column: one of both is given, and has no other role."""
    if (labels is None) == (label is None):
        received = "neither" if labels is None else "both"
        yield "labels", f"give labels, the columns, or label, a column with lists. Received {received}."
    if labels is not None:
        yield from rules_of_columns("labels", labels, roles)
    for role, name in roles.items():
        if name == label:
            yield "label", f"must be another column than data.{role}. Received '{name}'."


def rules_of_separator(label: str | None, separator: str | None) -> Iterator[tuple[str, str]]:
    """The rule of what separates the labels in a cell: it is given if, and only if, a column has lists."""
    if label is not None and separator is None:
        yield "separator", "must be given with label: what separates the labels in a cell"
    if label is None and separator is not None:
        yield "separator", "is for a column with lists, label; remove it"


class NumberTable(Decimals, ImageTable):
    """A CSV file with a row for each image: its path, and the numbers to predict."""

    kind: Literal["csv"]
    """Source of the samples."""
    targets: Names
    """Names of the columns of numbers to predict."""
    on_missing: Literal["error", "skip"] = "error"
    """What to do about a row without one of the values (empty, NA): stop before training starts, or leave it out and
    count it."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from super().rules()
        yield from rules_of_columns("targets", self.targets, self.roles)


class NumberShards(ShardFolder):
    """A folder of tar files that `dlcli data pack` wrote: for so many images that single files are slow to list and
    read. Splits and numbers are those of the recipe that was packed."""

    may_keep_sizes = True


class LabelShards(ShardFolder):
    """A folder of tar files that `dlcli data pack` wrote: for so many images that single files are slow to list and
    read. Splits and labels are those of the recipe that was packed."""

    may_keep_sizes = True


ShapeNumber = Literal["center_x", "center_y", "side"]


class ShapeNumbers(Images):
    """Synthetic scenes: a colored shape on a textured background, whose position and size are the numbers to predict.
    The images are generated; no file is read."""

    kind: Literal["shapes"]
    """Source of the samples."""
    targets: Annotated[tuple[ShapeNumber, ...], MinLen(1)] = ("center_x", "center_y", "side")
    """The numbers to predict, in pixels: the center of the shape, and the side of the square around it."""
    num_samples: Count = 2000
    """Number of scenes to generate, over all splits."""
    seed: Seed = 0
    """Seed of the generated scenes."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from super().rules()
        yield from rules_of_columns("targets", self.targets, {})


class LabelTable(ImageTable):
    """A CSV file with a row for each image: its path, and which labels apply to it, in a column for each label or as a
    list in one column."""

    kind: Literal["csv"]
    """Source of the samples."""
    labels: Names | None = None
    """Names of the columns of the labels, which hold 1 where a label applies and 0 where it does not."""
    label: Text | None = None
    """Name of the column that lists the labels that apply; empty where none does. The labels are those of train."""
    separator: Text | None = None
    """What separates the labels in that column: `","`, `"|"`, `" "`."""
    on_missing: Literal["error", "skip", "unknown"] = "error"
    """What to do about a row without one of the values (empty, NA), where each label has a column: stop before training
    starts, leave the row out and count it, or leave the unknown value out of the loss and of the metrics."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from super().rules()
        yield from rules_of_labels(self.labels, self.label, self.roles)
        yield from rules_of_separator(self.label, self.separator)


class SceneLabels(Images):
    """Synthetic scenes of several shapes; the labels say which shapes occur. The images are generated; no file is
    read."""

    kind: Literal["scenes"]
    """Source of the samples."""
    num_samples: Count = 2000
    """Number of scenes to generate, over all splits."""
    seed: Seed = 0
    """Seed of the generated scenes."""


LabelData = Annotated[LabelTable | LabelShards | SceneLabels, Field(discriminator="kind")]

NumberData = Annotated[NumberTable | NumberShards | ShapeNumbers, Field(discriminator="kind")]


def rules_of_images(model: ImageClassifier, augment: Augment | None, *, batch_size: int) -> Iterator[tuple[str, str]]:
    """The rules of tasks whose samples are images, which may be mixed."""
    if isinstance(model, Convnet) and model.rank != 2:
        yield "model.rank", f"must be 2, because the samples are images. Received {model.rank}."
    yield from rules_of_composition(augment)
    for key in ("mixup", "cutmix"):
        if augment is not None and batch_size == 1 and getattr(augment, key) is not None:
            yield (
                f"augment.{key}",
                "mixes the samples of a batch; set train.batch_size to 2 or more. Received 1.",
            )
