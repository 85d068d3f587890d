"""The training job of language models, and their evaluation."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlcli.data.language import (
    LongTexts,
    Passage,
    TextWindows,
    one_after_another,
    overlapping,
    read_long_text,
    side_by_side,
)
from dlcli.data.sequences.batches import SequenceBatches
from dlcli.data.sequences.dataset import SequenceDataset, Sequences
from dlcli.data.sequences.ragged import Ragged
from dlcli.data.splits import evenly_spaced
from dlcli.data.text import read_line_file, read_text_lines
from dlcli.data.vocabulary import END, FIRST, UNKNOWN, Vocabulary
from dlcli.errors import CheckFailed, InputError
from dlcli.evaluation import language
from dlcli.recipe.load import LoadedRecipe, load
from dlcli.recipe.tasks.language_model import LanguageModel, LanguageRecurrent, LongText, ManyLines
from dlcli.report.cost.layer_table import LayerTable, layer_table
from dlcli.report.cost.training_memory import TrainingMemory
from dlcli.rundir import RunDir, csv_text, now, replace_file, replace_json
from dlcli.training.objectives import sequences as sequence_objectives
from dlcli.training.objectives.objective import Objective
from dlcli.workflow.job import (
    OVERFIT_LOSS,
    OWN_DATA,
    best_metric_of,
    check_memory,
    check_metrics,
    check_same_data,
    own_split,
    training_memory_of,
)
from dlcli.workflow.network_job import NetworkJob
from dlcli.workflow.sequence_data import split_keys
from dlcli.workflow.sequence_model import SequenceNetwork, build_language_model
from dlcli.workflow.speaker import Speaker, load_speaker, speaker_of
from dlcli.workflow.start import Device, set_precision, set_seed, without_weights
from dlcli.workflow.talk import Talk
from dlcli.workflow.tokens import (
    UNKNOWN_SAID,
    cut_lines,
    encodable,
    encode_texts,
    fit_tokens,
    token_sums,
    unknown_lines,
    write_vocabulary,
)

Texts = LongTexts | SequenceDataset
Batches = TextWindows | SequenceBatches

SAMPLE_LENGTH = 500  # tokens of sample.txt
LINES_A_CLASS = 5  # in sample.txt


@dataclass(frozen=True)
class LanguageJob(NetworkJob):
    """Texts, and a network that says what follows each token."""

    recipe: LanguageModel
    dataset: Texts
    vocabulary: Vocabulary
    train_data: Batches
    validation_data: Batches | None

    def table(self) -> LayerTable:
        return _table(self.recipe, self.vocabulary, _beginnings(self.dataset), self.recipe.text.max_length)

    def objective(self, *, in_training: bool, losses: str = "all", exact: bool = False) -> Objective:
        return sequence_objectives.tagging(label_smoothing=0.0 if exact else self.recipe.train.label_smoothing)

    def overfit_data(self, num_batches: int) -> Batches:
        number = num_batches * self.recipe.train.batch_size
        if isinstance(self.dataset, LongTexts):
            ids = self._ids("train")[: number * self.recipe.text.max_length + 1]
            return _windows(self.recipe, ids, in_training=True)
        train = self.dataset.splits["train"]
        return _lines(self.recipe, self.vocabulary, train, chosen=evenly_spaced(len(train), number), in_training=True)

    def overfit_loss(self, data: Any) -> float:
        # which of the texts it is must show in each before it can be known by heart: that takes the logarithm of their
        # number in nats, over all the tokens of a text
        num_tokens = data.num_tokens if isinstance(data, TextWindows) else int(data.lengths.sum())
        return OVERFIT_LOSS + math.log(int(data.num_samples)) * int(data.num_samples) / int(num_tokens)

    def _ids(self, split: str) -> np.ndarray:
        assert isinstance(self.dataset, LongTexts)
        return _ids(self.recipe, self.vocabulary, self.dataset.splits[split])

    # What it says and writes ------------------------------------------------------------------------------------------

    def data_line(self) -> str:
        unit = self.recipe.text.unit
        known = f"{len(self.vocabulary.tokens):,} known {unit}"
        if isinstance(self.dataset, LongTexts):
            return f"one text, {self.train_data.num_tokens:,} {unit} to train on; {known}"  # type: ignore[union-attr]
        lengths = self.train_data.lengths - 1  # type: ignore[union-attr]
        number = len(self.dataset.classes)
        classes = "" if self.dataset.classes == ("",) else f"{number} {'class' if number == 1 else 'classes'}; "
        return f"{classes}{int(np.median(lengths))} {unit} (median), {lengths.max()} at most; {known}"

    def more_lines(self) -> list[str]:
        if isinstance(self.dataset, SequenceDataset):
            return cut_lines({name: part.texts or () for name, part in self.dataset.splits.items()}, self.recipe.text)
        unit = self.recipe.text.unit
        return [line for split in self.dataset.splits for line in unknown_lines(split, self._ids(split), unit)]

    def data_info(self) -> dict[str, Any]:
        info: dict[str, Any] = {"pictures": None, "vocabulary": len(self.vocabulary.tokens)}
        if isinstance(self.dataset, SequenceDataset) and self.dataset.classes != ("",):
            info["classes"] = list(self.dataset.classes)
        return info

    def write_beginning(self, run: RunDir) -> None:
        write_vocabulary(run.vocabulary, self.vocabulary)
        if isinstance(self.dataset, SequenceDataset) and self.dataset.classes != ("",):
            replace_json(run.labels, {"classes": list(self.dataset.classes)})

    # After training ---------------------------------------------------------------------------------------------------

    def build_model(self) -> keras.Model:
        return _build(self.recipe, self.vocabulary, _beginnings(self.dataset)).model

    def float32_model(self) -> keras.Model:
        own, trained = self.model.trainable_variables, self.trained.trainable_variables
        for variable, learned in zip(own, trained, strict=True):  # one and the same but with carried states
            if variable is not learned:
                variable.assign(learned)
        return super().float32_model()

    def evaluate(self, run: RunDir, model: keras.Model, split: str) -> dict[str, Any]:
        return _evaluate(
            run.evaluation(split),
            speaker_of(run, self.recipe, model),
            self.dataset,
            split,
            source=OWN_DATA,
            train=self.dataset,
            talk=self.talk,
        )


def prepare(loaded: LoadedRecipe, recipe: LanguageModel, device: Device, talk: Talk) -> LanguageJob:
    """Reads the texts, checks the recipe against them, and builds the model.

    Raises:
        InputError: the texts or the recipe cannot be used.
    """
    dataset = open_texts(loaded, recipe)
    train, validation = dataset.splits["train"], dataset.splits.get("validation")
    texts = [train.text] if isinstance(train, Passage) else train.texts
    assert texts is not None
    vocabulary = fit_tokens(loaded, recipe.text, texts)
    check_metrics(loaded, has_validation=validation is not None)
    beginnings = _beginnings(dataset)
    train_data = _batches(loaded, recipe, vocabulary, train, in_training=True)

    def memory() -> TrainingMemory:
        table = _table(recipe, vocabulary, beginnings, recipe.text.max_length)
        return training_memory_of(table, recipe.train, train_data.num_samples)[0]

    check_memory(loaded, memory)
    set_seed(recipe.train.seed, deterministic=recipe.train.deterministic)
    set_precision(recipe.train.precision)
    return LanguageJob(
        loaded=loaded,
        recipe=recipe,
        dataset=dataset,
        vocabulary=vocabulary,
        network=_build(recipe, vocabulary, beginnings),
        train_data=train_data,
        validation_data=None
        if validation is None
        else _batches(loaded, recipe, vocabulary, validation, in_training=False),
        best_metric=best_metric_of(recipe.train, has_validation=validation is not None),
        device=device,
        talk=talk,
    )


def table_of_run(recipe: LanguageModel, data: dict[str, Any]) -> LayerTable:
    """The layers of a run's network, by what its run.json says of the data.

    Raises:
        KeyError: it does not say enough.
    """
    vocabulary = Vocabulary.plain([str(number) for number in range(data["vocabulary"])])
    beginnings = () if isinstance(recipe.data, LongText) else tuple(data.get("classes", ("",)))
    return _table(recipe, vocabulary, beginnings, recipe.text.max_length)


def open_texts(loaded: LoadedRecipe, recipe: LanguageModel) -> Texts:
    loaded.check_data_path()
    return _read(recipe.data)


def _read(section: LongText | ManyLines, classes: tuple[str, ...] | None = None) -> Texts:
    if isinstance(section, LongText):
        return read_long_text(
            path=section.path,
            validation_path=section.validation_path,
            test_path=section.test_path,
            validation=section.validation,
            test=section.test,
            encoding=section.encoding,
        )
    common = split_keys(section)
    if Path(section.path).is_dir():
        return read_text_lines(path=section.path, encoding=section.encoding, classes=classes, least=1, **common)
    return read_line_file(path=section.path, encoding=section.encoding, **common)


def _beginnings(dataset: Texts) -> tuple[str, ...]:
    """By what a text can begin: its class, or that it begins; none for a part of a long text."""
    return () if isinstance(dataset, LongTexts) else dataset.classes


def _build(recipe: LanguageModel, vocabulary: Vocabulary, beginnings: Sequence[str]) -> SequenceNetwork:
    section = recipe.model
    is_carried = isinstance(section, LanguageRecurrent) and section.stateful
    return build_language_model(
        section,
        recipe.text,
        vocabulary,
        beginnings=beginnings,
        carried=recipe.train.batch_size if is_carried else None,
    )


def _table(recipe: LanguageModel, vocabulary: Vocabulary, beginnings: Sequence[str], steps: int) -> LayerTable:
    with without_weights():
        network = build_language_model(recipe.model, recipe.text, vocabulary, beginnings=beginnings)
        return layer_table(network.trained, steps=steps)


# Batches --------------------------------------------------------------------------------------------------------------


def _batches(
    loaded: LoadedRecipe, recipe: LanguageModel, vocabulary: Vocabulary, part: Passage | Sequences, *, in_training: bool
) -> Batches:
    if isinstance(part, Sequences):
        return _lines(recipe, vocabulary, part, in_training=in_training)
    ids = _ids(recipe, vocabulary, part)
    least = recipe.train.batch_size if _is_stateful(recipe) else 1
    if len(ids) <= least:
        why = "model.stateful reads as many places as train.batch_size" if least > 1 else "each is to be foreseen"
        raise loaded.fault(
            "data",
            f"{part.place}: there must be more than {least:,} {recipe.text.unit}: {why}. Received {len(ids):,}; give a "
            "longer text, or another data.validation or data.test",
        )
    return _windows(recipe, ids, in_training=in_training)


def _is_stateful(recipe: LanguageModel) -> bool:
    return isinstance(recipe.model, LanguageRecurrent) and recipe.model.stateful


def _ids(recipe: LanguageModel, vocabulary: Vocabulary, passage: Passage) -> np.ndarray:
    return encode_texts([passage.text], recipe.text, vocabulary, is_cut=False).flat


def _windows(recipe: LanguageModel, ids: np.ndarray, *, in_training: bool) -> TextWindows:
    """The windows of a text: drawn in training, overlapping for measuring; with carried states side by side."""
    window, size = recipe.text.max_length, recipe.train.batch_size
    if _is_stateful(recipe):
        places = side_by_side(len(ids), window=window, streams=size)
        return TextWindows(ids, window=window, batch_size=size, places=places, is_carried=True)
    if in_training:
        places = one_after_another(len(ids), window=window)
        return TextWindows(ids, window=window, batch_size=size, places=places, seed=recipe.train.seed)
    return TextWindows(ids, window=window, batch_size=size, places=overlapping(len(ids), window=window))


def _lines(
    recipe: LanguageModel,
    vocabulary: Vocabulary,
    samples: Sequences,
    *,
    chosen: np.ndarray | None = None,
    in_training: bool,
) -> SequenceBatches:
    """Each text after the number of its beginning, and as what follows, the text and its end."""
    index = np.arange(len(samples)) if chosen is None else chosen
    assert samples.texts is not None
    ids = encode_texts([samples.texts[i] for i in index], recipe.text, vocabulary)
    longest = recipe.text.max_length
    before = [np.array([vocabulary.size + samples.labels[i], *ids[row]], np.int32) for row, i in enumerate(index)]
    after = [np.array([*ids[row], END], np.int32) for row in range(len(index))]
    return SequenceBatches(
        inputs=Ragged.join(before).cut(longest),
        targets={"tags": Ragged.join(after).cut(longest)},
        batch_size=recipe.train.batch_size,
        seed=recipe.train.seed if in_training else None,
    )


# Evaluate -------------------------------------------------------------------------------------------------------------


def evaluate(run: RunDir, recipe: LanguageModel, *, split: str | None, data: Path | None, talk: Talk) -> dict[str, Any]:
    """As :func:`dlcli.workflow.evaluate.evaluate`; other data are another text, or other lines of the same classes.

    Raises:
        InputError: there is no model yet, or the data cannot be used.
    """
    speaker = load_speaker(run, recipe)
    train: Texts | None = None
    if data is None:
        dataset = train = open_texts(load(run.config), recipe)
        check_same_data(run, dataset)
        name = part = own_split(run, dataset.splits, split)
        source = OWN_DATA
    else:
        if not data.exists():
            raise InputError(f"{data}: no such file or folder.")
        if split is not None:
            raise InputError(f"--split: {data} is not divided, and measured as a whole; leave it out.")
        if isinstance(recipe.data, LongText) and data.is_dir():
            raise InputError(f"{data}: expected a file with a text, as the model was trained on.")
        others = {key: None for key in ("validation_path", "test_path") if hasattr(recipe.data, key)}
        section = recipe.data.model_copy(
            update={"path": str(data.absolute()), "validation": 0.0, "test": 0.0, "allow_leakage": True, **others}
        )
        if speaker.classes and not data.is_dir():
            raise InputError(f"{data}: expected a folder with a file for each class, as the model was trained on.")
        dataset = _read(section, speaker.classes or None)
        if not speaker.classes and isinstance(dataset, SequenceDataset) and dataset.classes != ("",):
            raise InputError(f"{data}: expected a file with a text on each line, as the model was trained on.")
        name, part, source = f"{data.stem}-all", "train", str(data.absolute())
    name = run.free_evaluation(name, source)
    talk.say(f"run {run.path}: evaluating {name}")
    folder = run.evaluation(name)
    metrics = _evaluate(folder, speaker, dataset, part, source=source, train=train, talk=talk)
    return {"run": str(run.path), "split": name, "folder": str(folder), **metrics}


def _evaluate(
    folder: Path, speaker: Speaker, dataset: Texts, split: str, *, source: str, train: Texts | None, talk: Talk
) -> dict[str, Any]:
    """Writes metrics.json, sample.txt and, of lines, predictions.csv."""
    recipe, samples = speaker.recipe, dataset.splits[split]
    inputs, foreseen = _numbers(speaker, samples)
    if isinstance(samples, Passage):
        if len(inputs.flat) < 2:
            raise InputError(f"{samples.place}: there must be more than one token. Received {len(inputs.flat)}.")
        data: Batches = _windows(recipe, inputs.flat, in_training=False)
        num_characters = len(samples.text)
    else:
        assert samples.texts is not None
        data = SequenceBatches(inputs=inputs, targets={"tags": foreseen}, batch_size=recipe.train.batch_size)
        num_characters = sum(map(len, samples.texts))
    network = speaker.carried(recipe.train.batch_size) if _is_stateful(recipe) else speaker.network()
    nats, correct, counts = token_sums(network, data, talk=talk)
    if not np.isfinite(nats).all():
        raise CheckFailed("the model's outputs are not finite")
    metrics: dict[str, Any] = {"samples": len(samples)} | language.metrics(
        nats=float(nats.sum()),
        correct=float(correct.sum()),
        num_tokens=int(counts.sum()),
        num_characters=num_characters,
        by_words=recipe.text.unit == "words",
    )
    metrics["unknown"] = float(np.mean(foreseen.flat == UNKNOWN))
    if train is None and metrics["unknown"] >= UNKNOWN_SAID:
        talk.warn(f"{metrics['unknown']:.1%} of all {recipe.text.unit} are unknown: each counts as one and the same")
    if train is not None:
        learned = _numbers(speaker, train.splits["train"])[1].flat
        num_tokens = FIRST + len(speaker.tokens)
        metrics["unigram_loss"] = language.unigram_loss(learned, foreseen.flat, num_tokens=num_tokens)
        if metrics["loss"] >= metrics["unigram_loss"]:
            talk.say("no better than the frequencies of single tokens (unigram_loss)")
    folder.mkdir(parents=True, exist_ok=True)
    replace_json(folder / "metrics.json", {"data": source, "evaluated": now(), **metrics})
    if isinstance(samples, Sequences):
        assert samples.texts is not None
        rows = [
            [name, speaker.classes[label] if speaker.classes else "", text, int(n), f"{sum_ / n:.6f}"]
            for name, label, text, n, sum_ in zip(
                samples.names, samples.labels, samples.texts, counts, nats, strict=True
            )
        ]
        replace_file(folder / "predictions.csv", csv_text(["file", "class", "text", "tokens", "loss"], rows))
    replace_file(folder / "sample.txt", sample_text(speaker))
    return metrics


def _numbers(speaker: Speaker, samples: Passage | Sequences) -> tuple[Ragged, Ragged]:
    """What the saved model makes of texts: the numbers it sees, and those that it is to foresee."""
    recipe = speaker.recipe
    # the model's own layers divide the text, so that what is measured is what it does with raw text
    if isinstance(samples, Passage):
        ids = np.array(speaker.read(samples.text), np.int32)
        return Ragged(ids, np.array([len(ids)], np.int64)), Ragged(ids[1:], np.array([len(ids) - 1], np.int64))
    assert samples.texts is not None
    longest, before, after = recipe.text.max_length, [], []
    for start in range(0, len(samples), 1024):
        texts: Any = tf.constant([encodable(text) for text in samples.texts[start : start + 1024]])
        if speaker.classes:
            labels = [speaker.classes[label] for label in samples.labels[start : start + 1024]]
            texts = {"text": texts, "class": tf.constant(labels)}
        for row in np.asarray(speaker.front(texts)):
            ids = row[row != 0].astype(np.int32)
            before.append(ids[:longest])
            after.append(np.array([*ids[1:], END], np.int32)[:longest])
    return Ragged.join(before), Ragged.join(after)


def sample_text(speaker: Speaker) -> str:
    """What the model says by itself: a page of a long text, or some texts of each class."""
    drawn: dict[str, Any] = {"temperature": 1.0, "top_k": None, "seed": 0}
    if not speaker.has_ends:
        beginning = first_token(speaker)
        return speaker.write(speaker.go_on([beginning], length=SAMPLE_LENGTH, **drawn)[0]) + "\n"
    labels = [label for label in speaker.classes or ("",) for _ in range(LINES_A_CLASS)]
    beginnings = [speaker.read("", label or None) for label in labels]
    texts = [speaker.write(said) for said in speaker.go_on(beginnings, length=speaker.recipe.text.max_length, **drawn)]
    return "".join(f"{label}: {text}\n" if label else f"{text}\n" for label, text in zip(labels, texts, strict=True))


def first_token(speaker: Speaker) -> list[int]:
    """What a long text begins with where no beginning is given: a line feed, or the most frequent token."""
    return [FIRST + speaker.tokens.index("\n") if "\n" in speaker.tokens else FIRST]
