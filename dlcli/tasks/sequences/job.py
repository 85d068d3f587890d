"""The training job of sequences: texts or series, with a class or a number for each, or a tag for each word."""

import functools
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from dlcli.data.sequences.batches import SequenceBatches
from dlcli.data.sequences.dataset import SequenceDataset, Sequences
from dlcli.data.sequences.ragged import Ragged
from dlcli.data.splits import evenly_spaced
from dlcli.data.text.vocabulary import Vocabulary, encode_words, fit_words
from dlcli.recipe.load import LoadedRecipe, NumberRecipe, SequenceRecipe, TextRecipe
from dlcli.recipe.tasks.sequence_regression import SequenceRegression
from dlcli.recipe.tasks.tagging import Tagging, Words, is_fed_back
from dlcli.recipe.tasks.text_multilabel import TextMultilabel
from dlcli.recipe.tasks.text_regression import TextRegression
from dlcli.report.cost.layer_table import LayerTable, layer_table
from dlcli.report.cost.training_memory import TrainingMemory
from dlcli.rundir.directory import RunDir
from dlcli.rundir.writing import replace_json
from dlcli.runtime.console import Console
from dlcli.runtime.startup import Device, without_weights
from dlcli.tasks.checks import (
    build_checked,
    check_class_weights,
    check_positive_weights,
    class_counts,
    class_weights,
    too_constant,
)
from dlcli.tasks.evaluation_files import destination_after_training
from dlcli.tasks.job import training_memory_of
from dlcli.tasks.losses import loss_arguments
from dlcli.tasks.sequences.encoders import STANDARD, Moments, Scale, SequenceNetwork, own_layers
from dlcli.tasks.sequences.evaluation import evaluate_split
from dlcli.tasks.sequences.labels import fit_thresholds
from dlcli.tasks.sequences.network import Front, build_network, text_steps
from dlcli.tasks.sequences.network_job import NetworkJob
from dlcli.tasks.sequences.pretrained import coverage, with_vectors
from dlcli.tasks.sequences.scaling import usable_variance
from dlcli.tasks.sequences.sources import open_sequences
from dlcli.tasks.sequences.tokens import (
    MAX_CHARACTERS,
    cut_lines,
    encode_by,
    encode_texts,
    fit_characters,
    fit_tokens,
    large_enough,
    subword_layers,
    too_rare,
    unknown_lines,
    write_vocabulary,
)
from dlcli.tasks.several_labels import (
    constant_lines,
    counts_line,
    frequencies_of,
    label_objective,
    nothing_to_learn,
)
from dlcli.training.objectives import classification as classification_objectives
from dlcli.training.objectives import sequences as sequence_objectives
from dlcli.training.objectives.objective import Objective


