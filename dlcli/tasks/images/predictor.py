"""Predicts images, signals and volumes held in memory with a model that is loaded once."""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcli.data.images.decoding import BadImage, ImagePolicy, bring_to, decode
from dlcli.data.images.own_sizes import BatchesOfSizes
from dlcli.data.images.samples import Samples
from dlcli.data.images.scan_index import Checked
from dlcli.data.images.sources.npz import BRING_TO_RANGE, Layout, to_samples
from dlcli.data.images.tiles import grid_tiling, make_grids
from dlcli.data.splits import NO_LABEL
from dlcli.errors import InputError
from dlcli.explanation.network import NotExplainable
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.calibration import read_calibration
from dlcli.tasks.images.class_map import class_map
from dlcli.tasks.images.head import ImageHead, Predicted, Trained
from dlcli.tasks.images.own_sizes import smallest_side_of
from dlcli.tasks.predictor import Kind, PaddedNetwork, Shown
from dlcli.tasks.run_models import load_image_model
from dlcli.tasks.task import PredictionRequest


@dataclass(frozen=True)
class ReadImage:
    """An image, signal or volume as its network takes it.

    Attributes:
        values: uint8 ``[height, width, channels]``, resized unless the network takes images of their own sizes or tiles
            of them; float32 of signals and volumes.
        size: height and width of the upright image at its own size.
    """

    values: NDArray[Any]
    size: tuple[int, int]


