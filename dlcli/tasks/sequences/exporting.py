"""What is exported of a run on texts, sentences or series.

A SavedModel reads text; ONNX and LiteRT models read token ids, whose vocabulary is a file beside the model.
"""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np

from dlcli.data.sequences.dataset import Sequences
from dlcli.errors import InputError
from dlcli.exporting.comparison import Arrays, Comparison, compare_outputs, compare_sequences
from dlcli.exporting.exportable import ClientLines, Exportable, Runtime, single_samples, spread
from dlcli.printing import json_text
from dlcli.recipe.load import NumberRecipe, SequenceRecipe
from dlcli.recipe.tasks.sequence_regression import SequenceRegression
from dlcli.recipe.tasks.tagging import Tagging
from dlcli.recipe.tasks.text_multilabel import TextMultilabel
from dlcli.recipe.tasks.text_regression import TextRegression
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.evaluation_files import Destination
from dlcli.tasks.exported_model import LABELS, SHOW_CLASSES, SHOW_LABELS, SMALLEST, exported_outputs, with_logits
from dlcli.tasks.run_models import load_sequence_model
from dlcli.tasks.sequences.evaluation import calibration_of, evaluate_split, evaluation_info, samples_to_export
from dlcli.tasks.sequences.exported_text import TextInput, model_of, text_client, text_input
from dlcli.tasks.sequences.outputs import raw_batch
from dlcli.tasks.several_labels import read_thresholds, usable_thresholds
from dlcli.tasks.task import ExportRequest

NUM_REPRESENTATIVE = 200  # samples of the training split by which int8 ranges are chosen
TAGS_MEANING = "the most probable sequence of tags, as positions in labels.json; -1 after a sentence's end"


def exportable(run: RunDir, recipe: SequenceRecipe, request: ExportRequest, console: Console) -> Exportable:
    """As :meth:`dlcli.tasks.task.Task.exportable`."""
    best = load_sequence_model(run, recipe, console)
    name, samples, train = samples_to_export(run, recipe, request.data, console)
    is_number, is_tagged = isinstance(recipe, NumberRecipe), isinstance(recipe, Tagging)
    output = "value" if is_number else "probabilities"
    tensors = {output: best.model.get_layer("probabilities").output if is_tagged else best.model.output}
    if isinstance(recipe, Tagging) and recipe.model.crf:
        tensors["tags"] = best.model.get_layer("crf").output[-1]
    text = None if samples.values is not None else text_input(best.model, request.format, is_tagged=is_tagged)
    inputs = best.model.inputs[0] if text is None else text.tensor
    model = keras.Model(inputs, tensors) if text is None else model_of(text, tensors)
    name_of_input = model.inputs[0].name
    classes = () if is_number else run.read_classes()

    def arrays(source: Sequences, number: int) -> list[Arrays]:
        return [{name_of_input: _input(source, int(i), text)} for i in spread(len(source), number)]

    def evaluate(runtime: Runtime, folder: Path) -> dict[str, Any]:
        return evaluate_split(
            Destination(folder),
            best.model if is_tagged else stand_in(runtime),
            samples,
            info=evaluation_info(run, recipe),
            recipe=recipe,
            train=train,
            calibration=calibration_of(run, recipe, best, console),
            exported_tagger=functools.partial(_tag, runtime, text, name_of_input) if text and is_tagged else None,
            console=console,
        )

    def stand_in(runtime: Runtime) -> keras.Model:
        found = exported_outputs(model, runtime, [inputs])[output]
        kind: Literal["softmax", "sigmoid"] = "sigmoid" if isinstance(recipe, TextMultilabel) else "softmax"
        final = keras.layers.Identity(name="value")(found) if is_number else with_logits(found, kind=kind)
        return keras.Model(best.model.inputs[0], final)

    thresholds = None
    if isinstance(recipe, TextMultilabel):
        thresholds = usable_thresholds(read_thresholds(run, classes), len(classes), console).tolist()
    meaning = "numbers, steps by features; NaN is missing, and padding after the end" if text is None else text.meaning
    return Exportable(
        model=model,
        digest=best.digest,
        epoch=best.epoch,
        num_bytes=best.file.stat().st_size,
        inputs={name_of_input: meaning},
        outputs={output: _meaning(recipe)} | ({"tags": TAGS_MEANING} if "tags" in tensors else {}),
        split=name,
        batches=arrays(samples, request.num_samples),
        representative=lambda: single_samples(arrays(_required(train, request), NUM_REPRESENTATIVE)),
        compare=_compare(recipe, output),
        evaluate=evaluate,
        client=_client(recipe, name_of_input, text),
        info=({} if text is None else {"text": text.facts})
        | ({} if thresholds is None else {"thresholds": thresholds}),
        files={
            **({} if is_number else {"labels.json": json_text({"classes": list(classes)}) + "\n"}),
            **({} if text is None else text.files),
        },
    )


