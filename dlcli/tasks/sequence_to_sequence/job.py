"""The training job of sequence-to-sequence learning."""

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
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.runtime.startup import Device, without_weights
from dlcli.tasks.checks import build_checked
from dlcli.tasks.evaluation_files import destination_after_training
from dlcli.tasks.job import training_memory_of
from dlcli.tasks.sequence_to_sequence.decoding import text_decoder_of
from dlcli.tasks.sequence_to_sequence.evaluation import evaluate_pairs
from dlcli.tasks.sequence_to_sequence.network import build_encoder_decoder
from dlcli.tasks.sequence_to_sequence.sources import Vocabularies, open_pairs, pair_batches, teacher_forcing
from dlcli.tasks.sequences.network_job import NetworkJob
from dlcli.tasks.sequences.tokens import cut_lines, fit_tokens, unknown_lines, write_vocabulary
from dlcli.training.objectives import sequences as sequence_objectives
from dlcli.training.objectives.objective import Objective


@dataclass(frozen=True)
class PairJob(NetworkJob):
    """A job that trains an encoder-decoder to generate the second text of each pair from the first."""

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
        targets = np.split(data.answers, np.cumsum(data.answer_lengths)[:-1])
        lengths = [int((ids != END).sum()) for ids in targets]
        source, target = self.vocabularies.source, self.vocabularies.target
        return (
            f"source length {int(np.median(data.lengths))} {unit} (median), {data.lengths.max()} (maximum); "
            f"target length {int(np.median(lengths))} (median), {max(lengths)} (maximum); "
            f"vocabularies of {len(source.tokens):,} and {len(target.tokens):,} {unit}"
        )

    def data_notes(self) -> list[str]:
        lines = []
        for field, what in (("texts", "source texts"), ("answers", "target texts")):
            splits = {name: getattr(part, field) for name, part in self.dataset.splits.items()}
            lines += cut_lines(splits, self.recipe.text, what=what)
        for split, data in (("train", self.train_data), ("validation", self.validation_data)):
            if data is None:
                continue
            for what, ids in (("source", data.steps), ("target", data.answers)):
                lines += unknown_lines(split, ids, f"{what} {self.recipe.text.unit}")
        return lines

    def data_info(self) -> dict[str, Any]:
        return {
            "steps": self.train_data.longest,
            "vocabulary": len(self.vocabularies.source.tokens),
            "target_vocabulary": len(self.vocabularies.target.tokens),
        }

    def write_initial_files(self, run: RunDir) -> None:
        write_vocabulary(run.vocabulary, self.vocabularies.source)
        write_vocabulary(run.target_vocabulary, self.vocabularies.target)

    def build_model(self) -> keras.Model:
        return build_encoder_decoder(self.recipe, self.vocabularies).model

    def evaluate(self, run: RunDir, model: keras.Model, split: str) -> dict[str, Any]:
        decoder = text_decoder_of(run, self.recipe, model)
        samples = self.dataset.splits[split]
        to = destination_after_training(run, self.dataset.splits, split)
        return evaluate_pairs(to, decoder, samples, beam=1, console=self.console)


def prepare(loaded: LoadedRecipe, recipe: SequenceToSequence, device: Device, console: Console) -> PairJob:
    """Read the pairs, check the recipe against them, and build the model.

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
    """The layer table of a run's network, built without weights from what run.json records about the data.

    Raises:
        KeyError: it records too little.
    """
    sizes = (data["vocabulary"], data["target_vocabulary"])
    return _table(
        recipe, Vocabularies(*(Vocabulary.plain([str(i) for i in range(size)]) for size in sizes)), data["steps"]
    )


def _table(recipe: SequenceToSequence, vocabularies: Vocabularies, steps: int) -> LayerTable:
    with without_weights():
        return layer_table(build_encoder_decoder(recipe, vocabularies).trained, steps=steps)
