"""Explains encoder-decoders: which source tokens each generated token is due to, beside the attention weights."""

import functools
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.data.splits import evenly_spaced
from dlcli.data.text.vocabulary import END, PADDING, UNKNOWN
from dlcli.explanation.checks.randomization import Part, shuffled, variables_of
from dlcli.explanation.network import Tensor
from dlcli.explanation.sequences.scores import Scores
from dlcli.recipe.load import load
from dlcli.recipe.tasks.sequence_to_sequence import SequenceToSequence
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.checks import check_same_data
from dlcli.tasks.recurrent import NUM_SEQUENCES, RecurrentSamples, alone
from dlcli.tasks.run_models import load_model
from dlcli.tasks.sequence_to_sequence.decoding import Hypothesis, TextDecoder, text_decoder_of
from dlcli.tasks.sequence_to_sequence.prediction import named_sources
from dlcli.tasks.sequence_to_sequence.sources import open_pairs
from dlcli.tasks.sequences.explanation import methods_of
from dlcli.tasks.sequences.output_explanation import AUTO, OutputTokens, explain_outputs
from dlcli.tasks.sequences.token_check import NUM_CHECKED, TokensToCheck
from dlcli.tasks.sequences.tokens import encodable
from dlcli.tasks.split_choice import own_split
from dlcli.tasks.task import Explained, ExplanationRequest

NUM_OF_SPLIT = 4  # texts of a split that are explained unless another number is given


def explain(run: RunDir, recipe: SequenceToSequence, request: ExplanationRequest, console: Console) -> Explained:
    """As :meth:`dlcli.tasks.task.Task.explain`: each token that greedy decoding generates, by the source tokens."""
    best = load_model(run, console)
    decoder = text_decoder_of(run, recipe, best.model)
    methods = methods_of(request, AUTO)
    is_given = bool(request.paths or request.texts)
    of_split = None if is_given and not request.check else _of_split(run, recipe, request)
    names: Sequence[str]
    texts: Sequence[str]
    if is_given:
        names, texts = named_sources(recipe, request.paths, request.texts)
        source, limit = ", ".join([*map(str, request.paths), *(["--text"] if request.texts else [])]), len(names)
    else:
        assert of_split is not None
        (source, names, texts), limit = of_split, NUM_OF_SPLIT
    before = tf.Variable([[decoder.decoder.cell.num_tokens]], shape=[1, None], dtype=tf.int32, trainable=False)
    scores = _scores(decoder, before)

    def samples(names: Sequence[str], texts: Sequence[str], number: int) -> list[OutputTokens]:
        index = evenly_spaced(len(texts), number)
        chosen = [texts[i] for i in index]
        hypotheses = decoder.decode(chosen, beam=1, batch_size=recipe.train.batch_size, console=console)
        return [
            _sample(decoder, before, names[i], text, hypothesis)
            for i, text, hypothesis in zip(index, chosen, hypotheses, strict=True)
        ]

    explained = samples(names, texts, request.limit or limit)
    console.say(f"run {run.path}: explaining {len(explained):,} of {len(texts):,} texts by {', '.join(methods)}")
    to_check = None
    if request.check:
        assert of_split is not None
        checked = samples(of_split[1], of_split[2], request.limit or NUM_CHECKED)
        randomized = functools.partial(_randomized, decoder)
        to_check = TokensToCheck(checked, randomized, "texts", of_split[0], len(of_split[2]))
    return explain_outputs(
        run,
        best,
        scores,
        explained,
        methods,
        request,
        source=source,
        unit=recipe.text.unit,
        to_check=to_check,
        console=console,
    )


def _of_split(
    run: RunDir, recipe: SequenceToSequence, request: ExplanationRequest
) -> tuple[str, Sequence[str], Sequence[str]]:
    """The name of a split, and the names of its samples and their source texts."""
    dataset = open_pairs(load(run.config), recipe.data)
    check_same_data(run, dataset)
    name = own_split(run, dataset.splits, request.split)
    samples = dataset.splits[name]
    assert samples.texts is not None
    return name, samples.names, samples.texts


