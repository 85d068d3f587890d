"""The layer table of a model: output shape, parameters, activations and cost of each layer."""

import csv
import inspect
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import keras

from dlcli.report.cost.multiply_adds import ACTIVATIONS, Operations, Shape, operations
from dlcli.report.cost.receptive_field import ReceptiveField, Window, field_of, input_windows, windows_after

IN_PLACE = (
    *ACTIVATIONS,
    *(keras.layers.Flatten, keras.layers.Reshape, keras.layers.Identity, keras.layers.Rescaling),
)
"""Layers whose outputs can replace their inputs in memory."""

BYTES_PER_NUMBER = 4  # float32, the type of weights whatever the dtype of computations


@dataclass(frozen=True)
class LayerRow:
    """One call of a layer, for one sample.

    Attributes:
        name: the layer's name; in a nested model preceded by the model's name and a slash.
        kind: name of its class.
        output_shapes: shape of each output without the batch dimension; None for a side of variable length. Of a layer
            that sees the parts of a sample as a batch, their number comes first.
        trainable: number of parameters that training changes.
        non_trainable: number of other parameters: frozen ones, moving averages.
        shared: whether the parameters are counted in an earlier row, and are 0 here.
        weights: name and shape of each weight that is counted here, such as ``lstm_cell/kernel``.
        activations: number of output values; None if it depends on the input's length. Layers that are only activation
            functions, and Flatten, Reshape, Identity and Rescaling, add none: they can work in place, so that
            ``Dense(activation="relu")`` counts the same as ``Dense`` followed by ``ReLU``.
        operations: cost of the layer; None if it is not known.
        is_bare: whether it is not a layer, but a single operation between layers, without weights.
        receptive_field: sides of the part of the input on which one output depends; "all" for the whole input; None if
            it is not known.
    """

    name: str
    kind: str
    output_shapes: tuple[Shape, ...]
    trainable: int
    non_trainable: int
    shared: bool
    weights: tuple[tuple[str, Shape], ...]
    is_bare: bool
    activations: int | None
    operations: Operations | None
    receptive_field: ReceptiveField

    @property
    def parameters(self) -> int:
        return self.trainable + self.non_trainable

    @property
    def is_listed(self) -> bool:
        """Whether the table shows the row: single operations without multiplications are only counted."""
        return not self.is_bare or self.operations != Operations()

    @property
    def mebibytes(self) -> float | None:
        """Size of its outputs for one sample in float32."""
        return None if self.activations is None else self.activations * BYTES_PER_NUMBER / 2**20


@dataclass(frozen=True)
class LayerTable:
    """The rows of a model in order of computation, and their totals."""

    input_shapes: tuple[Shape, ...]
    rows: tuple[LayerRow, ...]

    @property
    def trainable(self) -> int:
        return sum(row.trainable for row in self.rows)

    @property
    def non_trainable(self) -> int:
        return sum(row.non_trainable for row in self.rows)

    @property
    def parameters(self) -> int:
        """Number of parameters; shared ones are counted once."""
        return self.trainable + self.non_trainable

    @property
    def activations(self) -> int:
        """Number of values for one sample, including the inputs, without rows whose number is not known."""
        return sum(row.activations or 0 for row in self.rows)

    @property
    def kept_activations(self) -> int:
        """Activations that training must keep for backpropagation: from the inputs of the first trainable layer on."""
        trained = [position for position, row in enumerate(self.rows) if row.trainable]
        if not trained:
            return 0
        first = trained[0] - 1
        while first > 0 and self.rows[first].activations == 0:  # in place: its values are those of the row before it
            first -= 1
        return sum(row.activations or 0 for row in self.rows[max(first, 0) :])

    @property
    def mebibytes(self) -> float:
        """Size of the activations for one sample in float32."""
        return self.activations * BYTES_PER_NUMBER / 2**20

    @property
    def operations(self) -> Operations:
        """Cost for one sample, without rows whose cost is not known."""
        return sum((row.operations for row in self.rows if row.operations is not None), start=Operations())

    @property
    def not_counted(self) -> tuple[LayerRow, ...]:
        """The rows that the totals leave out."""
        return tuple(row for row in self.rows if row.operations is None or row.activations is None)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "input_shapes": self.input_shapes,
            "parameters": self.parameters,
            "trainable": self.trainable,
            "non_trainable": self.non_trainable,
            "activations": self.activations,
            "operations": asdict(self.operations),
            "not_counted": [row.name for row in self.not_counted],
            "layers": [asdict(row) for row in self.rows],
        }


# Reading a model ------------------------------------------------------------------------------------------------------


