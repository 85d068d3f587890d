"""Average precision compared with pycocotools, and the time that decoding and non-maximum suppression take.

    python benchmarks/detection_evaluation.py [--images 1000] [--detections 100] [--classes 20] [--size 256]

The first part scores the same synthetic detections by both, in one process, alternating; they must agree to the last
bit. The second part runs the network of an FCOS with a narrow ResNet-18, once up to its raw outputs and once with
decoding and non-maximum suppression; the difference is their time per image. Scores of an untrained network do not
matter, because all shapes are static.
"""

import argparse
import contextlib
import io
import statistics

from dlcli.recipe.sections.detect import Detect
from dlcli.recipe.sections.detection_model import Fcos
from dlcli.runtime.startup import start_tensorflow
from dlcli.tasks.detection.network import detection_outputs, maps_of
from dlcli.tasks.images.network import with_head

start_tensorflow("cpu")

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from measure import alternate, machine, report  # noqa: E402

from dlcli.evaluation.detection.average_precision import coco_scores  # noqa: E402
from dlcli.evaluation.detection.boxes import Detections, GroundTruth, overlaps  # noqa: E402

SIDE = 500  # of the synthetic images
NUM_OBJECTS = 7  # in an image, on average, as in COCO
BATCH_SIZE = 8


def synthetic(num_images: int, num_detections: int, num_classes: int) -> tuple[Detections, GroundTruth]:
    """Objects, and detections half of which are near an object."""
    rng = np.random.default_rng(0)
    counts = np.maximum(1, rng.poisson(NUM_OBJECTS, num_images))
    offsets = np.concatenate([[0], np.cumsum(counts)])
    corners, sides = rng.random((offsets[-1], 2)) * SIDE, rng.random((offsets[-1], 2)) ** 2 * 200 + 8
    labels = rng.integers(0, num_classes, offsets[-1]).astype(np.int32)
    truth = GroundTruth(
        *(np.concatenate([corners, corners + sides], axis=1), labels),
        is_crowd=rng.random(offsets[-1]) < 0.01,
        is_difficult=np.zeros(offsets[-1], bool),
        areas=sides.prod(axis=1),
        offsets=offsets,
    )
    own = np.concatenate([offsets[i] + rng.integers(0, counts[i], num_detections) for i in range(num_images)])
    num = len(own)
    is_near = rng.random((num, 1)) < 0.5
    found_sides = sides[own] * np.exp(rng.normal(0, 0.15, (num, 2)))
    near = corners[own] + rng.normal(0, 0.1, (num, 2)) * sides[own]
    found = np.where(is_near, near, rng.random((num, 2)) * SIDE)
    detections = Detections(
        np.concatenate([found, found + found_sides], axis=1),
        rng.random(num),
        np.where(rng.random(num) < 0.8, labels[own], rng.integers(0, num_classes, num)).astype(np.int32),
        np.arange(num_images + 1) * num_detections,
    )
    return detections, truth


def by_pycocotools(detections: Detections, truth: GroundTruth, num_classes: int) -> np.ndarray:
    """The precision in all of COCO's settings; -1 for classes without objects."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def listed(boxes: np.ndarray) -> list[list[float]]:
        rows: list[list[float]] = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1).tolist()
        return rows

    coco = COCO()
    coco.dataset = {
        "info": {},
        "images": [{"id": image + 1} for image in range(truth.num_images)],
        "categories": [{"id": label + 1} for label in range(num_classes)],
        "annotations": [
            {"id": i + 1, "image_id": image + 1, "category_id": label + 1, "bbox": box, "area": area, "iscrowd": crowd}
            for i, (image, label, box, area, crowd) in enumerate(
                zip(
                    truth.images.tolist(),
                    truth.classes.tolist(),
                    listed(truth.boxes),
                    truth.areas.tolist(),
                    truth.is_crowd.astype(int).tolist(),
                    strict=True,
                )
            )
        ],
    }
    coco.createIndex()
    columns = (detections.images, detections.classes, detections.scores)
    results = coco.loadRes(
        [
            {"image_id": image + 1, "category_id": label + 1, "score": score, "bbox": box}
            for image, label, score, box in zip(
                *(values.tolist() for values in columns), listed(detections.boxes), strict=True
            )
        ]
    )
    evaluation = COCOeval(coco, results, "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    return np.asarray(evaluation.eval["precision"])


def compare_average_precision(num_images: int, num_detections: int, num_classes: int) -> None:
    detections, truth = synthetic(num_images, num_detections, num_classes)
    found: dict[str, np.ndarray] = {}

    def ours(_: int) -> None:
        pairs = overlaps(detections, truth, least=0.5)
        precision = coco_scores(detections, truth, pairs, num_classes=num_classes).precision
        found["dlcli"] = np.nan_to_num(precision, nan=-1.0)

    def theirs(_: int) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            found["pycocotools"] = by_pycocotools(detections, truth, num_classes)

    seconds = alternate({"dlcli": ours, "pycocotools": theirs}, rounds=3, warmups=0)
    title = f"average precision of {num_images:,} images with {num_detections} detections, {num_classes} classes"
    report(title, seconds, of="pycocotools", num_steps=1)
    is_equal = np.array_equal(found["dlcli"], found["pycocotools"])
    print(f"  all {found['dlcli'].size:,} values of precision are {'equal' if is_equal else 'NOT equal'}")


def time_outputs(side: int, num_classes: int) -> None:
    backbone = {"kind": "resnet", "depth": 18, "stem": "imagenet", "width": 0.125}
    section = Fcos.model_validate({"kind": "fcos", "backbone": backbone, "channels": 32, "num_convs": 2})
    base = maps_of(section, shape=(side, side, 3))
    network = with_head(base, detection_outputs(base, section, detect=Detect(), num_classes=num_classes))
    images = tf.random.stateless_uniform((BATCH_SIZE, side, side, 3), (0, 0), 0.0, 255.0)
    models = {"raw outputs": network.trained, "with boxes": network.model}
    compiled = {name: tf.function(lambda x, model=model: model(x, training=False)) for name, model in models.items()}

    def runner(name: str) -> object:
        return lambda _: [tf.nest.map_structure(lambda x: x.numpy(), compiled[name](images)) for _ in range(5)]

    seconds = alternate({name: runner(name) for name in models}, rounds=15, warmups=2)
    num = 5 * BATCH_SIZE
    report(f"FCOS, {side}x{side}, {num_classes} classes, per image", seconds, of="with boxes", num_steps=num)
    extra = [b - a for a, b in zip(*(seconds[name] for name in models), strict=True)]
    print(f"  decoding and suppression: {statistics.median(extra) / num * 1e3:.2f} ms per image")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--detections", type=int, default=100)
    parser.add_argument("--classes", type=int, default=20)
    parser.add_argument("--size", type=int, default=256)
    options = parser.parse_args()
    print(machine())
    compare_average_precision(options.images, options.detections, options.classes)
    time_outputs(options.size, options.classes)


if __name__ == "__main__":
    main()