def _randomized(decoder: TextDecoder, part: Part, seed: int) -> AbstractContextManager[None]:
    """A context in which the layer of the logits (``head``), or ``all``, has weights in a random order."""
    layers = [decoder.decoder.cell.logits] if part == "head" else decoder.model.layers
    return shuffled(variables_of(layers, "all"), seed)


def recurrent_samples(
    run: RunDir, recipe: SequenceToSequence, request: ExplanationRequest, console: Console
) -> RecurrentSamples:
    """As :meth:`dlcli.tasks.task.Task.recurrent_samples`: source texts, of which the first generated token counts."""
    best = load_model(run, console)
    decoder = text_decoder_of(run, recipe, best.model)
    dataset = open_pairs(load(run.config), recipe.data)
    check_same_data(run, dataset)
    texts = dataset.splits[own_split(run, dataset.splits, request.split)].texts
    assert texts is not None
    index = evenly_spaced(len(texts), request.limit or NUM_SEQUENCES)
    first = {"before": np.array([[decoder.decoder.cell.num_tokens]], np.int32), "forced": np.ones((1, 1), np.float32)}
    sources = [{"given": _ids(decoder, texts[i])[None], **first} for i in index]
    return RecurrentSamples(best, sources, is_class=True, part=alone(decoder.network()))


def _ids(decoder: TextDecoder, text: str) -> NDArray[np.int32]:
    """The source token ids of a text."""
    row = np.asarray(decoder.front(tf.constant([encodable(text)])))[0]
    return np.asarray(row[row != PADDING], np.int32)


def _scores(decoder: TextDecoder, before: tf.Variable) -> Scores:
    """The scores of the generated tokens as a function of the embeddings of the source tokens.

    Args:
        before: the token before each generated one, which the decoder is fed.
    """
    embedding = decoder.model.get_layer("embedding")
    tokens, forced = keras.Input(shape=(None,), dtype="int32"), keras.Input(shape=(None,), dtype="float32")
    logits = decoder.decoder(*decoder.model.get_layer("answers").input, tokens, forced)
    network = keras.Model([embedding.input, embedding.output, tokens, forced], logits)

    def outputs(points: Tensor) -> Tensor:
        ids = tf.ones(tf.shape(points)[:2], embedding.input.dtype)  # they only say where padding is: nowhere
        fed = tf.repeat(before, tf.shape(points)[0], axis=0)
        return network([ids, points, fed, tf.ones(tf.shape(fed))], training=False)

    return Scores(outputs, embedding.output_dim, decoder.decoder.cell.num_tokens, is_class=True)


def _sample(decoder: TextDecoder, before: tf.Variable, name: str, text: str, hypothesis: Hypothesis) -> OutputTokens:
    """A source text with the tokens that are generated for it, the end token included."""
    ids = _ids(decoder, text)
    generated = [*hypothesis.ids, END][: decoder.recipe.text.max_length]
    outputs = [decoder.text_of([token]) if token != END else "[end]" for token in generated]
    way, way_of_outputs = ((np.arange(number) + 0.5) / number for number in (len(ids), len(generated)))

    def vectors() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        table: NDArray[np.float32] = decoder.model.get_layer("embedding").embeddings.numpy()
        return table[ids], table[np.full_like(ids, UNKNOWN)]

    return OutputTokens(
        name=name,
        inputs=decoder.source_tokens(text),
        outputs=outputs,
        choices=np.stack([np.arange(len(generated)), generated], axis=1).astype(np.int32),
        vectors=vectors,
        orders={"diagonal": -np.abs(way_of_outputs[:, None] - way)},
        prepare=_feeding(before, [decoder.decoder.cell.num_tokens, *generated[:-1]]),
        attention=None if hypothesis.attention is None else hypothesis.attention[: len(generated)].astype(np.float64),
    )


def _feeding(before: tf.Variable, tokens: list[int]) -> Callable[[], None]:
    """Feeds the decoder the tokens before those that are explained."""

    def feed() -> None:
        before.assign([tokens])

    return feed
