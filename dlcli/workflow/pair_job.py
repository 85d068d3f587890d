"""The training job of texts that are answered by texts, their evaluation, and answers to new ones."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from dlcli.data.files import printable
from dlcli.data.pairs import PairBatches, read_pairs_csv, read_pairs_tsv
from dlcli.data.sequences.dataset import SequenceDataset, Sequences
from dlcli.data.sequences.ragged import Ragged
from dlcli.data.splits import evenly_spaced
from dlcli.data.synthetic.addition import make_addition
from dlcli.data.vocabulary import END, FIRST, Vocabulary
from dlcli.errors import CheckFailed, InputError
from dlcli.evaluation import sequence_to_sequence as answer_metrics
from dlcli.recipe.load import LoadedRecipe, load
from dlcli.recipe.tasks.sequence_to_sequence import Addition, PairsCsv, PairsTsv, PairTrain, SequenceToSequence
from dlcli.report.cost.layer_table import LayerTable, layer_table
from dlcli.report.cost.training_memory import TrainingMemory
from dlcli.report.plots import sequences as sequence_plots
from dlcli.rundir import RunDir, csv_text, now, replace_file, replace_json
from dlcli.training.objectives import sequences as sequence_objectives
from dlcli.training.objectives.objective import Objective
from dlcli.workflow.answerer import Answer, Answerer, answerer_of, load_answerer
from dlcli.workflow.job import (
    OWN_DATA,
    best_metric_of,
    check_memory,
    check_metrics,
    check_same_data,
    other_split,
    own_split,
    training_memory_of,
)
from dlcli.workflow.network_job import NetworkJob
from dlcli.workflow.optimization import stage_sections
from dlcli.workflow.ranking import write_rows
from dlcli.workflow.sequence_data import split_keys
from dlcli.workflow.sequence_model import SequenceNetwork, build_encoder_decoder
from dlcli.workflow.sequence_prediction import named_texts
from dlcli.workflow.start import Device, set_precision, set_seed, without_weights
from dlcli.workflow.talk import Talk
from dlcli.workflow.tokens import (
    count_longer,
    cut_lines,
    encode_texts,
    fit_tokens,
    token_sums,
    unknown_lines,
    write_vocabulary,
)

AnyPairs = PairsTsv | PairsCsv | Addition

NUM_SHOWN = 6  # answers in attention.png
MAX_MISTAKES = 100


@dataclass(frozen=True)
class Vocabularies:
    """The tokens of what is given and of what is wanted."""

    given: Vocabulary
    wanted: Vocabulary


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
        return _batches(self.recipe, self.vocabularies, train, chosen=chosen, seed=self.recipe.train.seed)

    def data_line(self) -> str:
        unit, data = self.recipe.text.unit, self.train_data
        wanted = [int((own != END).sum()) for own in np.split(data.answers, np.cumsum(data.answer_lengths)[:-1])]
        return (
            f"{int(np.median(data.lengths))} {unit} given (median), {data.lengths.max()} at most; "
            f"{int(np.median(wanted))} wanted, {max(wanted)} at most; known "
            f"{unit}: {len(self.vocabularies.given.tokens):,} and {len(self.vocabularies.wanted.tokens):,}"
        )

    def more_lines(self) -> list[str]:
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
            "pictures": None,
            "steps": self.train_data.longest,
            "vocabulary": len(self.vocabularies.given.tokens),
            "target_vocabulary": len(self.vocabularies.wanted.tokens),
        }

    def write_beginning(self, run: RunDir) -> None:
        write_vocabulary(run.vocabulary, self.vocabularies.given)
        write_vocabulary(run.target_vocabulary, self.vocabularies.wanted)

    def build_model(self) -> keras.Model:
        return _build(self.recipe, self.vocabularies).model

    def evaluate(self, run: RunDir, model: keras.Model, split: str) -> dict[str, Any]:
        answerer = answerer_of(run, self.recipe, model)
        samples = self.dataset.splits[split]
        return _evaluate(run.evaluation(split), answerer, samples, source=OWN_DATA, beam=1, talk=self.talk)


def prepare(loaded: LoadedRecipe, recipe: SequenceToSequence, device: Device, talk: Talk) -> PairJob:
    """Reads the pairs, checks the recipe against them, and builds the model.

    Raises:
        InputError: the pairs or the recipe cannot be used.
    """
    dataset = open_pairs(loaded, recipe)
    train, validation = dataset.splits["train"], dataset.splits.get("validation")
    assert train.texts is not None
    assert train.answers is not None
    vocabularies = Vocabularies(
        fit_tokens(loaded, recipe.text, train.texts), fit_tokens(loaded, recipe.text, train.answers)
    )
    check_metrics(loaded, has_validation=validation is not None)
    data = _batches(recipe, vocabularies, train, seed=recipe.train.seed, forcing=_forcing(recipe.train))

    def memory() -> TrainingMemory:
        return training_memory_of(_table(recipe, vocabularies, data.longest), recipe.train, len(train))[0]

    check_memory(loaded, memory)
    set_seed(recipe.train.seed, deterministic=recipe.train.deterministic)
    set_precision(recipe.train.precision)
    return PairJob(
        loaded=loaded,
        recipe=recipe,
        dataset=dataset,
        vocabularies=vocabularies,
        network=_build(recipe, vocabularies),
        train_data=data,
        validation_data=None if validation is None else _batches(recipe, vocabularies, validation),
        best_metric=best_metric_of(recipe.train, has_validation=validation is not None),
        device=device,
        talk=talk,
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


def open_pairs(loaded: LoadedRecipe, recipe: SequenceToSequence) -> SequenceDataset:
    loaded.check_data_path()
    return _read(recipe.data)


def _read(section: AnyPairs) -> SequenceDataset:
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


def _forcing(train: PairTrain) -> Callable[[int], float] | None:
    """By the epoch, counted from 0 over all stages, how likely the true token is told; None for always."""
    first, last = train.teacher_forcing.first, train.teacher_forcing.last
    if first == last == 1.0:
        return None
    num_epochs = sum(section.epochs for section in stage_sections(train))

    def forcing(epoch: int) -> float:
        return first + (last - first) * min(1.0, epoch / max(1, num_epochs - 1))

    return forcing


def _build(recipe: SequenceToSequence, vocabularies: Vocabularies) -> SequenceNetwork:
    return build_encoder_decoder(
        recipe.model,
        recipe.text,
        vocabularies.given,
        vocabularies.wanted,
        guesses=_forcing(recipe.train) is not None,
    )


def _table(recipe: SequenceToSequence, vocabularies: Vocabularies, steps: int) -> LayerTable:
    with without_weights():
        return layer_table(_build(recipe, vocabularies).trained, steps=steps)


def _batches(
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


# Evaluate and predict -------------------------------------------------------------------------------------------------


def evaluate(
    run: RunDir, recipe: SequenceToSequence, *, split: str | None, data: Path | None, beam: int, talk: Talk
) -> dict[str, Any]:
    """As :func:`dlcli.workflow.evaluate.evaluate`; other data are a recipe of the task, or a file as the own ones.

    Raises:
        InputError: there is no model yet, or the data cannot be used.
    """
    answerer = load_answerer(run, recipe)
    if data is None:
        dataset, source = open_pairs(load(run.config), recipe), OWN_DATA
        check_same_data(run, dataset)
        name = own_split(run, dataset.splits, split)
        samples = dataset.splits[name]
    else:
        dataset, source = _read(_other_section(data, recipe)), str(data.absolute())
        part = other_split(data, dataset.splits, split)
        samples, name = dataset.splits[part], f"{data.stem}-{part if len(dataset.splits) > 1 else 'all'}"
    talk.say(f"run {run.path}: evaluating {len(samples):,} samples of {name}")
    # a beam's beside that of the likeliest tokens, not in its place
    folder = run.evaluation(run.free_evaluation(name if beam == 1 else f"{name}-beam{beam}", source))
    metrics = _evaluate(folder, answerer, samples, source=source, beam=beam, talk=talk)
    return {"run": str(run.path), "split": name, "folder": str(folder), **metrics}


def _other_section(data: Path, recipe: SequenceToSequence) -> AnyPairs:
    if not data.is_file():
        raise InputError(f"{data}: {'a folder, not a file' if data.is_dir() else 'no such recipe or file'} of pairs.")
    if data.suffix in (".yaml", ".yml"):
        loaded = load(data)
        if not isinstance(loaded.recipe, SequenceToSequence):
            raise loaded.fault("task", f"the run's task is {recipe.task}; give a recipe of that")
        return loaded.recipe.data
    own = recipe.data
    common: dict[str, Any] = {"path": str(data.absolute()), "validation": 0.0, "test": 0.0, "allow_leakage": True}
    if isinstance(own, PairsCsv) or data.suffix == ".csv":
        keys = ("source", "target", "split", "encoding")
        return PairsCsv(kind="csv", **common, **{key: getattr(own, key) for key in keys if hasattr(own, key)})
    return PairsTsv(kind="tsv", encoding=getattr(own, "encoding", "utf-8"), **common)


def _evaluate(
    folder: Path, answerer: Answerer, samples: Sequences, *, source: str, beam: int, talk: Talk
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
    data = _batches(recipe, vocabularies, as_known)
    nats, correct, counts = token_sums(answerer.network(), data, talk=talk)
    if not np.isfinite(nats).all():
        raise CheckFailed("the model's outputs are not finite")
    said = answerer.answer(samples.texts, beam=beam, batch_size=recipe.train.batch_size, talk=talk)
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
        talk.say("BLEU is not measured: that needs pip install 'dlcli[bleu]'")
    folder.mkdir(parents=True, exist_ok=True)
    replace_json(folder / "metrics.json", {"data": source, "evaluated": now(), **metrics})
    is_right = [answer == reference for answer, reference in zip(answers, references, strict=True)]
    columns = zip(samples.names, samples.texts, references, answers, is_right, said, strict=True)
    rows = [
        [name, text, reference, answer, int(is_so), f"{own.log_probability:.6f}"]
        for name, text, reference, answer, is_so, own in columns
    ]
    header = ["file", "text", "target", "predicted", "exact", "log_probability"]
    replace_file(folder / "predictions.csv", csv_text(header, rows))
    wrong = [row for row in rows if not row[4]]
    chosen = wrong[:MAX_MISTAKES]
    lines = [f"{printable(str(row[1]))} -> {printable(str(row[3]))}, is {printable(str(row[2]))}\n" for row in chosen]
    replace_file(folder / "mistakes.txt", "".join(lines) or "none\n")
    shown = [i for i in evenly_spaced(len(samples), NUM_SHOWN) if said[i].attention is not None]
    if shown:
        maps = [_map_of(answerer, samples.texts[i], said[i]) for i in shown]
        replace_file(folder / "attention.png", sequence_plots.attention_maps(maps))
    return metrics


def _map_of(answerer: Answerer, text: str, answer: Answer) -> tuple[list[str], list[str], np.ndarray]:
    """What is given, what is said, and where attention lay."""
    assert answer.attention is not None
    spelled = [answerer.wanted[number - FIRST] if number >= FIRST else "?" for number in answer.tokens]
    spelled += ["end"] * (len(answer.attention) - len(spelled))
    return answerer.pieces(text), spelled, answer.attention


def _before_tab(line: str) -> str:
    """What is given in a line like those of training."""
    return line.partition("\t")[0]


def predict(
    run: RunDir,
    recipe: SequenceToSequence,
    paths: Sequence[Path],
    *,
    texts: Sequence[str],
    beam: int,
    output: Path | None,
    talk: Talk,
) -> dict[str, Any]:
    """As :func:`dlcli.workflow.predict.predict`: lines of files and of stdin, rows of tables, texts by themselves.

    Raises:
        InputError: there is nothing to answer, or no model yet.
    """
    names, given = named_texts(
        paths,
        texts,
        column=recipe.data.source if isinstance(recipe.data, PairsCsv) else "source",
        encoding=recipe.data.encoding if isinstance(recipe.data, PairsTsv | PairsCsv) else "utf-8",
        of_line=_before_tab if isinstance(recipe.data, PairsTsv) else None,
    )
    answerer = load_answerer(run, recipe)
    if longer := count_longer(given, recipe.text):
        most = f"{recipe.text.max_length} {recipe.text.unit}"
        talk.warn(f"{longer:,} of {len(given):,} texts are longer than {most}: the rest is cut off")
    if strange := answerer.count_unknown(given):
        talk.warn(f"in {strange:,} of {len(given):,} texts are {recipe.text.unit} that the model does not know")
    talk.say(f"run {run.path}: answering {len(given):,} {'text' if len(given) == 1 else 'texts'}")
    said = answerer.answer(given, beam=beam, batch_size=recipe.train.batch_size, talk=talk)
    predictions = [
        {"file": name, "text": text, "predicted": answerer.write(own.tokens), "log_probability": own.log_probability}
        for name, text, own in zip(names, given, said, strict=True)
    ]
    if output is not None:
        write_rows(output, list(predictions[0]), [list(row.values()) for row in predictions])
        talk.say(f"{len(predictions):,} rows in {output}")
    return {"run": str(run.path), "predictions": predictions, "left_out": []}
