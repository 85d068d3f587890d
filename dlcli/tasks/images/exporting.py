"""What is exported of a run on images: its network, which takes images that are resized as in training."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from dlcli.data.images.decoding import ImagePolicy
from dlcli.data.images.samples import Samples
from dlcli.exporting.comparison import Arrays
from dlcli.exporting.exportable import ClientLines, Exportable, Runtime, spread
from dlcli.printing import json_text
from dlcli.rundir.directory import RunDir
from dlcli.rundir.reading import read_json
from dlcli.rundir.writing import replace_json
from dlcli.runtime.console import Console
from dlcli.tasks.calibration import read_calibration
from dlcli.tasks.evaluation_files import Destination, Source
from dlcli.tasks.exported_model import exported_outputs
from dlcli.tasks.images.evaluation import samples_of_run
from dlcli.tasks.images.exported import ExportedHead
from dlcli.tasks.images.head import ImageHead, Trained
from dlcli.tasks.run_models import load_image_model
from dlcli.tasks.task import ExportRequest

BATCH = 32
NUM_REPRESENTATIVE = 200  # images of the training split by which int8 ranges are chosen


def exportable(run: RunDir, head: ImageHead, request: ExportRequest, console: Console) -> Exportable:
    """As :meth:`dlcli.tasks.task.Task.exportable`."""
    best = load_image_model(run, console, check=head.check_model)
    info, own = head.recorded(run), head.exported(run)
    model = with_named_outputs(best.model, own)
    name, samples, dataset = samples_of_run(run, head, split=None, data=request.data, console=console)
    train = samples
    if request.quantization == "int8":
        source = dataset or samples_of_run(run, head, split=None, data=None, console=console)[2]
        assert source is not None
        train = source.splits["train"]
    images = run.read_image_policy()
    policy = None if images is None else ImagePolicy.from_dict(images)

    def evaluate(runtime: Runtime, folder: Path) -> dict[str, Any]:
        final = own.stand_in(best.model, exported_outputs(model, runtime))
        to = Destination(folder, Source(split=name if dataset is not None else None))
        trained = Trained(info, read_calibration(run, best.digest, console), run.read_baseline())
        metrics = head.evaluate(to, keras.Model(model.inputs[0], final), samples, trained=trained, console=console)
        if own.not_measured:
            written = read_json(folder / "metrics.json")
            replace_json(folder / "metrics.json", without(written, own.not_measured))
        return without(metrics, own.not_measured)

    return Exportable(
        model=model,
        digest=best.digest,
        epoch=best.epoch,
        num_bytes=best.file.stat().st_size,
        inputs={model.inputs[0].name: meaning_of(policy)},
        outputs=own.outputs,
        split=name,
        batches=list(batches_of(samples, request.num_samples, model.inputs[0].name)),
        representative=lambda: single(train, model.inputs[0].name),
        compare=own.compare,
        evaluate=evaluate,
        client=client_lines(model, policy, own),
        info={"images": images, **own.info},
        files={"labels.json": json_text({"classes": list(info.names)}) + "\n"},
    )


def without(metrics: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """The metrics but those of some names."""
    return {name: value for name, value in metrics.items() if name not in names}


def with_named_outputs(model: keras.Model, own: ExportedHead) -> keras.Model:
    """The model with a dictionary of outputs, whose names are those in the exported file."""
    outputs = model.output if isinstance(model.output, dict) else {own.name: model.output}
    return keras.Model(model.inputs[0], {name: outputs[name] for name in own.outputs})


def batches_of(samples: Samples, number: int, name: str) -> Iterator[Arrays]:
    """Some samples as a network takes them: images float32 ``[b, h, w, c]`` in [0, 255]."""
    chosen = spread(len(samples), number)
    size = 1 if samples.has_own_sizes else BATCH
    for start in range(0, len(chosen), size):
        yield {name: samples.load(chosen[start : start + size]).astype(np.float32)}


def single(samples: Samples, name: str) -> Iterator[Arrays]:
    """Samples of the training split, one by one."""
    for position in spread(len(samples), NUM_REPRESENTATIVE):
        yield {name: samples.load(np.array([position])).astype(np.float32)}


def meaning_of(policy: ImagePolicy | None) -> str:
    """What the network's input is, in words."""
    if policy is None:
        return "values as in the training data, float32"
    channels = "gray values" if policy.color_mode == "grayscale" else "red, green and blue"
    return f"upright images, {channels} in [0, 255], float32; resized as 'images' says"


def client_lines(model: keras.Model, policy: ImagePolicy | None, own: ExportedHead) -> ClientLines:
    """An example client for an image file; for other samples, an array in an .npy file."""
    name = repr(model.inputs[0].name)  # which a stranger's model may have chosen
    if policy is None:
        load = [f"inputs = {{{name}: np.load(sys.argv[1]).astype(np.float32)[None]}}"]
        return ClientLines("Runs the model on an array: python client.py SAMPLE.npy", ["import json"], load, own.show)
    return ClientLines(
        "Runs the model on an image: python client.py IMAGE",
        ["import json", "from PIL import Image, ImageOps"],
        [
            f'image = ImageOps.exif_transpose(Image.open(sys.argv[1])).convert("{_mode(policy)}")',
            *_resizing(policy),
            f"inputs = {{{name}: np.asarray(image, np.float32).reshape(1, image.height, image.width, -1)}}",
        ],
        own.show,
    )


def _mode(policy: ImagePolicy) -> str:
    return "L" if policy.color_mode == "grayscale" else "RGB"


def _resizing(policy: ImagePolicy) -> list[str]:
    """The line that resizes ``image`` with Pillow, which always antialiases."""
    if policy.has_own_sizes:
        return []
    (height, width), method = policy.image_size, f"Image.Resampling.{policy.interpolation.upper()}"
    if policy.is_tiled:
        return [f"image = image.crop((0, 0, {width}, {height}))  # the first tile"]
    match policy.resize:
        case "stretch":
            return [f"image = image.resize(({width}, {height}), {method})"]
        case "crop":
            return [f"image = ImageOps.fit(image, ({width}, {height}), {method})"]
        case "pad":
            return [f"image = ImageOps.pad(image, ({width}, {height}), {method})"]
