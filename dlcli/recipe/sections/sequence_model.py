"""The ``model`` section of sequence tasks: what makes of the steps of a sequence what the task's last layer takes."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le
from pydantic import Field

from dlcli.recipe.language.fields import Count, NullForDefault, Proportion, Section

NumLayers = Annotated[int, Ge(1), Le(100)]


class Recurrent(Section):
    """Recurrent layers: simple, LSTM or GRU, deep and in both directions where wanted."""

    kind: Literal["recurrent"]
    """Family of networks."""
    cell: Literal["simple", "lstm", "gru"] = "lstm"
    """What a layer does at each step."""
    units: Count = 128
    """Of each layer, in each direction."""
    layers: NumLayers = 1
    """Layers one above the other."""
    bidirectional: bool = False
    """A second layer beside each, which goes backward from the sequence's end."""
    pooling: Literal["last", "mean", "max", "attention"] | None = None
    """How all steps become one answer: the state at the end (backward: at the start); the mean, the maximum, or a mean
    by learned weights of the last layer's outputs. Default: last."""
    dropout: Proportion = 0.0
    """Proportion set to 0 in training of each layer's inputs, the same at every step, and before the answer."""
    recurrent_dropout: Proportion = 0.0
    """Proportion of the state set to 0 in training, the same at every step. On a GPU it loses the fast cuDNN kernel."""
    residual: bool = False
    """Add each layer's inputs to its outputs, where both are as many."""
    layer_norm: bool = False
    """Normalize each layer's outputs over its units."""
    recurrent_initializer: Literal["orthogonal", "glorot_uniform"] = "orthogonal"
    """Initial weights from state to state."""
    forget_bias: bool = True
    """Begin with LSTM's forget gates open: their bias is 1."""


class Convolutional(Section):
    """One-dimensional convolutions over the steps, dilated and causal where wanted."""

    kind: Literal["convolutional"]
    """Family of networks."""
    filters: Count = 128
    """Outputs of each convolution."""
    kernel_size: Annotated[int, Ge(1), Le(1000)] = 3
    """Steps that a convolution sees."""
    dilations: Annotated[tuple[Count, ...], Field(min_length=1, max_length=100)] = (1, 2, 4)
    """A convolution for each, and the distance between the steps that it sees."""
    causal: bool = False
    """See only a step and those before it."""
    pooling: Literal["last", "mean", "max", "attention"] | None = None
    """How all steps become one answer: the last, the mean, the maximum, or a mean by learned weights. Default:
    max."""
    dropout: Proportion = 0.0
    """Proportion set to 0 in training of each convolution's inputs, and before the answer."""
    residual: bool = True
    """Add each convolution's inputs to its outputs, where both are as many."""
    layer_norm: bool = False
    """Normalize each convolution's outputs over its filters, before ReLU."""


class Transformer(Section):
    """Blocks of self-attention and a dense network for each step (Vaswani et al. 2017)."""

    kind: Literal["transformer"]
    """Family of networks."""
    units: Count = 128
    """Numbers for each step throughout."""
    heads: Count = 4
    """Of each attention; they divide the units."""
    layers: NumLayers = 2
    """Blocks."""
    feed_forward: Annotated[Count, NullForDefault("4 times `units`")] = 512
    """Units of the hidden layer of each step's network (section 3.3)."""
    causal: bool = False
    """Attend only to a step and those before it."""
    pooling: Literal["last", "mean", "max", "attention"] | None = None
    """How all steps become one answer: the last, the mean, the maximum, or a mean by learned weights. Default:
    mean."""
    dropout: Proportion = 0.1
    """Proportion set to 0 in training of the inputs, of what each part adds, and before the answer."""

    @classmethod
    def dependent_defaults(cls, values: Mapping[str, Any]) -> Mapping[str, Any]:
        units = values.get("units")
        return {"feed_forward": 4 * units} if type(units) is int and units > 0 else {}

    def rules(self) -> Iterator[tuple[str, str]]:
        if self.units % self.heads:
            yield "heads", f"must divide units, {self.units}. Received {self.heads}."


class Ntm(Section):
    """Neural Turing Machine (Graves et al. 2014): a controller with a memory that it reads and writes by attention."""

    kind: Literal["ntm"]
    """Family of networks."""
    controller: Literal["lstm", "dense"] = "lstm"
    """A recurrent controller, or one that sees only the step and what was read last."""
    units: Count = 100
    """Of the controller."""
    memory: tuple[Annotated[int, Ge(2), Le(10_000)], Annotated[int, Ge(1), Le(1_000)]] = (128, 20)
    """Rows of the memory, and numbers in each."""
    read_heads: Annotated[int, Ge(1), Le(16)] = 1
    """Heads that read."""
    write_heads: Annotated[int, Ge(1), Le(16)] = 1
    """Heads that write."""
    shift: Annotated[int, Ge(1), Le(8)] = 1
    """Rows that an address can be moved by in one step, forward and backward."""
    dropout: Proportion = 0.0
    """Proportion set to 0 in training before the answer."""

    def rules(self) -> Iterator[tuple[str, str]]:
        if 2 * self.shift + 1 > self.memory[0]:
            yield "shift", f"must leave each shift its own row, of which there are {self.memory[0]}"


StepModel = Annotated[Recurrent | Convolutional | Transformer, Field(discriminator="kind")]
AnyStepModel = Annotated[Recurrent | Convolutional | Transformer | Ntm, Field(discriminator="kind")]


def rules_of_steps(model: AnyStepModel) -> Iterator[tuple[str, str]]:
    """What does not go with an answer for each step."""
    if not isinstance(model, Ntm) and model.pooling is not None:
        yield "model.pooling", "is for tasks with one answer a sequence; here each step has its own; remove it"
