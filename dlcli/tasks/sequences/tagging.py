"""Evaluates the tags of words beside each word's most frequent tag, and the entities that tags may mark."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.data.sequences.batches import by_length
from dlcli.data.sequences.dataset import Sequences
from dlcli.data.sequences.ragged import Ragged
from dlcli.evaluation import classification, entities
from dlcli.evaluation import tagging as tag_metrics
from dlcli.evaluation.tag_baseline import most_frequent_tags
from dlcli.recipe.tasks.tagging import Tagging
from dlcli.replicas import divided
from dlcli.runtime.console import Console
from dlcli.tasks.calibration import Calibration
from dlcli.tasks.evaluation_files import Destination, report_neglect, write_classification
from dlcli.tasks.losses import loss_arguments
from dlcli.tasks.reduction import Reduction
from dlcli.tasks.sequences.baselines import against_baseline
from dlcli.tasks.sequences.tokens import encodable
from dlcli.training.objectives.objective import Objective
from dlcli.training.objectives.sequences import crf, tagging

BASELINE = "the most frequent tag of each word"

WordNetwork = Callable[[Any], Sequence[Any]]
"""Words ``[b, steps]``, empty after a sentence's end -> the outputs of :func:`with_word_outputs`."""


def evaluate_tags(
    to: Destination,
    model: keras.Model,
    samples: Sequences,
    recipe: Tagging,
    *,
    classes: Sequence[str],
    train: Sequences | None,
    calibration: Calibration | None,
    exported: WordNetwork | None = None,
    console: Console,
) -> dict[str, Any]:
    """As :func:`dlcli.tasks.sequences.evaluation.evaluate_split`, for tags.

    Args:
        exported: predicts words in place of the model; it outputs no more of a conditional random field than its tags,
            so that its loss is not measured.
    """
    words, tags = words_and_tags(recipe, samples)
    objective = crf() if recipe.model.crf else tagging(**loss_arguments(recipe.train))
    kept = to.probability_file(len(tags.flat), len(classes))
    reduction = Reduction(tags.flat, kept, calibration)
    has_loss = exported is None or not recipe.model.crf
    for part in predict_words(model, words, network=exported, batch_size=recipe.train.batch_size, console=console):
        losses = _losses(part, tags.flat[part.index], objective) if has_loss else np.zeros(len(part.index), np.float32)
        reduction.add(part.index, part.logits, part.probabilities, losses, part.tags)
    scored = reduction.scored()
    known = set(model.get_layer("words").get_vocabulary())
    is_known = np.array([word in known for sentence in words for word in sentence])
    metrics = tag_metrics.metrics(
        scored,
        classes,
        lengths=tags.lengths,
        is_known=is_known,
        loss=reduction.mean_loss(),
        top_k=to.request.top_k,
    )
    metrics |= reduction.calibration_metrics()
    if not has_loss:
        del metrics["loss"]
    report_neglect(console, metrics, scored, classes, suggests_weights=False)
    baseline = None if train is None else _baseline(recipe, train, words)
    if baseline is not None:
        sentence = np.unique(np.repeat(np.arange(len(words)), tags.lengths), return_inverse=True)[1]
        metrics |= against_baseline(scored.is_correct, baseline == tags.flat, sentence, name=BASELINE, console=console)
    tables = {}
    if entities.marks_entities(classes):
        of_labels = _by_sentence(tags.flat, tags.lengths, classes)
        of_predicted = _by_sentence(scored.predicted, tags.lengths, classes)
        metrics |= entities.metrics(of_labels, of_predicted)
        metrics |= _illegal_transitions(of_labels, of_predicted, classes)
        if number := metrics["illegal_transitions"]:
            remedy = "" if recipe.model.crf else "; see model.crf"
            console.say(f"predicted tags break their scheme in {number:,} transitions (illegal_transitions){remedy}")
        if baseline is not None:
            of_baseline = _by_sentence(baseline, tags.lengths, classes)
            metrics["baseline_entity_f1"] = entities.metrics(of_labels, of_baseline)["entity_f1"]
        tables = {"per_entity.csv": rows} if (rows := entities.per_entity(of_labels, of_predicted)) else {}
    if metrics.get("entity_f1", np.inf) <= metrics.get("baseline_entity_f1", -np.inf):
        console.say(f"entity_f1: no better than the baseline, {BASELINE} (baseline_entity_f1)")
    write_classification(
        to,
        metrics,
        scored,
        classes,
        names=[name for name, sentence in zip(samples.names, words, strict=True) for _ in sentence],
        per_class=classification.per_class(scored, classes),
        predictions=tag_metrics.predictions(samples.names, words, scored, classes, is_known=is_known),
        others={},
        more_tables=tables,
        probabilities=kept,
        console=console,
    )
    return metrics


def _baseline(recipe: Tagging, train: Sequences, words: Sequence[Sequence[str]]) -> np.ndarray:
    """The tags that the baseline predicts for all words; it reads words in lowercase where the network does."""
    train_words, train_tags = words_and_tags(recipe, train)
    if recipe.text.lowercase:
        train_words = [tuple(word.lower() for word in sentence) for sentence in train_words]
        words = [[word.lower() for word in sentence] for sentence in words]
    return most_frequent_tags(train_words, train_tags.flat, words)


