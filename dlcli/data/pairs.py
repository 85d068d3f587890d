"""Pairs of texts, what is given and what is wanted: from tables, or sums that are made; and their batches."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import tensorflow as tf

from dlcli.data.listing import Listing, SplitKeys
from dlcli.data.sequences.batches import drawn_order, padded
from dlcli.data.sequences.dataset import SequenceDataset, assemble_sequences
from dlcli.data.sequences.ragged import Ragged
from dlcli.data.splits import SPLITS, Index, LeftOut
from dlcli.data.table import check_groups, read_cells, refuse_faults
from dlcli.data.text import TextRow, read_content
from dlcli.errors import InputError

SALT = 7919  # keeps what is drawn for the decoder's own tokens apart from the order of the samples


def read_pairs_tsv(*, path: str | Path, encoding: str, **common: Unpack[SplitKeys]) -> SequenceDataset:
    """A file with a pair on each line: what is given, a tab, what is wanted; further columns are passed over.

    Raises:
        InputError: it has no pairs, or lines without a tab, which are reported together.
    """
    file = Path(path)
    rows, faults = [], []
    for line, content in enumerate(read_content(file, "file of pairs", encoding).split("\n"), start=1):
        content = content.rstrip("\r")
        if not content.strip(" "):
            continue
        given, tab, rest = content.partition("\t")
        if not tab:
            faults.append(
                (line, f"there must be a tab between what is given and what is wanted. Received '{given[:50]}'.")
            )
        rows.append(TextRow(line, f"{file.name}:{line}", given.strip(), rest.partition("\t")[0].strip(), "train"))
    refuse_faults(file, faults)
    return assemble_pairs(file, rows, has_groups=False, common=common)


def read_pairs_csv(
    *,
    path: str | Path,
    source: str,
    target: str,
    split: str | None,
    group: str | None,
    encoding: str,
    **common: Unpack[SplitKeys],
) -> SequenceDataset:
    """The pairs of a table, CSV or, where the file's name ends in .tsv, tab-separated without quotes.

    Args:
        source, target, split, group: names of columns.

    Raises:
        InputError: the table is not as described; faults of rows are reported together.
    """
    table = Path(path)
    roles = {"source": source, "target": target, "split": split, "group": group}
    columns = {role: name for role, name in roles.items() if name is not None}
    required = [role for role in columns if role not in ("source", "target")]
    records, faults = read_cells(table, read_content(table, "table", encoding), columns, required=required)
    refuse_faults(table, faults)
    rows = [
        TextRow(line, f"{table.name}:{line}", cells["source"], cells["target"], own_split, cells.get("group", ""))
        for line, own_split, cells in records
    ]
    return assemble_pairs(table, rows, has_groups=group is not None, common=common)


def assemble_pairs(source: Path, rows: Sequence[TextRow], *, has_groups: bool, common: SplitKeys) -> SequenceDataset:
    empty = [
        LeftOut(row.name, "an empty text" if not row.text else "nothing to give for it")
        for row in rows
        if not (row.text and row.label)
    ]
    rows = [row for row in rows if row.text and row.label]
    by_split = {split: [row for row in rows if row.split == split] for split in SPLITS}
    by_split = {split: part for split, part in by_split.items() if part}
    if "train" not in by_split:
        raise InputError(f"{source}: there must be pairs to train on. Received none.")
    if has_groups and len(by_split) > 1:
        check_groups(source, rows)
    listings = {
        split: Listing(
            names=tuple(row.name for row in part),
            labels=np.zeros(len(part), np.int32),
            groups=tuple(row.group for row in part) if has_groups else None,
            texts=tuple(row.text for row in part),
            answers=tuple(row.label for row in part),
        )
        for split, part in by_split.items()
    }
    return assemble_sequences(listings, ("",), source=str(source), left_out=empty, warnings=(), common=common)


class PairBatches:
    """Batches of pairs as a function of (seed, epoch, position) alone; samples of about one length stand together.

    Args:
        given: numbers of the tokens of what is given, int32.
        wanted: those of what is wanted, with the end's, 0.
        begin: number that stands before each answer.
        batch_size: samples of a batch.
        seed: of the order; None for the order of the split.
        forcing: by the epoch, how likely the decoder is to be told the true token before each; None for always.
    """

    def __init__(
        self,
        *,
        given: Ragged,
        wanted: Ragged,
        begin: int,
        batch_size: int,
        seed: int | None = None,
        forcing: Callable[[int], float] | None = None,
    ) -> None:
        self.num_samples = len(given)
        self.batch_size = batch_size
        self.num_steps = -(-self.num_samples // batch_size)
        self.lengths = given.lengths
        self.answer_lengths = wanted.lengths
        self.steps, self.answers = given.flat, wanted.flat
        self._seed, self._forcing, self._begin = seed, forcing, begin
        self._given = {"flat": tf.constant(given.flat), "starts": tf.constant(given.starts)}
        self._wanted = {"flat": tf.constant(wanted.flat), "starts": tf.constant(wanted.starts)}
        self._given["lengths"], self._wanted["lengths"] = tf.constant(given.lengths), tf.constant(wanted.lengths)

    @property
    def longest(self) -> int:
        """Tokens of the longest text of either side, the end among them."""
        return max(int(self.lengths.max()), int(self.answer_lengths.max()))

    @property
    def mixes(self) -> bool:
        """Whether the samples of a batch depend on each other."""
        return False

    def order(self, epoch: int) -> Index:
        """The samples' indices in the order of an epoch, int64 ``[n]``."""
        if self._seed is None:
            return np.arange(self.num_samples, dtype=np.int64)
        lengths = self.lengths + self.answer_lengths
        return drawn_order(lengths, self.batch_size, seed=self._seed, epoch=epoch, buckets=True)

    def source(self, epoch: int, first_step: int = 0) -> Any:
        """What :meth:`element` takes the steps of an epoch from."""
        source = {"order": tf.constant(self.order(epoch)), "epoch": tf.constant(epoch, tf.int64)}
        if self._forcing is not None:
            source["forcing"] = tf.constant(self._forcing(epoch), tf.float32)
        return source

    def element(self, source: Any, step: Any) -> dict[str, Any]:
        """Traced: the indices of a step's samples, int64 ``[b]``; and for which tokens the true one before is told,
        float32 ``[b, longest answer]``."""
        index = source["order"][step * self.batch_size : (step + 1) * self.batch_size]
        shape = [tf.shape(index)[0], int(self.answer_lengths.max())]
        if self._forcing is None:
            return {"index": index, "forced": tf.ones(shape, tf.float32)}
        seeds = tf.stack([tf.constant((self._seed or 0) * SALT, tf.int64), source["epoch"] * 2**32 + step])
        drawn = tf.random.stateless_uniform(shape, seeds)
        return {"index": index, "forced": tf.cast(drawn < source["forcing"], tf.float32)}

    def assemble(self, element: dict[str, Any]) -> dict[str, Any]:
        """Traced: the batch of some samples.

        Returns ``{x: {given: int32 [b, s], before: int32 [b, t], forced: float32 [b, t]}, y: {tags: int32 [b, t], mask:
        float32 [b, t]}, weight: float32 [b], index: int64 [b]}``.
        """
        index = element["index"]
        given, _ = _rows(self._given, index)
        wanted, is_there = _rows(self._wanted, index)
        begin = tf.fill([tf.shape(index)[0], 1], self._begin)
        return {
            "x": {
                "given": given,
                "before": tf.concat([begin, wanted[:, :-1]], axis=1),
                "forced": element["forced"][:, : tf.shape(wanted)[1]],
            },
            "y": {"tags": wanted, "mask": tf.cast(is_there, tf.float32)},
            "weight": tf.ones(tf.shape(index), tf.float32),
            "index": index,
        }


def _rows(sequences: dict[str, Any], index: Any) -> tuple[Any, Any]:
    """Some sequences, padded with 0 ``[b, steps]``, and where they are."""
    starts, lengths = tf.gather(sequences["starts"], index), tf.gather(sequences["lengths"], index)
    positions = tf.range(tf.reduce_max(lengths))
    is_there = positions < lengths[:, None]
    return padded(sequences["flat"], tf.where(is_there, starts[:, None] + positions, 0), is_there, 0), is_there
