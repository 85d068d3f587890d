"""The ``model`` section of sequence tasks: the encoder between a sequence's steps and the task's output layer."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Le
from pydantic import Field

from dlcli.recipe.language.fields import Count, NullForDefault, PositiveProportion, Proportion, Section

NumLayers = Annotated[int, Ge(1), Le(100)]
KernelSize = Annotated[int, Ge(1), Le(1000)]


class Recurrent(Section):
    """One or more recurrent layers: simple, leaky, Jordan, LSTM or GRU, in one direction or both."""

    has_targets: ClassVar[bool] = False
    """Whether each step has a target, which can be fed back."""

    kind: Literal["recurrent"]
    """Family of networks."""
    cell: Literal["simple", "leaky", "jordan", "lstm", "gru"] = "lstm"
    """Type of recurrent cell. A leaky unit keeps the proportion `decay` of its state at each step; in a Jordan network
    an output layer is fed back instead of the hidden units."""
    units: Count = 128
    """Units of each layer, for each direction."""
    layers: NumLayers = 1
    """Number of stacked layers."""
    bidirectional: bool = False
    """Whether each layer also reads the sequence backward."""
    pooling: Literal["last", "mean", "max", "attention"] | None = None
    """How the outputs of all steps become one vector: the state after the last step (backward: the first), their mean
    or maximum, or a mean with learned weights (attention). Default: last."""
    dropout: Proportion = 0.0
    """Dropout rate for the inputs of each layer, with one mask for all steps, and before the output layer."""
    recurrent_dropout: Proportion = 0.0
    """Dropout rate for the recurrent state, with one mask for all steps. On a GPU it disables the fast cuDNN kernel."""
    residual: bool = False
    """Whether to add the inputs of each layer to its outputs, where both have the same size."""
    layer_norm: bool = False
    """Layer normalization of the outputs of each layer."""
    recurrent_initializer: Literal["orthogonal", "glorot_uniform"] = "orthogonal"
    """Initializer of the recurrent weights."""
    forget_bias: bool = True
    """Whether the biases of LSTM's forget gates are initialized to 1."""
    decay: PositiveProportion = 0.95
    """For leaky units, the proportion of its state that a unit keeps at each step; near one it remembers longer, for
    about 1 / (1 - decay) steps. With `learn_decay` its initial value."""
    learn_decay: bool = False
    """For leaky units, whether each learns its own decay."""
    teacher_forcing: bool = False
    """For Jordan networks that predict a class at each step, whether the predicted classes themselves are fed back: in
    training the true class of the step before (Williams and Zipser 1989), in prediction the network's own
    probabilities. `dropout` is then of the inputs."""

    def rules(self) -> Iterator[tuple[str, str]]:
        if self.teacher_forcing:
            yield from self._rules_of_teacher_forcing()
        if self.cell != "leaky":
            fields = Recurrent.model_fields
            for key in ("decay", "learn_decay"):
                if getattr(self, key) != fields[key].default:
                    yield key, f"is for cell: leaky; remove it. Received cell: {self.cell}."

    def _rules_of_teacher_forcing(self) -> Iterator[tuple[str, str]]:
        if not self.has_targets:
            yield (
                "teacher_forcing",
                "needs a true class at each step, which task: tagging has; language models and encoder-decoders are "
                "fed the true previous token already. Remove it.",
            )
            return
        if self.cell != "jordan":
            yield "teacher_forcing", f"is for cell: jordan; remove it. Received cell: {self.cell}."
            return
        fields = Recurrent.model_fields
        for key in ("layers", "bidirectional", "recurrent_dropout", "residual", "layer_norm"):
            if getattr(self, key) != fields[key].default:
                yield key, "cannot be combined with teacher_forcing: one layer is fed the classes; remove one of them."


class Convolutional(Section):
    """One-dimensional convolutions over the steps, which may be dilated and causal."""

    kind: Literal["convolutional"]
    """Family of networks."""
    filters: Count = 128
    """Number of filters of each convolution."""
    kernel_size: KernelSize = 3
    """Number of steps in a kernel."""
    dilations: Annotated[tuple[Count, ...], Field(min_length=1, max_length=100)] = (1, 2, 4)
    """Dilation of each convolution: the distance between the steps that its kernel covers. One for each convolution."""
    causal: bool = False
    """Whether a step's output depends only on that step and earlier ones."""
    pooling: Literal["last", "mean", "max", "attention"] | None = None
    """How the outputs of all steps become one vector: the last one, their mean or maximum, or a mean with learned
    weights (attention). Default: max."""
    dropout: Proportion = 0.0
    """Dropout rate for the inputs of each convolution, and before the output layer."""
    residual: bool = True
    """Whether to add the inputs of each convolution to its outputs, where both have the same size."""
    layer_norm: bool = False
    """Layer normalization of the outputs of each convolution, before ReLU."""


