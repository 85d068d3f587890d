"""Evaluates a language model on a split or on another text."""

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from dlcli.data.sequences.batches import SequenceBatches
from dlcli.data.sequences.dataset import SequenceDataset, Sequences
from dlcli.data.sequences.ragged import Ragged
from dlcli.data.text.corpus import Passage
from dlcli.data.text.vocabulary import END, FIRST, UNKNOWN
from dlcli.errors import CheckFailed, InputError
from dlcli.evaluation import language
from dlcli.recipe.load import load
from dlcli.recipe.tasks.language_model import LanguageModel, LongText
from dlcli.rundir import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.checks import check_same_data
from dlcli.tasks.evaluation_files import Rows, write_evaluation
from dlcli.tasks.language_model.generator import Speaker, load_speaker
from dlcli.tasks.language_model.sources import Batches, Texts, is_stateful, open_texts, read_texts, window_batches
from dlcli.tasks.sequences.tokens import UNKNOWN_SAID, encodable, token_sums
from dlcli.tasks.split_choice import OWN_DATA, own_split
from dlcli.tasks.task import EvaluationRequest

SAMPLE_LENGTH = 500  # tokens of sample.txt


LINES_A_CLASS = 5  # in sample.txt


def evaluate(run: RunDir, recipe: LanguageModel, request: EvaluationRequest, console: Console) -> dict[str, Any]:
    """As :meth:`dlcli.tasks.task.Task.evaluate`; other data are another text, or other lines of the same classes.

    Raises:
        InputError: there is no model yet, or the data cannot be used.
    """
    split, data = request.split, request.data
    speaker = load_speaker(run, recipe)
    train: Texts | None = None
    if data is None:
        dataset = train = open_texts(load(run.config), recipe.data)
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
        dataset = read_texts(section, speaker.classes or None)
        if not speaker.classes and isinstance(dataset, SequenceDataset) and dataset.classes != ("",):
            raise InputError(f"{data}: expected a file with a text on each line, as the model was trained on.")
        name, part, source = f"{data.stem}-all", "train", str(data.absolute())
    name = run.free_evaluation(name, source)
    console.say(f"run {run.path}: evaluating {name}")
    folder = run.evaluation(name)
    metrics = evaluate_texts(folder, speaker, dataset, part, source=source, train=train, console=console)
    return {"run": str(run.path), "split": name, "folder": str(folder), **metrics}


def evaluate_texts(
    folder: Path, speaker: Speaker, dataset: Texts, split: str, *, source: str, train: Texts | None, console: Console
) -> dict[str, Any]:
    """Writes metrics.json, sample.txt and, of lines, predictions.csv."""
    recipe, samples = speaker.recipe, dataset.splits[split]
    inputs, foreseen = _numbers(speaker, samples)
    if isinstance(samples, Passage):
        if len(inputs.flat) < 2:
            raise InputError(f"{samples.place}: there must be more than one token. Received {len(inputs.flat)}.")
        data: Batches = window_batches(recipe, inputs.flat, in_training=False)
        num_characters = len(samples.text)
    else:
        assert samples.texts is not None
        data = SequenceBatches(inputs=inputs, targets={"tags": foreseen}, batch_size=recipe.train.batch_size)
        num_characters = sum(map(len, samples.texts))
    network = speaker.carried(recipe.train.batch_size) if is_stateful(recipe) else speaker.network()
    nats, correct, counts = token_sums(network, data, console=console)
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
        console.warn(f"{metrics['unknown']:.1%} of all {recipe.text.unit} are unknown: each counts as one and the same")
    if train is not None:
        learned = _numbers(speaker, train.splits["train"])[1].flat
        num_tokens = FIRST + len(speaker.tokens)
        metrics["unigram_loss"] = language.unigram_loss(learned, foreseen.flat, num_tokens=num_tokens)
        if metrics["loss"] >= metrics["unigram_loss"]:
            console.say("no better than the frequencies of single tokens (unigram_loss)")
    tables: dict[str, Rows] = {}
    if isinstance(samples, Sequences):
        assert samples.texts is not None
        tables["predictions.csv"] = [
            {
                "file": name,
                "class": speaker.classes[label] if speaker.classes else "",
                "text": text,
                "tokens": int(n),
                "loss": f"{sum_ / n:.6f}",
            }
            for name, label, text, n, sum_ in zip(
                samples.names, samples.labels, samples.texts, counts, nats, strict=True
            )
        ]
    write_evaluation(folder, metrics, source=source, tables=tables, others={"sample.txt": sample_text(speaker)})
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
