"""The training job of language models."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from dlcli.data.sequences.dataset import SequenceDataset
from dlcli.data.splits import evenly_spaced
from dlcli.data.text.corpus import LongTexts, Passage
from dlcli.data.text.vocabulary import Vocabulary
from dlcli.data.text.windows import TextWindows
from dlcli.recipe.load import LoadedRecipe
from dlcli.recipe.tasks.language_model import LanguageModel, LongText
from dlcli.report.cost.layer_table import LayerTable, layer_table
from dlcli.report.cost.training_memory import TrainingMemory
from dlcli.rundir.directory import RunDir
from dlcli.rundir.writing import replace_json
from dlcli.runtime.console import Console
from dlcli.runtime.startup import Device, without_weights
from dlcli.tasks.checks import build_checked
from dlcli.tasks.evaluation_files import Destination, destination_after_training
from dlcli.tasks.job import OVERFIT_LOSS, training_memory_of
from dlcli.tasks.language_model.evaluation import evaluate_texts
from dlcli.tasks.language_model.generator import generator_of
from dlcli.tasks.language_model.network import build_language_model
from dlcli.tasks.language_model.sources import (
    Batches,
    Texts,
    line_batches,
    open_texts,
    passage_ids,
    start_tokens_of,
    text_batches,
    window_batches,
)
from dlcli.tasks.sequences.encoders import own_layers
from dlcli.tasks.sequences.network_job import NetworkJob
from dlcli.tasks.sequences.tokens import cut_lines, fit_tokens, subword_layers, unknown_lines, write_vocabulary
from dlcli.training.objectives import sequences as sequence_objectives
from dlcli.training.objectives.objective import Objective


@dataclass(frozen=True)
class LanguageJob(NetworkJob):
    """A job that trains a network to predict the next token of texts."""

    recipe: LanguageModel
    dataset: Texts
    vocabulary: Vocabulary
    train_data: Batches
    validation_data: Batches | None

    @property
    def custom_layers(self) -> list[str]:
        return [*subword_layers(self.recipe.text), *own_layers(self.recipe.model)]

    def table(self) -> LayerTable:
        return _table(self.recipe, self.vocabulary, start_tokens_of(self.dataset), self.recipe.text.max_length)

    def objective(self, *, in_training: bool, losses: str = "all", exact: bool = False) -> Objective:
        return sequence_objectives.tagging(label_smoothing=0.0 if exact else self.recipe.train.label_smoothing)

    def overfit_data(self, num_batches: int) -> Batches:
        number = num_batches * self.recipe.train.batch_size
        if isinstance(self.dataset, LongTexts):
            ids = self._ids("train")[: number * self.recipe.text.max_length + 1]
            return window_batches(self.recipe, ids, in_training=True)
        train = self.dataset.splits["train"]
        return line_batches(
            self.recipe, self.vocabulary, train, chosen=evenly_spaced(len(train), number), in_training=True
        )

    def overfit_loss(self, data: Any) -> float:
        # a memorized text can be predicted only after its first tokens have told which text it is: that takes at least
        # the logarithm of the number of texts in nats per text
        num_tokens = data.num_tokens if isinstance(data, TextWindows) else int(data.lengths.sum())
        return OVERFIT_LOSS + math.log(int(data.num_samples)) * int(data.num_samples) / int(num_tokens)

    def _ids(self, split: str) -> np.ndarray:
        assert isinstance(self.dataset, LongTexts)
        return passage_ids(self.recipe, self.vocabulary, self.dataset.splits[split])

    # What it prints and writes ----------------------------------------------------------------------------------------

    def data_summary(self) -> str:
        unit = self.recipe.text.unit
        vocabulary = f"vocabulary of {len(self.vocabulary.tokens):,} {unit}"
        if isinstance(self.dataset, LongTexts):
            return f"{self.train_data.num_tokens:,} training {unit} in one text; {vocabulary}"  # type: ignore[union-attr]
        lengths = self.train_data.lengths - 1  # type: ignore[union-attr]
        num_classes = len(self.dataset.classes)
        classes = (
            "" if self.dataset.classes == ("",) else f"{num_classes} {'class' if num_classes == 1 else 'classes'}; "
        )
        length = f"length {int(np.median(lengths))} {unit} (median), {lengths.max()} (maximum)"
        return f"{classes}{length}; {vocabulary}"

    def data_notes(self) -> list[str]:
        if isinstance(self.dataset, SequenceDataset):
            splits = {name: part.texts or () for name, part in self.dataset.splits.items()}
            return cut_lines(splits, self.recipe.text, self.vocabulary)
        unit = self.recipe.text.unit
        return [line for split in self.dataset.splits for line in unknown_lines(split, self._ids(split), unit)]

    def data_info(self) -> dict[str, Any]:
        info: dict[str, Any] = {"vocabulary": len(self.vocabulary.tokens)}
        if isinstance(self.dataset, SequenceDataset) and self.dataset.classes != ("",):
            info["classes"] = list(self.dataset.classes)
        return info

    def write_initial_files(self, run: RunDir) -> None:
        write_vocabulary(run.vocabulary, self.vocabulary)
        if isinstance(self.dataset, SequenceDataset) and self.dataset.classes != ("",):
            replace_json(run.labels, {"classes": list(self.dataset.classes)})

    # After training ---------------------------------------------------------------------------------------------------

    def build_model(self) -> keras.Model:
        start_tokens = start_tokens_of(self.dataset)
        return build_language_model(self.recipe, self.vocabulary, start_tokens=start_tokens).model

    def float32_model(self) -> keras.Model:
        for variable, source in self._sources():
            if variable is not source:
                variable.assign(source)
        return super().float32_model()

    def weight_keys(self) -> dict[int, str]:
        keys = super().weight_keys()
        return keys | {id(variable): keys[id(source)] for variable, source in self._sources()}

    def _sources(self) -> list[tuple[Any, Any]]:
        """The model's variables with those that are trained, which are others only where training is stateful."""
        return list(zip(self.model.trainable_variables, self.trained.trainable_variables, strict=True))

    def evaluate(self, run: RunDir, model: keras.Model, split: str) -> dict[str, Any]:
        to = Destination(run.evaluation(split))  # one long text has no samples to compare
        if isinstance(self.dataset, SequenceDataset):
            to = destination_after_training(run, self.dataset.splits, split)
        return evaluate_texts(
            to,
            generator_of(run, self.recipe, model),
            self.dataset,
            split,
            train=self.dataset,
            console=self.console,
        )


