"""Evaluates an encoder-decoder: token and exact accuracy, BLEU and chrF, attention maps."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.data.files import printable
from dlcli.data.sequences.dataset import SequenceDataset, Sequences
from dlcli.data.splits import evenly_spaced
from dlcli.data.text.vocabulary import FIRST, UNKNOWN, Vocabulary
from dlcli.errors import CheckFailed, InputError
from dlcli.evaluation import sequence_to_sequence as text_metrics
from dlcli.files import suffix_of
from dlcli.recipe.load import LoadedRecipe, load
from dlcli.recipe.tasks.sequence_to_sequence import PairsCsv, PairsTsv, SequenceToSequence
from dlcli.report.plots import sequences as sequence_plots
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.checks import check_same_data, count_trained_on, own_data_at
from dlcli.tasks.evaluation_files import Destination, Source, write_evaluation
from dlcli.tasks.run_models import load_model
from dlcli.tasks.sequence_to_sequence.decoding import Hypothesis, TextDecoder, text_decoder_of
from dlcli.tasks.sequence_to_sequence.sources import AnyPairs, Vocabularies, open_pairs, pair_batches, read_pairs
from dlcli.tasks.sequences.tokens import encode_texts, standardized_pieces, token_sums
from dlcli.tasks.split_choice import OWN_DATA, other_split, own_split
from dlcli.tasks.task import EvaluationRequest

NUM_SHOWN = 6  # samples in attention.png
MAX_MISTAKES = 100  # lines of mistakes.txt


def evaluate(run: RunDir, recipe: SequenceToSequence, request: EvaluationRequest, console: Console) -> dict[str, Any]:
    """As :meth:`dlcli.tasks.task.Task.evaluate`; other data are a recipe, or a file of pairs as in training.

    Raises:
        InputError: there is no model yet, or the data cannot be used.
    """
    split, data, beam = request.split, request.data, request.beam
    best = load_model(run, console)
    decoder = text_decoder_of(run, recipe, best.model)
    moved = None if data is None else own_data_at(run, data, _open, console)
    if data is None or moved is not None:
        dataset, place = moved or open_pairs(load(run.config), recipe.data), OWN_DATA
        check_same_data(run, dataset)
        name = own_split(run, dataset.splits, split)
        samples = dataset.splits[name]
    else:
        dataset, place = read_pairs(_other_section(data, recipe)), str(data.absolute())
        part = other_split(data, dataset.splits, split)
        samples, name = dataset.splits[part], f"{data.stem}-{part if len(dataset.splits) > 1 else 'all'}"
    source = Source(
        place,
        best.epoch,
        count_trained_on(run, samples.digests, noun="texts", console=console, is_asked=name == "train"),
    )
    console.say(f"run {run.path}: evaluating {len(samples):,} samples of {name}")
    # the results of beam search, and with copied words, are kept next to those of greedy decoding
    kind = name + ("" if beam == 1 else f"-beam{beam}") + ("-copied" if request.copy_unknown else "")
    folder = run.evaluation(run.free_evaluation(kind, source.data))
    to = Destination(folder, source, request)
    metrics = evaluate_pairs(to, decoder, samples, beam=beam, copy_unknown=request.copy_unknown, console=console)
    return {"run": str(run.path), "split": name, "folder": str(folder), **source.facts, **metrics}


def _open(loaded: LoadedRecipe) -> SequenceDataset:
    assert isinstance(loaded.recipe, SequenceToSequence)
    return open_pairs(loaded, loaded.recipe.data)


def _other_section(data: Path, recipe: SequenceToSequence) -> AnyPairs:
    if not data.is_file():
        received = "Received a folder." if data.is_dir() else "There is no such file."
        raise InputError(f"{data}: expected a recipe or a file of pairs. {received}")
    if data.suffix.lower() in (".yaml", ".yml"):
        loaded = load(data)
        if not isinstance(loaded.recipe, SequenceToSequence):
            raise loaded.error("task", f"expected {recipe.task}, the task of the run")
        return loaded.recipe.data
    section = recipe.data
    common: dict[str, Any] = {"path": str(data.absolute()), "validation": 0.0, "test": 0.0, "allow_leakage": True}
    if isinstance(section, PairsCsv) or suffix_of(data) == ".csv":
        keys = ("source", "target", "split", "encoding", "columns")
        return PairsCsv(kind="csv", **common, **{key: getattr(section, key) for key in keys if hasattr(section, key)})
    return PairsTsv(kind="tsv", encoding=getattr(section, "encoding", "utf-8"), **common)


def evaluate_pairs(
    to: Destination,
    decoder: TextDecoder,
    samples: Sequences,
    *,
    beam: int,
    copy_unknown: bool = False,
    decoded: Sequence[Sequence[int]] | None = None,
    console: Console,
) -> dict[str, Any]:
    """Evaluate on pairs of texts; write metrics.json, predictions.csv, mistakes.txt and, with attention, its plot.

    Args:
        beam, copy_unknown: as in :meth:`TextDecoder.decode`.
        decoded: the ids of the target text of each sample by an exported model, which outputs neither their
            probabilities nor attention; None to decode them here.
    """
    recipe = decoder.recipe
    assert samples.texts is not None
    assert samples.answers is not None
    is_lower = recipe.text.final_standardize.startswith("lower")
    targets = [text.lower() if is_lower else text for text in samples.answers]
    texts = [text.lower() if is_lower else text for text in samples.texts]
    vocabularies = Vocabularies(Vocabulary.plain(decoder.source), Vocabulary.plain(decoder.target))
    standardized = Sequences(samples.names, samples.labels, samples.digests, texts=tuple(texts), answers=tuple(targets))
    metrics: dict[str, Any] = {"samples": len(samples)}
    hypotheses: list[Hypothesis] = []
    if decoded is None:
        data = pair_batches(recipe, vocabularies, standardized)
        nats, correct, counts = token_sums(decoder.network(), data, console=console)
        if not np.isfinite(nats).all():
            raise CheckFailed("the model's outputs are not finite")
        metrics |= {"loss": float(nats.sum() / counts.sum()), "accuracy": float(correct.sum() / counts.sum())}
        hypotheses = decoder.decode(
            samples.texts,
            beam=beam,
            batch_size=recipe.train.batch_size,
            copy_unknown=copy_unknown,
            console=console,
        )
        decoded = [hypothesis.ids for hypothesis in hypotheses]
    copies = [hypothesis.copied for hypothesis in hypotheses] or [()] * len(samples)
    encoded = encode_texts(targets, recipe.text, vocabularies.target, is_cut=False)
    target_tokens = [
        _spelled_unknown(encoded[i].tolist(), standardized_pieces(target, recipe.text))
        for i, target in enumerate(targets)
    ]
    found_tokens = [_with(ids, copied) for ids, copied in zip(decoded, copies, strict=True)]
    predictions = [decoder.text_of(ids, copied) for ids, copied in zip(decoded, copies, strict=True)]
    metrics |= {**text_metrics.metrics(target_tokens, found_tokens), "beam": beam}
    if copy_unknown:
        metrics["copied"] = sum(map(len, copies))
    signatures: dict[str, str] = {}
    try:
        scores, signatures = text_metrics.translation_scores(samples.texts, samples.answers, predictions)
        metrics |= scores
    except ImportError:
        console.say("BLEU and chrF are not computed; to enable them: pip install 'dlcli[bleu]'")
    columns = zip(samples.names, samples.texts, samples.answers, predictions, strict=True)
    rows: list[dict[str, Any]] = [
        {
            "file": name,
            "text": text,
            "target": target,
            "predicted": predicted,
            "exact": int(true == found),
        }
        for (name, text, target, predicted), found, true in zip(columns, found_tokens, target_tokens, strict=True)
    ]
    for row, hypothesis in zip(rows, hypotheses, strict=False):
        row["log_probability"] = f"{hypothesis.log_probability:.6f}"
    others: dict[str, bytes | str] = {"mistakes.txt": _mistakes([row for row in rows if not row["exact"]])}
    shown = [i for i in evenly_spaced(len(hypotheses), NUM_SHOWN) if hypotheses[i].attention is not None]
    if shown:
        maps = [_attention_map(decoder, samples.texts[i], hypotheses[i]) for i in shown]
        others["attention.png"] = sequence_plots.attention_maps(maps)
    for name, signature in signatures.items():
        console.say(f"{name}: sacrebleu {signature}")
    known = {"signatures": signatures} if signatures else {}
    write_evaluation(to, metrics | known, tables={"predictions.csv": rows}, others=others)
    return metrics


def _spelled_unknown(ids: Sequence[int], spelled: Sequence[str]) -> list[int | str]:
    """Token ids of a text, with the text of each unknown token, which equals no other one, in place of its id."""
    return [part if id_ == UNKNOWN else id_ for id_, part in zip(ids, spelled or [""], strict=True)]


def _with(ids: Sequence[int], copied: Sequence[str]) -> list[int | str]:
    """Token ids of a hypothesis, with what was copied in place of the unknown ones."""
    copies = iter(copied)
    return [next(copies, id_) if id_ == UNKNOWN else id_ for id_ in ids]


def _mistakes(rows: Sequence[dict[str, Any]]) -> str:
    lines = [
        f"{printable(row['text'])} -> {printable(row['predicted'])}, is {printable(row['target'])}\n"
        for row in rows[:MAX_MISTAKES]
    ]
    return "".join(lines) or "none\n"


def _attention_map(decoder: TextDecoder, text: str, hypothesis: Hypothesis) -> tuple[list[str], list[str], np.ndarray]:
    """The source tokens, the target tokens, and the attention ``[target, source]``."""
    assert hypothesis.attention is not None
    copies = iter(hypothesis.copied)
    target_tokens = [decoder.target[id_ - FIRST] if id_ >= FIRST else next(copies, "?") for id_ in hypothesis.ids]
    target_tokens += ["end"] * (len(hypothesis.attention) - len(target_tokens))
    return decoder.source_tokens(text), target_tokens, hypothesis.attention
