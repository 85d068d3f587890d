"""Grad-CAM's map of what a network predicts for one image, to be shown beside the prediction."""

from collections.abc import Callable, Sequence

import keras
import numpy as np
from numpy.typing import NDArray

from dlcli.data.images.samples import Samples
from dlcli.tasks.images.attribution import make_methods
from dlcli.tasks.images.head import ImageHead
from dlcli.tasks.task import ExplanationRequest


def class_map(
    head: ImageHead, model: keras.Model, classes: Sequence[str]
) -> Callable[[Samples], tuple[NDArray[np.float32], str] | None]:
    """What computes the map of one image ``[height, width]``, and says what it explains; None for an image without.

    That is the first of several aspects of a task, such as the class before the sides of its box.

    Raises:
        NotExplainable: the network has no feature maps.
        InputError: the model has other outputs than its task.
    """
    request = ExplanationRequest(methods=("gradcam",))
    aspect = head.explainable(model, request, classes).aspects[0]
    method = make_methods(["gradcam"], aspect.network, request, last=aspect.layer)["gradcam"]

    def compute(samples: Samples) -> tuple[NDArray[np.float32], str] | None:
        index = np.zeros(1, np.int64)
        pixels = samples.load(index).astype(np.float32)
        chosen = aspect.choose(pixels, samples, index)
        if chosen.exists is not None and not chosen.exists[0]:
            return None
        found: NDArray[np.float32] = np.asarray(method(pixels, chosen.targets).maps[0], np.float32)
        caption = chosen.captions[0]  # which the number of an image regression names, too
        return found, " ".join((caption if caption.startswith(aspect.name) else f"{aspect.name} {caption}").split())

    return compute
