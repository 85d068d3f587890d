"""The ``data`` section of tasks that predict masks: images with a class for each pixel."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le
from pydantic import Field

from dlcli.recipe.language.fields import Count, Expected, LocalPath, Number, OneForList, Section, Seed, Size, Text
from dlcli.recipe.sections.image_data import DividedSource, ShardFolder

MOST_CLASSES = 255  # a mask holds the indices 0 to 254, and 255 for pixels to ignore

Value = Annotated[int, Ge(0), Le(65535)]
Channel = Annotated[int, Ge(0), Le(255)]
Color = Annotated[
    tuple[Channel, Channel, Channel], Expected("a color [red, green, blue] of whole numbers from 0 to 255")
]


SMALLEST_TILE = 64  # pixels: two strides of networks' deepest feature maps, by which tiles are placed
STRIDE = 32


class Tiles(Section):
    """How images are cut into tiles at their own resolution."""

    size: Size = (512, 512)
    """Height and width of a tile in pixels, multiples of 32 from 64 on; one number for both. Smaller images are padded
    with black, where pixels of masks are ignored."""
    overlap: Annotated[int, Ge(0)] = 64
    """Pixels by which neighboring tiles overlap at least in evaluation and prediction, where masks are blended and
    boxes merged; at most half of a tile. No less than the size of the largest objects, for boxes."""
    per_image: Count = 1
    """Number of tiles that each epoch of training draws from each image, at random places."""

    def rules(self) -> Iterator[tuple[str, str]]:
        height, width = self.size
        if height % STRIDE or width % STRIDE or min(self.size) < SMALLEST_TILE:
            fixed = [max(SMALLEST_TILE, round(side / STRIDE) * STRIDE) for side in self.size]
            yield (
                "size",
                f"sides must be multiples of {STRIDE}, by which networks reduce images, and at least {SMALLEST_TILE}: "
                f"for example {fixed}. Received [{height}, {width}].",
            )
        elif self.overlap > min(self.size) // 2:
            yield (
                "overlap",
                f"must be at most half of the tile's shorter side, {min(self.size) // 2}. Received {self.overlap}.",
            )


def rules_of_tiles(section: Any) -> Iterator[tuple[str, str]]:
    """The rules of a source of images, with the key ``tiles``, on keys by which images are resized."""
    if section.tiles is None:
        return
    resizing: dict[str, Any] = {"resize": "stretch", "interpolation": "bilinear", "antialias": True}
    if section.kind != "scenes":  # it is the size of the scenes, from which tiles are cut
        resizing["image_size"] = None
    for key, default in resizing.items():
        if getattr(section, key) != default:
            yield key, "cannot be combined with tiles, which are cut from images that are not resized; remove it."


class MaskSource(DividedSource):
    """The keys that every source of images with masks has."""

    image_size: Size | None = None
    """Height and width in pixels to which every image and its mask are resized; one number for both. Default: their
    own, where all have the same size."""
    color_mode: Literal["grayscale", "rgb"] | None = None
    """One channel or three. Default: as the images are; rgb where they are mixed."""
    resize: Literal["stretch", "crop", "pad"] = "stretch"
    """How images of another aspect ratio are brought to `image_size`: stretched, center-cropped, or padded with black,
    where pixels are ignored."""
    interpolation: Literal["nearest", "bilinear", "bicubic", "lanczos"] = "bilinear"
    """Interpolation when an image is resized; a mask always has the class of the nearest pixel."""
    antialias: bool = True
    """Antialias when an image is reduced (no effect with `nearest` or when it is enlarged)."""
    cache: Literal["auto", "memory", "disk", "none"] = "auto"
    """Where decoded images are cached between epochs; auto: in memory up to 64 MiB for each split, else on disk."""
    tiles: Tiles | None = None
    """Cut images into tiles at their own resolution, in place of resizing them: training draws tiles at random places;
    evaluation and prediction cover each image and blend. `image_size` must then be absent."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from super().rules()
        yield from rules_of_tiles(self)


class Scenes(MaskSource):
    """Synthetic scenes of several overlapping shapes. The images are generated, of `image_size`; no file is read."""

    kind: Literal["scenes"]
    """Source of the samples."""
    num_samples: Count = 1000
    """Number of scenes to generate, over all splits."""
    seed: Seed = 0
    """Seed of the generated scenes."""


