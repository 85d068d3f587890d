"""Networks of papers compared with keras.applications and torchvision: forward pass and training step at 224x224.

    python benchmarks/networks.py [--rounds 5] [--only resnet50,vgg16]

The forward pass of each network is timed in batches of 4, and for those of up to 5 G multiply-adds also a training step
(forward, gradients, plain gradient descent). Peers alternate with the network in the same process: keras.applications
if it has the network, torchvision if it is installed. Gradients of grouped convolutions are those of ``dlcli train``.
"""

import argparse
import gc
import statistics
from collections.abc import Callable
from typing import Any

from dlcli.recipe.sections.image_model import ImageClassifier
from dlcli.report.cost.published import NETWORKS, Network, read_costs
from dlcli.runtime.startup import start_tensorflow
from dlcli.tasks.images.network import build_classifier
from dlcli.training.grouped_convolution import speed_up_kernel_gradients

start_tensorflow("cpu")

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from measure import alternate, machine  # noqa: E402
from pydantic import TypeAdapter  # noqa: E402

try:
    import torch
    import torchvision
except ImportError:
    torch = torchvision = None

BATCH = 4
MAX_TRAINED = 5e9  # multiply-adds
KERAS = {"vgg16": "VGG16", "vgg19": "VGG19", "resnet50": "ResNet50", "resnet101": "ResNet101", "resnet152": "ResNet152",
         "resnet50_v2": "ResNet50V2", "resnet101_v2": "ResNet101V2", "resnet152_v2": "ResNet152V2"}  # fmt: skip
TORCHVISION = {
    *("vgg11", "vgg13", "vgg16", "vgg19", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152"),
    *("resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d"),
}
Run = Callable[[int], None]


def own(network: Network) -> keras.Model:
    """The network as ``dlcli train`` builds it, up to the logits."""
    section = TypeAdapter(ImageClassifier).validate_python({**network.model, "preprocessing": "none"})
    shape = (network.side, network.side, network.channels)
    model = build_classifier(section, shape=shape, num_classes=network.num_classes).trained
    speed_up_kernel_gradients(model)
    return model


def with_keras(model: keras.Model) -> tuple[Run, Run]:
    """Forward pass and training step of a Keras model."""
    rng = np.random.default_rng(0)
    x = tf.constant(rng.normal(size=(BATCH, *model.input_shape[1:])), tf.float32)
    y = tf.constant(rng.integers(0, model.output_shape[-1], BATCH))
    optimizer = keras.optimizers.SGD(1e-3)
    optimizer.build(model.trainable_variables)

    @tf.function
    def forward() -> tf.Tensor:
        return tf.reduce_sum(model(x, training=False))

    @tf.function
    def step() -> tf.Tensor:
        with tf.GradientTape() as tape:
            logits = model(x, training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits))
        gradients = tape.gradient(loss, [variable.value for variable in model.trainable_variables])
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    return lambda _: forward().numpy(), lambda _: step().numpy()


def with_torch(name: str) -> tuple[Run, Run]:
    """Forward pass and training step of a torchvision model."""
    model = getattr(torchvision.models, name)(weights=None)
    x, y = torch.randn(BATCH, 3, 224, 224), torch.randint(0, 1000, (BATCH,))
    optimizer = torch.optim.SGD(model.parameters(), 1e-3)

    def forward(_: int) -> None:
        model.eval()
        with torch.inference_mode():
            model(x).sum().item()

    def step(_: int) -> None:
        model.train()
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        loss.item()

    return forward, step


def measure(network: Network, rounds: int) -> None:
    """Prints a line for the forward pass and one for the training step."""
    cost = read_costs()[network.name, network.side].multiply_adds
    peers: dict[str, Any] = {"dlcli": with_keras(own(network))}
    if network.name in KERAS:
        function = getattr(keras.applications, KERAS[network.name])
        peers["keras"] = with_keras(function(weights=None, classifier_activation=None))
    if torchvision is not None and network.name in TORCHVISION:
        peers["torchvision"] = with_torch(network.name)
    for kind, which in (("forward", 0), ("step", 1)):
        if kind == "step" and cost > MAX_TRAINED:
            continue
        seconds = alternate({name: runs[which] for name, runs in peers.items()}, rounds=rounds)
        line = f"{network.name:20} {cost / 1e9:7.3f} G  {kind:8} {statistics.median(seconds['dlcli']) * 1e3:9.1f} ms"
        for name, values in seconds.items():
            if name != "dlcli":
                pairs = [a / b for a, b in zip(seconds["dlcli"], values, strict=True)]
                line += f"   relative to {name}: {statistics.median(pairs):.2f} ({min(pairs):.2f} to {max(pairs):.2f})"
        print(line, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="names of networks, separated by commas")
    options = parser.parse_args()
    chosen = [n for n in NETWORKS if n.family not in ("application", "lenet5") and n.name in options.only.split(",")]
    if not options.only:
        chosen = [n for n in NETWORKS if n.family not in ("application", "lenet5")]
    print(machine(), "" if torchvision is None else f"torch {torch.__version__}")
    for network in chosen:
        measure(network, options.rounds)
        keras.backend.clear_session()
        gc.collect()


if __name__ == "__main__":
    main()