def layer_table(model: keras.Model, *, steps: int | None = None) -> LayerTable:
    """The layer table of a built functional or sequential model.

    Nested models are expanded. A layer that is called several times has a row for each call.

    Args:
        steps: length of the sequence for which costs are computed, if the model's inputs have variable length.

    Raises:
        ValueError: the model is neither (a subclass of ``keras.Model``), is not built, or a layer rejects the shapes.
    """
    if isinstance(model, keras.Sequential) and not model.built:
        raise ValueError("a layer table needs a built model: the shapes of its layers are not known yet.")
    if not _can_be_opened(model):
        raise ValueError(f"a layer table needs a functional or sequential model. Received a {type(model).__name__}.")
    table = _Reader()
    inputs = [
        keras.KerasTensor(_of_length(tensor.shape, steps), tensor.dtype, name=tensor.name) for tensor in model.inputs
    ]
    for tensor in inputs:
        table.add_input(tensor)
    table.read(model, inputs, prefix="")
    return LayerTable(tuple(tuple(tensor.shape[1:]) for tensor in inputs), tuple(table.rows))


def _of_length(shape: Sequence[int | None], steps: int | None) -> tuple[int | None, ...]:
    """The shape of a batch of one sample, so that layers that see its parts as a batch show how many there are."""
    _, *sides = shape
    return (1, *(steps if side is None else side for side in sides))


def _can_be_opened(model: Any) -> bool:
    return isinstance(model, (keras.Function, keras.Sequential))


class _Reader:
    """Propagates shapes through a model and adds a row for each layer call."""

    def __init__(self) -> None:
        self.rows: list[LayerRow] = []
        self.seen: set[int] = set()  # ids of the weights in earlier rows
        self.windows: dict[
            int, tuple[Any, tuple[Window, ...] | None]
        ] = {}  # by the id of a tensor, which is kept alive

    def read(self, model: Any, inputs: Any, prefix: str) -> Any:
        """Returns the model's outputs for these inputs; all tensors are symbolic."""
        if isinstance(model, keras.Sequential):
            (inputs,) = _tensors(inputs)  # a list of one for the outermost model
            for layer in model.layers:
                inputs = self.call(layer, prefix)(inputs)
            return inputs
        # Keras's own way of running a model's graph on shapes other than those it was built for
        return model._run_through_graph(inputs, operation_fn=lambda layer: self.call(layer, prefix))

    def call(self, layer: Any, prefix: str) -> Callable[..., Any]:
        """The function that replaces a layer in the graph."""

        def called(*args: Any, **kwargs: Any) -> Any:
            name = prefix + layer.name
            if _can_be_opened(layer):
                return self.read(layer, args[0], prefix=f"{name}/")
            try:
                outputs = layer.compute_output_spec(*args, **kwargs)
            except Exception as error:  # a layer may raise any exception for shapes that it does not support
                reason = " ".join(str(error).split())[:200]
                raise ValueError(f"the layer '{name}' ({type(layer).__name__}) cannot be read: {reason}") from None
            arguments = inspect.signature(layer.call).bind(*args, **kwargs).arguments
            inputs = _tensors(list(arguments.values()))  # in the order of the signature
            input_shapes, output_shapes = _sample_shapes(inputs), _sample_shapes(outputs)
            cost, count = operations(layer, input_shapes, output_shapes), _parts_of_sample(outputs)
            windows = windows_after(
                layer, [self.windows[id(tensor)][1] for tensor in inputs], input_shapes, output_shapes
            )
            for tensor in _tensors(outputs):
                self.windows[id(tensor)] = (tensor, windows)
            self.add_row(
                name,
                kind=type(layer).__name__,
                weights=getattr(layer, "weights", []),  # operations such as keras.ops.add have none
                outputs=[shape if count == 1 else (count, *shape) for shape in output_shapes],
                cost=None if cost is None else cost.times(count),
                field=field_of(windows),
                in_place=type(layer) in IN_PLACE,
                is_bare=not isinstance(layer, keras.Layer),
            )
            return outputs

        return called

    def add_input(self, tensor: Any) -> None:
        shape = tuple(tensor.shape[1:])
        windows = input_windows(shape)
        self.windows[id(tensor)] = (tensor, windows)
        field = field_of(windows)
        # Keras's default names of inputs, and its suffix for inputs of cloned models
        name = "input" if tensor.name.startswith("keras_tensor") else tensor.name.removesuffix("CLONE")
        self.add_row(name, kind="InputLayer", weights=[], outputs=[shape], cost=Operations(), field=field)

    def add_row(
        self,
        name: str,
        *,
        kind: str,
        weights: Sequence[Any],
        outputs: Sequence[Shape],
        cost: Operations | None,
        field: ReceptiveField,
        in_place: bool = False,
        is_bare: bool = False,
    ) -> None:
        new = [weight for weight in weights if id(weight) not in self.seen]
        self.seen.update(id(weight) for weight in new)
        self.rows.append(
            LayerRow(
                name=name,
                kind=kind,
                output_shapes=tuple(tuple(shape) for shape in outputs),
                trainable=sum(math.prod(weight.shape) for weight in new if weight.trainable),
                non_trainable=sum(math.prod(weight.shape) for weight in new if not weight.trainable),
                shared=len(weights) > 0 and not new,
                weights=tuple((weight.path.partition("/")[2], tuple(weight.shape)) for weight in new),
                is_bare=is_bare,
                activations=0 if in_place else _num_elements(outputs),
                operations=cost,
                receptive_field=field,
            )
        )


