"""Samples that are sequences, as text or as numbers, in train, validation and test."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.data.assemble import refuse_copies, warn_of_absent_classes
from dlcli.data.listing import Listing, SplitKeys, divide
from dlcli.data.ragged import Ragged
from dlcli.data.samples import SPLIT_COLUMNS, Index, Labels, LeftOut


@dataclass(frozen=True)
class Sequences:
    """The samples of one split, in a fixed order, each of its own length: `texts`, `values` or `words` is there."""

    names: tuple[str, ...]
    """What tables and messages call each sample, such as "reviews.csv:17"."""
    labels: Labels
    """Index of each sample's class [n]."""
    digests: tuple[str, ...]
    """The first 16 hexadecimal digits of the SHA-256 of each sample's text or numbers."""
    groups: tuple[str, ...] | None = None
    """What must not be divided between splits, where the source says."""
    texts: tuple[str, ...] | None = None
    answers: tuple[str, ...] | None = None
    """The text to give for each text, in place of a class."""
    values: Ragged | None = None
    """Steps float32 [features], NaN where one is missing."""
    targets: NDArray[np.float32] | None = None
    """The number to predict for each sample [n], in place of a class."""
    words: tuple[tuple[str, ...], ...] | None = None
    """Of sentences, each of which has a class for each word, in place of one."""
    tags: Ragged | None = None
    """Index of each word's class, int32."""

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class SequenceDataset:
    """All the samples of a source."""

    classes: tuple[str, ...]
    """Names of the classes, in the order of the model's outputs."""
    splits: dict[str, Sequences]
    """By name: train, validation, test; a split without samples is absent."""
    left_out: tuple[LeftOut, ...]
    """What the source holds besides."""
    warnings: tuple[str, ...]
    """What the user should know, one line each."""
    features: tuple[str, ...] = ()
    """Names of the numbers of a step, where the source has names."""

    @property
    def feature_names(self) -> tuple[str, ...]:
        """What the numbers of a step are called: by the source, or by their position."""
        values = self.splits["train"].values
        assert values is not None
        return self.features or tuple(f"feature {i + 1}" for i in range(values.flat.shape[1]))

    def fingerprint(self) -> str:
        """SHA-256 over the classes, and each sample's split, name, label and content."""
        digest = hashlib.sha256(json.dumps(self.classes).encode())
        for row in self.split_rows():
            digest.update(json.dumps([row["split"], row["file"], row["label"], row["digest"]]).encode())
        return digest.hexdigest()

    def split_rows(self) -> list[dict[str, str]]:
        """The rows of split.csv, one for each sample, with the columns SPLIT_COLUMNS."""
        rows = []
        for split, samples in self.splits.items():
            groups = samples.groups or ("",) * len(samples)
            for values in zip(samples.names, self.goals(samples), groups, samples.digests, strict=True):
                name, goal, group, digest = values
                rows.append(dict(zip(SPLIT_COLUMNS, (name, split, goal, group, digest), strict=True)))
        return rows

    def goals(self, samples: Sequences) -> list[str]:
        """What is to be predicted for each sample, in words."""
        if samples.targets is not None:
            return [f"{value:.9g}" for value in samples.targets]
        if samples.answers is not None:
            return list(samples.answers)
        if samples.tags is not None:
            tags = samples.tags
            return [" ".join(self.classes[tag] for tag in tags[i]) for i in range(len(tags))]
        return [self.classes[label] for label in samples.labels]


def assemble_sequences(
    listings: Mapping[str, Listing],
    classes: tuple[str, ...],
    *,
    source: str,
    left_out: Sequence[LeftOut],
    warnings: Sequence[str],
    common: SplitKeys,
    features: tuple[str, ...] = (),
) -> SequenceDataset:
    """A data set of what a source lists: splits that it lacks are drawn, samples of one content stay together.

    Raises:
        InputError: splits cannot be drawn, or share a sample.
    """
    divided, more_warnings = divide(listings, digests=_digests, num_classes=len(classes), source=source, common=common)
    splits = {
        split: Sequences(
            names=listing.names,
            labels=listing.labels,
            digests=_digests(listing),
            groups=listing.groups,
            texts=listing.texts,
            answers=listing.answers,
            values=listing.values,
            targets=listing.targets,
            words=listing.words,
            tags=listing.tags,
        )
        for split, listing in divided.items()
        if len(listing)
    }
    # not every tag is in every split
    absent = [] if any(part.tags is not None for part in splits.values()) else warn_of_absent_classes(splits, classes)
    copies = refuse_copies(splits, source=source, allow_leakage=common["allow_leakage"])
    return SequenceDataset(
        classes=classes,
        splits=splits,
        left_out=tuple(left_out),
        warnings=(*warnings, *more_warnings, *absent, *copies),
        features=features,
    )


def _digests(listing: Listing) -> tuple[str, ...]:
    if listing.texts is not None or listing.words is not None:
        texts = listing.texts or tuple("\t".join(words) for words in listing.words or ())
        contents = (text.encode("utf-8", "surrogatepass") for text in texts)
    else:
        values = listing.values
        assert values is not None
        contents = (values[i].tobytes() for i in range(len(values)))
    return tuple(hashlib.sha256(content).hexdigest()[:16] for content in contents)


