"""What is exported of a run of a language model: one step, from a token and the states to the next token's logits.

A network that is not recurrent has no state: it takes the last tokens, and gives the logits of the next one.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from dlcli.data.text.corpus import Passage
from dlcli.errors import InputError
from dlcli.exporting.comparison import Arrays, compare_outputs
from dlcli.exporting.exportable import ClientLines, Exportable, Runtime, keras_runtime, single_samples
from dlcli.models.sequences.recurrent import Carried
from dlcli.printing import json_text
from dlcli.recipe.load import load
from dlcli.recipe.tasks.language_model import LanguageModel, LanguageRecurrent
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.checks import check_same_data
from dlcli.tasks.evaluation_files import Destination
from dlcli.tasks.language_model.evaluation import evaluate_texts
from dlcli.tasks.language_model.exported_steps import ExportedSteps
from dlcli.tasks.language_model.generator import Generator, generator_of
from dlcli.tasks.language_model.sources import Texts, open_texts
from dlcli.tasks.run_models import load_model
from dlcli.tasks.split_choice import own_split
from dlcli.tasks.task import ExportRequest

TOKENS = "tokens.json"
PURPOSE = "Continues a text by its most probable token: python client.py TEXT"


def exportable(run: RunDir, recipe: LanguageModel, request: ExportRequest, console: Console) -> Exportable:
    """As :meth:`dlcli.tasks.task.Task.exportable`."""
    if request.data is not None:
        raise InputError("--data: a language model is checked on the run's own data. Remove the option.")
    if recipe.text.unit == "subwords":
        raise InputError(
            f"{run.path}: language models of subwords cannot be exported; those of words or characters can."
        )
    best = load_model(run, console)
    generator = generator_of(run, recipe, best.model)
    dataset = open_texts(load(run.config), recipe.data)
    check_same_data(run, dataset)
    name = own_split(run, dataset.splits, None)
    is_recurrent = isinstance(recipe.model, LanguageRecurrent)
    model = one_step(generator) if is_recurrent else next_token(generator)
    batches = list(steps(generator, model, ids_of(generator, dataset, name, request.num_samples)))
    train = ids_of(generator, dataset, "train", request.num_samples)
    first = 2 + len(generator.tokens)
    vocabulary = ["", "[UNK]", *generator.tokens, *([f"[START {name}]".strip() for name in generator.classes or ("",)])]

    def evaluate(runtime: Runtime, folder: Path) -> dict[str, Any]:
        steps_of = ExportedSteps(runtime, model, most=recipe.text.max_length)
        return evaluate_texts(
            Destination(folder), generator, dataset, name, train=dataset, exported=steps_of, console=console
        )

    states = {key: "the state before the step: zeros at first" for key in _names(model.inputs) if key != "ids"}
    return Exportable(
        model=model,
        digest=best.digest,
        epoch=best.epoch,
        num_bytes=best.file.stat().st_size,
        inputs={
            "ids": f"{'the token' if is_recurrent else 'the last tokens'}, as positions in {TOKENS}; a line starts "
            f"with a start token, of which the first has position {first}",
            **states,
        },
        outputs={
            "logits": "of the next token; 0 ends a line, 1 is an unknown token",
            **{f"{key}_next": "the state after the step, an input of the next one" for key in states},
        },
        split=name,
        batches=batches,
        representative=lambda: single_samples(list(steps(generator, model, train))),
        compare=lambda ours, theirs: compare_outputs(ours, theirs, decided=None),
        evaluate=evaluate,
        client=_client(recipe, is_recurrent=is_recurrent),
        info={"unit": recipe.text.unit, "standardize": recipe.text.final_standardize},
        files={TOKENS: json_text(vocabulary) + "\n"},
    )


def _names(tensors: Any) -> list[str]:
    return [tensor.name for tensor in tensors]


def one_step(generator: Generator) -> keras.Model:
    """The recurrent network for one token: ``{ids [b, 1], states [b, units]}`` -> ``{logits [b, tokens], states}``."""
    network = generator.stateful_network(1)
    carried = [layer for layer in network.layers if isinstance(layer, Carried)]
    sizes = {
        f"{layer.layer.name}_state{number}": int(state.shape[1])
        for layer in carried
        for number, state in enumerate(layer.states, start=1)
    }
    ids = keras.Input((1,), dtype="int32", name="ids")
    packed = keras.Input((sum(sizes.values()),), dtype="float32", name="states")
    ends = np.cumsum(list(sizes.values())).tolist()
    states = {name: packed[:, end - size : end] for (name, size), end in zip(sizes.items(), ends, strict=True)}
    outputs = {}

    def call(layer: Any, *args: Any, **keys: Any) -> Any:
        if not isinstance(layer, Carried):
            return layer(*args, **keys)
        inner = layer.layer
        inner.unroll = True  # one step needs no loop, which LiteRT lacks for batches of any size
        own = [name for name in sizes if name.startswith(f"{inner.name}_state")]
        y, *after = inner(args[0], initial_state=[states[name] for name in own])
        outputs.update({f"{name}_next": state for name, state in zip(own, after, strict=True)})
        return y

    # the states take the place of the input that says where a text starts, so that all outputs depend on the inputs
    inputs = {"ids": ids, "is_first": packed}
    copy = keras.models.clone_model(network, inputs, clone_function=lambda layer: layer, call_function=call)
    inner = keras.Model(copy.inputs, {"logits": copy.output[:, -1], **outputs})
    given = {name: keras.Input((size,), dtype="float32", name=name) for name, size in sizes.items()}
    token = keras.Input((1,), dtype="int32", name="ids")
    joint = keras.ops.concatenate(list(given.values()), axis=1) if len(given) > 1 else next(iter(given.values()))
    by_name = {"ids": token, "states": joint}
    found = inner([by_name[tensor.name] for tensor in inner.inputs])
    return keras.Model({"ids": token, **given}, found)


def next_token(generator: Generator) -> keras.Model:
    """The network for the last tokens: ``ids [b, steps]`` -> ``logits [b, tokens]``."""
    network = generator.network()
    ids = keras.Input((None,), dtype="int32", name="ids")
    return keras.Model(ids, {"logits": network(ids)[:, -1]})


def ids_of(generator: Generator, dataset: Texts, split: str, number: int) -> list[int]:
    """The ids of the first tokens of a split, one text after the other."""
    samples = dataset.splits[split]
    if isinstance(samples, Passage):
        return generator.encode(samples.text[: 100 * number])[:number]
    assert samples.texts is not None
    ids: list[int] = []
    for text, label in zip(samples.texts, samples.labels, strict=True):
        if len(ids) >= number:
            break
        ids += generator.encode(text, generator.classes[label] if generator.classes else None)
    return ids[:number]


def steps(generator: Generator, model: keras.Model, ids: list[int]) -> Iterator[Arrays]:
    """The inputs of each step through a text, with the states that the Keras model is in."""
    names = _names(model.inputs)
    if names == ["ids"]:
        width = min(generator.recipe.text.max_length, len(ids))
        for end in range(width, len(ids) + 1):
            yield {"ids": np.array([ids[end - width : end]], np.int32)}
        return
    run = keras_runtime(model)
    states = {x.name: np.zeros((1, x.shape[1]), np.float32) for x in model.inputs if x.name != "ids"}
    for id_ in ids:
        inputs = {"ids": np.array([[id_]], np.int32), **states}
        yield inputs
        after = run(inputs)
        states = {name: after[f"{name}_next"] for name in states}


def _client(recipe: LanguageModel, *, is_recurrent: bool) -> ClientLines:
    tokens = "text.split()" if recipe.text.unit == "words" else "text"
    joint = '" "' if recipe.text.unit == "words" else '""'
    prepare = [
        f'tokens = json.loads((here / "{TOKENS}").read_text(encoding="utf-8"))',
        "text = sys.argv[1]",
        f"ids = [tokens.index(token) if token in tokens else 1 for token in {tokens}]",
    ]
    show = [f'print({joint}.join([text, tokens[outputs["logits"][0, 2:].argmax() + 2]]))']  # 0 and 1 are no tokens
    if not is_recurrent:
        return ClientLines(PURPOSE, ["import json"], [*prepare, "inputs = {'ids': np.array([ids], np.int32)}"], show)
    prepare += [
        'described = json.loads((here / "export.json").read_text(encoding="utf-8"))["inputs"]',
        'inputs = {x["name"]: np.zeros((1, x["shape"][1]), np.float32) for x in described}',
        "inputs['ids'] = np.array([ids[:1]], np.int32)",
    ]
    following = [
        "for i in ids[1:]:",
        "    states = {name: outputs[f'{name}_next'] for name in inputs if name != 'ids'}",
        "    outputs = run({'ids': np.array([[i]], np.int32), **states})",
    ]
    return ClientLines(PURPOSE, ["import json"], prepare, [*following, *show])
