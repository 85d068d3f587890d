"""The ``data`` section of tasks that detect objects: images with any number of objects each."""

from collections.abc import Iterator
from typing import Annotated, Literal

from annotated_types import MinLen
from pydantic import Field

from dlcli.recipe.language.fields import Count, Expected, LocalPath, Number, OneForList, Proportion, Seed, Text
from dlcli.recipe.sections.box_data import AnnotatedFiles, CocoFile, ObjectTable, VocFiles, YoloFiles
from dlcli.recipe.sections.image_data import FilesOfImages, Images, ShardFolder
from dlcli.recipe.sections.mask_data import Tiles, Value, rules_of_tiles


class ObjectSource(Images):
    """The keys that every source of images with objects has."""

    resize: Literal["stretch", "crop", "pad"] = "stretch"
    """How images of another aspect ratio are brought to `image_size`: stretched, center-cropped, or padded with
    black."""
    min_visible: Proportion = 0.3
    """Proportion of a box's area that must be left in the image when `resize: crop` or augmentation cuts it; other
    boxes are not trained on."""
    tiles: Tiles | None = None
    """Cut images into tiles at their own resolution, in place of resizing them: training draws tiles at random places;
    evaluation and prediction cover each image and merge the boxes. `image_size` must then be absent."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from super().rules()
        yield from rules_of_tiles(self)


class LearnedObjects(ObjectSource):
    """The keys of sources whose objects are of any classes."""

    classes: Annotated[tuple[Text, ...], MinLen(1), Expected("a list of names of classes")] | None = None
    """The classes to learn, in the order of the outputs; objects of others are left out. Default: all classes of train,
    sorted."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from super().rules()
        names = self.classes or ()
        for i, name in enumerate(names):
            if name in names[:i]:
                yield f"classes.{i}", f"each class can be named once. Received '{name}' twice."


class ObjectFiles(AnnotatedFiles, LearnedObjects):
    """The keys of sources of image files with objects."""


class SceneObjects(ObjectSource):
    """Synthetic scenes of several overlapping shapes. The images are generated; no file is read."""

    kind: Literal["scenes"]
    """Source of the samples."""
    num_samples: Count = 1000
    """Number of scenes to generate, over all splits."""
    seed: Seed = 0
    """Seed of the generated scenes."""


class VocObjects(VocFiles, ObjectFiles):
    """Pascal VOC: a folder of images, and a folder of XML files with their objects. Objects that are marked as
    difficult are not trained on, and finding them is neither right nor wrong."""

    kind: Literal["voc"]
    """Source of the samples."""


class CocoObjects(CocoFile, ObjectFiles):
    """COCO: a JSON file with images, objects and categories. Crowds are not trained on, and boxes found in them are not
    wrong."""

    kind: Literal["coco"]
    """Source of the samples."""


class YoloObjects(YoloFiles, ObjectFiles):
    """YOLO: a data.yaml that names the classes and the folders or lists of images; a .txt file with the objects of each
    image, in a folder `labels` where the image's is `images`, or beside the image. An image without such a file has no
    objects."""

    kind: Literal["yolo"]
    """Source of the samples."""


class CsvObjects(ObjectTable, ObjectFiles):
    """A CSV file with a row for each object; paths in it are relative to the CSV's folder. An image without objects has
    a row whose class and box are empty."""

    kind: Literal["csv"]
    """Source of the samples."""


class NpzObjects(ObjectSource):
    """Arrays x_train, boxes_train [n, k, 4] and box_class_train [n, k], and optionally those of val and test, in a
    NumPy .npz file. Boxes are in pixels; where an image has fewer than k, the class is -1, or empty text."""

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


class ObjectShards(LearnedObjects, ShardFolder):
    """A folder of tar files that `dlcli data pack` wrote: for so many images that single files are slow to list and
    read. Splits and objects are those of the recipe that was packed."""


class InstanceFiles(ObjectSource, FilesOfImages):
    """Images beside masks in which each object has its own value or color, and 0 or black is the background; boxes are
    those around the objects."""

    kind: Literal["masks"]
    """Source of the samples."""
    path: LocalPath
    """The folder that contains both, relative to the recipe's folder."""
    images: Text | None = None
    """The folder of images below `path`, or a pattern of their names. Default: images, PNGImages or another usual
    name."""
    masks: Text | None = None
    """The folder of masks below `path`, or a pattern of their names. Default: masks, labels or another usual name."""
    label: Text = "object"
    """Name of the class of all objects."""
    ignore: Annotated[tuple[Value, ...], OneForList(), Expected("a whole number, or a list of whole numbers")] = ()
    """Values of pixels that belong to no object, besides 0: those of a border."""
    on_missing: Literal["error", "skip"] = "error"
    """What to do about images without mask and masks without image: stop, or leave them out and count them."""
    exclude: tuple[Text, ...] = ()
    """Patterns of images to leave out, by name or by path as in `split.csv` of a run: `*.gif`."""
    on_bad_image: Literal["error", "skip"] = "error"
    """What to do about an image that cannot be read, or whose mask cannot: stop before training starts, or leave it out
    and count it."""


DetectionData = Annotated[
    SceneObjects | VocObjects | CocoObjects | YoloObjects | CsvObjects | NpzObjects | ObjectShards,
    Field(discriminator="kind"),
]
InstanceData = Annotated[
    SceneObjects | CocoObjects | YoloObjects | InstanceFiles | ObjectShards, Field(discriminator="kind")
]
"""The sources that have masks of objects besides their boxes."""