class SequenceBatches:
    """The batches of one split, as a function of (seed, epoch, position) alone; all in memory.

    Each batch is as long as its longest sequence. With a seed, samples of about one length stand together: an epoch's
    permutation, drawn from (seed, epoch), is sorted by length within pools of many batches, whose order is then drawn.

    Args:
        inputs: int32 numbers of tokens, padded with 0, or float32 ``[features]`` for each step, padded with NaN.
        targets: by name, what is to be predicted: ``class`` int32 or ``value`` float32 ``[n]``, or for each step
            ``tags``.
        batch_size: samples of a batch; the last one may have fewer.
        seed: of the order; None for the order of the split.
        buckets: sort by length as above; without it, batches are as the permutation has them.
    """

    def __init__(
        self,
        *,
        inputs: Ragged,
        targets: Mapping[str, NDArray[Any] | Ragged],
        batch_size: int,
        seed: int | None = None,
        buckets: bool = True,
    ) -> None:
        self.num_samples = len(inputs)
        self.batch_size = batch_size
        self.num_steps = -(-self.num_samples // batch_size)
        self._seed = seed
        self._buckets = buckets
        self.lengths = inputs.lengths
        self.steps = inputs.flat
        self._flat = tf.constant(inputs.flat)
        self._starts = tf.constant(inputs.starts)
        self._lengths = tf.constant(inputs.lengths)
        self._targets = {
            name: tf.constant(values.flat if isinstance(values, Ragged) else values) for name, values in targets.items()
        }
        self._by_step = frozenset(name for name, values in targets.items() if isinstance(values, Ragged))
        self._padding = 0 if inputs.flat.dtype.kind == "i" else float("nan")

    @property
    def mixes(self) -> bool:
        """Whether the samples of a batch depend on each other."""
        return False

    def order(self, epoch: int) -> Index:
        """The samples' indices in the order of an epoch, int64 ``[n]``."""
        if self._seed is None:
            return np.arange(self.num_samples, dtype=np.int64)
        return drawn_order(self.lengths, self.batch_size, seed=self._seed, epoch=epoch, buckets=self._buckets)

    def source(self, epoch: int, first_step: int = 0) -> Any:
        """What :meth:`element` takes the steps of an epoch from."""
        return {"order": tf.constant(self.order(epoch))}

    def element(self, source: Any, step: Any) -> dict[str, Any]:
        """Traced: the indices of a step's samples, int64 ``[b]``."""
        return {"index": source["order"][step * self.batch_size : (step + 1) * self.batch_size]}

    def assemble(self, element: dict[str, Any]) -> dict[str, Any]:
        """Traced: the batch of some samples.

        Returns ``{x: [b, steps(, features)], y: {class: int32 [b]}, {value: float32 [b]} or {tags: int32 [b, steps],
        mask: float32 [b, steps]}, weight: float32 [b], index: int64 [b]}``.
        """
        index = element["index"]
        starts, lengths = tf.gather(self._starts, index), tf.gather(self._lengths, index)
        positions = tf.range(tf.reduce_max(lengths))
        is_there = positions < lengths[:, None]
        at = tf.where(is_there, starts[:, None] + positions, 0)
        x = padded(self._flat, at, is_there, self._padding)
        y = {}
        for name, values in self._targets.items():
            y[name] = padded(values, at, is_there, 0) if name in self._by_step else tf.gather(values, index)
        if self._by_step:
            y["mask"] = tf.cast(is_there, tf.float32)
        return {"x": x, "y": y, "weight": tf.ones(tf.shape(index), tf.float32), "index": index}


def drawn_order(lengths: Index, batch_size: int, *, seed: int, epoch: int, buckets: bool) -> Index:
    """A permutation drawn from (seed, epoch), int64 ``[n]``; with buckets samples of about one length are batched."""
    generator = np.random.Generator(np.random.PCG64([seed, epoch]))
    order: Index = generator.permutation(len(lengths)).astype(np.int64)
    if not buckets:
        return order
    whole = len(lengths) // batch_size * batch_size  # those beyond stay as the last, smaller batch
    pools = [order[start : min(start + POOL * batch_size, whole)] for start in range(0, whole, POOL * batch_size)]
    pools = [pool[np.argsort(lengths[pool], kind="stable")] for pool in pools]
    batches = np.concatenate([*pools, order[:0]]).reshape(-1, batch_size)
    return np.concatenate([batches[generator.permutation(len(batches))].ravel(), order[whole:]])


def padded(flat: Any, at: Any, is_there: Any, padding: float) -> Any:
    """Steps at some places of the flat array ``[b, steps, ...]``, with the padding where there is none."""
    steps = tf.gather(flat, at)
    for _ in range(flat.shape.rank - 1):
        is_there = is_there[..., None]
    return tf.where(is_there, steps, tf.cast(padding, steps.dtype))


POOL = 64  # batches whose samples are sorted by length together


def by_length(lengths: NDArray[np.int64], batch_size: int) -> list[Index]:
    """Positions of samples in batches of about one length each, for what needs no order."""
    order = np.argsort(lengths, kind="stable").astype(np.int64)
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
