"""From the files of other programs to shards: the images are decoded once, and written as they are, byte for byte."""

import contextlib
import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from dlcli.data.files import Progress, workers
from dlcli.data.images.decoding import BadImage
from dlcli.data.images.discovery import CHUNK, check_image
from dlcli.data.images.importing.samples import ForeignImage, Reader
from dlcli.data.images.importing.source_files import SourceFile, Sources
from dlcli.data.images.scan_index import Checked
from dlcli.data.images.shard_writer import Place, ShardWriter
from dlcli.data.images.sources.shards import index_row
from dlcli.errors import InputError

OnBadImage = Literal["error", "skip"]


@dataclass
class Import:
    """An import of files, and what it has found so far.

    Args:
        sources, reader: the files, and what reads them.
        folder: where to write the shards; None to write none, because the images stay in the tar files they are in.
        max_bytes: of a shard.
        on_bad_image: what to do about an image that cannot be decoded.
    """

    sources: Sources
    reader: Reader
    folder: Path | None
    max_bytes: int
    on_bad_image: OnBadImage
    samples: Counter[str] = field(default_factory=Counter)
    """The number of images by split."""
    classes: set[str] = field(default_factory=set)
    """The names of the classes."""
    left_out: list[str] = field(default_factory=list)
    """The images that could not be decoded, with the reason."""

    def index(self, progress: Progress) -> Iterator[list[Any]]:
        """Write the shards. Returns the rows of their index, in the order of the files.

        Args:
            progress: called with the number of images read and their total.

        Raises:
            InputError: a file is corrupt, an image lacks a label, or one cannot be decoded and is an error.
            OSError: the shards cannot be written.
        """
        total = sum(self.reader.count(source.path) for source in self.sources.files)
        done = itertools.count(1)
        with contextlib.ExitStack() as stack:
            writers = dict[str, ShardWriter]()
            if self.folder is not None:
                for split in dict.fromkeys(source.split for source in self.sources.files):
                    writers[split] = stack.enter_context(ShardWriter(self.folder, split, max_bytes=self.max_bytes))
            for source in self.sources.files:
                for image, checked in self._checked(source):
                    progress(next(done), total)
                    if checked is not None:
                        key = f"{self.samples[source.split]:09d}"
                        place = image.stored if not writers else _write(writers[source.split], key, image, checked)
                        assert place is not None
                        self.samples[source.split] += 1
                        self.classes.add(image.label)
                        yield index_row([image.name, source.split, image.label, "", checked.digest], place, checked)
        if not self.samples["train"]:
            raise InputError(f"{self.sources.files[0].path}: there must be images to train on. Received none.")

    def _checked(self, source: SourceFile) -> Iterator[tuple[ForeignImage, Checked | None]]:
        """The images of a file with what decoding shows; None for one that is left out."""
        images = self.reader.read(source.path, source.name)
        while chunk := list(itertools.islice(images, CHUNK)):
            for image, result in zip(chunk, workers().map(_check, [image.data for image in chunk]), strict=True):
                if isinstance(result, Checked):
                    yield image, result
                elif self.on_bad_image == "skip":
                    self.left_out.append(f"{image.place}: {result}")
                    yield image, None
                else:
                    raise InputError(
                        f"{image.place}: {result}. Repair it, or leave out such images with --on-bad-image skip."
                    )


def _check(data: bytes) -> Checked | str:
    try:
        return check_image(data)
    except BadImage as reason:
        return str(reason)


def _write(writer: ShardWriter, key: str, image: ForeignImage, checked: Checked) -> Place:
    label = {"txt": image.label.encode()} if image.number is None else {"cls": str(image.number).encode()}
    return writer.add(key, image.data, checked.image_format, label).image
