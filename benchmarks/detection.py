"""Training a detector compared with a hand-written loop; the time of decoding and non-maximum suppression; torchvision.

    python benchmarks/detection.py [--epochs 5] [--samples 320] [--size 64] [--processor-time]
    python benchmarks/detection.py --suppression [--processor-time]
    python benchmarks/detection.py --torchvision [--processor-time]

Training: the FCOS of recipes/detect_scenes.yaml on the same synthetic scenes with Adam in batches of 16, whole epochs,
alternating. For dlcli, the loop of ``dlcli train`` is timed, with data, shuffling, gradient norm and metrics. The
hand-written loop is one tf.function per epoch that gathers batches from memory, assigns objects to positions and
computes nothing but the loss, the same one.

Decoding and suppression: from the outputs of the last convolutions to at most 100 boxes, for 320x320 images and 20
classes, as in model.keras.

torchvision: images per second of FCOS on ResNet-50, 320x320, boxes included, if torchvision is installed.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dlcli.recipe.load import load_text
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.runtime.startup import start_tensorflow
from dlcli.tasks.detection.network import detection_outputs, maps_of
from dlcli.tasks.dispatch import prepare, task_of

device = start_tensorflow("cpu")

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from measure import Silence, alternate, epochs_of, machine, report  # noqa: E402

BATCH_SIZE, RATE, SIDE, NUM_CLASSES = 16, 3e-3, 320, 20
NUM_CALLS = 50  # of a round, of what takes milliseconds
RECIPE = f"""\
task: detection
data: DATA
model:
  kind: fcos
  backbone:
    kind: convnet
    blocks:
      - {{filters: 16, batch_norm: true}}
      - {{filters: 32, batch_norm: true}}
      - {{filters: 64, batch_norm: true}}
      - {{filters: 64, batch_norm: true}}
      - {{filters: 64, batch_norm: true}}
  levels: [2, 3, 4]
  channels: 32
  num_convs: 1
train: {{batch_size: {BATCH_SIZE}, optimizer: {{kind: adam, learning_rate: {RATE}}}, epochs: 1000}}
"""
FCOS = """\
task: detection
data: {kind: scenes}
model:
  kind: fcos
  backbone: {kind: application, network: NETWORK}
  channels: CHANNELS
  num_convs: CONVS