def prepare(loaded: LoadedRecipe, recipe: LanguageModel, device: Device, console: Console) -> LanguageJob:
    """Read the texts, check the recipe against them, and build the model.

    Raises:
        InputError: the texts or the recipe cannot be used.
    """
    if device.num_devices > 1 and getattr(recipe.model, "stateful", False):
        raise loaded.error(
            "model.stateful",
            "needs one device, because it carries the states of a whole batch: use --device cpu or gpu",
        )
    dataset = open_texts(loaded, recipe.data)
    train, validation = dataset.splits["train"], dataset.splits.get("validation")
    texts = [train.text] if isinstance(train, Passage) else train.texts
    assert texts is not None
    vocabulary = fit_tokens(loaded, recipe.text, texts)
    start_tokens = start_tokens_of(dataset)
    train_data = text_batches(loaded, recipe, vocabulary, train, in_training=True)

    def memory() -> TrainingMemory:
        table = _table(recipe, vocabulary, start_tokens, recipe.text.max_length)
        return training_memory_of(table, recipe.train, train_data.num_samples)[0]

    network = build_checked(
        loaded,
        has_validation=validation is not None,
        memory_of=memory,
        build=lambda: build_language_model(recipe, vocabulary, start_tokens=start_tokens),
    )
    return LanguageJob(
        loaded=loaded,
        recipe=recipe,
        dataset=dataset,
        vocabulary=vocabulary,
        network=network,
        train_data=train_data,
        validation_data=None
        if validation is None
        else text_batches(loaded, recipe, vocabulary, validation, in_training=False),
        device=device,
        console=console,
    )


def table_of_run(recipe: LanguageModel, data: dict[str, Any]) -> LayerTable:
    """The layer table of a run's network, built without weights from what run.json records about the data.

    Raises:
        KeyError: it records too little.
    """
    vocabulary = Vocabulary.plain([str(number) for number in range(data["vocabulary"])])
    start_tokens = () if isinstance(recipe.data, LongText) else tuple(data.get("classes", ("",)))
    return _table(recipe, vocabulary, start_tokens, recipe.text.max_length)


def _table(recipe: LanguageModel, vocabulary: Vocabulary, start_tokens: Sequence[str], steps: int) -> LayerTable:
    with without_weights():
        network = build_language_model(recipe, vocabulary, start_tokens=start_tokens, is_stateful=False)
        return layer_table(network.trained, steps=steps)
