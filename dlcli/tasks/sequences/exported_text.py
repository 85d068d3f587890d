"""The input of exported models of texts: text itself, or token ids with their vocabulary beside the model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlcli.data.sequences.dataset import Sequences
from dlcli.errors import InputError
from dlcli.exporting.exportable import ClientLines
from dlcli.exporting.formats import Format
from dlcli.printing import json_text
from dlcli.tasks.sequences.tokens import encodable

VOCABULARY = "tokens.json"


@dataclass(frozen=True)
class TextInput:
    """How an exported model takes text.

    Attributes:
        tensor: of the run's model, which is the input of the exported model.
        meaning: in words.
        front: texts ``[b]``, or words ``[b, steps]``, as the exported model takes them.
        prepare: the lines of an example client that set ``ids`` or ``text`` from ``sys.argv``.
        facts: for export.json.
        files: the vocabulary, where it is beside the model.
    """

    tensor: Any
    meaning: str
    front: Callable[[np.ndarray], np.ndarray]
    prepare: Sequence[str]
    facts: Mapping[str, Any]
    files: Mapping[str, str]

    def read(self, samples: Sequences, position: int) -> np.ndarray:
        """A sample as a batch of one."""
        return self.front(np.array(_text(samples, position), object))


def text_input(model: keras.Model, name: Format, *, is_tagged: bool) -> TextInput:
    """The input of an exported model of texts, or of sentences, which are words.

    Raises:
        InputError: the format cannot hold what the network reads of a text.
    """
    if name == "saved_model":
        return _raw(model, is_tagged=is_tagged)
    layers = {layer.name: layer for layer in model.layers}
    lookup = layers["words" if is_tagged else "tokens"]
    if "characters" in layers:
        raise InputError(
            f"--format {name}: the network reads the characters of words, which only a SavedModel can. Use --format "
            "saved_model."
        )
    if "alphabet" in layers:
        raise InputError(
            f"--format {name}: the network splits words into subwords, which only a SavedModel can. Use --format "
            "saved_model."
        )
    front = keras.Model(model.inputs[0], lookup.output)

    facts = {"vocabulary": VOCABULARY, "unit": "words of a sentence", "standardize": None}
    prepare = ["words = sys.argv[1].split()", *_ids("words")]
    if not is_tagged:
        config = lookup.get_config()
        facts = {"vocabulary": VOCABULARY, "unit": config["split"], "standardize": config["standardize"]}
        prepare = [*_standardizing(config["standardize"]), *_splitting(config["split"]), *_ids("tokens")]
    return TextInput(
        tensor=lookup.output,
        meaning=f"positions of the tokens in {VOCABULARY}; 0 is padding, 1 an unknown token",
        front=lambda texts: np.asarray(front(tf.constant(texts))),
        prepare=prepare,
        facts=facts,
        files={VOCABULARY: json_text(lookup.get_vocabulary()) + "\n"},
    )


def model_of(text: TextInput, outputs: Mapping[str, Any]) -> keras.Model:
    """The exported model: from the input of a run's model, or from token ids within it, to outputs by name."""
    model = keras.Model(text.tensor, dict(outputs))
    if not text.files:
        return model
    ids = keras.Input(
        text.tensor.shape[1:], dtype=text.tensor.dtype, name="token_ids"
    )  # Keras names its copy otherwise
    return keras.Model(ids, model(ids))


def _raw(model: keras.Model, *, is_tagged: bool) -> TextInput:
    return TextInput(
        tensor=model.inputs[0],
        meaning="words; empty after a sentence's end" if is_tagged else "text in UTF-8; the vocabulary is in the model",
        front=lambda texts: texts,
        prepare=["words = sys.argv[1].split()", "ids = words"] if is_tagged else ["ids = sys.argv[1]"],
        facts={"vocabulary": "in the model"},
        files={},
    )


def _text(samples: Sequences, position: int) -> list[Any]:
    """A text, or the words of a sentence, as a batch of one."""
    if samples.words is not None:
        return [[encodable(word) for word in samples.words[position]]]
    assert samples.texts is not None
    return [encodable(samples.texts[position])]


def _ids(tokens: str) -> list[str]:
    return [
        f'vocabulary = json.loads((here / "{VOCABULARY}").read_text(encoding="utf-8"))',
        "index = {token: i for i, token in enumerate(vocabulary)}",
        f"ids = [index.get(token, 1) for token in {tokens}]",
    ]


def _standardizing(standardize: Any) -> list[str]:
    """The lines that standardize ``text`` as Keras's TextVectorization does; only ASCII letters have a lowercase."""
    lines = ["text = sys.argv[1]"]
    if str(standardize).startswith("lower"):
        lines += ['text = "".join(c.lower() if c.isascii() else c for c in text)']
    if str(standardize).endswith("punctuation"):
        lines += ['text = text.translate(str.maketrans("", "", string.punctuation))']
    return lines


def _splitting(split: Any) -> list[str]:
    return ["tokens = list(text)"] if split == "character" else [r'tokens = re.findall(r"\S+", text, re.ASCII)']


def text_client(text: TextInput, name: str, show: Sequence[str]) -> ClientLines:
    """An example client for a text on the command line."""
    lines = "\n".join(text.prepare)
    kind = "np.int64" if text.files else "str"
    return ClientLines(
        "Runs the model on a text: python client.py TEXT",
        ["import json", *(f"import {module}" for module in ("re", "string") if f"{module}." in lines)],
        [*text.prepare, f"inputs = {{{name!r}: np.array([ids], {kind})}}"],
        show,
    )
