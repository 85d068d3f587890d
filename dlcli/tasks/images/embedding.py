"""Feature vectors of images: what a network's last layer, which is left out, computes its outputs from."""

from collections.abc import Sequence
from pathlib import Path

import keras

from dlcli.data.images.decoding import ImagePolicy
from dlcli.data.images.samples import Samples
from dlcli.data.images.unlabeled import collect
from dlcli.data.splits import LeftOut
from dlcli.errors import InputError
from dlcli.models.images.keras_application import IMAGENET_CLASSES
from dlcli.recipe.load import LoadedRecipe
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.runtime.startup import set_seed
from dlcli.tasks.images.batches import predict_all
from dlcli.tasks.images.head import ImageHead
from dlcli.tasks.images.initial_weights import pretrained_classifier
from dlcli.tasks.images.prediction import read_samples, report_left_out
from dlcli.tasks.run_models import load_image_model
from dlcli.tasks.task import Embedded

LAST = ("logits", "value")  # names of the layer that computes the outputs
BASE_BATCH = 32


def embed_with_run(run: RunDir, head: ImageHead, paths: Sequence[Path], console: Console) -> Embedded:
    """As :meth:`dlcli.tasks.task.Task.embed`."""
    model = load_image_model(run, console, check=head.check_model).model
    samples, left_out = read_samples(run, head, model, paths, console, verb="embed")
    return _embedded(model, samples, left_out, batch_size=head.recipe.train.batch_size, console=console)


def embed_with_base(loaded: LoadedRecipe, paths: Sequence[Path], console: Console) -> Embedded:
    """As :func:`dlcli.tasks.dispatch.embed_with_base`."""
    data = loaded.of_images.data
    assert data.image_size is not None
    assert data.resize != "none"
    policy = ImagePolicy(data.image_size, "rgb", data.resize, data.interpolation, data.antialias)
    samples, left_out = collect(paths, policy=policy, shape=policy.shape, value_range=(0.0, 255.0), verb="embed")
    report_left_out(samples, left_out, console, verb="embed")
    set_seed(0, deterministic=False)
    model = pretrained_classifier(loaded, num_classes=IMAGENET_CLASSES)
    return _embedded(model, samples, left_out, batch_size=BASE_BATCH, console=console)


def _embedded(
    model: keras.Model, samples: Samples, left_out: Sequence[LeftOut], *, batch_size: int, console: Console
) -> Embedded:
    layers = {layer.name: layer for layer in model.layers}
    last = next((layers[name] for name in LAST if name in layers), None)
    if last is None or len(last.input.shape) != 2:
        raise InputError("the network has no feature vector before its outputs: dlcli embed is for whole images.")
    network = keras.Model(model.inputs[0], last.input)
    (vectors,) = predict_all(network, samples, batch_size=batch_size, console=console)
    return Embedded(samples, vectors, [(left.name, left.reason) for left in left_out])
