"""The first predictions of a model, before a server listens: they compile its network, and show the form of a row."""

import io
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from dlcli.errors import InputError
from dlcli.tasks.predictor import Predictor, ReadsTables, takes_class

SIDE = 64  # of an example along an axis of any length
TEXT = "example"


def predict_example(predictor: Predictor, max_batch: int) -> tuple[Sequence[Mapping[str, Any]], dict[int, float]]:
    """The prediction of one empty sample, and the seconds that a batch of each size takes.

    Nothing of both if the model does not take such a sample.
    """
    top = max(1, len(predictor.classes))
    try:
        read = predictor.example() if isinstance(predictor, ReadsTables) else predictor.read(_sample(predictor))
        rows = predictor.predict([read], top=top)
        return rows, {
            size: _seconds(predictor, [read] * size, top) for size in predictor.batch_sizes if size <= max_batch
        }
    except InputError:
        return (), {}


def _sample(predictor: Predictor) -> Any:
    shape = [SIDE if side is None else side for side in predictor.model.inputs[0].shape[1:]]
    match predictor.kind:
        case "texts":
            return {"text": TEXT, "class": predictor.classes[0]} if takes_class(predictor) else TEXT
        case "images":  # a file, as clients send it, so that the decoder is loaded too
            pixels = np.zeros(shape, np.uint8)
            file = io.BytesIO()
            Image.fromarray(pixels[:, :, 0] if shape[2] == 1 else pixels).save(file, "PNG")
            return file.getvalue()
        case _:
            return np.zeros(shape, np.float32)


def _seconds(predictor: Predictor, samples: Sequence[Any], top: int) -> float:
    predictor.predict(samples, top=top)  # compiles
    times = []
    for _ in range(3):
        started = time.perf_counter()
        predictor.predict(samples, top=top)
        times.append(time.perf_counter() - started)
    return min(times)
