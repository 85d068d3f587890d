"""Explains what networks predict of texts token by token, beside the naive log-odds of the words."""

import functools
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
from dlcli.explanation.sequences.tokens import Ids, TokenNetwork, open_tokens
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
from dlcli.tasks.sequences.explanation import NUM_OF_SPLIT, methods_of
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
from dlcli.tasks.sequences.text_values import (
    Points,
    log_odds_of,
    logits_of,
    numbers_of,
    points_of,
    token_ids,
    values_of,
)
from dlcli.tasks.sequences.token_check import NUM_CHECKED as NUM_CHECKED_BY_ORDER
from dlcli.tasks.sequences.token_check import TokenSample, TokensToCheck
from dlcli.tasks.sequences.token_check import check_methods as check_by_order
from dlcli.tasks.sequences.tokens import encodable
from dlcli.tasks.split_choice import own_split
from dlcli.tasks.task import Explained, ExplanationRequest

AUTO = ("integrated", "gradient-x-input", "leave-one-out")
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
    needs_data = request.check or not (is_given and is_number)
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
        by_ids = isinstance(recipe, TextClassification) and recipe.text.characters is None
        make = _check if by_ids else _check_by_order
        check = make(network, methods, dataset, run, request, naive, console)
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
    name = own_split(run, dataset.splits, request.split)
    texts = dataset.splits[name].texts
    assert texts is not None
    assert naive is not None
    index = evenly_spaced(len(texts), request.limit or NUM_CHECKED)
    console.say(f"checking {', '.join(methods)} on {len(index):,} of {len(texts):,} texts of {name}")
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


def _check_by_order(
    network: TokenNetwork,
    methods: Mapping[str, Method],
    dataset: SequenceDataset,
    run: RunDir,
    request: ExplanationRequest,
    naive: NDArray[np.float64] | None,
    console: Console,
) -> dict[str, Any]:
    """Check the methods on texts of a split by the order of the tokens.

    So it is for a label or a number, which do not turn, and for words that are read by their characters, too, which an
    unknown id in their place does not hide.
    """
    name, train = own_split(run, dataset.splits, request.split), dataset.splits["train"]
    texts = dataset.splits[name].texts
    assert texts is not None
    chosen = [texts[i] for i in evenly_spaced(len(texts), request.limit or NUM_CHECKED_BY_ORDER)]
    console.say(f"checking {', '.join(methods)} on {len(chosen):,} of {len(texts):,} texts of {name}")
    labels = logits_of(network, points_of(network, chosen)).argmax(axis=1)  # 0 for the only number
    ids = token_ids(network, chosen)
    if naive is None:
        order, ranks = "word means", np.abs(numbers_of(network, train))[:, None]
    else:
        order, ranks = "log-odds", naive
    samples = [
        TokenSample(
            choices=np.array([[0, label]], np.int32),
            vectors=functools.partial(_vectors, network, text),
            orders={order: ranks[of_text, label][None]},
        )
        for text, of_text, label in zip(chosen, ids, labels, strict=True)
    ]
    given = TokensToCheck(samples, network.randomized, "texts", name, len(texts), is_number=naive is None)
    return check_by_order(network.scores, methods, given, steps=request.steps, progress=console.evaluating)


def _vectors(network: TokenNetwork, text: str) -> tuple[Points, Points]:
    """The vectors of a text's tokens, and those of unknown ones in their place."""
    (points,) = points_of(network, [text])
    return points, np.broadcast_to(network.unknown(UNKNOWN), points.shape).astype(np.float32)
