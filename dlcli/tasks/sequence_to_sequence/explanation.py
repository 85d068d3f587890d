"""Explains encoder-decoders: which source tokens each generated token is due to, beside the attention weights."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.data.splits import evenly_spaced
from dlcli.data.text.vocabulary import END, PADDING, UNKNOWN
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
from dlcli.tasks.sequences.tokens import encodable
from dlcli.tasks.split_choice import own_split
from dlcli.tasks.task import Explained, ExplanationRequest

NUM_OF_SPLIT = 4  # texts of a split that are explained unless another number is given


def explain(run: RunDir, recipe: SequenceToSequence, request: ExplanationRequest, console: Console) -> Explained:
    """As :meth:`dlcli.tasks.task.Task.explain`: each token that greedy decoding generates, by the source tokens."""
    best = load_model(run, console)
    decoder = text_decoder_of(run, recipe, best.model)
    methods = methods_of(request, AUTO)
    if request.paths or request.texts:
        names, texts = named_sources(recipe, request.paths, request.texts)
        source, limit = ", ".join([*map(str, request.paths), *(["--text"] if request.texts else [])]), len(names)
    else:
        dataset = open_pairs(load(run.config), recipe.data)
        check_same_data(run, dataset)
        source, limit = own_split(run, dataset.splits, request.split), NUM_OF_SPLIT
        samples = dataset.splits[source]
        assert samples.texts is not None
        names, texts = list(samples.names), list(samples.texts)
    index = evenly_spaced(len(texts), request.limit or limit)
    console.say(f"run {run.path}: explaining {len(index):,} of {len(texts):,} texts by {', '.join(methods)}")
    chosen = [texts[i] for i in index]
    hypotheses = decoder.decode(chosen, beam=1, batch_size=recipe.train.batch_size, console=console)
    before = tf.Variable([[decoder.decoder.cell.num_tokens]], shape=[1, None], dtype=tf.int32, trainable=False)
    scores = _scores(decoder, before)
    explained = [
        _sample(decoder, before, names[i], text, hypothesis)
        for i, text, hypothesis in zip(index, chosen, hypotheses, strict=True)
    ]
    return explain_outputs(
        best,
        scores,
        explained,
        methods,
        request,
        source=source,
        unit=recipe.text.unit,
        console=console,
    )


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
    table: NDArray[np.float32] = decoder.model.get_layer("embedding").embeddings.numpy()
    generated = [*hypothesis.ids, END][: decoder.recipe.text.max_length]
    outputs = [decoder.text_of([token]) if token != END else "[end]" for token in generated]
    return OutputTokens(
        name=name,
        inputs=decoder.source_tokens(text),
        outputs=outputs,
        choices=np.stack([np.arange(len(generated)), generated], axis=1).astype(np.int32),
        points=table[ids],
        starts=table[np.full_like(ids, UNKNOWN)],
        prepare=_feeding(before, [decoder.decoder.cell.num_tokens, *generated[:-1]]),
        attention=None if hypothesis.attention is None else hypothesis.attention[: len(generated)].astype(np.float64),
    )


def _feeding(before: tf.Variable, tokens: list[int]) -> Callable[[], None]:
    """Feeds the decoder the tokens before those that are explained."""

    def feed() -> None:
        before.assign([tokens])

    return feed