class ImagePredictor:
    """A :class:`dlcli.tasks.predictor.Predictor` of a run of a task on images.

    Raises:
        InputError: the run has no model, or one of its files is corrupt.
    """

    def __init__(self, run: RunDir, head: ImageHead, console: Console) -> None:
        best = load_image_model(run, console, check=head.check_model)
        images = run.read_image_policy()
        self.run = run
        self.model = best.model
        self._head = head
        self._trained = Trained(head.recorded(run), read_calibration(run, best.digest, console))
        self.classes = self._trained.info.names
        self._policy = None if images is None else ImagePolicy.from_dict(images)
        self._shape = tuple(best.model.inputs[0].shape[1:])
        self.kind: Kind = "images" if self._policy is not None else "signals" if len(self._shape) == 2 else "volumes"
        self.shows = self._policy is not None
        self._value_range = getattr(head.recipe.data, "value_range", None) or (0.0, 255.0)
        network, largest = head.with_outputs(best.model), head.recipe.train.batch_size
        self._network = PaddedNetwork(network, largest=largest, freezes=True)
        self.batch_sizes = self._network.sizes
        self._least = 1
        if self._policy is not None and self._policy.has_own_sizes:
            pixel = ReadImage(np.zeros((1, 1, self._policy.channels), np.uint8), (1, 1))
            self._least = smallest_side_of(run, head, self._samples([pixel]))
        self._console = Console(quiet=True)  # what a run reports with every prediction was reported when it was opened

    def read(self, sample: bytes | NDArray[Any], *, name: str | None = None) -> ReadImage:
        """As :meth:`dlcli.tasks.predictor.Predictor.read`."""
        if self._policy is None:
            return self._read_values(sample, name or f"the {self.kind.removesuffix('s')}")
        name = name or "the image"
        try:
            if isinstance(sample, bytes):
                pixels = np.asarray(decode(sample, value_range=self._policy.value_range))
            else:
                pixels = self._read_pixels(sample, name)
        except BadImage as reason:
            raise InputError(f"{name}: {reason}.") from None
        height, width = pixels.shape[:2]
        if min(height, width) < self._least:
            raise InputError(
                f"{name}: too small: the network takes images of at least {self._least}x{self._least} pixels. "
                f"Received {height}x{width}."
            )
        return ReadImage(bring_to(pixels.reshape(height, width, -1), self._policy), (height, width))

    def _read_pixels(self, array: NDArray[Any], name: str) -> NDArray[np.uint8]:
        """An array as pixels ``[height, width, channels]`` at its own size.

        Raises:
            InputError: its shape, type or values are not those of an image.
        """
        pixels = np.asarray(array)
        if pixels.ndim not in (2, 3) or 0 in pixels.shape or (pixels.ndim == 3 and pixels.shape[2] not in (1, 3)):
            raise InputError(
                f"{name}: an array must be [height, width] or [height, width, channels] with 1 or 3 channels. "
                f"Received shape {pixels.shape}."
            )
        found = to_samples(pixels[None], name, layout="image", value_range=self._value_range, remedy=BRING_TO_RANGE)
        return np.asarray(found[0], np.uint8)

    def _read_values(self, sample: bytes | NDArray[Any], name: str) -> ReadImage:
        """A signal or volume.

        Raises:
            InputError: it is not an array like those of training.
        """
        if isinstance(sample, bytes) or np.shape(sample) != self._shape:
            received = f"{len(sample):,} bytes" if isinstance(sample, bytes) else f"shape {np.shape(sample)}"
            raise InputError(f"{name}: must be an array of shape {self._shape}, as in training. Received {received}.")
        layout: Layout = "signal" if self.kind == "signals" else "volume"
        found = to_samples(
            np.asarray(sample)[None], name, layout=layout, value_range=self._value_range, remedy=BRING_TO_RANGE
        )
        return ReadImage(found[0], (0, 0))

    def predict(
        self,
        samples: Sequence[ReadImage],
        *,
        top: int = 3,
        score: float | None = None,
        beam: int = 1,
        copy_unknown: bool = False,
    ) -> list[dict[str, Any]]:
        """As :meth:`dlcli.tasks.predictor.Predictor.predict`."""
        return list(self._predict(samples, top, score).rows) if samples else []

    def _predict(self, samples: Sequence[ReadImage], top: int, score: float | None) -> Predicted:
        return self._head.predict(
            self._outputs,
            self._samples(samples),
            trained=self._trained,
            request=PredictionRequest((), top=top, score=score),
            console=self._console,
        )

    def show(self, sample: ReadImage) -> Shown:
        """As :meth:`dlcli.tasks.predictor.Shows.show`; the map is Grad-CAM's, of the most probable class or the first
        object."""
        mask = self._predict([sample], 1, None).mask
        found = None if self._map is None else self._map(self._samples([sample]))
        attribution, explained = (None, "") if found is None else found
        return Shown(sample.values, attribution, explained, None if mask is None else mask(0))

    @functools.cached_property
    def _map(self) -> Callable[[Samples], tuple[NDArray[np.float32], str] | None] | None:
        if self._policy is None or self._policy.keeps_size:
            return None
        try:
            return class_map(self._head, self.model, self.classes)
        except (InputError, NotExplainable):
            return None

    def _samples(self, images: Sequence[ReadImage]) -> Samples:
        """The images as a split without ground truth."""
        values = tuple(image.values for image in images)
        keeps_size = self._policy is not None and self._policy.keeps_size
        return Samples(
            names=("",) * len(images),
            labels=np.full(len(images), NO_LABEL, np.int32),
            digests=("",) * len(images),
            groups=None,
            policy=self._policy,
            pixels=None if keeps_size else np.stack(values),
            unsized=values if keeps_size else None,
            checked=tuple(Checked(*image.size, is_gray=False, digest="") for image in images),
        )

    def _outputs(self, samples: Samples) -> Iterator[tuple[NDArray[np.int64], tuple[NDArray[Any], ...]]]:
        """As :func:`dlcli.tasks.images.batches.predict_batches`, in batches of a few sizes."""
        largest = self._network.largest
        if samples.policy is not None and samples.policy.overlap is not None:
            tiling = grid_tiling(make_grids(samples.sizes, samples.policy.image_size, samples.policy.overlap))
            reader, windows = samples.tile_reader(), tiling.windows(0)
            for index in _parts(len(windows), largest):
                yield index, self._network(reader.load(tiling.images[index], windows[index]))
            return
        own_sizes = samples.has_own_sizes
        batches = BatchesOfSizes(samples.sizes, largest).draw(None, 0) if own_sizes else _parts(len(samples), largest)
        for index in batches:
            yield index, self._network(samples.load(index))


def _parts(number: int, largest: int) -> list[NDArray[np.int64]]:
    """The positions of so many samples, in batches of at most ``largest``."""
    return [np.arange(start, min(start + largest, number)) for start in range(0, number, largest)]
