"""The ``data`` section of ``task: localization``: images with a class and a box each."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from dlcli.recipe.language.fields import Count, Expected, LocalPath, Number, Seed, Text
from dlcli.recipe.sections.image_data import ImageSource


class Annotations(ImageSource):
    """The keys of sources that list objects, of which an image may have several."""

    several: Literal["largest", "first", "leave_out"] = "largest"
    """What is learned of an image with several objects: the largest, the first, or nothing: it is left out."""
    on_bad_box: Literal["error", "repair", "skip"] = "error"
    """What to do about a box that is swapped, empty, outside of its image, or of an image of another size: stop
    before training starts; put corners in order, clip and scale; or pass over the object."""
    on_bad_image: Literal["error", "skip"] = "error"
    """What to do about an image that cannot be read: stop before training starts, or leave it out and count it."""


class Shapes(ImageSource):
    """Scenes that are drawn for the purpose: a colored shape on textured ground. Nothing is read."""

    kind: Literal["shapes"]
    """Source of the samples."""
    num_samples: Count = 2000
    """Scenes that are drawn, for all splits together."""
    seed: Seed = 0
    """Of what is drawn."""


class Voc(Annotations):
    """Pascal VOC: a folder of images, and one of XML files with their objects."""

    kind: Literal["voc"]
    """Source of the samples."""
    path: LocalPath
    """The folder above both, relative to the recipe's folder."""
    images: Text | None = None
    """The folder of images below `path`. Default: JPEGImages or images, whichever is there."""
    annotations: Text | None = None
    """The folder of XML files below `path`. Default: Annotations or annotations, whichever is there."""
    train_list: Text | None = None
    """A file that names the training images, one a line, as in ImageSets/Main. Default: all; splits are drawn."""
    validation_list: Text | None = None
    """The same for validation."""
    test_list: Text | None = None
    """The same for the test."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from super().rules()
        if self.train_list is None:
            for key in ("validation_list", "test_list"):
                if getattr(self, key) is not None:
                    yield key, "needs train_list beside it"


class Coco(Annotations):
    """COCO: a JSON file with images, objects and categories."""

    kind: Literal["coco"]
    """Source of the samples."""
    path: LocalPath
    """The .json file, relative to the recipe's folder."""
    images: LocalPath | None = None
    """The folder of the images. Default: the .json file's folder, or `images` in it."""
    validation_path: LocalPath | None = None
    """A .json file for validation. Default: the split is drawn."""
    test_path: LocalPath | None = None
    """A .json file for the test. Default: the split is drawn."""


class BoxCsv(Annotations):
    """A CSV file with a row for each object; paths in it are relative to the CSV's folder."""

    kind: Literal["csv"]
    """Source of the samples."""
    path: LocalPath
    """The .csv file, relative to the recipe's folder."""
    image: Text = "path"
    """Name of the column that holds the image's path."""
    label: Text = "label"
    """Name of the column that holds the class."""
    box: Annotated[tuple[Text, Text, Text, Text], Expected("a list of 4 names of columns")] = (
        "xmin",
        "ymin",
        "xmax",
        "ymax",
    )
    """Names of the columns that hold the box, in pixels; all four cells empty: the image has none."""
    size: Annotated[tuple[Text, Text], Expected("a list of 2 names of columns")] | None = None
    """Names of the columns that hold the width and height of the image that boxes were made for, to be checked."""
    split: Text | None = None
    """Name of a column that holds train, validation (or val) or test. Default: the split is drawn."""
    group: Text | None = None
    """Name of a column whose equal values must stay in one split: the patient, the scene, the photographer."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from super().rules()
        for key, columns in (("box", self.box), ("size", self.size or ())):
            again = [column for column in dict.fromkeys(columns) if columns.count(column) > 1]
            if again:
                yield (
                    key,
                    f"each number must have its own column. Received '{again[0]}' {columns.count(again[0])} times.",
                )


class BoxNpz(ImageSource):
    """Arrays x_train, y_train and box_train and, where there are, x_val, …, box_test from a NumPy .npz file."""

    kind: Literal["npz"]
    """Source of the samples."""
    path: LocalPath
    """The .npz file, relative to the recipe's folder."""
    value_range: tuple[Number, Number] = (0.0, 255.0)
    """Smallest and largest value that a pixel can have in the file; they become 0 and 255."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from super().rules()
        low, high = self.value_range
        if low >= high:
            yield "value_range", f"the first value must be below the second. Received [{low}, {high}]."


LocalizationData = Annotated[Shapes | Voc | Coco | BoxCsv | BoxNpz, Field(discriminator="kind")]
