"""The ``model`` section for image classifiers: a class for each family of networks."""

from typing import Annotated, Literal

from annotated_types import Ge, Le
from pydantic import Field

from dlcli.recipe.fields import Count, Proportion, Section

Activation = Literal["relu", "leaky_relu", "elu", "selu", "gelu", "silu", "tanh", "sigmoid", "linear"]


class ImageModel(Section):
    """The keys that every image model has."""

    preprocessing: Literal["unit", "symmetric", "none"] | None = None
    """What the network does first with pixels in [0, 255]: scale to [0, 1] (unit), [-1, 1] (symmetric) or not.

    Default: unit for images, none for signals and volumes.
    """


class ConvBlock(Section):
    """One stage of a convnet: convolution, detector and pooling (Goodfellow et al. 2016, figure 9.7)."""

    filters: Count
    """Number of feature maps of the convolution."""
    kernel_size: Count = 3
    """Side of the convolution's kernel."""
    strides: Count = 1
    """Step of the convolution; with `repeat`, of the first."""
    padding: Literal["same", "valid"] = "same"
    """Pad with zeros so that the size stays (same), or use whole kernels only (valid)."""
    activation: Activation = "relu"
    """The detector: what is applied to the convolution's output."""
    batch_norm: bool = False
    """Normalise over the batch between convolution and detector; the convolution then has no bias."""
    repeat: Annotated[int, Ge(1), Le(100)] = 1
    """How many convolutions (each with its detector) come before the pooling."""
    pool: Literal["max", "average", "none"] = "max"
    """Pooling at the stage's end."""
    pool_size: Annotated[int, Field(ge=2)] = 2
    """Side and step of the pooling window."""
    dropout: Proportion = 0.0
    """Proportion of the stage's outputs set to 0 in training."""


class Convnet(ImageModel):
    """A plain convolutional network: stages, then flattening or global pooling, then dense layers."""

    kind: Literal["convnet"]
    """Family of networks."""
    rank: Annotated[int, Ge(1), Le(3)] = 2
    """Dimensions of the convolution: 1 for signals, 2 for images, 3 for volumes."""
    blocks: Annotated[tuple[ConvBlock, ...], Field(min_length=1, max_length=100)]
    """The stages, in order."""
    pooling: Literal["flatten", "average", "max"] = "flatten"
    """How the last feature maps become a vector: all of them, or the mean or maximum of each."""
    dense: tuple[Count, ...] = ()
    """Units of the dense layers between the feature vector and the classes."""
    activation: Activation = "relu"
    """Activation of the dense layers."""
    dropout: Proportion = 0.0
    """Proportion of the units set to 0 in training before each dense layer, the last one included."""


class Lenet5(ImageModel):
    """LeNet-5 (LeCun et al. 1998) as it is built today: 61,706 parameters on 10 classes."""

    kind: Literal["lenet5"]
    """Family of networks."""
    activation: Literal["relu", "tanh", "sigmoid"] = "relu"
    """Activation of the convolutional and dense layers (1998: a scaled tanh)."""
    pool: Literal["max", "average"] = "max"
    """Pooling of the two stages (1998: a trainable average)."""


class Mlp(ImageModel):
    """A multilayer perceptron on the flattened picture."""

    kind: Literal["mlp"]
    """Family of networks."""
    units: tuple[Count, ...] = (128,)
    """Units of the hidden layers, in order."""
    activation: Activation = "relu"
    """Activation of the hidden layers."""
    batch_norm: bool = False
    """Normalise over the batch before each activation; the layer then has no bias."""
    dropout: Proportion = 0.0
    """Proportion of the units set to 0 in training after each hidden layer."""


ImageClassifier = Annotated[Convnet | Lenet5 | Mlp, Field(discriminator="kind")]
