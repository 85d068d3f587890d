"""Networks of searched cells: NASNet, PNASNet, AmoebaNet, and genotypes that are written out.

Zoph et al. 2018, figure 2: three stages of N normal cells with a reduction cell before the second and the third, which
halves the sides and doubles the filters. Released code: github.com/tensorflow/models (NASNet, PNASNet),
github.com/tensorflow/tpu (AmoebaNet).
"""

from collections.abc import Mapping
from typing import Any, Literal

import keras

from dlcli.models.images.cells.cell import Genotype, Maps, apply_cell
from dlcli.models.images.cells.drop_path import DropPath, Progress
from dlcli.models.images.cells.operations import norm
from dlcli.models.images.layers import check_sides, kernel_initializer, relu

Tensor = Any  # a symbolic keras.KerasTensor

NUM_STAGES = 3


def features(
    inputs: Tensor,
    *,
    genotype: Genotype,
    repeats: int,
    filters: int,
    stem: Literal["cifar", "imagenet"],
    stem_filters: int,
    skip_reduction_input: bool,
    drop_path: float,
) -> Tensor:
    """A network of searched cells without its head; fully convolutional, for images of any size.

    Args:
        inputs: ``[batch, height, width, channels]``.
        genotype: the cells. Without a reduction cell, the first normal cell of the second and third stage has stride 2.
        repeats: N, the normal cells of each stage.
        filters: F, of each state in the first stage.
        stem: ``cifar``: one 3x3 convolution; ``imagenet``: a 3x3 convolution with stride 2 and two reduction cells,
            with a quarter and half of the filters.
        stem_filters: of the stem's convolution.
        skip_reduction_input: s1 of the first normal cell after a reduction cell is the output of the cell before the
            input of the reduction, not this input.
        drop_path: the rate of drop path in the last cell at the end of training; see :class:`DropPath`.

    Returns:
        ``[batch, height, width, channels]`` after ReLU, with sides of 1/4 of the inputs' with the small stem, 1/32 with
        the ImageNet stem. The last layers of the stages are ``stage1``, ``stage2`` and ``stage3``.

    Raises:
        InputError: a side below 3 with the ImageNet stem.
    """
    normal, reduction = genotype["normal"], genotype.get("reduction")
    cells = _Cells(_stem(inputs, stem_filters, is_small=stem == "cifar"), drop_path)
    cells.number = NUM_STAGES * repeats + (2 if stem == "imagenet" else 0) + (2 if reduction is not None else 0)
    if stem == "imagenet":
        for number, part in enumerate((4, 2), start=1):
            cells.add(reduction or normal, filters=filters // part, strides=2, name=f"stem_cell{number}")
    for stage in range(1, NUM_STAGES + 1):
        width = filters * 2 ** (stage - 1)
        strides = 2 if stage > 1 else 1  # of the first cell
        skipped = None
        if stage > 1 and reduction is not None:
            skipped = cells.outputs[-2] if skip_reduction_input else None
            cells.add(reduction, filters=width, strides=2, name=f"stage{stage}_reduction")
            strides = 1
        for number in range(1, repeats + 1):
            name = f"stage{stage}_cell{number}"
            is_end = number == repeats and stage < NUM_STAGES
            cells.add(
                *(normal,),
                filters=width,
                strides=strides,
                name=name,
                output=f"stage{stage}" if is_end else None,
                before=skipped,
            )
            strides, skipped = 1, None
    return relu(cells.outputs[-1].tensor, name=f"stage{NUM_STAGES}")


def _stem(x: Tensor, filters: int, *, is_small: bool) -> Maps:
    """A 3x3 convolution and its normalization; for ImageNet unpadded with a stride of 2."""
    if not is_small:
        check_sides(x, smallest=3, network="cells with stem: imagenet")
    x = keras.layers.Conv2D(
        filters,
        3,
        strides=1 if is_small else 2,
        padding="same" if is_small else "valid",
        use_bias=False,
        kernel_initializer=kernel_initializer("relu"),
        name="stem_conv",
    )(x)
    return Maps(norm(x, name="stem_norm"), 1 if is_small else 2)


class _Cells:
    """The cells of a network in order, each of which takes the outputs of the last two.

    Attributes:
        outputs: of the stem's convolution and of the cells so far.
        number: of all cells that the network will have, by which the rate of drop path grows.
    """

    def __init__(self, stem: Maps, drop_path: float) -> None:
        self.outputs = [stem]
        self.number = 0
        self._drop_path = drop_path
        self._progress = Progress() if drop_path else None

    def add(
        self,
        cell: Mapping[str, Any],
        *,
        filters: int,
        strides: int,
        name: str,
        output: str | None = None,
        before: Maps | None = None,
    ) -> None:
        """Add a cell; ``before`` replaces the output of the cell before the last one."""
        if before is None and len(self.outputs) > 1:
            before = self.outputs[-2]
        rate = self._drop_path * len(self.outputs) / self.number  # the k-th of n cells: k/n of the full rate

        def dropped(x: Tensor, operation: str) -> Tensor:
            return DropPath(rate, self._progress, name=f"{operation}_drop_path")(x) if rate else x

        self.outputs.append(
            apply_cell(
                *(self.outputs[-1], before),
                states=cell["states"],
                concatenate=cell["concatenate"],
                filters=filters,
                strides=strides,
                dropped=dropped,
                name=name,
                output=output or f"{name}_joined",
            )
        )
