"""Explains language models: which earlier tokens a next token is due to."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcli.data.splits import evenly_spaced
from dlcli.data.text.corpus import Passage
from dlcli.data.text.vocabulary import END, FIRST, UNKNOWN
from dlcli.errors import InputError
from dlcli.explanation.sequences.attention import Weights, attention_of, read_by_steps
from dlcli.explanation.sequences.tokens import TokenNetwork, open_tokens
from dlcli.recipe.load import load
from dlcli.recipe.tasks.language_model import LanguageModel
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.checks import check_same_data
from dlcli.tasks.language_model.generator import Generator, generator_of
from dlcli.tasks.language_model.sources import open_texts
from dlcli.tasks.recurrent import NUM_SEQUENCES, RecurrentSamples, alone
from dlcli.tasks.run_models import load_model
from dlcli.tasks.sequences.explanation import methods_of
from dlcli.tasks.sequences.output_explanation import AUTO, OutputTokens, explain_outputs
from dlcli.tasks.sequences.token_check import NUM_CHECKED, TokensToCheck
from dlcli.tasks.split_choice import own_split
from dlcli.tasks.task import Explained, ExplanationRequest

NUM_OF_SPLIT = 4  # texts of a split that are explained unless another number is given
CONTEXT = 48  # tokens of a long text
LONG_CONTEXT = 101  # the same, for gradients that reach 100 steps back
MOST_OUTPUTS = 12  # next tokens that are explained of a text: the last ones


def explain(run: RunDir, recipe: LanguageModel, request: ExplanationRequest, console: Console) -> Explained:
    """As :meth:`dlcli.tasks.task.Task.explain`: the tokens after the last 12 positions of a text.

    Explained is the most probable next token, the one that the text has (``--class label``), or a token that is named.
    """
    if request.paths:
        raise InputError(f"{request.paths[0]}: a language model is explained by --text, or by texts of a split.")
    best = load_model(run, console)
    generator = generator_of(run, recipe, best.model)
    methods = methods_of(request, AUTO)
    token = _named(request.target, generator)
    network = open_tokens(best.model, by_step=True)
    if request.texts:
        if generator.classes:
            raise InputError(f"--text: the texts of {run.path} have classes, which --text does not name. Use --split.")
        names = [f"--text {number}" for number in range(1, len(request.texts) + 1)]
        ids, source, num_texts = [generator.encode(text) for text in request.texts], "--text", len(request.texts)
        if not generator.has_ends:  # of a long text the end, as of a split
            ids = [some[-CONTEXT:] for some in ids]
    else:
        source, names, ids, num_texts = _of_split(
            run, recipe, request, generator, number=request.limit or NUM_OF_SPLIT, context=CONTEXT
        )
    console.say(f"run {run.path}: explaining {len(names):,} of {num_texts:,} texts by {', '.join(methods)}")
    attention = attention_of(generator.network())

    def samples(names: Sequence[str], texts: Sequence[list[int]]) -> list[OutputTokens]:
        return [
            _sample(network, attention, generator, name, np.array(some, np.int32), request.target, token)
            for name, some in zip(names, texts, strict=True)
            if some
        ]

    to_check = None
    if request.check:
        name, of_split, texts, total = _of_split(
            run, recipe, request, generator, number=request.limit or NUM_CHECKED, context=CONTEXT
        )
        to_check = TokensToCheck(samples(of_split, texts), network.randomized, "texts", name, total)
    return explain_outputs(
        run,
        best,
        network.scores,
        samples(names, ids),
        methods,
        request,
        source=source,
        unit=recipe.text.unit,
        to_check=to_check,
        console=console,
    )


def _named(target: str, generator: Generator) -> int | None:
    """The number of the token that is named; None for those that differ by position.

    Raises:
        InputError: it is not in the vocabulary.
    """
    if target in ("predicted", "label"):
        return None
    if target not in generator.tokens:
        raise InputError(f"--class {target}: not a token of the vocabulary. Name one of its tokens, or predicted.")
    return FIRST + generator.tokens.index(target)


def recurrent_samples(
    run: RunDir, recipe: LanguageModel, request: ExplanationRequest, console: Console
) -> RecurrentSamples:
    """As :meth:`dlcli.tasks.task.Task.recurrent_samples`: texts, or passages of one, of which the next token counts."""
    best = load_model(run, console)
    generator = generator_of(run, recipe, best.model)
    number = request.limit or NUM_SEQUENCES
    _, _, ids, _ = _of_split(run, recipe, request, generator, number=number, context=LONG_CONTEXT)
    texts = [np.array([some], np.int32) for some in ids if some]
    return RecurrentSamples(best, texts, is_class=True, part=alone(generator.network()))


def _of_split(
    run: RunDir,
    recipe: LanguageModel,
    request: ExplanationRequest,
    generator: Generator,
    *,
    number: int,
    context: int,
) -> tuple[str, list[str], list[list[int]], int]:
    """The name of a split; the names and token ids of some of its texts, or of passages of one; how many it has.

    Args:
        number: of texts or passages.
        context: number of tokens of a passage.
    """
    dataset = open_texts(load(run.config), recipe.data)
    check_same_data(run, dataset)
    name = own_split(run, dataset.splits, request.split)
    samples = dataset.splits[name]
    if isinstance(samples, Passage):
        ids = generator.encode(samples.text)
        starts = evenly_spaced(max(1, len(ids) - context), number)
        names = [f"{samples.place}, token {start + 1}" for start in starts]
        return name, names, [ids[start : start + context] for start in starts], max(1, len(ids) - context)
    assert samples.texts is not None
    index = evenly_spaced(len(samples), number)
    labels = [generator.classes[samples.labels[i]] if generator.classes else None for i in index]
    texts = [generator.encode(samples.texts[i], label) for i, label in zip(index, labels, strict=True)]
    return name, [samples.names[i] for i in index], texts, len(samples)


def _sample(
    network: TokenNetwork,
    attention: Callable[[Any], Weights] | None,
    generator: Generator,
    name: str,
    ids: NDArray[np.int32],
    target: str,
    token: int | None,
) -> OutputTokens:
    """A text with the next tokens that are explained; what is hidden in checks are the tokens so far."""
    positions = np.arange(len(ids))[-MOST_OUTPUTS:]
    if token is not None:
        tokens = np.full(len(positions), token)
    elif target == "label":
        following = np.append(ids[1:], END)
        if not generator.has_ends:  # what follows the last token is not known
            positions = positions[:-1]
        tokens = following[positions]
    else:
        logits = network.scores.values(network.vectors(ids)[None])[0, positions]
        logits[:, UNKNOWN] = -np.inf
        tokens = logits.argmax(axis=1)
    weights = None if attention is None else read_by_steps(attention(ids[None]), len(ids))
    inputs = _spelled(generator, ids.tolist())
    outputs = [
        f"{inputs[at]} → {_spelled(generator, [int(number)])[0]}" for at, number in zip(positions, tokens, strict=True)
    ]
    return OutputTokens(
        name=name,
        inputs=inputs,
        outputs=outputs,
        choices=np.stack([positions, tokens], axis=1).astype(np.int32),
        vectors=lambda: (network.vectors(ids), network.vectors(np.full_like(ids, UNKNOWN))),
        orders={"recent": np.tile(np.arange(len(ids), dtype=np.float64), (len(positions), 1))},
        is_free=np.arange(len(ids)) <= positions[:, None],
        attention=None if weights is None else weights[positions],
    )


def _spelled(generator: Generator, ids: Sequence[int]) -> list[str]:
    """Token ids as text: the unknown and the end token in words, and start tokens by their classes."""
    num_tokens = FIRST + len(generator.tokens)

    def text(number: int) -> str:
        if number == END:
            return "[end]"
        if number == UNKNOWN:
            return "[UNK]"
        if number >= num_tokens:
            return f"[{generator.classes[number - num_tokens]}]" if generator.classes else "[start]"
        return generator.tokens[number - FIRST]

    return [text(number) for number in ids]
