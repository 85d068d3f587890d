"""The ``model`` section for image classifiers: a class for each family of networks."""

from collections.abc import Iterator
from typing import Annotated, Literal

from annotated_types import Ge, Le
from pydantic import Field

from dlcli.recipe.fields import Count, FractionsAllowed, LocalPath, Proportion, Section

Activation = Literal["relu", "leaky_relu", "elu", "selu", "gelu", "silu", "tanh", "sigmoid", "linear"]

ApplicationName = Literal[
    "convnextbase", "convnextlarge", "convnextsmall", "convnexttiny", "convnextxlarge", "densenet121", "densenet169",
    "densenet201", "efficientnetb0", "efficientnetb1", "efficientnetb2", "efficientnetb3", "efficientnetb4",
    "efficientnetb5", "efficientnetb6", "efficientnetb7", "efficientnetv2b0", "efficientnetv2b1", "efficientnetv2b2",
    "efficientnetv2b3", "efficientnetv2l", "efficientnetv2m", "efficientnetv2s", "inceptionresnetv2", "inceptionv3",
    "mobilenet", "mobilenetv2", "mobilenetv3large", "mobilenetv3small", "nasnetlarge", "nasnetmobile", "resnet101",
    "resnet101v2", "resnet152", "resnet152v2", "resnet50", "resnet50v2", "vgg16", "vgg19", "xception",
]  # fmt: skip
Preprocessing = Literal["unit", "symmetric", "caffe", "torch", "none"]


class ImageModel(Section):
    """The keys that every image model has."""

    preprocessing: Preprocessing | None = None
    """What the network does first with pixels in [0, 255]: scale to [0, 1] (unit), [-1, 1] (symmetric) or not; as the
    weights of keras.applications want it: caffe (BGR, ImageNet's mean pixel taken off), torch (ImageNet's mean 0 and
    deviation 1 in each channel).

    Default: unit for images, none for signals and volumes; for `kind: application` what its weights want.
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


class Backbone(ImageModel):
    """The keys of the networks that have been published for ImageNet: feature maps, and a head that makes a vector."""

    head: Literal["paper", "average", "max"] = "paper"
    """From the last feature maps to the classes: as in the paper, or by each map's mean or maximum."""
    dropout: Proportion | None = None
    """Proportion set to 0 in training before the classes. Default: the paper's (0.5 in VGG; 0.2 in SENet-154, PolyNet
    and some of keras.applications; else 0)."""


class Scalable(Backbone):
    """A backbone that this program builds itself."""

    width: Annotated[float, Ge(0.01), Le(16), FractionsAllowed()] = 1.0
    """Factor on all numbers of filters: 0.25 has a quarter of them, and about a sixteenth of the weights."""


class Vgg(Scalable):
    """VGG (Simonyan and Zisserman 2014, table 1)."""

    kind: Literal["vgg"]
    """Family of networks."""
    depth: Literal[11, 13, 16, 19] = 16
    """Layers with weights: configurations A, B, D and E."""
    batch_norm: bool = False
    """Normalise over the batch between each convolution and its ReLU; the convolution then has no bias."""
    dense: tuple[Count, ...] = (4096, 4096)
    """Units of the dense layers before the classes, each with dropout after it."""


class Resnet(Scalable):
    """Residual network (He et al. 2015; version 2: 2016), without biases in its convolutions."""

    kind: Literal["resnet"]
    """Family of networks."""
    depth: Literal[18, 34, 50, 101, 152, 20, 32, 44, 56, 110] = 50
    """Layers: 18 to 152 as for ImageNet; 20, 32, 44, 56 and 110 as for CIFAR-10, narrow and for small pictures."""
    version: Literal[1, 2] = 1
    """Normalise and activate after each convolution (1) or before it (2)."""
    stem: Literal["imagenet", "small"] | None = None
    """The first layers: a 7x7 convolution and pooling, or one 3x3 convolution for small pictures.

    Default: small for the CIFAR depths, imagenet for the others.
    """

    def rules(self) -> Iterator[tuple[str, str]]:
        if self.stem == "imagenet" and self.depth in (20, 32, 44, 56, 110):
            yield (
                "stem",
                f"depth {self.depth} is one for CIFAR-10, whose stem is small; remove the key, or set depth to 18, 34, "
                "50, 101 or 152",
            )


class Resnext(Scalable):
    """ResNeXt (Xie et al. 2017)."""

    kind: Literal["resnext"]
    """Family of networks."""
    variant: Literal["50_32x4d", "101_32x8d", "101_64x4d"] = "50_32x4d"
    """Layers, number of groups, and filters of each group in the first stage."""


class Senet(Scalable):
    """Squeeze-and-excitation network (Hu et al. 2018)."""

    kind: Literal["senet"]
    """Family of networks."""
    variant: Literal["se_resnet50", "se_resnext50_32x4d", "se_resnext101_32x4d", "senet154"] = "se_resnet50"
    """The network that has squeeze-and-excitation in each of its blocks."""


class Dpn(Scalable):
    """Dual path network (Chen et al. 2017)."""

    kind: Literal["dpn"]
    """Family of networks."""
    depth: Literal[68, 92, 98, 131] = 92
    """Layers."""


class Polynet(Scalable):
    """Very Deep PolyNet (Zhang et al. 2017), for pictures of 75x75 and more."""

    kind: Literal["polynet"]
    """Family of networks."""


class Application(Backbone):
    """A network of keras.applications, built by Keras."""

    kind: Literal["application"]
    """Family of networks."""
    network: ApplicationName
    """Name of the function in keras.applications, in small letters."""
    weights: Literal["none", "imagenet"] | LocalPath = "none"
    """First weights: drawn at random (none), trained on ImageNet (Keras downloads them), or a file of weights that
    Keras saved for this network (.weights.h5 or .h5)."""

    @property
    def scales_pixels_itself(self) -> bool:
        """Whether the network has its own scaling of raw pixels inside."""
        return self.network.startswith(("convnext", "efficientnet", "mobilenetv3"))

    def rules(self) -> Iterator[tuple[str, str]]:
        if self.weights not in ("none", "imagenet") and not self.weights.endswith(".h5"):
            yield "weights", "expected none, imagenet, or a file whose name ends in .weights.h5 or .h5"
        if self.scales_pixels_itself and self.preprocessing not in (None, "none"):
            yield "preprocessing", f"{self.network} scales raw pixels itself; remove the key"


ImageClassifier = Annotated[
    Convnet | Lenet5 | Mlp | Vgg | Resnet | Resnext | Senet | Dpn | Polynet | Application, Field(discriminator="kind")
]