@dataclass(frozen=True)
class SequenceJob(NetworkJob):
    """A job that trains a network to predict a class or a number for each sequence, or a tag for each word."""

    recipe: SequenceRecipe
    dataset: SequenceDataset
    front: Front
    train_data: SequenceBatches
    validation_data: SequenceBatches | None

    @property
    def custom_layers(self) -> list[str]:
        if isinstance(self.recipe, Tagging) and is_fed_back(self.recipe.model):
            return ["ClassFeedbackCell"]
        found = own_layers(self.recipe.model)
        if isinstance(self.recipe, TextRecipe):
            return [*subword_layers(self.recipe.text), *found]
        return [*found, "Crf"] if isinstance(self.recipe, Tagging) and self.recipe.model.crf else found

    def table(self) -> LayerTable:
        return layer_table(self.trained, steps=int(self.train_data.lengths.max()))

    def objective(self, *, in_training: bool, losses: str = "all", exact: bool = False) -> Objective:
        recipe, classes = self.recipe, self.dataset.classes
        if isinstance(recipe, SequenceRegression):
            assert isinstance(self.front, Scale)
            return sequence_objectives.regression(variance=self.front.target_variance)
        if isinstance(recipe, TextRegression):
            return sequence_objectives.regression(variance=self.target.variance)
        if isinstance(recipe, TextMultilabel):
            applies = self.dataset.splits["train"].applies if in_training else None
            return label_objective(recipe.train, classes, applies=applies, exact=exact)
        weights = class_weights(recipe.train, self._labels, classes) if in_training else None
        arguments = loss_arguments(recipe.train, exact=exact)
        if isinstance(recipe, Tagging) and recipe.model.crf:
            return sequence_objectives.crf()
        if isinstance(recipe, Tagging):
            return sequence_objectives.tagging(class_weights=weights, **arguments)
        return classification_objectives.classification(num_classes=len(classes), class_weights=weights, **arguments)

    @property
    def _labels(self) -> NDArray[np.int32]:
        """The classes of the training split: of its samples, or of the words of its sentences."""
        train = self.dataset.splits["train"]
        return train.labels if train.tags is None else train.tags.flat

    def overfit_data(self, num_batches: int) -> SequenceBatches:
        samples, train = self.dataset.splits["train"], self.recipe.train
        chosen = evenly_spaced(len(samples), num_batches * train.batch_size)
        return _batches(self.recipe, samples, self.front, chosen=chosen, seed=train.seed)

    # What it prints and writes ----------------------------------------------------------------------------------------

    def data_summary(self) -> str:
        lengths, unit = self.train_data.lengths, self._unit
        number = len(self.dataset.classes)
        goal = "one number each" if self.dataset.classes == ("",) else f"{number} classes"
        if isinstance(self.recipe, TextMultilabel):
            goal = "1 label" if number == 1 else f"{number} labels"
        line = f"{goal}; length {int(np.median(lengths))} {unit} (median), {lengths.max()} (maximum)"
        if isinstance(self.front, Vocabulary):
            return f"{line}; vocabulary of {len(self.front.tokens):,} {unit}"
        noun = "feature" if len(self.front.mean) == 1 else "features"
        return f"{line}; {len(self.front.mean)} {noun}"

    @property
    def _unit(self) -> str:
        if isinstance(self.recipe, Tagging):
            return "words"
        return self.recipe.text.unit if isinstance(self.recipe, TextRecipe) else "steps"

    def data_notes(self) -> list[str]:
        lines = []
        train = self.dataset.splits["train"]
        if train.applies is not None:
            lines += counts_line(train.applies, self.dataset.classes)
        elif isinstance(self.recipe, TextRegression):
            assert train.targets is not None
            lines.append(
                f"train: {self.recipe.data.target} from {train.targets.min():g} to {train.targets.max():g}, mean "
                f"{self.target.mean:.4g}, standard deviation {self.target.variance**0.5:.4g}"
            )
        elif self.dataset.classes != ("",):
            lines += class_counts(self._labels, self.dataset.classes)
        if isinstance(self.recipe, TextRecipe):
            assert isinstance(self.front, Vocabulary)
            splits = {name: part.texts or () for name, part in self.dataset.splits.items()}
            lines += cut_lines(splits, self.recipe.text, self.front)
        if isinstance(self.front, Vocabulary):
            lines += coverage(self.front)
        for split, data in (("train", self.train_data), ("validation", self.validation_data)):
            if data is not None and isinstance(self.front, Vocabulary):
                ids = data.steps if data.steps.ndim == 1 else data.steps[:, 0]  # beside those of its characters
                lines += unknown_lines(split, ids, self._unit)
            elif data is not None and np.isnan(data.steps).any():
                lines.append(
                    f"{split}: {np.isnan(data.steps).mean():.1%} of the values are missing; the network uses the "
                    "feature's mean"
                )
        return lines

    def data_info(self) -> dict[str, Any]:
        info: dict[str, Any] = {
            "steps": int(self.train_data.lengths.max()),
        }
        if self.dataset.classes != ("",):
            info["classes"] = list(self.dataset.classes)
        applies = self.dataset.splits["train"].applies
        if applies is not None:
            info["frequencies"] = frequencies_of(applies)
        if isinstance(self.recipe, TextRegression):
            info["target"] = {"mean": self.target.mean, "variance": self.target.variance}
        if isinstance(self.front, Vocabulary):
            sizes = {"vocabulary": len(self.front.tokens)}
            return info | sizes | ({"characters": len(self.front.characters)} if self.front.characters else {})
        if self.dataset.features:
            info["features"] = list(self.dataset.features)
        info["scale"] = {"mean": self.front.mean.tolist(), "variance": self.front.variance.tolist()}
        if isinstance(self.recipe, SequenceRegression):
            info["target"] = {"mean": self.front.target_mean, "variance": self.front.target_variance}
        return info

    def write_initial_files(self, run: RunDir) -> None:
        if self.dataset.classes != ("",):
            replace_json(run.labels, {"classes": list(self.dataset.classes)})
        if isinstance(self.front, Vocabulary):
            write_vocabulary(run.vocabulary, self.front)

    # After training ---------------------------------------------------------------------------------------------------

    def build_model(self) -> keras.Model:
        return build_network(self.recipe, self.front, len(self.dataset.classes), self.target).model

    @property
    def target(self) -> Moments:
        """Of the numbers to predict for texts."""
        return moments_of(self.dataset.splits["train"])

    def evaluate(self, run: RunDir, model: keras.Model, split: str) -> dict[str, Any]:
        info, splits = run.read_info()["data"], self.dataset.splits
        validation = splits.get("validation")
        if isinstance(self.recipe, TextMultilabel):
            info["thresholds"] = fit_thresholds(
                run, model, self.recipe, self.dataset.classes, validation, console=self.console
            )
        return evaluate_split(
            destination_after_training(run, splits, split),
            model,
            splits[split],
            info=info,
            recipe=self.recipe,
            train=splits["train"],
            validation=validation,
            console=self.console,
        )


