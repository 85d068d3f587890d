"""MixUp and CutMix: each sample of a batch is mixed with another sample of it, and so are their labels and targets.

Parameters are a function of (seed, epoch, batch). A sample's partner is the one at the mirrored position of the batch,
whose order differs in each epoch.
"""

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.data.annotations import BatchMixing
from dlcli.data.augmentation.color import is_in_box

Tensor = Any


@dataclass(frozen=True)
class Mixing:
    """MixUp, CutMix or both, each with the parameter of the beta distribution of its proportions.

    Attributes:
        mixup: alpha of MixUp (Zhang et al. 2018): images are averaged.
        cutmix: alpha of CutMix (Yun et al. 2019): a rectangle is copied from the partner. With both, each batch uses
            one of them, with probability 1/2.
    """

    mixup: float | None
    cutmix: float | None

    def draw(self, *, seed: int, epoch: int, num_batches: int, height: int, width: int) -> dict[str, NDArray[Any]]:
        """For each batch: ``blend``, the weight of a sample's own pixels, and ``cut``, the box copied from its partner.

        Boxes are ``[left, top, right, bottom]`` in pixels, clipped to the image as in the paper.
        """
        generator = np.random.Generator(np.random.PCG64([seed, epoch, zlib.crc32(b"mixing")]))
        is_cut = generator.random(num_batches) < 0.5
        if self.mixup is None or self.cutmix is None:
            is_cut = np.full(num_batches, self.cutmix is not None)
        blend = generator.beta(self.mixup or 1.0, self.mixup or 1.0, num_batches)
        part = np.sqrt(1.0 - generator.beta(self.cutmix or 1.0, self.cutmix or 1.0, num_batches))  # of each side
        center = generator.random((num_batches, 2))
        sides = np.array([width, height])
        corners = [np.rint((center + sign * part[:, None] / 2) * sides).clip(0, sides) for sign in (-1, 1)]
        return {
            "blend": np.where(is_cut, 1.0, blend),
            "cut": np.where(is_cut[:, None], np.concatenate(corners, axis=1), 0.0),
        }


@dataclass(frozen=True)
class MixedBatch(BatchMixing):
    """Mixes the samples of a batch with those at the mirrored positions of the batch. Traced.

    Attributes:
        blend, cut: the batch's values of :meth:`Mixing.draw`, repeated for each sample: ``[b]`` and ``[b, 4]``.
        height, width: of the images.
        has_mixup: whether MixUp is one of the ways of mixing.
    """

    blend: Tensor
    cut: Tensor
    height: int
    width: int
    has_mixup: bool

    @property
    def averages(self) -> bool:
        """Whether MixUp may average the pixels of both samples."""
        return self.has_mixup

    def images(self, images: Tensor) -> Tensor:
        """The mixed images, float32 ``[b, height, width, channels]``."""
        own = self.blend[:, None, None, None]
        return self.pasted(images * own + tf.reverse(images, [0]) * (1.0 - own))

    def means(self, values: Tensor) -> Tensor:
        """The means of float32 values ``[b, n]`` of both samples, by the parts of the image that are theirs."""
        area = (self.cut[:, 2] - self.cut[:, 0]) * (self.cut[:, 3] - self.cut[:, 1])
        weight = (self.blend * (1.0 - area / (self.height * self.width)))[:, None]
        return values * weight + tf.reverse(values, [0]) * (1.0 - weight)

    def pasted(self, maps: Tensor) -> Tensor:
        """Maps ``[b, height, width]`` or ``[b, height, width, channels]`` with the partner's values in the rectangle
        that CutMix copies."""
        is_cut = is_in_box(self.cut, self.height, self.width)
        return tf.where(is_cut if maps.shape.rank == 4 else is_cut[..., 0], tf.reverse(maps, [0]), maps)