def _compare(recipe: SequenceRecipe, output: str) -> Callable[[Sequence[Arrays], Sequence[Arrays]], Comparison]:
    match recipe:
        case SequenceRegression() | TextRegression():
            return compare_outputs
        case TextMultilabel():
            return lambda ours, theirs: compare_outputs(ours, theirs, decided=output, decision="labels", noun="labels")
        case Tagging():
            return (
                compare_sequences
                if recipe.model.crf
                else functools.partial(compare_outputs, decided=output, noun="tags")
            )
        case _:
            return lambda ours, theirs: compare_outputs(ours, theirs, decided=output, noun="top class")


def _tag(runtime: Runtime, text: TextInput, name: str, words: np.ndarray) -> list[np.ndarray]:
    """What an exported tagger outputs for words, as :data:`dlcli.tasks.sequences.tagging.WordNetwork`."""
    outputs = runtime({name: text.front(words)})
    probabilities = outputs["probabilities"]
    found = [np.log(np.maximum(probabilities, SMALLEST)), probabilities]
    return [*found, outputs["tags"]] if "tags" in outputs else found


def _required(train: Sequences | None, request: ExportRequest) -> Sequences:
    if train is None:
        raise InputError(f"--quantize {request.quantization}: needs the training split of the run's own data.")
    return train


def _input(samples: Sequences, position: int, text: TextInput | None) -> np.ndarray:
    """A sample as the exported model takes it, as a batch of one."""
    if text is None:
        return np.asarray(raw_batch(samples, np.array([position])))
    return text.read(samples, position)


def _meaning(recipe: SequenceRecipe) -> str:
    match recipe:
        case SequenceRegression():
            return "the number of each series, in its own unit"
        case TextRegression():
            return "the number of each text, in its own unit"
        case TextMultilabel():
            return "of each label by itself, in the order of labels.json"
        case Tagging():
            return "of the tags of each word, in the order of labels.json; the last steps may be padding"
        case _:
            return "of the classes, in the order of labels.json"


def _client(recipe: SequenceRecipe, name: str, text: TextInput | None) -> ClientLines:
    show: Sequence[str]
    match recipe:
        case SequenceRegression() | TextRegression():
            show = ['print(float(outputs["value"][0]))']
        case Tagging():
            found = 'outputs["tags"][0]' if recipe.model.crf else 'outputs["probabilities"][0].argmax(axis=-1)'
            show = [
                LABELS,
                f"tags = {found}",
                "print(*(f'{word}/{labels[tag]}' for word, tag in zip(words, tags)))",
            ]
        case TextMultilabel():
            show = SHOW_LABELS
        case _:
            show = SHOW_CLASSES
    if text is not None:
        return text_client(text, name, show)
    return ClientLines(
        "Runs the model on a series, a row for each step: python client.py SERIES.npy",
        ["import json"] if not isinstance(recipe, SequenceRegression) else [],
        [f"inputs = {{{name!r}: np.load(sys.argv[1]).astype(np.float32)[None]}}"],
        show,
    )
