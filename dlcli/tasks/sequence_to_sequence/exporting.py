"""What is exported of an encoder-decoder: from a text to the tokens of its target text, by greedy decoding.

A SavedModel reads text and outputs tokens as text. ONNX and LiteRT models read and output token ids, whose vocabularies
are files beside the model.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dlcli.data.text.vocabulary import FIRST, UNKNOWN
from dlcli.errors import InputError
from dlcli.exporting.comparison import Arrays, compare_equal
from dlcli.exporting.exportable import Exportable, Runtime, single_samples, spread
from dlcli.printing import json_text
from dlcli.recipe.load import load
from dlcli.recipe.tasks.sequence_to_sequence import SequenceToSequence
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.checks import check_same_data
from dlcli.tasks.evaluation_files import Destination
from dlcli.tasks.run_models import load_model
from dlcli.tasks.sequence_to_sequence.decoding import text_decoder_of
from dlcli.tasks.sequence_to_sequence.evaluation import evaluate_pairs
from dlcli.tasks.sequence_to_sequence.sources import open_pairs
from dlcli.tasks.sequences.exported_text import model_of, text_client, text_input
from dlcli.tasks.split_choice import own_split
from dlcli.tasks.task import ExportRequest

TARGETS = "target_tokens.json"


def exportable(run: RunDir, recipe: SequenceToSequence, request: ExportRequest, console: Console) -> Exportable:
    """As :meth:`dlcli.tasks.task.Task.exportable`."""
    if request.data is not None:
        raise InputError("--data: an encoder-decoder is checked on the run's own data. Remove the option.")
    best = load_model(run, console)
    decoder = text_decoder_of(run, recipe, best.model)
    dataset = open_pairs(load(run.config), recipe.data)
    check_same_data(run, dataset)
    name = own_split(run, dataset.splits, None)
    text = text_input(best.model, request.format, is_tagged=False)
    has_ids = bool(text.files)
    output = "target_ids" if has_ids else "tokens"
    tensor = best.model.get_layer("answers").output if has_ids else best.model.output
    model = model_of(text, {output: tensor})
    key = model.inputs[0].name

    def arrays(split: str) -> list[Arrays]:
        samples = dataset.splits[split]
        return [{key: text.read(samples, int(i))} for i in spread(len(samples), request.num_samples)]

    def evaluate(runtime: Runtime, folder: Path) -> dict[str, Any]:
        samples = dataset.splits[name]
        id_of = {token: FIRST + i for i, token in enumerate(decoder.target)}
        decoded = [_ids_of(runtime({key: text.read(samples, i)}), id_of) for i in range(len(samples))]
        return evaluate_pairs(Destination(folder), decoder, samples, beam=1, decoded=decoded, console=console)

    files: dict[str, str] = dict(text.files)
    joint = "" if recipe.text.unit == "characters" else " "
    show = [f'print({joint!r}.join(token.decode() for token in outputs["tokens"][0] if token))']
    if has_ids:
        spelled = best.model.get_layer("spelled").get_vocabulary()
        files[TARGETS] = json_text(spelled) + "\n"
        show = [
            f'targets = json.loads((here / "{TARGETS}").read_text(encoding="utf-8"))',
            f'print({joint!r}.join(targets[i] for i in outputs["target_ids"][0] if i))',
        ]
    return Exportable(
        model=model,
        digest=best.digest,
        epoch=best.epoch,
        num_bytes=best.file.stat().st_size,
        inputs={key: text.meaning},
        outputs={
            output: f"of the target text, as positions in {TARGETS}; 0 from its end on"
            if has_ids
            else "of the target text; empty from its end on"
        },
        split=name,
        batches=arrays(name),
        representative=lambda: single_samples(arrays("train")),
        compare=lambda ours, theirs: compare_equal(ours, theirs, name=output, noun="target texts"),
        evaluate=evaluate,
        client=text_client(text, key, show),
        info={"text": text.facts},
        files=files,
    )


def _ids_of(outputs: Arrays, id_of: Mapping[str, int]) -> list[int]:
    """The ids of one target text, from what an exported model outputs of a batch of one."""
    if "target_ids" in outputs:
        return [int(id_) for id_ in outputs["target_ids"][0] if id_]
    return [id_of.get(token.decode(), UNKNOWN) for token in outputs["tokens"][0] if token]
