"""Evaluates an encoder-decoder: token and exact accuracy, BLEU, attention maps."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.data.files import printable
from dlcli.data.sequences.dataset import Sequences
from dlcli.data.splits import evenly_spaced
from dlcli.data.text.vocabulary import FIRST, Vocabulary
from dlcli.errors import CheckFailed, InputError
from dlcli.evaluation import sequence_to_sequence as answer_metrics
from dlcli.recipe.load import load
from dlcli.recipe.tasks.sequence_to_sequence import PairsCsv, PairsTsv, SequenceToSequence
from dlcli.report.plots import sequences as sequence_plots
from dlcli.rundir import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.checks import check_same_data
from dlcli.tasks.evaluation_files import write_evaluation
from dlcli.tasks.sequence_to_sequence.decoding import Answer, Answerer, load_answerer
from dlcli.tasks.sequence_to_sequence.sources import AnyPairs, Vocabularies, open_pairs, pair_batches, read_pairs
from dlcli.tasks.sequences.tokens import encode_texts, token_sums
from dlcli.tasks.split_choice import OWN_DATA, other_split, own_split
from dlcli.tasks.task import EvaluationRequest

NUM_SHOWN = 6  # answers in attention.png


MAX_MISTAKES = 100


def evaluate(run: RunDir, recipe: SequenceToSequence, request: EvaluationRequest, console: Console) -> dict[str, Any]:
    """As :meth:`dlcli.tasks.task.Task.evaluate`; other data are a recipe of the task, or a file as the own ones.

    Raises:
        InputError: there is no model yet, or the data cannot be used.
    """
    split, data, beam = request.split, request.data, request.beam
    answerer = load_answerer(run, recipe)
    if data is None:
        dataset, source = open_pairs(load(run.config), recipe.data), OWN_DATA
        check_same_data(run, dataset)
        name = own_split(run, dataset.splits, split)
        samples = dataset.splits[name]
    else:
        dataset, source = read_pairs(_other_section(data, recipe)), str(data.absolute())
        part = other_split(data, dataset.splits, split)
        samples, name = dataset.splits[part], f"{data.stem}-{part if len(dataset.splits) > 1 else 'all'}"
    console.say(f"run {run.path}: evaluating {len(samples):,} samples of {name}")
    # a beam's beside that of the likeliest tokens, not in its place
    folder = run.evaluation(run.free_evaluation(name if beam == 1 else f"{name}-beam{beam}", source))
    metrics = evaluate_pairs(folder, answerer, samples, source=source, beam=beam, console=console)
    return {"run": str(run.path), "split": name, "folder": str(folder), **metrics}


def _other_section(data: Path, recipe: SequenceToSequence) -> AnyPairs:
    if not data.is_file():
        raise InputError(f"{data}: {'a folder, not a file' if data.is_dir() else 'no such recipe or file'} of pairs.")
    if data.suffix in (".yaml", ".yml"):
        loaded = load(data)
        if not isinstance(loaded.recipe, SequenceToSequence):
            raise loaded.error("task", f"the run's task is {recipe.task}; give a recipe of that")
        return loaded.recipe.data
    own = recipe.data
    common: dict[str, Any] = {"path": str(data.absolute()), "validation": 0.0, "test": 0.0, "allow_leakage": True}
    if isinstance(own, PairsCsv) or data.suffix == ".csv":
        keys = ("source", "target", "split", "encoding")
        return PairsCsv(kind="csv", **common, **{key: getattr(own, key) for key in keys if hasattr(own, key)})
    return PairsTsv(kind="tsv", encoding=getattr(own, "encoding", "utf-8"), **common)


def evaluate_pairs(
    folder: Path, answerer: Answerer, samples: Sequences, *, source: str, beam: int, console: Console
) -> dict[str, Any]:
    """Writes metrics.json, predictions.csv, mistakes.txt and, with attention, where it lay in some answers."""
    recipe = answerer.recipe
    assert samples.texts is not None
    assert samples.answers is not None
    is_lower = recipe.text.final_standardize.startswith("lower")
    wanted = [text.lower() if is_lower else text for text in samples.answers]
    texts = [text.lower() if is_lower else text for text in samples.texts]
    vocabularies = Vocabularies(Vocabulary.plain(answerer.given), Vocabulary.plain(answerer.wanted))
    as_known = Sequences(samples.names, samples.labels, samples.digests, texts=tuple(texts), answers=tuple(wanted))
    data = pair_batches(recipe, vocabularies, as_known)
    nats, correct, counts = token_sums(answerer.network(), data, console=console)
    if not np.isfinite(nats).all():
        raise CheckFailed("the model's outputs are not finite")
    said = answerer.answer(samples.texts, beam=beam, batch_size=recipe.train.batch_size, console=console)
    right = encode_texts(wanted, recipe.text, vocabularies.wanted, is_cut=False)
    references = [answerer.write(right[i].tolist()) for i in range(len(samples))]
    answers = [answerer.write(answer.tokens) for answer in said]
    metrics: dict[str, Any] = {
        "samples": len(samples),
        "loss": float(nats.sum() / counts.sum()),
        "accuracy": float(correct.sum() / counts.sum()),
        **answer_metrics.metrics([right[i].tolist() for i in range(len(samples))], [answer.tokens for answer in said]),
        "beam": beam,
    }
    try:
        score = answer_metrics.bleu(references, answers, by_words=recipe.text.unit == "words")
        metrics |= {} if score is None else {"bleu": score}
    except ImportError:
        console.say("BLEU is not measured: that needs pip install 'dlcli[bleu]'")
    is_right = [answer == reference for answer, reference in zip(answers, references, strict=True)]
    columns = zip(samples.names, samples.texts, references, answers, is_right, said, strict=True)
    rows: list[dict[str, Any]] = [
        {
            "file": name,
            "text": text,
            "target": reference,
            "predicted": answer,
            "exact": int(is_so),
            "log_probability": f"{own.log_probability:.6f}",
        }
        for name, text, reference, answer, is_so, own in columns
    ]
    others: dict[str, bytes | str] = {"mistakes.txt": _mistakes([row for row in rows if not row["exact"]])}
    shown = [i for i in evenly_spaced(len(samples), NUM_SHOWN) if said[i].attention is not None]
    if shown:
        maps = [_map_of(answerer, samples.texts[i], said[i]) for i in shown]
        others["attention.png"] = sequence_plots.attention_maps(maps)
    write_evaluation(folder, metrics, source=source, tables={"predictions.csv": rows}, others=others)
    return metrics


def _mistakes(rows: Sequence[dict[str, Any]]) -> str:
    lines = [
        f"{printable(row['text'])} -> {printable(row['predicted'])}, is {printable(row['target'])}\n"
        for row in rows[:MAX_MISTAKES]
    ]
    return "".join(lines) or "none\n"


def _map_of(answerer: Answerer, text: str, answer: Answer) -> tuple[list[str], list[str], np.ndarray]:
    """What is given, what is said, and where attention lay."""
    assert answer.attention is not None
    spelled = [answerer.wanted[number - FIRST] if number >= FIRST else "?" for number in answer.tokens]
    spelled += ["end"] * (len(answer.attention) - len(spelled))
    return answerer.pieces(text), spelled, answer.attention