class MaskFiles(MaskSource):
    """The keys of sources of image files with masks."""

    value_range: tuple[Number, Number] | None = None
    """The two values that become black and white, in gray images of 16 or 32 bits; not for masks. Default: the full
    range of 16 bits; for 32 bits the key is required."""
    exclude: tuple[Text, ...] = ()
    """Patterns of images to leave out, by name or by path as in `split.csv` of a run: `*.gif`."""
    on_bad_image: Literal["error", "skip"] = "error"
    """What to do about an image that cannot be read, or whose mask cannot: stop before training starts, or leave it out
    and count it."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from super().rules()
        if self.value_range is not None and self.value_range[0] >= self.value_range[1]:
            low, high = self.value_range
            yield "value_range", f"the first value must be below the second. Received [{low}, {high}]."


class MaskImages(MaskFiles):
    """Images beside masks that are images themselves: index PNG, gray, black and white, or colored."""

    kind: Literal["masks"]
    """Source of the samples."""
    path: LocalPath
    """The folder that contains both, or a CSV file with the paths of an image and its mask in each row; relative to the
    recipe's folder."""
    images: Text | None = None
    """The folder of images below `path`, or a pattern of their names: `*_sat.jpg`. Default: images, JPEGImages or
    another usual name, also in or beside a folder for each split; or files beside their masks."""
    masks: Text | None = None
    """The folder of masks below `path`, or a pattern of their names: `gtFine/*_labelIds.png`. Default: masks, labels,
    annotations or another usual name; or files such as `x_mask.png` beside `x.png`."""
    classes: tuple[Text, ...] | dict[str, Value] | None = None
    """Names of the classes by the values 0, 1, … in the masks; or the value of each: `{pet: 1, background: 2}`. Masks
    of two classes may also be black and white."""
    palette: dict[str, Color] | None = None
    """The color of each class, [red, green, blue], for colored masks."""
    foreground: Text | None = None
    """Name of the class of every value but 0, for masks with an id for each instance; 0 is the class `background`."""
    ignore: Annotated[
        tuple[Value | Color, ...], OneForList(), Expected("a whole number, or a list of whole numbers or colors")
    ] = ()
    """Values, or colors, of pixels to ignore: they count neither in the loss nor in metrics."""
    on_missing: Literal["error", "skip"] = "error"
    """What to do about images without mask and masks without image: stop, or leave them out and count them."""
    image: Text = "image"
    """Name of the column that holds the image's path, in a CSV file."""
    mask: Text = "mask"
    """Name of the column that holds the mask's path, in a CSV file."""
    split: Text | None = None
    """Name of a column that holds train, validation (or val, valid, dev, eval) or test, in a CSV file. Default: a
    random split."""
    group: Text | None = None
    """Name of a column whose equal values must stay in one split, in a CSV file: the patient, the scene."""
    allow_outside: bool = False
    """Read files outside of the CSV's folder too: absolute paths, and paths that leave the folder by `..`."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from super().rules()
        given = [key for key in ("classes", "palette", "foreground") if getattr(self, key) is not None]
        if not given:
            yield "classes", "must be given, or palette for colored masks, or foreground for ids of instances."
        for key in given[1:]:
            yield key, f"cannot be combined with {given[0]}; remove one."
        for key in ("classes", "palette"):
            names = getattr(self, key)
            if names is None:
                continue
            if not 2 <= len(names) <= MOST_CLASSES:
                yield key, f"there must be from 2 to {MOST_CLASSES} classes. Received {len(names)}."
            repeated = [name for name in dict.fromkeys(names) if list(names).count(name) > 1]
            if repeated:
                yield key, f"the names of classes must be different. Received '{repeated[0]}' twice."
            meanings = list(names.values()) if isinstance(names, dict) else []
            shared = [value for value in meanings if meanings.count(value) > 1 or value in self.ignore]
            if shared:
                shown = list(shared[0]) if isinstance(shared[0], tuple) else shared[0]
                yield key, f"a value must have one meaning. Received {shown} for several classes, or in ignore too."
        for value in self.ignore:
            if isinstance(value, int) == (self.palette is not None):
                must = "colors [red, green, blue], as in palette" if self.palette is not None else "whole numbers"
                yield "ignore", f"must be {must}. Received {value if isinstance(value, int) else list(value)}."
                break
        if isinstance(self.classes, tuple) and any(
            isinstance(value, int) and value < len(self.classes) for value in self.ignore
        ):
            yield "ignore", f"must not be the value of a class, 0 to {len(self.classes) - 1}."
        if self.foreground == "background":
            yield "foreground", "must have another name than the class of value 0, background."


class Regions(MaskFiles):
    """The keys of sources that describe regions of images, which are drawn into masks."""

    classes: tuple[Text, ...] | None = None
    """The labels to learn, in the order of the outputs. Default: all labels of train, sorted."""
    background: Text | None = "background"
    """Class of the pixels that are in no region; null to ignore them."""
    ignore: tuple[Text, ...] = ()
    """Labels whose pixels are ignored: they count neither in the loss nor in metrics."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from super().rules()
        both = [name for name in self.classes or () if name in self.ignore]
        if both:
            yield "ignore", f"must not hold a label of classes. Received '{both[0]}'."


class CocoMasks(Regions):
    """COCO: a JSON file with images, objects with polygons or run-length encodings, and categories. Crowds are
    ignored."""

    kind: Literal["coco"]
    """Source of the samples."""
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


class Polygons(Regions):
    """A JSON file of polygons for each image, as Cityscapes or labelme write it; later polygons hide earlier ones."""

    kind: Literal["polygons"]
    """Source of the samples."""
    path: LocalPath
    """The folder that contains both, relative to the recipe's folder."""
    images: Text | None = None
    """The folder of images below `path`, or a pattern of their names. Default: as for masks."""
    polygons: Text | None = None
    """The folder of JSON files below `path`, or a pattern of their names: `gtFine/*_polygons.json`. Default: as for
    masks; or files beside the images."""
    on_missing: Literal["error", "skip"] = "error"
    """What to do about images without polygons and polygons without image: stop, or leave them out and count them."""


class MaskShards(MaskSource, ShardFolder):
    """A folder of tar files that `dlcli data pack` wrote: for so many images that single files are slow to list and
    read. Splits, classes and masks are those of the recipe that was packed."""


MaskData = Annotated[MaskImages | CocoMasks | Polygons | Scenes | MaskShards, Field(discriminator="kind")]
