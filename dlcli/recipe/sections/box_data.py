"""The ``data`` section of ``task: localization``: images with a class and a box each."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from dlcli.recipe.language.fields import Count, Expected, LocalPath, Number, Seed, Text
from dlcli.recipe.sections.image_data import FilesOfImages, ImageSource, ShardFolder


class AnnotatedFiles(FilesOfImages):
    """The keys of sources that list the objects of images, whatever is predicted of them."""

    resize: Literal["stretch", "crop", "pad"] = "stretch"
    """How images of another aspect ratio are brought to `image_size`: stretched, center-cropped, or padded with
    black."""
    on_bad_box: Literal["error", "repair", "skip"] = "error"
    """What to do about a box that is missing, inverted, empty, outside its image, or given for another image size: stop
    before training starts (error); reorder its corners, clip and scale it (repair); or ignore the object (skip)."""
    exclude: tuple[Text, ...] = ()
    """Patterns of images to leave out, by name or by path as in `split.csv` of a run: `*.gif`."""
    on_bad_image: Literal["error", "skip"] = "error"
    """What to do about an image that cannot be read: stop before training starts, or leave it out and count it."""


class Annotations(AnnotatedFiles, ImageSource):
    """The keys of sources that list objects, one of which is learned for each image."""

    several: Literal["largest", "first", "leave_out"] = "largest"
    """What to do about an image with several objects: use the largest, use the first, or leave the image out."""


class Shapes(ImageSource):
    """Synthetic scenes: a colored shape on a textured background. The images are generated; no file is read."""

    kind: Literal["shapes"]
    """Source of the samples."""
    num_samples: Count = 2000
    """Number of scenes to generate, over all splits."""
    seed: Seed = 0
    """Seed of the generated scenes."""


class VocFiles(AnnotatedFiles):
    """Pascal VOC: a folder of images, and a folder of XML files with their objects."""

    path: LocalPath
    """The folder that contains both, relative to the recipe's folder."""
    images: Text | None = None
    """The folder of images below `path`. Default: JPEGImages, images or another usual name, whichever exists."""
    annotations: Text | None = None
    """The folder of XML files below `path`. Default: Annotations, annots, labels or another usual name, whichever
    exists."""
    train_list: Text | None = None
    """A file with the name of a training image on each line, as in ImageSets/Main. Default: all images, split at
    random."""
    validation_list: Text | None = None
    """The same for validation."""
    test_list: Text | None = None
    """The same for the test."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from super().rules()
        if self.train_list is None:
            for key in ("validation_list", "test_list"):
                if getattr(self, key) is not None:
                    yield key, "needs train_list too"


class CocoFile(AnnotatedFiles):
    """COCO: a JSON file with images, objects and categories."""

    path: LocalPath
    """The .json file, relative to the recipe's folder."""
    images: LocalPath | None = None
    """The folder of images. Default: the folder of the .json file, or `images` in it."""
    validation_path: LocalPath | None = None
    """A .json file for validation. Default: a random split."""
    test_path: LocalPath | None = None
    """A .json file for the test. Default: a random split."""
    allow_outside: bool = False
    """Read images outside of the folder of images too: absolute paths, and paths that leave the folder by `..`."""


class YoloFiles(AnnotatedFiles):
    """YOLO: a data.yaml that names the classes and the folders or lists of images; a .txt file with the objects of each
    image, in a folder `labels` where the image's is `images`, or beside the image."""

    path: LocalPath
    """The data.yaml, or the folder that contains it, relative to the recipe's folder."""
    allow_outside: bool = False
    """Read images outside of the folder of data.yaml too: absolute paths, and paths that leave the folder by `..`."""


class ObjectTable(AnnotatedFiles):
    """A CSV file with a row for each object; paths in it are relative to the CSV's folder."""

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
    """Names of the columns that hold the box, in pixels. A row whose four cells are empty is an image without a box."""
    size: Annotated[tuple[Text, Text], Expected("a list of 2 names of columns")] | None = None
    """Names of the columns that hold the image's width and height when it was annotated, which are then checked."""
    split: Text | None = None
    """Name of a column that holds train, validation (or val, valid, dev, eval) or test. Default: a random split."""
    group: Text | None = None
    """Name of a column whose equal values must stay in one split: the patient, the scene, the photographer."""
    allow_outside: bool = False
    """Read images outside of the CSV's folder too: absolute paths, and paths that leave the folder by `..`."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from super().rules()
        for key, columns in (("box", self.box), ("size", self.size or ())):
            again = [column for column in dict.fromkeys(columns) if columns.count(column) > 1]
            if again:
                yield (
                    key,
                    f"each number must have its own column. Received '{again[0]}' {columns.count(again[0])} times.",
                )


class Voc(VocFiles, Annotations):
    """Pascal VOC: a folder of images, and a folder of XML files with their objects."""

    kind: Literal["voc"]
    """Source of the samples."""


class Coco(CocoFile, Annotations):
    """COCO: a JSON file with images, objects and categories."""

    kind: Literal["coco"]
    """Source of the samples."""


class Yolo(YoloFiles, Annotations):
    """YOLO: a data.yaml that names the classes and the folders or lists of images; a .txt file with the objects of each
    image, in a folder `labels` where the image's is `images`, or beside the image."""

    kind: Literal["yolo"]
    """Source of the samples."""


class BoxCsv(ObjectTable, Annotations):
    """A CSV file with a row for each object; paths in it are relative to the CSV's folder."""

    kind: Literal["csv"]
    """Source of the samples."""


class BoxNpz(ImageSource):
    """Arrays x_train, y_train, box_train and optionally x_val, …, box_test in a NumPy .npz file."""

    kind: Literal["npz"]
    """Source of the samples."""
    path: LocalPath
    """The .npz file, relative to the recipe's folder."""
    value_range: tuple[Number, Number] = (0.0, 255.0)
    """Minimum and maximum value of a pixel in the file, which are mapped to 0 and 255."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from super().rules()
        low, high = self.value_range
        if low >= high:
            yield "value_range", f"the first value must be below the second. Received [{low}, {high}]."


class BoxShards(ImageSource, ShardFolder):
    """A folder of tar files that `dlcli data pack` wrote: for so many images that single files are slow to list and
    read. Splits, classes and boxes are those of the recipe that was packed."""


LocalizationData = Annotated[Shapes | Voc | Coco | Yolo | BoxCsv | BoxNpz | BoxShards, Field(discriminator="kind")]