def prepare(
    loaded: LoadedRecipe, recipe: SequenceRecipe, device: Device, console: Console, *, is_new: bool
) -> SequenceJob:
    """Read the data, check the recipe against them, and build the model.

    Args:
        is_new: False for a run that is resumed.

    Raises:
        InputError: the data or the recipe cannot be used.
    """
    dataset = open_sequences(loaded, recipe.data)
    train, validation = dataset.splits["train"], dataset.splits.get("validation")
    front = _fit(loaded, recipe, dataset)
    if isinstance(recipe, TextRecipe | Tagging):
        assert isinstance(front, Vocabulary)
        front = with_vectors(loaded, recipe.text, front, seed=recipe.train.seed, is_new=is_new)
    num_classes = len(dataset.classes)
    if isinstance(recipe, TextMultilabel):
        _check_labels(loaded, recipe, dataset, console)
    elif not isinstance(recipe, NumberRecipe):
        check_class_weights(loaded, recipe.train, dataset.classes)
    is_balanced = getattr(recipe.data, "sampling", None) == "balanced"
    train_data = _batches(recipe, train, front, seed=recipe.train.seed, is_balanced=is_balanced)
    longest = int(train_data.lengths.max())

    def build() -> SequenceNetwork:
        return build_network(recipe, front, num_classes, moments_of(train))

    def memory() -> TrainingMemory:
        return training_memory_of(layer_table(build().trained, steps=longest), recipe.train, len(train))[0]

    network = build_checked(loaded, has_validation=validation is not None, memory_of=memory, build=build)
    return SequenceJob(
        loaded=loaded,
        recipe=recipe,
        dataset=dataset,
        front=front,
        network=network,
        train_data=train_data,
        validation_data=None if validation is None else _batches(recipe, validation, front),
        device=device,
        console=console,
    )


def table_of_run(recipe: SequenceRecipe, data: dict[str, Any]) -> LayerTable:
    """The layer table of a run's network, built without weights from what run.json records about the data.

    Raises:
        KeyError: it records too little.
    """
    front: Front
    if isinstance(recipe, TextRecipe | Tagging):
        front = Vocabulary.plain([str(number) for number in range(data["vocabulary"])])
        front = replace(front, characters=tuple(map(str, range(data.get("characters", 0)))))
    else:
        front = Scale(np.array(data["scale"]["mean"]), np.array(data["scale"]["variance"]))
    with without_weights():
        num_classes = 1 if isinstance(recipe, NumberRecipe) else len(data["classes"])
        return layer_table(build_network(recipe, front, num_classes).trained, steps=data["steps"])


# Fitting on the training split ----------------------------------------------------------------------------------------


def _fit(loaded: LoadedRecipe, recipe: SequenceRecipe, dataset: SequenceDataset) -> Front:
    train = dataset.splits["train"]
    if isinstance(recipe, TextRegression):
        assert train.targets is not None
        if reason := too_constant(f"'{recipe.data.target}'", train.targets):
            raise loaded.error("data.target", reason)
    if isinstance(recipe, TextRecipe):
        assert train.texts is not None
        vocabulary = fit_tokens(loaded, recipe.text, train.texts)
        if recipe.text.characters is None:
            return vocabulary
        return replace(vocabulary, characters=fit_characters(recipe.text, train.texts))
    if isinstance(recipe, Tagging):
        return _fit_words(loaded, recipe.text, train)
    assert train.values is not None
    steps = train.values.flat
    num_known = (~np.isnan(steps)).sum(axis=0)
    if not num_known.all():
        position = int(np.flatnonzero(num_known == 0)[0])
        raise loaded.error("data", f"feature {position + 1} has no values in the training split; remove it")
    mean = np.asarray(np.nanmean(steps, axis=0, dtype=np.float64))
    variance = np.asarray(np.nanvar(steps, axis=0, dtype=np.float64))
    variance = usable_variance(loaded, dataset.feature_names, steps, variance)
    if train.targets is None:
        return Scale(mean, variance)
    if train.targets.min() == train.targets.max():
        raise loaded.error(
            "data", f"the numbers to predict must vary, but are all {train.targets[0]:g} in the training split"
        )
    target_variance = float(train.targets.var(dtype=np.float64))
    return Scale(mean, variance, float(train.targets.mean(dtype=np.float64)), target_variance)


