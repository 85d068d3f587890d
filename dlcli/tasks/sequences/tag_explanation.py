"""Explains taggers: which words of a sentence the tag of each word is due to."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.data.splits import evenly_spaced
from dlcli.data.text.vocabulary import UNKNOWN
from dlcli.errors import InputError
from dlcli.explanation.network import NotExplainable
from dlcli.explanation.sequences.attention import Weights, attention_of, read_by_steps
from dlcli.explanation.sequences.tokens import TokenNetwork, open_tokens
from dlcli.recipe.tasks.tagging import Tagging
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.explanation import class_index
from dlcli.tasks.recurrent import NUM_SEQUENCES, RecurrentSamples
from dlcli.tasks.run_models import BestModel, load_sequence_model
from dlcli.tasks.sequences.evaluation import own_data
from dlcli.tasks.sequences.explanation import methods_of
from dlcli.tasks.sequences.output_explanation import AUTO, OutputTokens, explain_outputs
from dlcli.tasks.sequences.prediction import named_sentences
from dlcli.tasks.sequences.tagging import predict_words
from dlcli.tasks.sequences.token_check import NUM_CHECKED, TokensToCheck
from dlcli.tasks.sequences.tokens import encodable
from dlcli.tasks.split_choice import own_split
from dlcli.tasks.task import Explained, ExplanationRequest

NUM_OF_SPLIT = 4  # sentences of a split that are explained unless another number is given


def explain(run: RunDir, recipe: Tagging, request: ExplanationRequest, console: Console) -> Explained:
    """As :meth:`dlcli.tasks.task.Task.explain`: the predicted tag of each word, or a tag that is named."""
    best, classes = load_sequence_model(run, recipe, console), run.read_classes()
    if request.target == "label":
        raise InputError("--class label: explain the predicted tags, or name one.")
    tag = None if request.target == "predicted" else class_index(request.target, classes)
    methods = methods_of(request, AUTO)
    try:
        network = open_tokens(best.model, by_step=True)
    except NotExplainable as reason:
        raise InputError(f"{best.file}: {reason}") from None
    is_given = bool(request.paths or request.texts)
    of_split = None if is_given and not request.check else _of_split(run, recipe, request, console)
    names: Sequence[str]
    sentences: Sequence[tuple[str, ...]]
    if is_given:
        names, sentences = named_sentences(run, recipe, request.paths, request.texts)
        source, limit = ", ".join([*map(str, request.paths), *(["--text"] if request.texts else [])]), len(names)
    else:
        assert of_split is not None
        (source, names, sentences), limit = of_split, NUM_OF_SPLIT
    attention = attention_of(best.model)

    def samples(names: Sequence[str], sentences: Sequence[tuple[str, ...]], number: int) -> list[OutputTokens]:
        usable = [number for number, words in enumerate(sentences) if words]
        if not usable:
            raise InputError("nothing to explain: the inputs contain no words.")
        index = [usable[int(i)] for i in evenly_spaced(len(usable), number)]
        chosen = [sentences[i][: recipe.text.max_length] for i in index]
        known = None if tag is None else [np.full(len(words), tag) for words in chosen]
        tags = _predicted(best, recipe, chosen, console) if known is None else known
        return [
            _sample(network, attention, names[i], words, classes, of_words)
            for i, words, of_words in zip(index, chosen, tags, strict=True)
        ]

    explained = samples(names, sentences, request.limit or limit)
    count = f"{len(explained):,} of {len(sentences):,} sentences"
    console.say(f"run {run.path}: explaining {count} by {', '.join(methods)}")
    to_check = None
    if request.check:
        assert of_split is not None
        checked = samples(of_split[1], of_split[2], request.limit or NUM_CHECKED)
        to_check = TokensToCheck(checked, network.randomized, "sentences", of_split[0], len(of_split[2]))
    return explain_outputs(
        run,
        best,
        network.scores,
        explained,
        methods,
        request,
        source=source,
        unit="words",
        to_check=to_check,
        console=console,
    )


def _of_split(
    run: RunDir, recipe: Tagging, request: ExplanationRequest, console: Console
) -> tuple[str, Sequence[str], Sequence[tuple[str, ...]]]:
    """The name of a split, and the names and the words of its sentences."""
    dataset = own_data(run, recipe, console=console)
    assert dataset is not None
    name = own_split(run, dataset.splits, request.split)
    samples = dataset.splits[name]
    assert samples.words is not None
    return name, samples.names, samples.words


def recurrent_samples(run: RunDir, recipe: Tagging, request: ExplanationRequest, console: Console) -> RecurrentSamples:
    """As :meth:`dlcli.tasks.task.Task.recurrent_samples`: sentences, of which the tag of the last word counts."""
    best = load_sequence_model(run, recipe, console)
    dataset = own_data(run, recipe, console=console)
    assert dataset is not None
    sentences = dataset.splits[own_split(run, dataset.splits, request.split)].words
    assert sentences is not None
    usable = [words[: recipe.text.max_length] for words in sentences if words]
    index = evenly_spaced(len(usable), request.limit or NUM_SEQUENCES)
    without_end = keras.layers.Cropping1D((0, 1), name="words_alone")  # after the last word is a step of padding
    part = keras.Model(best.model.input, without_end(best.model.get_layer("logits").output))
    return RecurrentSamples(best, [_raw(usable[int(i)]) for i in index], is_class=True, part=part)


def _raw(words: Sequence[str]) -> tf.Tensor:
    """A sentence as the network takes it, ``[1, words]``."""
    return tf.constant([[encodable(word) for word in words]])


def _predicted(
    best: BestModel, recipe: Tagging, sentences: Sequence[tuple[str, ...]], console: Console
) -> list[NDArray[np.int32]]:
    """The predicted tags of each sentence."""
    lengths = [len(words) for words in sentences]
    tags = np.empty(sum(lengths), np.int32)
    for part in predict_words(best.model, sentences, batch_size=recipe.train.batch_size, console=console):
        tags[part.index] = part.logits.argmax(axis=1) if part.tags is None else part.tags
    return np.split(tags, np.cumsum(lengths)[:-1])


def _sample(
    network: TokenNetwork,
    attention: Callable[[Any], Weights] | None,
    name: str,
    words: tuple[str, ...],
    classes: tuple[str, ...],
    tags: NDArray[np.int32],
) -> OutputTokens:
    """A sentence with the tags that are explained; what is hidden in checks are the other words."""
    weights = None if attention is None else read_by_steps(attention(_raw(words)), len(words))

    def vectors() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        points = network.embedded(_raw(words))[0, : len(words)].numpy()
        return points, np.tile(network.unknown(UNKNOWN), (len(words), 1))

    positions = np.arange(len(words))
    distances = np.abs(positions[:, None] - positions)
    return OutputTokens(
        name=name,
        inputs=words,
        outputs=[f"{word}/{classes[number]}" for word, number in zip(words, tags, strict=True)],
        choices=np.stack([positions, tags], axis=1).astype(np.int32),
        vectors=vectors,
        orders={"near": -distances.astype(np.float64)},
        is_free=distances > 0,
        attention=weights,
    )
