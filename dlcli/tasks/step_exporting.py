"""What is exported of a run that predicts bits at each step of a synthetic problem."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from dlcli.data.synthetic.copy_tasks import MadeDataset
from dlcli.exporting.comparison import compare_outputs
from dlcli.exporting.exportable import ClientLines, Exportable, Runtime, single_samples
from dlcli.tasks.evaluation_files import Destination
from dlcli.tasks.exported_model import exported_outputs
from dlcli.tasks.run_models import BestModel
from dlcli.tasks.task import ExportRequest


def exportable(
    best: BestModel,
    dataset: MadeDataset,
    request: ExportRequest,
    evaluate: Callable[[Destination, keras.Model], dict[str, Any]],
) -> Exportable:
    """As :meth:`dlcli.tasks.task.Task.exportable`.

    Args:
        evaluate: evaluates a model on the test sequences.
    """
    model = keras.Model(best.model.inputs[0], {"probabilities": best.model.output})
    key = model.inputs[0].name
    number = -(-request.num_samples // len(dataset.test))  # of each length
    batches = [{key: dataset.test_part(length, times)[0][:number]} for length, times in dataset.test]

    def evaluate_exported(runtime: Runtime, folder: Path) -> dict[str, Any]:
        found = keras.layers.Identity(name="probabilities")(exported_outputs(model, runtime)["probabilities"])
        return evaluate(Destination(folder), keras.Model(best.model.inputs[0], found))

    return Exportable(
        model=model,
        digest=best.digest,
        epoch=best.epoch,
        num_bytes=best.file.stat().st_size,
        inputs={key: "the bits of each step and its control channels"},
        outputs={"probabilities": "of each bit of each step"},
        split="test",
        batches=batches,
        representative=lambda: single_samples(batches),  # new sequences are of the same distribution
        compare=lambda ours, theirs: compare_outputs(
            ours, theirs, decided="probabilities", decision="labels", noun="bits"
        ),
        evaluate=evaluate_exported,
        client=ClientLines(
            "Runs the model on a sequence of bits, a row for each step: python client.py SEQUENCE.npy",
            [],
            [f"inputs = {{{key!r}: np.load(sys.argv[1]).astype(np.float32)[None]}}"],
            ['print((outputs["probabilities"][0] >= 0.5).astype(int))'],
        ),
    )
