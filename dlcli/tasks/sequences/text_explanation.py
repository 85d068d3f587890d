"""Explains what networks predict of texts token by token, beside the naive log-odds of the words."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.data.files import hash_content
from dlcli.data.sequences.dataset import SequenceDataset, Sequences
from dlcli.data.splits import NO_LABEL, evenly_spaced
from dlcli.data.text.vocabulary import UNKNOWN
from dlcli.errors import InputError
from dlcli.explanation.network import NotExplainable
from dlcli.explanation.sequences.attribution import Method
from dlcli.explanation.sequences.log_odds import log_odds_of_tokens
from dlcli.explanation.sequences.tokens import Ids, TokenNetwork, of_equal_length, open_tokens
from dlcli.recipe.load import TextRecipe
from dlcli.recipe.tasks.text_classification import TextClassification
from dlcli.recipe.tasks.text_multilabel import TextMultilabel
from dlcli.recipe.tasks.text_regression import TextRegression
from dlcli.report.page.page import MarkedText
from dlcli.rundir.directory import RunDir
from dlcli.rundir.tables import rows_text
from dlcli.runtime.console import Console
from dlcli.tasks.explanation import FAILED, digest_of, recorded_verdicts, verdicts
from dlcli.tasks.recurrent import NUM_SEQUENCES, RecurrentSamples
from dlcli.tasks.run_models import load_sequence_model
from dlcli.tasks.sequences.attention_files import attention_files
from dlcli.tasks.sequences.evaluation import own_data
from dlcli.tasks.sequences.explanation import NUM_OF_SPLIT, TextValues, methods_of
from dlcli.tasks.sequences.prediction import named_texts, text_column
from dlcli.tasks.sequences.text_explanation_check import Values, check_methods
from dlcli.tasks.sequences.text_explanation_files import (
    explanation_rows,
    marked_texts,
    page_of,
    spelled_tokens,
    token_rows,
)
from dlcli.tasks.sequences.text_outputs import check_text_target, text_outputs
from dlcli.tasks.sequences.tokens import encodable
from dlcli.tasks.split_choice import own_split
from dlcli.tasks.task import Explained, ExplanationRequest

AUTO = ("integrated", "gradient-x-input", "leave-one-out")
Points = NDArray[np.float32]

AT_ONCE = 512  # texts that are tokenized in one call
NUM_CHECKED = 1000  # texts by which methods are checked unless another number is given


def explain(run: RunDir, recipe: TextRecipe, request: ExplanationRequest, console: Console) -> Explained:
    """As :meth:`dlcli.tasks.task.Task.explain`: what each token says for the output or against it."""
    is_number = isinstance(recipe, TextRegression)
    best, classes = load_sequence_model(run, recipe, console), () if is_number else run.read_classes()
    is_given = bool(request.paths or request.texts)
    check_text_target(recipe, request.target, classes, has_labels=not is_given)
    methods = methods_of(request, AUTO)
    try:
        network = open_tokens(
            best.model,
            by_step=False,
            output="value" if is_number else "logits",
            is_class=isinstance(recipe, TextClassification),  # the logit of a label is its log-odds already
        )
    except NotExplainable as reason:
        raise InputError(f"{best.file}: {reason}") from None
    needed_for = "the comparison with the log-odds of words" if is_given and not request.check else None
    needs_data = not (is_given and is_number)
    dataset = own_data(run, recipe, needed_for=needed_for, console=console) if needs_data else None
    samples, source = _samples(run, recipe, request, dataset)
    limit = request.limit or (len(samples) if is_given else NUM_OF_SPLIT)
    index = evenly_spaced(len(samples), limit)
    console.say(f"run {run.path}: explaining {len(index):,} of {len(samples):,} texts by {', '.join(methods)}")
    assert samples.texts is not None
    texts = [samples.texts[i] for i in index]
    ids, points = token_ids(network, texts), points_of(network, texts)
    logits = logits_of(network, points)
    if not np.isfinite(logits).all():
        raise InputError(f"{best.file}: its outputs must be finite to be explained. Received NaN or infinity.")
    shown = text_outputs(recipe, request.target, logits, samples, index, classes)
    naive = None if dataset is None or is_number else log_odds_of(network, dataset.splits["train"], len(classes))
    found = {}
    for done, (name, method) in enumerate(methods.items(), start=1):
        found[name] = values_of(network, method, points, shown.choices)
        console.evaluating(done, len(methods))
    known = recorded_verdicts(run, best.digest, list(methods))
    check = None
    if request.check:
        assert dataset is not None
        check = _check(network, methods, dataset, run, request, naive, console)
        check = {"sha256": best.digest, **check}
        known |= verdicts(check)
    for name in methods:
        if known.get(name) == FAILED:
            console.warn(f"{name} {FAILED}: its values hardly depend on what the network has learned")
    names = [samples.names[i] for i in index]
    rows = explanation_rows(names, shown.columns, found, known)
    spelled = [spelled_tokens(run, recipe.text, text, some) for text, some in zip(texts, ids, strict=True)]
    values = {name: of_method.values for name, of_method in found.items()}
    if naive is not None:
        values["log-odds"] = [naive[some, target] for some, target in zip(ids, shown.choices, strict=True)]
    titles = [f"{name}: {title}" for name, title in zip(names, shown.titles, strict=True)]
    marked = marked_texts(titles, spelled, values, rows, " " if recipe.text.unit == "words" else "")
    return Explained(
        name="-".join(methods),
        rows=rows,
        files={
            "tokens.csv": rows_text(token_rows(names, ids, spelled, values)),
            "explanations.html": page_of(run, titles, marked, source, shown.meaning),
            **({} if recipe.text.windows else attention_files(best.model, names, texts, spelled)),
        },
        facts={
            "model": str(best.file),
            "sha256": best.digest,
            "source": source,
            "samples": len(index),
            "digest": digest_of([hash_content(text.encode("utf-8", "surrogatepass")) for text in texts]),
            "settings": {
                "methods": list(methods),
                "class": request.target,
                "baseline": "unknown token",
                "unit": recipe.text.unit,
                "steps": request.steps or "auto",
                "check": request.check,
            },
        },
        check=check,
        texts=[
            MarkedText(title, of_text[0].tokens, of_text[0].separator, of_text[0].note)
            for title, of_text in zip(titles, marked, strict=True)
        ],
    )


def recurrent_samples(
    run: RunDir, recipe: TextRecipe, request: ExplanationRequest, console: Console
) -> RecurrentSamples:
    """As :meth:`dlcli.tasks.task.Task.recurrent_samples`; of several labels, the mean of their logits counts."""
    best = load_sequence_model(run, recipe, console)
    dataset = own_data(run, recipe, console=console)
    assert dataset is not None
    texts = dataset.splits[own_split(run, dataset.splits, request.split)].texts
    assert texts is not None
    index = evenly_spaced(len(texts), request.limit or NUM_SEQUENCES)
    is_class = isinstance(recipe, TextClassification)
    has_logits = is_class or isinstance(recipe, TextMultilabel)
    part = keras.Model(best.model.input, best.model.get_layer("logits").output) if has_logits else None
    return RecurrentSamples(best, [tf.constant([encodable(texts[i])]) for i in index], is_class=is_class, part=part)


# What is explained ----------------------------------------------------------------------------------------------------


def _samples(
    run: RunDir, recipe: TextRecipe, request: ExplanationRequest, dataset: SequenceDataset | None
) -> tuple[Sequences, str]:
    """The texts to choose from, and what they are called."""
    if request.paths or request.texts:
        names, texts = named_texts(
            request.paths,
            request.texts,
            column=text_column(recipe),
            encoding=recipe.data.encoding,
            columns=getattr(recipe.data, "columns", None),
        )
        labels = np.full(len(names), NO_LABEL, np.int32)
        sources = [*map(str, request.paths), *(["--text"] if request.texts else [])]
        return Sequences(tuple(names), labels, digests=(), texts=tuple(texts)), ", ".join(sources)
    assert dataset is not None
    name = own_split(run, dataset.splits, request.split)
    return dataset.splits[name], name


def token_ids(network: TokenNetwork, texts: Sequence[str]) -> list[Ids]:
    """The token ids that the network sees of each text."""
    usable = [encodable(text) for text in texts]
    parts = [network.ids(tf.constant(usable[start : start + AT_ONCE])) for start in range(0, len(usable), AT_ONCE)]
    return [ids for part in parts for ids in part]


def points_of(network: TokenNetwork, texts: Sequence[str]) -> list[Points]:
    """The vectors of the tokens of each text ``[tokens, width]``."""
    usable = [encodable(text) for text in texts]
    found: list[Points] = []
    for start in range(0, len(usable), AT_ONCE):
        raw = tf.constant(usable[start : start + AT_ONCE])
        pairs = zip(network.ids(raw), network.embedded(raw).numpy(), strict=True)
        found += [vectors[: len(ids)] for ids, vectors in pairs]
    return found


def logits_of(network: TokenNetwork, texts: Sequence[Points]) -> NDArray[np.float32]:
    """The logits or numbers of texts, ``[n, outputs]``, by the vectors of their tokens."""
    return np.stack(of_equal_length(texts, lambda points, _: list(network.scores.values(points)[:, 0])))


def values_of(network: TokenNetwork, method: Method, texts: Sequence[Points], targets: NDArray[np.int32]) -> TextValues:
    """The values of the tokens of each text for a class of each ``[n]``, against unknown tokens in their place.

    Args:
        texts: the vectors of their tokens.
    """

    def make(points: Points, rows: NDArray[np.int64]) -> list[tuple[NDArray[np.float64], dict[str, Any]]]:
        starts = np.broadcast_to(network.unknown(UNKNOWN), points.shape).astype(np.float32)
        choices = np.stack([np.zeros(len(rows)), targets[rows]], axis=1).astype(np.int32)
        found = method(network.scores, points, starts, choices)
        facts = [{name: column[i].item() for name, column in found.facts.items()} for i in range(len(rows))]
        return list(zip(found.of_steps, facts, strict=True))

    values, facts = zip(*of_equal_length(texts, make), strict=True)
    return TextValues(values, facts)


def log_odds_of(network: TokenNetwork, train: Sequences, num_classes: int) -> NDArray[np.float64]:
    """The naive log-odds of each token by class or label ``[tokens, classes]`` in the training texts; 0 for the unknown
    one. Those of a label are of the texts to which it applies, against those to which it does not."""
    assert train.texts is not None
    num_tokens = network.model.get_layer("embedding").input_dim
    ids = token_ids(network, train.texts)
    if train.applies is None:
        found = log_odds_of_tokens(ids, train.labels, num_tokens=num_tokens, num_classes=num_classes)
    else:
        found = np.stack([_log_odds_of_label(ids, column, num_tokens) for column in train.applies.T], axis=1)
    found[UNKNOWN] = 0.0
    return found


def _log_odds_of_label(ids: Sequence[Ids], applies: NDArray[np.float64], num_tokens: int) -> NDArray[np.float64]:
    known = np.flatnonzero(~np.isnan(applies))
    texts, labels = [ids[int(i)] for i in known], applies[known].astype(np.int32)
    return np.asarray(log_odds_of_tokens(texts, labels, num_tokens=num_tokens, num_classes=2)[:, 1])


def _check(
    network: TokenNetwork,
    methods: Mapping[str, Method],
    dataset: SequenceDataset,
    run: RunDir,
    request: ExplanationRequest,
    naive: NDArray[np.float64] | None,
    console: Console,
) -> dict[str, Any]:
    """Check the methods on texts of a split."""
    if network.scores.width != network.vectors(np.zeros(1, np.int32)).shape[-1]:
        raise InputError(
            "--check: hides words by their ids, but this network also reads their characters. Leave the option out."
        )
    name = own_split(run, dataset.splits, request.split)
    texts = dataset.splits[name].texts
    assert texts is not None
    assert naive is not None
    index = evenly_spaced(len(texts), request.limit or NUM_CHECKED)
    console.say(f"checking {', '.join(methods)} on {len(index):,} texts of {name}")
    ids = token_ids(network, [texts[i] for i in index])

    def vectors(some: Sequence[Ids]) -> list[Points]:
        return [network.vectors(of_text) for of_text in some]

    def values(method: Method) -> Values:
        return lambda some, labels: values_of(network, method, vectors(some), labels).values

    return check_methods(
        network,
        {method_name: values(method) for method_name, method in methods.items()},
        ids,
        naive,
        logits_of=lambda some: logits_of(network, vectors(some)),
        progress=console.evaluating,
    )
