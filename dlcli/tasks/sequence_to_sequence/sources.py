"""Reads pairs of texts and makes batches of them."""

from collections.abc import Callable
from dataclasses import dataclass

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
from dlcli.tasks.sequences.sources import split_keys
from dlcli.tasks.sequences.tokens import encode_texts

AnyPairs = PairsTsv | PairsCsv | Addition


@dataclass(frozen=True)
class Vocabularies:
    """The tokens of what is given and of what is wanted."""

    given: Vocabulary
    wanted: Vocabulary


def open_pairs(loaded: LoadedRecipe, section: AnyPairs) -> SequenceDataset:
    """Reads a recipe's data.

    Raises:
        InputError: they cannot be used; a missing path is located in the recipe.
    """
    loaded.check_data_path()
    return read_pairs(section)


def read_pairs(section: AnyPairs) -> SequenceDataset:
    common = split_keys(section)
    match section:
        case Addition():
            return make_addition(digits=section.digits, num_samples=section.num_samples, seed=section.seed, **common)
        case PairsTsv():
            return read_pairs_tsv(path=section.path, encoding=section.encoding, **common)
        case PairsCsv():
            return read_pairs_csv(
                path=section.path,
                source=section.source,
                target=section.target,
                split=section.split,
                group=section.group,
                encoding=section.encoding,
                **common,
            )


def teacher_forcing(train: PairTrain) -> Callable[[int], float] | None:
    """By the epoch, counted from 0 over all stages, how likely the true token is told; None for always."""
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
    index = np.arange(len(samples)) if chosen is None else chosen
    assert samples.texts is not None
    assert samples.answers is not None
    given = encode_texts([samples.texts[i] for i in index], recipe.text, vocabularies.given)
    wanted = encode_texts([samples.answers[i] for i in index], recipe.text, vocabularies.wanted)
    with_end = [np.array([*wanted[row], END], np.int32) for row in range(len(index))]
    return PairBatches(
        given=given,
        wanted=Ragged.join(with_end).cut(recipe.text.max_length),
        begin=vocabularies.wanted.size,
        batch_size=recipe.train.batch_size,
        seed=seed,
        forcing=forcing,
    )