def _tensors(nested: Any) -> list[Any]:
    """All tensors in nested lists, tuples and mappings."""
    return [leaf for leaf in keras.tree.flatten(nested) if isinstance(leaf, keras.KerasTensor)]


def _sample_shapes(nested: Any) -> list[Shape]:
    """Shapes of all tensors without the batch dimension."""
    return [tuple(tensor.shape[1:]) for tensor in _tensors(nested)]


def _parts_of_sample(outputs: Any) -> int:
    """How often a layer is applied to a sample that it sees as a batch, as of the boxes of an image."""
    batch = _tensors(outputs)[0].shape[0]
    return 1 if batch is None else int(batch)


def _num_elements(shapes: Sequence[Shape]) -> int | None:
    total = 0
    for shape in shapes:
        for side in shape:
            if side is None:
                return None
        total += math.prod(side for side in shape if side is not None)
    return total


# Text -----------------------------------------------------------------------------------------------------------------


COLUMNS = ("layer", "kind", "output", "parameters", "not trained", "activations", "MiB", "multiply-adds", "field")


def table_cells(table: LayerTable) -> list[tuple[str, ...]]:
    """The cells of the listed rows as text, in the order of COLUMNS, and a last row with the totals."""
    rows = [
        (
            row.name,
            row.kind,
            ", ".join(shape_text(shape) for shape in row.output_shapes),
            "shared" if row.shared else f"{row.parameters:,}",
            f"{row.non_trainable:,}",
            _activations_text(row.activations),
            "" if not row.activations else f"{row.mebibytes:,.2f}",
            "not counted" if row.operations is None else f"{row.operations.multiply_adds:,}",
            field_text(row.receptive_field),
        )
        for row in table.rows
        if row.is_listed
    ]
    total = (
        *("total", "", ""),
        *(f"{table.parameters:,}", f"{table.non_trainable:,}", f"{table.activations:,}"),
        *(f"{table.mebibytes:,.2f}", f"{table.operations.multiply_adds:,}", ""),
    )
    return [*rows, total]


def table_csv(table: LayerTable) -> str:
    """All rows as CSV with plain numbers; unknown numbers are empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    counts = [field.name for field in fields(Operations)]
    writer.writerow(
        ["layer", "kind", "output", "trainable", "non_trainable", "shared", "activations", "mib", *counts, "field"]
    )
    for row in table.rows:
        costs = [""] * len(counts) if row.operations is None else list(asdict(row.operations).values())
        outputs = ", ".join(shape_text(shape) for shape in row.output_shapes)
        size = "" if row.mebibytes is None else f"{row.mebibytes:.6f}"
        numbers = [row.trainable, row.non_trainable, str(row.shared).lower(), row.activations, size]
        writer.writerow([row.name, row.kind, outputs, *numbers, *costs, field_text(row.receptive_field)])
    return text.getvalue()


def field_text(field: ReceptiveField) -> str:
    """``43x43``, ``all``, or ``?`` if it is not known."""
    if isinstance(field, str):
        return field
    return "?" if field is None else "x".join(str(side) for side in field)


def table_text(table: LayerTable) -> str:
    """The table as aligned plain text, with the totals first and notes on what is not counted last."""
    cost = table.operations
    inputs = ", ".join(shape_text(shape) for shape in table.input_shapes)
    least = "at least " if table.not_counted else ""
    lines = [
        f"{table.parameters:,} parameters, {least}{cost.multiply_adds:,} multiply-adds, "
        f"{least}{table.activations:,} activations for an input of {inputs}",
        "",
        *_aligned([COLUMNS, *table_cells(table)]),
        "",
        "Multiply-adds are the products of convolution, dense, recurrent and attention layers, and of bilinear "
        "resizing, for one input.",
        f"Not included: {cost.bias_additions:,} bias additions, {cost.normalization:,} values normalized, "
        f"{cost.pooling:,} values pooled,",
        "activation functions and other elementwise operations.",
        "Field: the receptive field, the part of the input on which one output value depends.",
    ]
    hidden = sum(not row.is_listed for row in table.rows)
    if hidden:
        noun = "operation" if hidden == 1 else "operations"
        lines.append(
            f"Not listed: {hidden} {noun} between layers without multiplications; their activations are counted."
        )
    if table.not_counted:
        lines.append(f"Not counted: {', '.join(f'{row.name} ({row.kind})' for row in table.not_counted)}.")
    return "\n".join(lines) + "\n"


def shape_text(shape: Shape) -> str:
    """``28x28x1``; ``?`` for a side of variable length."""
    return "x".join("?" if side is None else str(side) for side in shape) or "1"


def _activations_text(number: int | None) -> str:
    if number is None:
        return "not counted"
    return f"{number:,}" if number else "in place"


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Lines with aligned columns: the first three to the left, numbers to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if i < 3 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