class Transformer(Section):
    """Blocks of self-attention and a feed-forward network (Vaswani et al. 2017)."""

    kind: Literal["transformer"]
    """Family of networks."""
    units: Count = 128
    """Size of the representation of each step."""
    heads: Count = 4
    """Number of attention heads, which must divide `units`."""
    layers: NumLayers = 2
    """Number of blocks."""
    feed_forward: Annotated[Count, NullForDefault("4 times `units`")] = 512
    """Units of the hidden layer of the feed-forward networks (section 3.3)."""
    causal: bool = False
    """Whether a step attends only to itself and earlier ones."""
    pooling: Literal["last", "mean", "max", "attention"] | None = None
    """How the outputs of all steps become one vector: the last one, their mean or maximum, or a mean with learned
    weights (attention). Default: mean."""
    dropout: Proportion = 0.1
    """Dropout rate for the inputs, for the output of each attention and feed-forward network, and before the output
    layer."""

    @classmethod
    def dependent_defaults(cls, values: Mapping[str, Any]) -> Mapping[str, Any]:
        units = values.get("units")
        return {"feed_forward": 4 * units} if type(units) is int and units > 0 else {}

    def rules(self) -> Iterator[tuple[str, str]]:
        if self.units % self.heads:
            yield "heads", f"must divide units, {self.units}. Received {self.heads}."


class SeriesConvnet(Section):
    """The keys of convolutional networks with batch normalization."""

    pooling: Literal["last", "mean", "max", "attention"] | None = None
    """How the outputs of all steps become one vector: the last one, their mean or maximum, or a mean with learned
    weights (attention). Default: mean."""
    dropout: Proportion = 0.0
    """Dropout rate before the output layer."""


class InceptionTime(SeriesConvnet):
    """InceptionTime (Ismail Fawaz et al. 2020): convolutions with long kernels of several lengths, side by side, with
    batch normalization."""

    kind: Literal["inception_time"]
    """Family of networks."""
    filters: Count = 32
    """Number of filters of each branch."""
    kernel_sizes: Annotated[tuple[KernelSize, ...], Field(min_length=1, max_length=10)] = (40, 20, 10)
    """Number of steps in the kernels of each branch; all must differ."""
    bottleneck: Count = 32
    """Number of features that the branches read."""
    modules: Annotated[int, Ge(1), Le(30)] = 6
    """Number of inception modules."""
    residual: bool = True
    """Whether there is a shortcut around every three modules."""

    def rules(self) -> Iterator[tuple[str, str]]:
        if len(set(self.kernel_sizes)) < len(self.kernel_sizes):
            yield "kernel_sizes", f"each length can be named once. Received {list(self.kernel_sizes)}."


class SeriesFcn(SeriesConvnet):
    """Fully convolutional network (Wang, Yan and Oates 2017): three convolutions of 8, 5 and 3 steps, with batch
    normalization."""

    kind: Literal["fcn"]
    """Family of networks."""
    filters: tuple[Count, Count, Count] = (128, 256, 128)
    """Number of filters of each convolution."""


class SeriesResNet(SeriesConvnet):
    """Residual network (Wang, Yan and Oates 2017): blocks of three convolutions of 8, 5 and 3 steps, with batch
    normalization and a shortcut."""

    kind: Literal["resnet"]
    """Family of networks."""
    filters: Annotated[tuple[Count, ...], Field(min_length=1, max_length=30)] = (64, 128, 128)
    """Number of filters of the convolutions of each block."""


class Ntm(Section):
    """Neural Turing Machine (Graves et al. 2014): a controller that reads and writes a memory by attention."""

    kind: Literal["ntm"]
    """Family of networks."""
    controller: Literal["lstm", "dense"] = "lstm"
    """A recurrent controller (lstm), or one that sees only the current step and the last reads (dense)."""
    units: Count = 100
    """Units of the controller."""
    memory: tuple[Annotated[int, Ge(2), Le(10_000)], Annotated[int, Ge(1), Le(1_000)]] = (128, 20)
    """Number of memory rows, and size of each."""
    read_heads: Annotated[int, Ge(1), Le(16)] = 1
    """Number of read heads."""
    write_heads: Annotated[int, Ge(1), Le(16)] = 1
    """Number of write heads."""
    shift: Annotated[int, Ge(1), Le(8)] = 1
    """Maximum shift of an address in one step, in rows, forward and backward."""
    dropout: Proportion = 0.0
    """Dropout rate before the output layer."""

    def rules(self) -> Iterator[tuple[str, str]]:
        if 2 * self.shift + 1 > self.memory[0]:
            yield (
                "shift",
                f"2 * shift + 1 must be at most the {self.memory[0]} rows of the memory. Received {self.shift}.",
            )


StepModel = Annotated[Recurrent | Convolutional | Transformer, Field(discriminator="kind")]
SeriesModel = Annotated[
    Recurrent | Convolutional | InceptionTime | SeriesFcn | SeriesResNet | Transformer, Field(discriminator="kind")
]
AnyStepModel = Annotated[Recurrent | Convolutional | Transformer | Ntm, Field(discriminator="kind")]


def rules_of_steps(model: AnyStepModel) -> Iterator[tuple[str, str]]:
    """Rules of a network with an output for each step."""
    if not isinstance(model, Ntm) and model.pooling is not None:
        yield (
            "model.pooling",
            "is for tasks with one output for each sequence; this task has one for each step; remove it",
        )
