"""Multiply-adds of a Keras layer, counted from its shapes as papers count them.

One multiply-add is one product and its addition to a sum. The products of convolutions, dense layers, recurrent layers
and attention are counted (values with weights, queries with keys, scores with values), and those of bilinear resizing,
four for each output. Products with zero padding count, because layers compute them. Biases, normalization and pooling
are counted separately; activation functions, gates and other elementwise operations are not counted.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from keras import layers

Shape = tuple[int | None, ...]  # of one sample, without the batch dimension; None: variable length
FixedShape = tuple[int, ...]

CONVOLUTIONS = (layers.Conv1D, layers.Conv2D, layers.Conv3D, layers.DepthwiseConv1D, layers.DepthwiseConv2D)
SEPARABLE_CONVOLUTIONS = (layers.SeparableConv1D, layers.SeparableConv2D)
TRANSPOSED_CONVOLUTIONS = (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)
RECURRENT_LAYERS = (layers.SimpleRNN, layers.LSTM, layers.GRU, layers.RNN)
RECURRENT_CELLS = (layers.SimpleRNNCell, layers.LSTMCell, layers.GRUCell)
OWN_CELLS = "dlcli.models.sequences.cells"
NORMALIZATIONS = (
    layers.BatchNormalization,
    layers.LayerNormalization,
    layers.GroupNormalization,
    layers.RMSNormalization,
    layers.UnitNormalization,
)
POOLINGS = (
    *(layers.MaxPooling1D, layers.MaxPooling2D, layers.MaxPooling3D),
    *(layers.AveragePooling1D, layers.AveragePooling2D, layers.AveragePooling3D),
)
GLOBAL_POOLINGS = (
    *(layers.GlobalMaxPooling1D, layers.GlobalMaxPooling2D, layers.GlobalMaxPooling3D),
    *(layers.GlobalAveragePooling1D, layers.GlobalAveragePooling2D, layers.GlobalAveragePooling3D),
)
ACTIVATIONS = (layers.Activation, layers.ReLU, layers.LeakyReLU, layers.PReLU, layers.ELU, layers.Softmax)
"""Layers that only apply an activation function."""
RESIZINGS = (layers.UpSampling2D, layers.Resizing)
"""Layers that interpolate between positions."""
REARRANGEMENTS = (
    *(layers.InputLayer, layers.Identity, layers.Flatten, layers.Reshape, layers.Permute, layers.RepeatVector),
    *(layers.Cropping1D, layers.Cropping2D, layers.Cropping3D),
    *(layers.ZeroPadding1D, layers.ZeroPadding2D, layers.ZeroPadding3D),
    *(layers.UpSampling1D, layers.UpSampling3D),
    *(layers.Concatenate, layers.Masking, layers.Embedding),
)
"""Layers that move values and compute nothing."""
ELEMENTWISE = (
    *(layers.Add, layers.Subtract, layers.Multiply, layers.Average, layers.Maximum, layers.Minimum),
    *(layers.Rescaling, layers.Normalization),
    *(layers.Dropout, layers.SpatialDropout1D, layers.SpatialDropout2D, layers.SpatialDropout3D, layers.AlphaDropout),
    *(layers.GaussianNoise, layers.GaussianDropout, layers.ActivityRegularization),
)
"""Layers that work elementwise, on one value or one of each input at a time."""
ELEMENTWISE_BY_NAME = {
    "keras.src.ops.numpy": (
        *("Add", "Subtract", "Multiply", "Divide", "TrueDivide", "FloorDivide", "GetItem", "Pad", "Sin", "Cos", "Exp"),
        *("Log", "Sqrt", "Square", "Floor", "Round", "Negative", "Absolute", "Minimum", "Maximum", "Clip", "Where"),
        *("Equal", "NotEqual", "Greater", "GreaterEqual", "Less", "LessEqual", "LogicalAnd", "LogicalOr", "LogicalNot"),
        *("ZerosLike", "OnesLike", "FullLike"),
    ),
    "keras.src.ops.nn": ("Relu", "Sigmoid", "Softmax"),
    "keras.src.ops.core": ("Cast", "StopGradient"),
    "keras.src.applications.convnext": ("LayerScale", "StochasticDepth"),
    "keras.src.applications.inception_resnet_v2": ("CustomScaleLayer",),
    "dlcli.models.images.cells.drop_path": ("DropPath",),
}
"""The same without a public name: operations such as ``x + y`` and ``x[..., ::-1]``, layers of keras.applications
and of dlcli."""


@dataclass(frozen=True)
class Operations:
    """The cost of a layer for one sample.

    Attributes:
        multiply_adds: products and their addition to a sum.
        bias_additions: values to which a bias is added.
        normalization: values that a normalization scales and shifts.
        pooling: values in all pooling windows.
    """

    multiply_adds: int = 0
    bias_additions: int = 0
    normalization: int = 0
    pooling: int = 0

    def __add__(self, other: "Operations") -> "Operations":
        return Operations(
            self.multiply_adds + other.multiply_adds,
            self.bias_additions + other.bias_additions,
            self.normalization + other.normalization,
            self.pooling + other.pooling,
        )

    def times(self, number: int) -> "Operations":
        """The cost of as many calls."""
        return Operations(
            self.multiply_adds * number,
            self.bias_additions * number,
            self.normalization * number,
            self.pooling * number,
        )


def operations(layer: Any, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Operations | None:
    """The cost of one call of a layer for one sample.

    Args:
        layer: a built Keras layer, or another operation of a model.
        inputs: shapes of its inputs, in the order of the arguments of its ``call``.
        outputs: shapes of its outputs.

    Returns:
        The cost, or None if the kind of layer is not known here or a side has variable length. Subclasses of known
        layers are not known, because they may compute something else.
    """
    if any(side is None for shape in (*inputs, *outputs) for side in shape):
        return None
    fixed_inputs = [tuple(side for side in shape if side is not None) for shape in inputs]
    fixed_outputs = [tuple(side for side in shape if side is not None) for shape in outputs]
    return _operations(layer, fixed_inputs, fixed_outputs)


def _operations(layer: Any, inputs: Sequence[FixedShape], outputs: Sequence[FixedShape]) -> Operations | None:
    kind = type(layer)
    if kind is layers.Dense:
        return _products(layer, math.prod(outputs[0][:-1]), layer.kernel)
    if kind in CONVOLUTIONS:
        # each weight of the kernel is used once at each position of the output, in groups or not
        return _products(layer, _positions(outputs[0], layer), layer.kernel)
    if kind in SEPARABLE_CONVOLUTIONS:
        return _products(layer, _positions(outputs[0], layer), layer.depthwise_kernel, layer.pointwise_kernel)
    if kind in TRANSPOSED_CONVOLUTIONS:
        # the gradient of a convolution: each weight is used once at each position of the input
        products = _products(layer, _positions(inputs[0], layer), layer.kernel).multiply_adds
        return Operations(products, math.prod(outputs[0]) if layer.use_bias else 0)
    if kind is layers.ReversibleEmbedding:
        if len(outputs[0]) > len(inputs[0]):
            return Operations()  # it looks up
        return Operations(math.prod(outputs[0]) * layer.output_dim)
    if kind in RECURRENT_LAYERS and type(layer.cell) in RECURRENT_CELLS:
        return _products(layer.cell, inputs[0][0], layer.cell.kernel, layer.cell.recurrent_kernel)
    if kind is layers.RNN and type(layer.cell).__module__ == OWN_CELLS:
        return _products_of_cell(layer.cell, inputs[0][0])
    if kind is layers.Bidirectional:
        directions = [
            _operations(direction, inputs, outputs) for direction in (layer.forward_layer, layer.backward_layer)
        ]
        return _sum(directions)
    if kind is layers.TimeDistributed:
        return _sum([_operations(layer.layer, [inputs[0][1:]], [outputs[0][1:]])] * inputs[0][0])
    if kind is layers.EinsumDense:
        return _einsum(layer, inputs[0], outputs[0])
    if kind is layers.MultiHeadAttention:
        return _multi_head_attention(layer, query=inputs[0], value=inputs[1])
    if kind is layers.Attention and layer.score_mode == "dot":
        (num_queries, query_units), (num_values, value_units) = inputs[:2]
        return Operations(num_queries * num_values * (query_units + value_units))
    if kind in NORMALIZATIONS:
        return Operations(normalization=math.prod(outputs[0]))
    if kind in POOLINGS:
        return Operations(pooling=math.prod(outputs[0]) * math.prod(layer.pool_size))
    if kind in GLOBAL_POOLINGS:
        return Operations(pooling=math.prod(inputs[0]))
    if kind.__module__ == "keras.src.ops.numpy" and kind.__name__ == "Matmul" and len(inputs) == 2:
        return Operations(math.prod(outputs[0]) * inputs[0][-1])
    if kind.__module__ == "keras.src.ops.numpy" and kind.__name__ == "Einsum":
        return _products_of_two(layer.subscripts, inputs)
    if kind in ACTIVATIONS or kind in REARRANGEMENTS or is_elementwise(layer) or _is_sum_or_move(layer):
        return Operations()
    if is_interpolation(layer):
        return Operations(0 if layer.interpolation == "nearest" else 4 * math.prod(outputs[0]))
    return None


def is_interpolation(layer: Any) -> bool:
    """Whether a layer resizes maps to given sides by nearest neighbors or bilinear interpolation."""
    keeps_ratio = getattr(layer, "crop_to_aspect_ratio", False) or getattr(layer, "pad_to_aspect_ratio", False)
    return type(layer) in RESIZINGS and layer.interpolation in ("nearest", "bilinear") and not keeps_ratio


def is_elementwise(layer: Any) -> bool:
    """Whether a layer works elementwise, on one value or one of each input at a time."""
    kind = type(layer)
    return kind in ELEMENTWISE or kind.__name__ in ELEMENTWISE_BY_NAME.get(kind.__module__, ())


def _is_sum_or_move(operation: Any) -> bool:
    """Whether an operation only adds, compares, sorts or moves values, without products."""
    kind = type(operation)
    names = {
        "keras.src.ops.numpy": (
            *(
                "Sum",
                "Mean",
                "Max",
                "Min",
                "Any",
                "All",
                "Argmax",
                "Argsort",
                "Cumsum",
                "Concatenate",
                "Stack",
                "Reshape",
            ),
            *("Transpose", "ExpandDims", "Squeeze", "BroadcastTo", "Take", "TakeAlongAxis", "Flip", "Repeat", "Tile"),
            *("Triu", "Tril", "Isnan"),
        ),
        "keras.src.ops.math": ("TopK",),
        "keras.src.ops.nn": ("OneHot",),
    }
    return kind.__name__ in names.get(kind.__module__, ())


def _products(layer: Any, positions: int, *kernels: Any) -> Operations:
    """Each weight is used once at each position, and so is each bias."""
    weights = sum(math.prod(kernel.shape) for kernel in kernels)
    biases = math.prod(layer.bias.shape) if layer.use_bias else 0
    return Operations(positions * weights, positions * biases)


def _products_of_cell(cell: Any, steps: int) -> Operations:
    """Each matrix of a cell is used once at each step, and so are the biases."""
    biases = sum(math.prod(weight.shape) for weight in cell.weights if weight.name.endswith("bias"))
    return Operations(
        steps * sum(math.prod(weight.shape) for weight in cell.weights if len(weight.shape) == 2), steps * biases
    )


def _positions(shape: FixedShape, layer: Any) -> int:
    """Number of positions in a feature map, without its channels."""
    return math.prod(shape[1:] if layer.data_format == "channels_first" else shape[:-1])


def _einsum(layer: Any, inputs: FixedShape, outputs: FixedShape) -> Operations | None:
    operand, kernel, output = re.split(",|->", layer.equation.replace(" ", ""))
    if set(operand) - set(kernel) - set(output):
        return None  # a sum over the inputs alone, before any product
    summed = [side for letter, side in zip(kernel, layer.kernel.shape, strict=True) if letter not in output]
    num_outputs = math.prod(outputs)
    return Operations(num_outputs * math.prod(summed), num_outputs if layer.bias is not None else 0)


def _products_of_two(subscripts: str, inputs: Sequence[FixedShape]) -> Operations | None:
    """The products of an einsum of two tensors, whose batch dimension is the first letter of both; None for others."""
    letters = subscripts.replace(" ", "").partition("->")[0].split(",")
    if len(letters) != 2 or len(inputs) != 2 or letters[0][:1] != letters[1][:1]:
        return None
    sides: dict[str, int] = {}
    for names, shape in zip(letters, inputs, strict=True):
        sides |= dict(zip(names[1:], shape, strict=True))
    return Operations(math.prod(sides.values()))


def _multi_head_attention(layer: Any, query: FixedShape, value: FixedShape) -> Operations | None:
    """Vaswani et al. 2017, section 3.2.2: the projections, the scores, and the weighted sums of the values."""
    if len(query) != 2 or len(value) != 2 or layer.get_config()["use_gate"]:
        return None
    num_queries, num_values = query[0], value[0]
    value_units = layer.value_dense.kernel.shape[-1]
    projections = [
        *(_projection(projection, num_queries) for projection in (layer.query_dense, layer.output_dense)),
        *(_projection(projection, num_values) for projection in (layer.key_dense, layer.value_dense)),
    ]
    products = num_queries * num_values * layer.num_heads * (layer.key_dim + value_units)
    return _sum([*projections, Operations(products)])


def _projection(layer: Any, positions: int) -> Operations:
    biases = 0 if layer.bias is None else math.prod(layer.bias.shape)
    return Operations(positions * math.prod(layer.kernel.shape), positions * biases)


def _sum(parts: Sequence[Operations | None]) -> Operations | None:
    """The sum of the parts; None if one is not known."""
    total = Operations()
    for part in parts:
        if part is None:
            return None
        total += part
    return total
