"""The ``data`` section for images: where the samples come from, how they are resized and split."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Le
from pydantic import Field

from dlcli.recipe.language.fields import (
    Count,
    LocalPath,
    Number,
    PathOrUrl,
    Proportion,
    Section,
    Seed,
    Size,
    Text,
    WholeNumber,
)


class Fold(Section):
    """One of several parts of the samples that are not for the test."""

    number: Count
    """Which part is held out for validation, counted from 1."""
    of: Annotated[int, WholeNumber(), Ge(2), Le(1000)]
    """Number of parts."""

    def rules(self) -> Iterator[tuple[str, str]]:
        if self.number > self.of:
            yield "number", f"must be at most of, {self.of}. Received {self.number}."


class DividedSource(Section):
    """The keys that split samples into train, validation and test."""

    validation: Proportion | None = None
    """Proportion of the samples held out for validation. Default: 0.1 where the source has no validation split."""
    test: Proportion | None = None
    """Proportion of the samples held out for the test. Default: 0.2 where the source has no splits, else 0."""
    fold: Fold | None = None
    """Hold out one of several parts for validation, in place of a proportion, and evaluate the run on it; `dlcli train
    --folds K` trains all."""
    split_seed: Seed = 0
    """Seed of the split. It is separate from `train.seed`, so that runs with different seeds share one test split."""
    limit: Count | None = None
    """Maximum number of samples of each split (evenly over the classes), for quick trials."""
    allow_leakage: bool = False
    """Only warn where samples of the validation or test split are also in the training split, byte for byte."""
    exclude: tuple[Text, ...] = ()
    """Patterns of samples to leave out, by their names in `split.csv` of a run: `train/17`, `*/1*`."""

    def rules(self) -> Iterator[tuple[str, str]]:
        if self.validation is not None and self.test is not None and self.validation + self.test >= 1:
            yield "test", f"validation and test must add up to less than 1. Received {self.validation} and {self.test}."


class ClassifiedSource(DividedSource):
    """The keys of a source whose samples have a class each."""

    sampling: Literal["balanced"] | None = None
    """How an epoch draws the training samples: balanced draws as many, with replacement, so that all classes are
    equally frequent. Default: each sample once."""


class Images(DividedSource):
    """The keys that every source of images has, whatever is predicted of them."""

    may_keep_sizes: ClassVar[bool] = False
    """Whether images of several sizes can be used without resizing them."""

    image_size: Size | None = None
    """Height and width in pixels to which every image is resized; one number for both. Default: their own,
    where all have the same size."""
    color_mode: Literal["grayscale", "rgb"] | None = None
    """One channel or three. Default: as the images are; rgb where they are mixed."""
    resize: Literal["stretch", "crop", "pad", "none"] = "stretch"
    """How images of another aspect ratio are brought to `image_size`: stretched, center-cropped, or padded with
    black. With `none` images keep their own sizes, for networks that end in global pooling: each batch has images of
    one size."""
    interpolation: Literal["nearest", "bilinear", "bicubic", "lanczos"] = "bilinear"
    """Interpolation when an image is resized."""
    antialias: bool = True
    """Antialias when an image is reduced (no effect with `nearest` or when it is enlarged)."""
    cache: Literal["auto", "memory", "disk", "none"] = "auto"
    """Where decoded images are cached between epochs; auto: in memory up to 64 MiB for each split, else on disk."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from super().rules()
        if self.resize != "none":
            return
        if not self.may_keep_sizes:
            yield (
                "resize",
                "none is for image files that have a class, labels or numbers each; use stretch, crop or pad.",
            )
        for key, default in (("image_size", None), ("interpolation", "bilinear"), ("antialias", True)):
            if getattr(self, key) != default:
                yield key, "cannot be combined with resize: none, with which images are not resized; remove it."
        if getattr(self, "sampling", None) == "balanced":
            yield (
                "sampling",
                "balanced cannot be combined with resize: none, because the number of batches would differ between "
                "epochs; use train.class_weights.",
            )


class ImageSource(Images, ClassifiedSource):
    """The keys that every source of images with a class each has."""


class Digits(ImageSource):
    """1,797 handwritten digits, 8x8 grayscale, which ship with scikit-learn."""

    kind: Literal["digits"]
    """Source of the samples."""


class KerasDataset(ImageSource):
    """A data set that Keras downloads (and verifies by its hash), or a local copy of it."""

    kind: Literal["mnist", "fashion_mnist", "cifar10", "cifar100"]
    """Source of the samples."""
    allow_leakage: bool = True
    """Only warn where test samples are also in the training split: published results on these data sets include
    them."""
    path: LocalPath | None = None
    """A local copy: an .npz with x_train, y_train, x_test and y_test. Default: Keras's cache, else a download."""


