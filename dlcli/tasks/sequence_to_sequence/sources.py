"""Reads pairs of texts and makes batches of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlcli.data.sequences.dataset import SequenceDataset, Sequences
from dlcli.data.sequences.ragged import Ragged
from dlcli.data.synthetic.addition import make_addition
from dlcli.data.text.pair_batches import PairBatches
from dlcli.data.text.pairs import read_pairs_csv, read_pairs_tsv
from dlcli.data.text.vocabulary import END, Vocabulary
from dlcli.recipe.load import LoadedRecipe
from dlcli.recipe.tasks.sequence_to_sequence import Addition, PairsCsv, PairsTsv, PairTrain, SequenceToSequence
from dlcli.tasks.optimization import stage_sections
from dlcli.tasks.sequences.tokens import encode_texts
from dlcli.tasks.split_keys import split_keys

AnyPairs = PairsTsv | PairsCsv | Addition


@dataclass(frozen=True)
class Vocabularies:
    """The vocabularies of the source texts and of the target texts."""

    source: Vocabulary
    target: Vocabulary


def open_pairs(loaded: LoadedRecipe, section: AnyPairs) -> SequenceDataset:
    """Read a recipe's data.

    Raises:
        InputError: the data cannot be used; a missing path is located in the recipe.
    """
    loaded.check_data_path()
    return read_pairs(section)


def read_pairs(section: AnyPairs) -> SequenceDataset:
    """Read the data of a ``data`` section.

    Raises:
        InputError: the data cannot be used.
    """
    common = split_keys(section)
    match section:
        case Addition():
            return make_addition(
                digits=section.digits,
                num_samples=section.num_samples,
                seed=section.seed,
                exclude=section.exclude,
                **common,
            )
        case PairsTsv():
            return read_pairs_tsv(**_files(section), **common)
        case PairsCsv():
            return read_pairs_csv(
                **_files(section),
                source=section.source,
                target=section.target,
                split=section.split,
                group=section.group,
                columns=section.columns,
                **common,
            )


def _files(section: PairsTsv | PairsCsv) -> dict[str, Any]:
    keys = ("path", "validation_path", "test_path", "encoding", "exclude")
    return {key: getattr(section, key) for key in keys}


def teacher_forcing(train: PairTrain) -> Callable[[int], float] | None:
    """The probability of feeding the true token, by epoch, counted from 0 over all stages; None if it is always 1."""
    first, last = train.teacher_forcing.first, train.teacher_forcing.last
    if first == last == 1.0:
        return None
    num_epochs = sum(section.epochs for section in stage_sections(train))

    def forcing(epoch: int) -> float:
        return first + (last - first) * min(1.0, epoch / max(1, num_epochs - 1))

    return forcing


def pair_batches(
    recipe: SequenceToSequence,
    vocabularies: Vocabularies,
    samples: Sequences,
    *,
    chosen: np.ndarray | None = None,
    seed: int | None = None,
    forcing: Callable[[int], float] | None = None,
) -> PairBatches:
    """Make the batches of a split.

    Args:
        chosen: indices of the samples to use; None for all.
        seed: of the order; None for the order of the split.
        forcing: the probability of teacher forcing by epoch; None for always.
    """
    index = np.arange(len(samples)) if chosen is None else chosen
    assert samples.texts is not None
    assert samples.answers is not None
    source = encode_texts([samples.texts[i] for i in index], recipe.text, vocabularies.source)
    target = encode_texts([samples.answers[i] for i in index], recipe.text, vocabularies.target)
    with_end = [np.array([*target[row], END], np.int32) for row in range(len(index))]
    return PairBatches(
        given=source,
        wanted=Ragged.join(with_end).cut(recipe.text.max_length),
        begin=vocabularies.target.size,
        batch_size=recipe.train.batch_size,
        seed=seed,
        forcing=forcing,
    )