def _by_sentence(flat: np.ndarray, lengths: np.ndarray, classes: Sequence[str]) -> list[list[str]]:
    """The names of the tags of each sentence, from the classes of all words."""
    return [[classes[k] for k in part] for part in np.split(flat, np.cumsum(lengths)[:-1])]


def _illegal_transitions(
    labels: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], classes: Sequence[str]
) -> dict[str, int]:
    """How many transitions between predicted tags the scheme does not allow; of labels that break it, theirs too."""
    ends_are_marked = any(name[0] in "ESLU" for name in classes if name != entities.OUTSIDE)
    of_predicted, of_labels = (
        sum(entities.count_illegal(tags, ends_are_marked=ends_are_marked) for tags in sentences)
        for sentences in (predicted, labels)
    )
    return {"illegal_transitions": of_predicted} | ({"illegal_transitions_of_labels": of_labels} if of_labels else {})


def words_and_tags(recipe: Tagging, samples: Sequences) -> tuple[list[tuple[str, ...]], Ragged]:
    """The words of each sentence that the network sees, and their tags."""
    assert samples.words is not None
    assert samples.tags is not None
    cut = recipe.text.max_length
    return [sentence[:cut] for sentence in samples.words], samples.tags.cut(cut)


@dataclass(frozen=True)
class PredictedWords:
    """What the saved model outputs for the n words of a batch of sentences.

    Attributes:
        index: their positions among the words of all sentences, int64 ``[n]``.
        is_word: which steps of the batch are words, bool ``[sentences, steps]``, n of them.
        logits, probabilities: float32 ``[n, classes]``.
        tags: the tags of a conditional random field, int32 ``[n]``; None without one, for the most probable ones.
        of_crf: what the objective of such a field takes; empty without one.
    """

    index: NDArray[np.int64]
    is_word: NDArray[np.bool_]
    logits: NDArray[np.float32]
    probabilities: NDArray[np.float32]
    tags: NDArray[np.int32] | None
    of_crf: list[Any]


def predict_words(
    model: keras.Model,
    sentences: Sequence[Sequence[str]],
    *,
    network: WordNetwork | None = None,
    batch_size: int,
    console: Console,
) -> Iterator[PredictedWords]:
    """Predict the words of sentences in inference mode, batch by batch.

    Args:
        network: in place of the model's own.
    """
    network = network or _compiled(model)
    num_batches = -(-len(sentences) // batch_size)
    for done, part in enumerate(predict_word_batches(network, sentences, batch_size=batch_size), start=1):
        yield part
        console.evaluating(done, num_batches)


def _compiled(model: keras.Model) -> WordNetwork:
    inner = with_word_outputs(model)
    compiled: WordNetwork = tf.function(
        divided(lambda batch: inner(batch, training=False)),
        input_signature=[tf.TensorSpec([None, None], tf.string)],
        autograph=False,
    )
    return compiled


def with_word_outputs(model: keras.Model) -> keras.Model:
    """A saved tagger that outputs the logits and probabilities of words and what the objective of a conditional random
    field takes, the tags last."""
    layers = {layer.name: layer for layer in model.layers}
    outputs = [layers["logits"].output, layers["probabilities"].output]
    if "crf" in layers:
        scores, log_partition, _, tags = layers["crf"].output
        outputs += [layers["emissions"].output, scores, log_partition, tags]
    return keras.Model(model.input, outputs)


def predict_word_batches(
    network: WordNetwork, sentences: Sequence[Sequence[str]], *, batch_size: int
) -> Iterator[PredictedWords]:
    """As :func:`predict_words`, with the network of :func:`with_word_outputs`, which takes words ``[b, steps]``."""
    lengths = np.array([len(sentence) for sentence in sentences], np.int64)
    starts = np.cumsum(lengths) - lengths
    for index in by_length(lengths, batch_size):
        width = max(1, int(lengths[index].max()))
        batch = [[encodable(word) for word in sentences[i]] + [""] * (width - len(sentences[i])) for i in index]
        logits, probabilities, *of_crf = network(np.array(batch, object))
        steps = np.arange(logits.shape[1])  # the network may have padded the batch further
        is_word = steps < lengths[index, None]
        yield PredictedWords(
            index=(starts[index, None] + steps)[is_word],
            is_word=is_word,
            logits=np.asarray(logits)[is_word],
            probabilities=np.asarray(probabilities)[is_word],
            tags=np.asarray(of_crf[-1])[is_word] if of_crf else None,
            of_crf=of_crf,
        )


def _losses(part: PredictedWords, labels: NDArray[np.int32], objective: Objective) -> NDArray[np.float32]:
    """The loss of each word ``[n]``: under a conditional random field, the mean over the words of its sentence."""
    if not part.of_crf:
        of_words: NDArray[np.float32] = objective.loss(
            tf.constant(part.logits), {"y": {"tags": tf.constant(labels)}}
        ).numpy()
        return of_words
    tags = np.zeros(part.is_word.shape, np.int32)
    tags[part.is_word] = labels
    batch = {"y": {"tags": tf.constant(tags), "mask": tf.cast(part.is_word, tf.float32)}}
    repeated: NDArray[np.float32] = np.repeat(objective.loss(part.of_crf, batch).numpy(), part.is_word.sum(axis=1))
    return repeated
