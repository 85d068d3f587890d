"""Evaluates a language model on a split or on another text."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from dlcli.data.sequences.batches import SequenceBatches
from dlcli.data.sequences.dataset import SequenceDataset, Sequences
from dlcli.data.sequences.ragged import Ragged
from dlcli.data.splits import evenly_spaced
from dlcli.data.text.corpus import Passage
from dlcli.data.text.pieces import num_bytes, pieces
from dlcli.data.text.vocabulary import END, FIRST, UNKNOWN
from dlcli.errors import CheckFailed, InputError
from dlcli.evaluation import language
from dlcli.evaluation.ngram_baseline import ngram_loss
from dlcli.recipe.load import LoadedRecipe, load
from dlcli.recipe.tasks.language_model import LanguageModel, LongText
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.checks import check_same_data, count_trained_on, own_data_at
from dlcli.tasks.evaluation_files import Destination, Rows, Source, write_evaluation
from dlcli.tasks.language_model.exported_steps import ExportedSteps
from dlcli.tasks.language_model.generator import Generator, generator_of
from dlcli.tasks.language_model.sources import Batches, Texts, is_stateful, open_texts, read_texts, window_batches
from dlcli.tasks.run_models import load_model
from dlcli.tasks.sequences.tokens import REPORTED_UNKNOWN, encodable, token_sums
from dlcli.tasks.split_choice import OWN_DATA, own_split
from dlcli.tasks.task import EvaluationRequest

SAMPLE_LENGTH = 500  # tokens of sample.txt for one long text
LINES_PER_CLASS = 5  # lines of sample.txt for many texts
ORDER = {"characters": 5, "subwords": 3, "words": 2}  # of the n-grams: those with the lowest loss on tinyshakespeare
MAX_COUNTED = 2**22  # tokens that n-grams are counted in


def evaluate(run: RunDir, recipe: LanguageModel, request: EvaluationRequest, console: Console) -> dict[str, Any]:
    """As :meth:`dlcli.tasks.task.Task.evaluate`; other data are another text, or lines of the same classes.

    Raises:
        InputError: there is no model yet, or the data cannot be used.
    """
    split, data = request.split, request.data
    best = load_model(run, console)
    generator = generator_of(run, recipe, best.model)
    train: Texts | None = None
    moved = None if data is None else own_data_at(run, data, _open, console)
    if data is None or moved is not None:
        dataset = train = moved or open_texts(load(run.config), recipe.data)
        check_same_data(run, dataset)
        name = part = own_split(run, dataset.splits, split)
        place = OWN_DATA
    else:
        if not data.exists():
            raise InputError(f"{data}: no such file or folder.")
        if split is not None:
            raise InputError(f"--split: {data} is not divided into splits and is evaluated as a whole. Omit --split.")
        if isinstance(recipe.data, LongText) and data.is_dir():
            raise InputError(f"{data}: expected a text file, as in training.")
        unused = {key: None for key in ("validation_path", "test_path") if hasattr(recipe.data, key)}
        section = recipe.data.model_copy(
            update={"path": str(data.absolute()), "validation": 0.0, "test": 0.0, "allow_leakage": True, **unused}
        )
        if generator.classes and not data.is_dir():
            raise InputError(f"{data}: expected a folder with a file for each class, as in training.")
        dataset = read_texts(section, generator.classes or None)
        if not generator.classes and isinstance(dataset, SequenceDataset) and dataset.classes != ("",):
            raise InputError(f"{data}: expected a file with a text on each line, as in training.")
        name, part, place = f"{data.stem}-all", "train", str(data.absolute())
    trained_on = None
    if isinstance(dataset, SequenceDataset):
        trained_on = count_trained_on(
            run, dataset.splits[part].digests, noun="texts", console=console, is_asked=name == "train"
        )
    source = Source(place, best.epoch, trained_on)
    name = run.free_evaluation(name, source.data)
    console.say(f"run {run.path}: evaluating {name}")
    to = Destination(run.evaluation(name), source, request)
    metrics = evaluate_texts(to, generator, dataset, part, train=train, console=console)
    return {"run": str(run.path), "split": name, "folder": str(to.folder), **source.facts, **metrics}


def _open(loaded: LoadedRecipe) -> Texts:
    assert isinstance(loaded.recipe, LanguageModel)
    return open_texts(loaded, loaded.recipe.data)


def evaluate_texts(
    to: Destination,
    generator: Generator,
    dataset: Texts,
    split: str,
    *,
    train: Texts | None,
    exported: ExportedSteps | None = None,
    console: Console,
) -> dict[str, Any]:
    """Evaluate a model on a split; write metrics.json, sample.txt and, for lines, predictions.csv.

    Args:
        to: where they are written.
        train: the texts of training, for the unigram baseline; None if it is not reported.
        exported: an exported model, which predicts tokens in place of the generator's.
    """
    recipe, samples = generator.recipe, dataset.splits[split]
    inputs, targets = _inputs_and_targets(generator, samples)
    if isinstance(samples, Passage):
        if len(inputs.flat) < 2:
            raise InputError(f"{samples.place}: must have more than one token. Received {len(inputs.flat)}.")
        data: Batches = window_batches(recipe, inputs.flat, in_training=False)
        num_characters = len(samples.text)
        texts: Sequence[str] = [samples.text]
    else:
        assert samples.texts is not None
        data = SequenceBatches(inputs=inputs, targets={"tags": targets}, batch_size=recipe.train.batch_size)
        num_characters = sum(map(len, samples.texts))
        texts = samples.texts
    if exported is not None:
        nats, correct, counts = token_sums(exported, data, is_traced=False, console=console)
    else:
        network = generator.stateful_network(recipe.train.batch_size) if is_stateful(recipe) else generator.network()
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
    metrics["unknown"] = float(np.mean(targets.flat == UNKNOWN))
    spelled = _spelled(generator, texts, inputs, targets)
    metrics["bits_per_byte"] = language.bits_per_byte(float(nats.sum()), **spelled)
    if train is None and metrics["unknown"] >= REPORTED_UNKNOWN:
        console.warn(f"{metrics['unknown']:.1%} of the {recipe.text.unit} are unknown: all count as the same token")
    if train is not None:
        metrics |= _baselines(generator, train.splits["train"], inputs, targets)
        if "ngram_loss" in metrics:
            ngram_nats = metrics["ngram_loss"] * len(targets.flat)
            metrics["ngram_bits_per_byte"] = language.bits_per_byte(ngram_nats, **spelled)
        if metrics["loss"] >= metrics["unigram_loss"]:
            console.say("no better than predicting by token frequencies (unigram_loss)")
        elif metrics["loss"] >= metrics.get("ngram_loss", np.inf):
            console.say(f"no better than a {ORDER[recipe.text.unit]}-gram model (ngram_loss)")
    tables: dict[str, Rows] = {}
    if isinstance(samples, Sequences):
        assert samples.texts is not None
        tables["predictions.csv"] = [
            {
                "file": name,
                "class": generator.classes[label] if generator.classes else "",
                "text": text,
                "tokens": int(num_tokens_of_text),
                "loss": f"{nats_of_text / num_tokens_of_text:.6f}",
            }
            for name, label, text, num_tokens_of_text, nats_of_text in zip(
                samples.names, samples.labels, samples.texts, counts, nats, strict=True
            )
        ]
    write_evaluation(to, metrics, tables=tables, others={"sample.txt": sample_text(generator, exported)})
    return metrics


def _baselines(generator: Generator, train: Passage | Sequences, inputs: Ragged, targets: Ragged) -> dict[str, float]:
    """The losses of a unigram model and of n-grams, and the perplexity of these if the split is not too long."""
    train_inputs, train_targets = _inputs_and_targets(generator, train)
    num_tokens, unit = FIRST + len(generator.tokens), generator.recipe.text.unit
    found = {"unigram_loss": language.unigram_loss(train_targets.flat, targets.flat, num_tokens=num_tokens)}
    if len(targets.flat) <= MAX_COUNTED:
        counted = _sequences(train_inputs, train_targets)
        if isinstance(train, Passage):
            counted = [counted[0][-MAX_COUNTED:]]  # the end, which is closest to the other splits
        else:
            number = int(len(counted) * min(1.0, MAX_COUNTED / len(train_targets.flat)))
            counted = [counted[i] for i in evenly_spaced(len(counted), max(1, number))]
        predicted = _sequences(inputs, targets)
        found["ngram_loss"] = ngram_loss(counted, predicted, num_tokens=num_tokens, order=ORDER[unit])
        found["ngram_perplexity"] = float(np.exp(found["ngram_loss"]))
    return found


def _spelled(generator: Generator, texts: Sequence[str], inputs: Ragged, targets: Ragged) -> dict[str, Any]:
    """What :func:`language.bits_per_byte` needs: the bytes of unknown tokens, and of all that are predicted.

    Words are joined by one byte, and the end of a line is one byte.
    """
    recipe = generator.recipe
    has_ends, between = not isinstance(recipe.data, LongText), int(recipe.text.unit == "words")
    strips = recipe.text.final_standardize.endswith("punctuation")
    unknown, total = [], 0
    firsts = inputs.flat[inputs.starts]
    for text, first, ids in zip(texts, firsts, np.split(targets.flat, np.cumsum(targets.lengths)[:-1]), strict=True):
        parts = num_bytes(pieces(encodable(text), unit=_pieces_of(recipe), strips_punctuation=strips))
        if recipe.text.unit == "subwords":
            parts = _of_subwords(generator, parts, ids if has_ends else np.append(first, ids))
        predicted = parts[: len(ids)] if has_ends else parts[1 : len(ids) + 1]  # the first of a long text is not
        unknown.append(predicted[ids[: len(predicted)] == UNKNOWN])
        total += int(predicted.sum()) + between * max(0, len(predicted) - int(has_ends))
        total += int(has_ends and ids[-1] == END)
    return {"unknown": np.concatenate(unknown), "num_bytes": total}


def _pieces_of(recipe: LanguageModel) -> Literal["words", "characters"]:
    return "words" if recipe.text.unit == "words" else "characters"


def _of_subwords(generator: Generator, of_characters: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """The number of bytes of each subword, by those of the characters of its text."""
    lengths = [len(generator.tokens[id_ - FIRST]) if id_ >= FIRST else int(id_ == UNKNOWN) for id_ in ids]
    ends = np.cumsum(lengths)
    sums = np.concatenate([[0], np.cumsum(of_characters)])
    return np.asarray(sums[ends] - sums[ends - lengths])[np.array(lengths) > 0]


def _sequences(inputs: Ragged, targets: Ragged) -> list[np.ndarray]:
    """The first token of each input, and the tokens that follow it."""
    starts, parts = inputs.flat[inputs.starts], np.split(targets.flat, np.cumsum(targets.lengths)[:-1])
    return [np.concatenate([[start], part]) for start, part in zip(starts, parts, strict=True)]


def _inputs_and_targets(generator: Generator, samples: Passage | Sequences) -> tuple[Ragged, Ragged]:
    """The token ids that the saved model gets for texts, and those that it is to predict."""
    recipe = generator.recipe
    # the model's own layers tokenize, so that the evaluation covers the whole path from raw text
    if isinstance(samples, Passage):
        ids = np.array(generator.encode(samples.text), np.int32)
        return Ragged(ids, np.array([len(ids)], np.int64)), Ragged(ids[1:], np.array([len(ids) - 1], np.int64))
    assert samples.texts is not None
    max_length, inputs, targets = recipe.text.max_length, [], []
    for start in range(0, len(samples), 1024):
        texts: Any = tf.constant([encodable(text) for text in samples.texts[start : start + 1024]])
        if generator.classes:
            labels = [generator.classes[label] for label in samples.labels[start : start + 1024]]
            texts = {"text": texts, "class": tf.constant(labels)}
        for row in np.asarray(generator.front(texts)):
            ids = row[row != 0].astype(np.int32)
            inputs.append(ids[:max_length])
            targets.append(np.array([*ids[1:], END], np.int32)[:max_length])
    return Ragged.join(inputs), Ragged.join(targets)


def sample_text(generator: Generator, exported: ExportedSteps | None = None) -> str:
    """Text generated without a prompt: a passage for one long text, else some texts of each class."""
    options: dict[str, Any] = {"temperature": 1.0, "top_k": None, "seed": 0}
    if exported is not None:
        options["start"] = exported.start
    if not generator.has_ends:
        prompt = default_prompt(generator)
        return generator.decode(generator.generate([prompt], length=SAMPLE_LENGTH, **options)[0]) + "\n"
    labels = [label for label in generator.classes or ("",) for _ in range(LINES_PER_CLASS)]
    prompts = [generator.encode("", label or None) for label in labels]
    generated = generator.generate(prompts, length=generator.recipe.text.max_length, **options)
    texts = [generator.decode(ids) for ids in generated]
    return "".join(f"{label}: {text}\n" if label else f"{text}\n" for label, text in zip(labels, texts, strict=True))


def default_prompt(generator: Generator) -> list[int]:
    """The prompt for one long text if none is given: a line feed, or else the most frequent token."""
    return [FIRST + generator.tokens.index("\n") if "\n" in generator.tokens else FIRST]
