"""The training job of texts that are answered by texts, their evaluation, and answers to new ones."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from dlcli.data.sequences.dataset import SequenceDataset
from dlcli.data.splits import evenly_spaced
from dlcli.data.text.pair_batches import PairBatches
from dlcli.data.text.vocabulary import END, Vocabulary
from dlcli.recipe.load import LoadedRecipe
from dlcli.recipe.tasks.sequence_to_sequence import SequenceToSequence
from dlcli.report.cost.layer_table import LayerTable, layer_table
from dlcli.report.cost.training_memory import TrainingMemory
from dlcli.rundir import RunDir
from dlcli.runtime.console import Console
from dlcli.runtime.startup import Device, without_weights
from dlcli.tasks.checks import build_checked
from dlcli.tasks.job import training_memory_of
from dlcli.tasks.sequence_to_sequence.decoding import answerer_of
from dlcli.tasks.sequence_to_sequence.evaluation import evaluate_pairs
from dlcli.tasks.sequence_to_sequence.network import build_encoder_decoder
from dlcli.tasks.sequence_to_sequence.sources import Vocabularies, open_pairs, pair_batches, teacher_forcing
from dlcli.tasks.sequences.network_job import NetworkJob
from dlcli.tasks.sequences.tokens import cut_lines, fit_tokens, unknown_lines, write_vocabulary
from dlcli.tasks.split_choice import OWN_DATA
from dlcli.training.objectives import sequences as sequence_objectives
from dlcli.training.objectives.objective import Objective


@dataclass(frozen=True)
class PairJob(NetworkJob):
    """Pairs of texts, and a network that says the second of the first."""

    recipe: SequenceToSequence
    dataset: SequenceDataset
    vocabularies: Vocabularies
    train_data: PairBatches
    validation_data: PairBatches | None

    @property
    def custom_layers(self) -> list[str]:
        return ["Answers", "Decoder", "DecoderCell"]

    def table(self) -> LayerTable:
        return _table(self.recipe, self.vocabularies, self.train_data.longest)

    def objective(self, *, in_training: bool, losses: str = "all", exact: bool = False) -> Objective:
        return sequence_objectives.tagging(label_smoothing=0.0 if exact else self.recipe.train.label_smoothing)

    def overfit_data(self, num_batches: int) -> PairBatches:
        train = self.dataset.splits["train"]
        chosen = evenly_spaced(len(train), num_batches * self.recipe.train.batch_size)
        return pair_batches(self.recipe, self.vocabularies, train, chosen=chosen, seed=self.recipe.train.seed)

    def data_summary(self) -> str:
        unit, data = self.recipe.text.unit, self.train_data
        wanted = [int((own != END).sum()) for own in np.split(data.answers, np.cumsum(data.answer_lengths)[:-1])]
        return (
            f"{int(np.median(data.lengths))} {unit} given (median), {data.lengths.max()} at most; "
            f"{int(np.median(wanted))} wanted, {max(wanted)} at most; known "
            f"{unit}: {len(self.vocabularies.given.tokens):,} and {len(self.vocabularies.wanted.tokens):,}"
        )

    def data_notes(self) -> list[str]:
        lines = []
        for what in ("texts", "answers"):
            splits = {name: getattr(part, what) for name, part in self.dataset.splits.items()}
            lines += cut_lines(splits, self.recipe.text, what=what)
        for split, data in (("train", self.train_data), ("validation", self.validation_data)):
            if data is None:
                continue
            for what, numbers in (("given", data.steps), ("wanted", data.answers)):
                lines += unknown_lines(split, numbers, f"{self.recipe.text.unit} {what}")
        return lines

    def data_info(self) -> dict[str, Any]:
        return {
            "steps": self.train_data.longest,
            "vocabulary": len(self.vocabularies.given.tokens),
            "target_vocabulary": len(self.vocabularies.wanted.tokens),
        }

    def write_initial_files(self, run: RunDir) -> None:
        write_vocabulary(run.vocabulary, self.vocabularies.given)
        write_vocabulary(run.target_vocabulary, self.vocabularies.wanted)

    def build_model(self) -> keras.Model:
        return build_encoder_decoder(self.recipe, self.vocabularies).model

    def evaluate(self, run: RunDir, model: keras.Model, split: str) -> dict[str, Any]:
        answerer = answerer_of(run, self.recipe, model)
        samples = self.dataset.splits[split]
        return evaluate_pairs(run.evaluation(split), answerer, samples, source=OWN_DATA, beam=1, console=self.console)


def prepare(loaded: LoadedRecipe, recipe: SequenceToSequence, device: Device, console: Console) -> PairJob:
    """Reads the pairs, checks the recipe against them, and builds the model.

    Raises:
        InputError: the pairs or the recipe cannot be used.
    """
    dataset = open_pairs(loaded, recipe.data)
    train, validation = dataset.splits["train"], dataset.splits.get("validation")
    assert train.texts is not None
    assert train.answers is not None
    vocabularies = Vocabularies(
        fit_tokens(loaded, recipe.text, train.texts), fit_tokens(loaded, recipe.text, train.answers)
    )
    data = pair_batches(recipe, vocabularies, train, seed=recipe.train.seed, forcing=teacher_forcing(recipe.train))

    def memory() -> TrainingMemory:
        return training_memory_of(_table(recipe, vocabularies, data.longest), recipe.train, len(train))[0]

    network = build_checked(
        loaded,
        has_validation=validation is not None,
        memory_of=memory,
        build=lambda: build_encoder_decoder(recipe, vocabularies),
    )
    return PairJob(
        loaded=loaded,
        recipe=recipe,
        dataset=dataset,
        vocabularies=vocabularies,
        network=network,
        train_data=data,
        validation_data=None if validation is None else pair_batches(recipe, vocabularies, validation),
        device=device,
        console=console,
    )


def table_of_run(recipe: SequenceToSequence, data: dict[str, Any]) -> LayerTable:
    """The layers of a run's network, by what its run.json says of the data.

    Raises:
        KeyError: it does not say enough.
    """
    sizes = (data["vocabulary"], data["target_vocabulary"])
    return _table(
        recipe, Vocabularies(*(Vocabulary.plain([str(i) for i in range(size)]) for size in sizes)), data["steps"]
    )


def _table(recipe: SequenceToSequence, vocabularies: Vocabularies, steps: int) -> LayerTable:
    with without_weights():
        return layer_table(build_encoder_decoder(recipe, vocabularies).trained, steps=steps)