class Npz(ImageSource):
    """Arrays x_train, y_train and optionally x_val, y_val, x_test, y_test in a NumPy .npz file."""

    kind: Literal["npz"]
    """Source of the samples."""
    path: LocalPath
    """The .npz file, relative to the recipe's folder."""
    value_range: tuple[Number, Number] = (0.0, 255.0)
    """Minimum and maximum value of a pixel in the file, which are mapped to 0 and 255. Only for `layout: image`."""
    layout: Literal["image", "signal", "volume"] = "image"
    """Axes of a sample: image [height, width(, channels)], signal [time, channels], volume [depth, height, width,
    channels]."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from super().rules()
        low, high = self.value_range
        if low >= high:
            yield "value_range", f"the first value must be below the second. Received [{low}, {high}]."
        if self.layout != "image":
            for key, is_set in (
                ("image_size", self.image_size is not None),
                ("color_mode", self.color_mode is not None),
                ("value_range", self.value_range != (0.0, 255.0)),
            ):
                if is_set:
                    yield (
                        key,
                        f"is for images; remove it, or set layout to image. Received layout: {self.layout}.",
                    )


class FilesOfImages(Images):
    """The keys that every source of image files has, whatever is predicted of them."""

    value_range: tuple[Number, Number] | None = None
    """The two values that become black and white, in gray images of 16 or 32 bits; values beyond are clipped. Images of
    8 bits are not affected. Default: the full range of 16 bits; for 32 bits the key is required."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from super().rules()
        if self.value_range is not None and self.value_range[0] >= self.value_range[1]:
            low, high = self.value_range
            yield "value_range", f"the first value must be below the second. Received [{low}, {high}]."


class ImageFiles(FilesOfImages, ImageSource):
    """The keys that every source of image files with a class each has."""

    may_keep_sizes = True


class Folder(ImageFiles):
    """A folder for each class, directly under `path` or under a folder for each split: train (training, training_set),
    validation (val, valid, dev, eval) and test (testing, test_set), in any case."""

    kind: Literal["folder"]
    """Source of the samples."""
    path: LocalPath
    """The folder, relative to the recipe's folder."""
    exclude: tuple[Text, ...] = ()
    """Patterns of files to leave out, by name or by path below `path`: `*.gif`, `train/ants/12*`."""
    folders: Literal["auto", "classes"] = "auto"
    """What the folders below `path` are: splits or classes, by their names (auto), or classes whatever their names."""
    on_bad_image: Literal["error", "skip"] = "error"
    """What to do about an image that cannot be read: stop before training starts, or leave it out and count it."""


class Csv(ImageFiles):
    """A CSV file with a row for each image; paths in it are relative to the CSV's folder."""

    kind: Literal["csv"]
    """Source of the samples."""
    path: LocalPath
    """The .csv file, relative to the recipe's folder."""
    image: Text = "path"
    """Name of the column that holds the image's path."""
    label: Text = "label"
    """Name of the column that holds the class."""
    split: Text | None = None
    """Name of a column that holds train, validation (or val, valid, dev, eval) or test. Default: a random split."""
    group: Text | None = None
    """Name of a column whose equal values must stay in one split: the patient, the scene, the photographer."""
    exclude: tuple[Text, ...] = ()
    """Patterns of images to leave out, by name or by path as in the table: `*.gif`."""
    allow_outside: bool = False
    """Read images outside of the CSV's folder too: absolute paths, and paths that leave the folder by `..`."""
    on_bad_image: Literal["error", "skip"] = "error"
    """What to do about an image that cannot be read: stop before training starts, or leave it out and count it."""


class ShardFolder(FilesOfImages):
    """A folder of tar files that `dlcli data pack` wrote: for so many images that single files are slow to list and
    read. Splits, and what is annotated, are those of the recipe that was packed."""

    kind: Literal["shards"]
    """Source of the samples."""
    path: PathOrUrl
    """The folder, relative to the recipe's folder; or its URL, such as `s3://bucket/folder`, from which it is copied
    once (needs the package fsspec, and that of the protocol)."""
    cache_folder: LocalPath | None = None
    """Where copies of shards at a URL are kept. Default: the user's cache folder."""
    on_bad_image: Literal["error", "skip"] = "error"
    """What to do about an image that cannot be read: stop before training starts, or leave it out and count it."""


class Shards(ShardFolder, ImageFiles):
    """A folder of tar files that `dlcli data pack` or `dlcli data import` wrote: for so many images that single files
    are slow to list and read. Splits are those of the recipe that was packed, or of the files that were imported."""


class NoData(ImageSource):
    """No data: for a network that was trained elsewhere and is evaluated with `dlcli evaluate --data`."""

    kind: Literal["none"]
    """Source of the samples."""


ImageData = Annotated[Digits | KerasDataset | Npz | Folder | Csv | Shards | NoData, Field(discriminator="kind")]