def moments_of(train: Sequences) -> Moments:
    """The moments of the numbers to predict in the training split; standard ones without any."""
    if train.targets is None:
        return STANDARD
    return Moments(float(train.targets.mean(dtype=np.float64)), float(train.targets.var(dtype=np.float64)))


def _check_labels(loaded: LoadedRecipe, recipe: TextMultilabel, dataset: SequenceDataset, console: Console) -> None:
    """Refuse labels from which nothing can be learned, and report those of which that is true.

    Raises:
        RecipeError: no label applies to some texts of train and not to others; or the weights do not fit.
    """
    check_positive_weights(loaded, recipe.train, dataset.classes)
    applies = dataset.splits["train"].applies
    assert applies is not None
    if reason := nothing_to_learn(applies, dataset.classes, samples="texts"):
        raise loaded.error("data", reason)
    for text, _ in constant_lines(applies, dataset.classes, "train").values():
        console.warn(text)


def _fit_words(loaded: LoadedRecipe, words: Words, train: Sequences) -> Vocabulary:
    assert train.words is not None
    vocabulary = fit_words(
        train.words, lower=words.lowercase, max_vocabulary=words.max_vocabulary, min_count=words.min_count
    )
    vocabulary = large_enough(loaded, vocabulary, "words", num_texts=len(train), remedies=too_rare(words.min_count))
    if words.characters is None:
        return vocabulary
    found = fit_words(
        [word for sentence in train.words for word in sentence],  # a word is a sequence of characters
        lower=False,
        max_vocabulary=MAX_CHARACTERS,
        min_count=words.min_count,
    )
    return replace(vocabulary, characters=found.tokens)


# Batches --------------------------------------------------------------------------------------------------------------


def _batches(
    recipe: SequenceRecipe,
    samples: Sequences,
    front: Front,
    *,
    seed: int | None = None,
    chosen: np.ndarray | None = None,
    is_balanced: bool = False,
) -> SequenceBatches:
    index = np.arange(len(samples)) if chosen is None else chosen
    targets: dict[str, Any]
    if samples.tags is not None:
        assert isinstance(recipe, Tagging)
        targets = {"tags": samples.tags.take(index).cut(recipe.text.max_length)}
    elif samples.applies is not None:
        targets = {"labels": samples.applies[index].astype(np.float32)}
    elif samples.targets is not None:
        targets = {"value": samples.targets[index].astype(np.float32)}
    else:
        targets = {"class": samples.labels[index]}
    return SequenceBatches(
        inputs=_inputs(recipe, samples, front, index),
        targets=targets,
        batch_size=recipe.train.batch_size,
        seed=seed,
        balanced_by=samples.labels[index] if is_balanced else None,
        # as in prediction, validation knows no true tags
        is_forced=seed is not None if isinstance(recipe, Tagging) and is_fed_back(recipe.model) else None,
    )


def _inputs(recipe: SequenceRecipe, samples: Sequences, front: Front, index: np.ndarray) -> Ragged:
    if isinstance(recipe, TextRecipe):
        assert samples.texts is not None
        assert isinstance(front, Vocabulary)
        texts = [samples.texts[i] for i in index]
        if recipe.text.characters is None:
            return encode_texts(texts, recipe.text, front)
        return encode_by(functools.partial(text_steps, tokens=recipe.text, vocabulary=front), texts)
    if isinstance(recipe, Tagging):
        assert samples.words is not None
        assert isinstance(front, Vocabulary)
        characters = recipe.text.characters
        return encode_words(
            [samples.words[i] for i in index],
            front,
            max_length=recipe.text.max_length,
            num_characters=0 if characters is None else characters.max_length,
        )
    assert samples.values is not None
    return samples.values.take(index)
