"""Batches of one split for training and evaluation, as a function of (seed, epoch, position) alone.

An epoch's data is a *source*: the random parameters, and the order of the samples (in memory) or an iterator that
decodes batches in parallel with the training step (files). Two functions are traced into the step:
:meth:`Batches.element` takes the element of a step from the source, and :meth:`Batches.assemble` turns it into a batch:
it gathers what is in memory, augments and mixes. So samples in memory never pass through an input pipeline, which would
cost more than the step of a small network.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from dlcli.data.annotations import Loader, Target
from dlcli.data.augmentation.augmentation import Augmentation, Parameters
from dlcli.data.augmentation.copy_paste import CopyPaste, Pasting
from dlcli.data.augmentation.mixup import MixedBatch, Mixing
from dlcli.data.augmentation.mosaic import NUM_PARTS, Mosaic, Parts, compose
from dlcli.data.images.own_sizes import BatchesOfSizes
from dlcli.data.images.source_loading import of_share, of_sources
from dlcli.data.images.tiles import Sizes, Tiling
from dlcli.data.sampling import draw_balanced
from dlcli.data.splits import NO_LABEL
from dlcli.errors import InputError

PREFETCH = 2  # batches decoded ahead of the step: they bound the memory, whatever the size of the data set

PARTNER = "partner "  # before the names of an element's tensors that are of the images whose objects are pasted

Share = Callable[[int], slice]  # number of samples of a batch -> those of them that are needed

Load = Callable[..., np.ndarray]  # index int64 [b] -> pixels [b, ...]; of tiles, index and windows int64 [b, 6]


class Batches:
    """The batches of one split.

    The last, smaller batch is kept. With a ``seed``, the order of epoch e is a permutation drawn from (seed, e): the
    data of any epoch can be rebuilt from any step, which makes exact resume possible. Images of their own ``sizes`` are
    divided into batches of one size each, so that the number of batches is the same in every epoch.

    Args:
        labels: int32 ``[n]``; all of them NO_LABEL for samples without a class.
        pixels: the samples in memory, ``[n, ...]``, uint8 or float32; None if ``load`` returns them.
        load: loads a batch of samples by their index; used if ``pixels`` is None.
        shape: of one sample.
        batch_size: samples in a batch.
        seed: of the order and all random parameters; None for the order of the split.
        augmentation: random changes to each image; needs a seed.
        mosaic: composes samples of several; needs a seed, and no balanced sampling.
        copy_paste: pastes objects of other samples; needs a seed, masks of objects, and no balanced sampling.
        mixing: mixes pairs of samples of a batch; needs a seed. Labels are then float32 ``[b, num_classes]``, and
            targets are mixed by their own rule.
        num_classes: only for mixing.
        dtype: of what ``load`` returns.
        targets: what is predicted besides the class, or in its place; they follow the augmentation.
        balanced: each epoch draws samples with replacement so that classes are equally frequent; needs a seed. A sample
            that is drawn twice is augmented twice.
        tiling: for samples that are tiles of images. What is loaded, pixels and targets, then gets the index of the
            images and the windows of the batch.
        sizes: for images that are not resized, height and width of each, ``[n, 2]``.
    """

    def __init__(
        self,
        *,
        labels: np.ndarray,
        pixels: np.ndarray | None,
        load: Load,
        shape: tuple[int, ...],
        batch_size: int,
        seed: int | None = None,
        augmentation: Augmentation | None = None,
        mosaic: Mosaic | None = None,
        copy_paste: CopyPaste | None = None,
        mixing: Mixing | None = None,
        num_classes: int = 0,
        dtype: tf.DType = tf.uint8,
        targets: Sequence[Target] = (),
        balanced: bool = False,
        tiling: Tiling | None = None,
        sizes: Sizes | None = None,
    ) -> None:
        if (tiling is not None or sizes is not None) and pixels is not None:
            raise ValueError("tiles and images of several sizes are loaded batch by batch. Received pixels in memory.")
        composes = mosaic is not None or copy_paste is not None
        if sizes is not None and (mixing is not None or composes or balanced or tiling is not None):
            raise ValueError("images of several sizes cannot be mixed, composed, balanced or cut into tiles.")
        if seed is None and (augmentation is not None or mixing is not None or composes or balanced):
            raise ValueError("augmentation, mixing and balanced sampling need a seed. Received none.")
        if composes and balanced:
            raise ValueError("samples that are composed of several cannot be balanced.")
        self.num_samples = len(labels)
        self.batch_size = batch_size
        self._of_sizes = None if sizes is None else BatchesOfSizes(sizes, batch_size)
        self.num_steps = -(-self.num_samples // batch_size) if self._of_sizes is None else self._of_sizes.number
        self._seed = seed
        self._shape = shape
        self._load = load
        self._dtype = dtype
        self._augmentation = augmentation
        self._mosaic = mosaic
        self._copy_paste = copy_paste
        self._mixing = mixing
        self._num_classes = num_classes
        self.failure: InputError | None = None  # why a sample could not be loaded
        self._of_classes = np.asarray(labels, np.int32)
        self._labels = None if np.any(self._of_classes == NO_LABEL) else tf.constant(labels, tf.int32)
        self._balanced = balanced
        self._tiling = tiling
        self._targets = targets
        self._pixels = None if pixels is None else tf.constant(pixels)
        self._loaders = {name: loader for target in targets for name, loader in target.loaders().items()}
        self.share: Share | None = None

    def read_only(self, share: Share | None) -> None:
        """From now on reads only a share of the samples of each batch from files; the others become zeros, which must
        not be used. Batches whose samples are mixed are read as a whole."""
        self.share = None if self.mixes else share

    def load_by(self, load: Load) -> None:
        """Replaces the function that loads samples that are not in memory, for example by one with a cache."""
        self._load = load

    def keep_targets(self, max_bytes: int) -> None:
        """Keeps what is loaded of targets, such as masks, in memory, compressed, up to so many bytes."""
        self._targets = [target.kept(max_bytes) for target in self._targets]
        self._loaders = {name: loader for target in self._targets for name, loader in target.loaders().items()}

    def order(self, epoch: int) -> np.ndarray:
        """The samples' indices in the order of an epoch, int64 ``[n]``."""
        if self._of_sizes is not None:
            return np.concatenate(self._of_sizes.draw(self._seed, epoch))
        if self._seed is None:
            return np.arange(self.num_samples, dtype=np.int64)
        if self._balanced:
            return draw_balanced(self._of_classes, seed=self._seed, epoch=epoch)
        generator = np.random.Generator(np.random.PCG64([self._seed, epoch]))
        return generator.permutation(self.num_samples).astype(np.int64)

    @property
    def is_in_memory(self) -> bool:
        """Whether the samples are in memory, decoded."""
        return self._pixels is not None

    @property
    def _is_loaded(self) -> bool:
        """Whether anything is read from files for each batch, so that batches come from an input pipeline."""
        return self._pixels is None or bool(self._loaders)

    @property
    def is_random(self) -> bool:
        """Whether samples are augmented or mixed."""
        random = (self._augmentation, self._mosaic, self._copy_paste, self._mixing)
        return any(change is not None for change in random)

    @property
    def mixes(self) -> bool:
        """Whether the samples of a batch depend on each other; a batch must then be assembled as a whole."""
        return self._mixing is not None

    def source(self, epoch: int, first_step: int = 0) -> dict[str, Any]:
        """The source of :meth:`element` for an epoch, from ``first_step`` on; steps are taken in order."""
        batches_of_sizes = None if self._of_sizes is None else self._of_sizes.draw(self._seed, epoch)
        order = self.order(epoch) if batches_of_sizes is None else np.concatenate(batches_of_sizes)
        drawn = {**self._draw(epoch), "draw": tf.constant(_epoch_seed(self._seed, epoch), tf.int64)}
        if not self._is_loaded:
            return {**drawn, "order": tf.constant(order)}
        loaded = self._loaded(epoch)
        if batches_of_sizes is None:
            left = {name: values[order[first_step * self.batch_size :]] for name, values in loaded.items()}
            batches = tf.data.Dataset.from_tensor_slices(left).batch(self.batch_size)
        else:
            lengths = [len(batch) for batch in batches_of_sizes]
            rows = {name: tf.RaggedTensor.from_row_lengths(values[order], lengths) for name, values in loaded.items()}
            batches = tf.data.Dataset.from_tensor_slices({name: values[first_step:] for name, values in rows.items()})
        decode = tf.autograph.experimental.do_not_convert(self._decode)
        return {**drawn, "decoded": iter(batches.map(decode, num_parallel_calls=1).prefetch(PREFETCH))}

    def _draw(self, epoch: int) -> dict[str, Any]:
        """The tables of an epoch: ``samples``, with a row for each sample, and ``batches``, with one for each batch.

        If sampling is balanced, ``samples`` has a row for each draw, in their order.
        """
        drawn: dict[str, Any] = {"samples": {}, "batches": {}}
        parameters, parts = self.parameters(epoch), self.parts(epoch)
        if parts is not None:
            drawn["samples"] |= parts.to_tensors()
        if self._augmentation is not None and parameters is not None:
            drawn["samples"] |= self._augmentation.to_tensors(parameters, **self._size)
        moved = self._moved(epoch, parameters, parts)
        for target in moved:
            drawn["samples"] |= target.rows()
        pasting = self.pasting(epoch, max((target.num_slots for target in moved), default=0))
        if pasting is not None:
            partners = {
                f"{PARTNER}{name}": tf.gather(values, pasting.partners) for name, values in drawn["samples"].items()
            }
            partners |= {f"{PARTNER}index": tf.constant(pasting.partners), "is_chosen": tf.constant(pasting.is_chosen)}
            drawn["samples"] |= partners
        if self._seed is not None and self._mixing is not None:
            values = self._mixing.draw(seed=self._seed, epoch=epoch, num_batches=self.num_steps, **self._size)
            drawn["batches"] = {name: tf.constant(value, tf.float32) for name, value in values.items()}
        return drawn

    @property
    def _size(self) -> dict[str, Any]:
        """Height and width of all images, or of each."""
        height, width = self._shape[:2] if self._of_sizes is None else self._of_sizes.sizes.T
        return {"height": height, "width": width}

    def parameters(self, epoch: int) -> Parameters | None:
        """The parameters of the augmentation in an epoch, with a row for each sample; None without augmentation."""
        if self._seed is None or self._augmentation is None:
            return None
        return self._augmentation.draw(seed=self._seed, epoch=epoch, num=self.num_samples, **self._size)

    def parts(self, epoch: int) -> Parts | None:
        """The parts of which mosaic composes each sample in an epoch; None without mosaic."""
        if self._seed is None or self._mosaic is None:
            return None
        return self._mosaic.draw(seed=self._seed, epoch=epoch, num=self.num_samples, **self._size)

    def pasting(self, epoch: int, slots: int = 0) -> Pasting | None:
        """Which other sample's objects are pasted into each sample in an epoch; None without copy-paste.

        Args:
            slots: of the objects of a sample, of which some are chosen.
        """
        if self._seed is None or self._copy_paste is None:
            return None
        return self._copy_paste.draw(seed=self._seed, epoch=epoch, num=self.num_samples, slots=slots)

    def _moved(self, epoch: int, parameters: Parameters | None, parts: Parts | None) -> Sequence[Target]:
        """The targets of the tiles, and of the composed and augmented images; with balanced sampling, for each draw of
        the order."""
        targets = self._targets
        if self._tiling is not None:
            windows = self._tiling.windows(epoch)
            targets = [target.tiled(self._tiling.images, windows, **self._size) for target in targets]
        if self._balanced:
            targets = [target.take(self.order(epoch)) for target in targets]
        if parts is not None:
            targets = [target.composed(parts, **self._size) for target in targets]
        if self._augmentation is None or parameters is None:
            return targets
        maps = self._augmentation.maps(parameters, **self._size)
        return targets if maps is None else [target.warped(maps, **self._size) for target in targets]

    def num_dropped(self, epoch: int) -> int:
        """How many boxes, or other parts of targets, augmentation drops in an epoch."""
        moved = self._moved(epoch, self.parameters(epoch), self.parts(epoch))
        return sum(target.num_dropped for target in moved)

    def at(self, epoch: int, index: np.ndarray) -> dict[str, Any]:
        """The batch, as of :meth:`assemble`, of the samples at these positions in an epoch, for plots; of images that
        are not resized, of one size.

        Raises:
            ValueError: samples are mixed or balanced, so that they depend on others of their batch or on the order.
            InputError: a sample can no longer be loaded.
        """
        if self._balanced or self.mixes:
            raise ValueError("samples that are mixed, or balanced, have no content of their own.")
        tables = self._draw(epoch)["samples"]
        element = {"index": tf.constant(index), **{name: tf.gather(values, index) for name, values in tables.items()}}
        if self._is_loaded:
            rows = {name: values[index] for name, values in self._loaded(epoch).items()}
            element |= self._decode(rows, reads_all=True)
        batch: dict[str, Any] = tf.function(self.assemble, autograph=False)(element)
        return batch

    def _loaded(self, epoch: int) -> dict[str, np.ndarray]:
        """What is passed to the loaders of each sample in an epoch: ``index``, and where they have several sources or
        are tiles, those."""
        parts = self.parts(epoch)
        sources = np.arange(self.num_samples) if parts is None else parts.sources
        pasting = self.pasting(epoch)
        if pasting is not None:
            sources = np.stack([sources, sources[pasting.partners]], axis=1)
        loaded = {"index": np.arange(self.num_samples), "source": sources}
        if self._tiling is not None:
            loaded |= {"source": self._tiling.images[sources], "window": self._tiling.windows(epoch)[sources]}
        return loaded

    def element(self, source: dict[str, Any], step: Any) -> dict[str, Any]:
        """Traced: the element of a step: ``index`` int64 ``[b]``, ``draws`` int64 ``[b, 2]``, the rows of its tables,
        and for files ``pixels``."""
        if self._is_loaded:
            element = dict(source["decoded"].get_next())
        else:
            element = {"index": source["order"][step * self.batch_size : (step + 1) * self.batch_size]}
        index = element["index"]
        element["draws"] = tf.stack([tf.fill(tf.shape(index), source["draw"]), index], axis=1)
        rows = index
        if self._balanced:
            rows = step * self.batch_size + tf.range(tf.shape(index, tf.int64)[0], dtype=tf.int64)
        element |= {name: tf.gather(values, rows) for name, values in source["samples"].items()}
        repeated = tf.fill(tf.shape(index), step)
        return element | {name: tf.gather(values, repeated) for name, values in source["batches"].items()}

    def _decode(self, batch: dict[str, Any], *, reads_all: bool = False) -> dict[str, Any]:
        # one call for each batch, which decodes its images in parallel
        loaders = dict(self._loaders)
        if self._pixels is None:
            shape = self._shape if self._of_sizes is None else (None, None, *self._shape[2:])
            loaders["pixels"] = Loader(lambda *batch: self._load(*batch), shape, self._dtype.name)
        decoded = {"index": batch["index"]}
        for name, loader in loaders.items():
            arguments = [batch[key] for key in ("source", "window") if key in batch]
            parts = () if self._mosaic is None else (NUM_PARTS,)
            pair = () if self._copy_paste is None else (2,)
            load = of_sources(loader.load, 1 + len(pair) + len(parts)) if pair or parts else loader.load
            if self.share is not None and not reads_all:
                load = of_share(load, self.share)
            values = tf.numpy_function(self._noting(load), arguments, loader.dtype, stateful=False)
            values = tf.ensure_shape(values, [None, *pair, *parts, *loader.shape])
            decoded |= {name: values} if not pair else {name: values[:, 0], f"{PARTNER}{name}": values[:, 1]}
        return decoded

    def _images(self, element: dict[str, Any]) -> tuple[Any, list[Mapping[str, Any]]]:
        """Traced: the composed and augmented images of an element, and the entries of each target."""
        if self._pixels is None:
            pixels = element["pixels"]
        else:
            pixels = tf.gather(self._pixels, element["index"] if self._mosaic is None else element["sources"])
        if self._mosaic is not None:
            pixels = compose(pixels, element)
        x = tf.cast(pixels, tf.float32) if self._augmentation is None else self._augmentation.apply(pixels, element)
        return x, [target.batch(element) for target in self._targets]

    def _noting(self, load: Load) -> Load:
        def load_or_note(*batch: np.ndarray) -> np.ndarray:
            try:
                return load(*batch)
            except InputError as failure:  # TensorFlow would report it with a traceback
                self.failure = failure
                raise

        return load_or_note

    def assemble(self, element: dict[str, Any]) -> dict[str, Any]:
        """Traced: turns an element, or a part of one, into a batch.

        Returns ``{x: float32 [b, ...], y: {class: int32 [b], or float32 [b, num_classes] if samples are mixed, unless
        samples have no class, and the entries of the targets}, weight: float32 [b], index: int64 [b], draws: int64
        [b, 2]}``. The ``draws`` are a seed for each sample, a function of (seed, epoch, sample), of the random numbers
        that the step draws itself; an element that is ``index`` alone has none.

        Raises:
            TypeError: samples are mixed, and a target cannot be.
        """
        index = element["index"]
        x, entries = self._images(element)
        y = {} if self._labels is None else {"class": tf.gather(self._labels, index)}
        if self._copy_paste is not None:
            of_partners = {name.removeprefix(PARTNER): element[name] for name in element if name.startswith(PARTNER)}
            others, of_others = self._images(of_partners)
            for i, target in enumerate(self._targets):
                x, entries[i] = target.pasted(x, entries[i], others, of_others[i], element["is_chosen"])
        if self._mixing is not None:
            has_mixup = self._mixing.mixup is not None
            mixed = MixedBatch(element["blend"], element["cut"], x.shape[1], x.shape[2], has_mixup)
            x = mixed.images(x)
            y = {name: mixed.means(tf.one_hot(labels, self._num_classes)) for name, labels in y.items()}
            entries = [target.mixed(of_target, mixed) for target, of_target in zip(self._targets, entries, strict=True)]
        for of_target in entries:
            y |= of_target
        batch = {"x": x, "y": y, "weight": tf.ones(tf.shape(index), tf.float32), "index": index}
        return batch | {"draws": element["draws"]} if "draws" in element else batch


def _epoch_seed(seed: int | None, epoch: int) -> int:
    """A number in [0, 2**63) that differs between epochs and seeds; without a seed, the same in all epochs."""
    mixed = np.random.SeedSequence([0, 0] if seed is None else [seed, epoch])
    return int(mixed.generate_state(1, np.uint64)[0]) >> 1