"""


class MeanLoss(Silence):
    """An observer of the loop that keeps the mean loss of all epochs, which nothing resets here."""

    value = 0.0

    def progress(self, *args: Any) -> None:
        self.value = args[-1]


def hand_written(section: Any, detect: Any, samples: Any, num_classes: int) -> Callable[[int], float]:
    """An epoch of the same network, from arrays in memory; returns its mean loss."""
    images = samples.load(np.arange(len(samples))).astype(np.uint8)
    (target,) = samples.targets()
    height, width = images.shape[1:3]
    keras.utils.set_random_seed(0)
    base = maps_of(section, shape=images.shape[1:])
    model = keras.Model(base.inputs, detection_outputs(base, section, detect=detect, num_classes=num_classes).trained)
    optimizer = keras.optimizers.Adam(RATE)
    optimizer.build(model.trainable_variables)
    places, strides = [], []
    for level in section.levels:
        stride = 2**level
        y, x = np.mgrid[stride / 2 : height : stride, stride / 2 : width : stride]
        places.append(np.stack([x.ravel(), y.ravel()], axis=1))
        strides.append(np.full(x.size, stride))
    place = tf.constant(np.concatenate(places)[None, :, None], tf.float32)  # [1, p, 1, 2]
    stride = np.concatenate(strides)
    far = section.largest_distance * stride
    upper = tf.constant(np.where(stride == stride.max(), 1e9, far)[None, :, None], tf.float32)
    lower = tf.constant(np.where(stride == stride.min(), 0, far / 2)[None, :, None], tf.float32)
    radius = tf.constant((section.center_radius * stride)[None, :, None], tf.float32)
    scale = tf.constant([width, height, width, height], tf.float32)
    x, rows = tf.constant(images), target.rows()
    num_steps = len(images) // BATCH_SIZE

    def assigned(boxes: Any, classes: Any) -> tuple[Any, Any, Any]:
        """For each position the class, the box, and the centerness."""
        pixels = boxes[:, None] * scale  # [b, 1, n, 4]
        before, after = place - pixels[..., :2], pixels[..., 2:] - place  # [b, p, n, 2]
        sides = tf.concat([before, after], axis=-1)
        largest, off = tf.reduce_max(sides, axis=-1), tf.reduce_max(tf.abs(before - after), axis=-1) / 2
        fits = (tf.reduce_min(sides, axis=-1) > 0) & (off < radius) & (largest > lower) & (largest <= upper)
        area = tf.reduce_prod(pixels[..., 2:] - pixels[..., :2], axis=-1)
        area = tf.where(fits & (classes[:, None] >= 0), area, 1e9)
        owner, has_owner = tf.argmin(area, axis=-1, output_type=tf.int32), tf.reduce_min(area, axis=-1) < 1e9
        near = tf.gather(tf.minimum(before, after), owner, axis=2, batch_dims=2)
        away = tf.gather(tf.maximum(before, after), owner, axis=2, batch_dims=2)
        centered = tf.sqrt(tf.maximum(tf.reduce_prod(near / tf.maximum(away, 1e-9), axis=-1), 0.0))
        return (
            tf.where(has_owner, tf.gather(classes, owner, batch_dims=1), -1),
            tf.gather(boxes, owner, batch_dims=1),
            centered,
        )

    def loss_of(outputs: Any, boxes: Any, classes: Any) -> Any:
        logits, predicted, centerness = outputs
        label, box, centered = assigned(boxes, classes)
        positive = tf.cast(label >= 0, tf.float32)
        true = tf.one_hot(label, num_classes)
        cross = tf.nn.sigmoid_cross_entropy_with_logits(true, logits)
        probability = tf.sigmoid(logits)
        right = true * probability + (1 - true) * (1 - probability)
        alpha = true * section.focal_alpha + (1 - true) * (1 - section.focal_alpha)
        focal = alpha * (1 - right) ** section.focal_gamma * cross
        low, high = tf.maximum(predicted[..., :2], box[..., :2]), tf.minimum(predicted[..., 2:], box[..., 2:])
        shared = tf.reduce_prod(tf.maximum(high - low, 0), axis=-1)
        areas = [tf.reduce_prod(each[..., 2:] - each[..., :2], axis=-1) for each in (predicted, box)]
        union = areas[0] + areas[1] - shared
        hull = tf.maximum(predicted[..., 2:], box[..., 2:]) - tf.minimum(predicted[..., :2], box[..., :2])
        hull = tf.reduce_prod(hull, axis=-1)
        giou = shared / tf.maximum(union, 1e-9) - (hull - union) / tf.maximum(hull, 1e-9)
        central = tf.nn.sigmoid_cross_entropy_with_logits(centered, centerness[..., 0])
        total = tf.reduce_sum(focal) + tf.reduce_sum(positive * (1 - giou + central))
        return total / (tf.reduce_sum(positive) + BATCH_SIZE)

    @tf.function
    def train(order: Any) -> Any:
        total = tf.constant(0.0)
        for step in tf.range(num_steps):
            index = order[step * BATCH_SIZE : (step + 1) * BATCH_SIZE]
            boxes, classes = tf.gather(rows["boxes"], index), tf.gather(rows["box_class"], index)
            with tf.GradientTape() as tape:
                outputs = model(tf.cast(tf.gather(x, index), tf.float32), training=True)
                loss = loss_of(outputs, boxes, classes)
            optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
            total += loss
        return total / tf.cast(num_steps, tf.float32)

    return lambda number: float(train(tf.constant(np.random.default_rng(number).permutation(len(images)))))


def compare_training(num_samples: int, size: int, rounds: int, clock: Callable[[], float]) -> None:
    data = f"{{kind: scenes, num_samples: {num_samples}, image_size: [{size}, {size}], validation: 0, test: 0}}"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "run").mkdir()
        loaded = load_text(RECIPE.replace("DATA", data).encode(), folder / "recipe.yaml")
        job = prepare(loaded, device, Console(quiet=True))
        recipe: Any = loaded.recipe
        dataset = task_of(recipe).open_data(loaded, Console(quiet=True))
        seen = MeanLoss()
        by_hand = hand_written(recipe.model, recipe.evaluate.detect, dataset.splits["train"], len(dataset.classes))
        losses: list[float] = []
        runners: dict[str, Callable[[int], None]] = {
            "dlcli": epochs_of(job.loop(RunDir(folder / "run"), seen)),
            "hand-written": lambda number: losses.append(by_hand(number)),
        }
        seconds = alternate(runners, rounds=rounds, clock=clock)
    report(f"FCOS, {size}x{size}, batches of {BATCH_SIZE}", seconds, of="dlcli", num_steps=num_samples // BATCH_SIZE)
    print(f"  mean loss of all epochs: {seen.value:.3f}, hand-written {np.mean(losses):.3f}")


def detector(network: str, channels: int, num_convs: int) -> tuple[keras.Model, keras.Model]:
    """An FCOS without training: from pixels to its objects, and from the outputs of its last convolutions on."""
    text = FCOS.replace("NETWORK", network).replace("CHANNELS", str(channels)).replace("CONVS", str(num_convs))
    recipe: Any = load_text(text.encode(), Path("recipe.yaml")).recipe
    base = maps_of(recipe.model, shape=(SIDE, SIDE, 3))
    outputs = detection_outputs(base, recipe.model, detect=recipe.evaluate.detect, num_classes=NUM_CLASSES)
    model = keras.Model(base.inputs, outputs.final)
    names = [f"{kind}_outputs{level}" for kind in ("class", "box", "centerness") for level in recipe.model.levels]
    return model, keras.Model([model.get_layer(name).output for name in names], outputs.final)


def measure_suppression(rounds: int, clock: Callable[[], float]) -> None:
    """Outputs are random, so that there are many boxes with high scores, as after training; the time is that of any."""
    _, last = detector("mobilenetv2", 64, 2)
    compiled = tf.function(last, autograph=False)
    for size in (1, 8):
        rng = np.random.default_rng(0)
        raw = [tf.constant(rng.normal(size=(size, *x.shape[1:])), tf.float32) for x in last.inputs]

        def run(number: int, raw: list[Any] = raw) -> None:
            for _ in range(NUM_CALLS):
                found = compiled(raw)
            assert int(found["count"][0]) == 100

        seconds = alternate({"decoding and suppression": run}, rounds=rounds, clock=clock)
        name = f"decoding and suppression, {SIDE}x{SIDE}, {NUM_CLASSES} classes, {size} image(s), per image"
        report(name, seconds, of="decoding and suppression", num_steps=NUM_CALLS * size)


def compare_torchvision(rounds: int, clock: Callable[[], float]) -> None:
    try:
        import torch
        from torchvision.models.detection import fcos_resnet50_fpn
    except ImportError:
        print("torchvision is not installed, skipped")
        return
    model, _ = detector("resnet50", 256, 4)
    compiled = tf.function(lambda x: model(x, training=False), autograph=False)
    images = np.random.default_rng(0).uniform(0, 255, (1, SIDE, SIDE, 3)).astype(np.float32)
    sizes = {"min_size": SIDE, "max_size": SIDE, "num_classes": NUM_CLASSES}
    other = fcos_resnet50_fpn(weights=None, weights_backbone=None, **sizes).eval()
    pixels = torch.from_numpy(images.transpose(0, 3, 1, 2).copy() / 255)

    def theirs(number: int) -> None:
        with torch.no_grad():
            other(pixels)

    seconds = alternate({"dlcli": lambda number: compiled(images), "torchvision": theirs}, rounds=rounds, clock=clock)
    report("FCOS on ResNet-50, an image of 320x320", seconds, of="dlcli", num_steps=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=5, help="number of timed rounds, after a warm-up")
    parser.add_argument("--samples", type=int, default=320)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--suppression", action="store_true", help="time decoding and non-maximum suppression instead")
    parser.add_argument("--torchvision", action="store_true", help="compare images per second with torchvision instead")
    parser.add_argument(
        "--processor-time", action="store_true", help="measure the processor's time in place of the clock's"
    )
    arguments = parser.parse_args()
    clock = time.process_time if arguments.processor_time else time.perf_counter
    print(f"{machine()}; TensorFlow {tf.__version__}, Keras {keras.__version__}")
    if arguments.suppression:
        measure_suppression(arguments.epochs, clock)
    elif arguments.torchvision:
        compare_torchvision(arguments.epochs, clock)
    else:
        compare_training(arguments.samples, arguments.size, arguments.epochs, clock)


if __name__ == "__main__":
    main()
