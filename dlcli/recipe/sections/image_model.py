"""The ``model`` section for image classifiers: a class for each family of networks."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le
from pydantic import Field, StringConstraints

from dlcli.recipe.language.fields import (
    RUN_NAME,
    Count,
    Expected,
    FractionsAllowed,
    LocalPath,
    NonNegativeNumber,
    NullForDefault,
    Number,
    PathOrRun,
    Proportion,
    Section,
    WholeNumber,
)
from dlcli.recipe.sections.augment import Augment
from dlcli.recipe.sections.genotype import Genotype, GenotypeName
from dlcli.recipe.sections.search_spaces import (
    Bits,
    Graph,
    StructureLayer,
    rules_of_bits,
    rules_of_code,
    rules_of_motifs,
)

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


TORCH_SUFFIXES = (".pth", ".pt", ".safetensors")
"""Of files with weights of torchvision's and timm's networks."""

CIFAR_DEPTHS = (20, 32, 44, 56, 110)
"""Depths of the residual networks that He et al. 2015 made for CIFAR-10."""

KERAS_DROPOUT = {
    "efficientnetb0": 0.2, "efficientnetb1": 0.2, "efficientnetb2": 0.3, "efficientnetb3": 0.3, "efficientnetb4": 0.4,
    "efficientnetb5": 0.4, "efficientnetb6": 0.5, "efficientnetb7": 0.5, "efficientnetv2b0": 0.2,
    "efficientnetv2b1": 0.2, "efficientnetv2b2": 0.2, "efficientnetv2b3": 0.2, "efficientnetv2l": 0.2,
    "efficientnetv2m": 0.2, "efficientnetv2s": 0.2, "mobilenet": 0.001, "mobilenetv3large": 0.2,
    "mobilenetv3small": 0.2,
}  # fmt: skip
"""The dropout before the classes of those networks of keras.applications that have it."""


class ImageModel(Section):
    """The keys that every image model has."""

    l2: NonNegativeNumber = 0.0
    """L2 regularization of the last layer: this times the sum of its squared weights is added to the loss. Useful with
    few samples, such as 0.01."""


class BuiltModel(ImageModel):
    """The keys of networks that are built from the recipe alone."""

    preprocessing: Preprocessing | None = None
    """How the network scales pixels in [0, 255] first: to [0, 1] (unit), to [-1, 1] (symmetric), or not at all (none);
    or as pretrained weights expect it: caffe (BGR minus ImageNet's mean pixel), torch (standardized by ImageNet's mean
    and standard deviation of each channel).

    Default: unit for images, none for signals and volumes; for `kind: application` what its weights expect.
    """
    weights: Literal["none", "imagenet"] | PathOrRun = "none"
    """Initial weights of the layers before the head: random (none), pretrained on ImageNet (imagenet; Keras downloads
    them for `kind: application`), of a run (run:NAME), or from a file (.keras, .weights.h5 or .h5; for resnet, resnext,
    senet, dpn and vgg also .pth, .pt or .safetensors of torchvision's and timm's networks)."""

    @property
    def origin(self) -> str:
        """Where the initial weights come from: none, imagenet, a run or a file."""
        return self.weights

    def rules(self) -> Iterator[tuple[str, str]]:
        if self.weights == "imagenet" and not isinstance(self, Application):
            yield "weights", "imagenet is for kind: application, such as network: resnet50; name a file or run:NAME"
        elif self.weights not in ("none", "imagenet"):
            yield from rules_of_source("weights", self.weights, (".keras", ".weights.h5", ".h5", *TORCH_SUFFIXES))
            if self.weights.endswith(TORCH_SUFFIXES) and not isinstance(self, Resnet | Resnext | Senet | Dpn | Vgg):
                yield "weights", "files of PyTorch are for kind: resnet, resnext, senet, dpn and vgg; name one of Keras"


def rules_of_source(key: str, source: str, suffixes: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """The form of the name of a file or run (run:NAME) to load weights from."""
    if source.startswith("run:"):
        if RUN_NAME.fullmatch(source.removeprefix("run:")) is None:
            yield key, f"expected run: and the name of a run, such as run:flowers. Received '{source}'."
    elif not source.endswith(suffixes):
        words = "none, imagenet, run:NAME" if key == "weights" else "run:NAME"
        yield key, f"expected {words}, or a file whose name ends in {' or '.join(suffixes)}"


class ConvBlock(Section):
    """One stage of a convnet: convolution, nonlinearity and pooling (Goodfellow et al. 2016, figure 9.7)."""

    filters: Count
    """Number of output feature maps."""
    kernel_size: Count = 3
    """Side of the convolution's kernel."""
    strides: Count = 1
    """Stride of the convolution; with `repeat`, of the first one."""
    padding: Literal["same", "valid"] = "same"
    """Zero padding that keeps the size (same), or no padding (valid)."""
    activation: Activation = "relu"
    """Activation after each convolution."""
    batch_norm: bool = False
    """Batch normalization between convolution and activation; the convolution then has no bias."""
    repeat: Annotated[int, Ge(1), Le(100)] = 1
    """Number of convolutions, each with its activation, before the pooling."""
    pool: Literal["max", "average", "none"] = "max"
    """Pooling at the end of the stage."""
    pool_size: Annotated[int, Field(ge=2)] = 2
    """Side and stride of the pooling window."""
    dropout: Proportion = 0.0
    """Dropout rate for the outputs of the stage."""


class Convnet(BuiltModel):
    """A plain convolutional network: stages, then flattening or global pooling, then dense layers."""

    kind: Literal["convnet"]
    """Family of networks."""
    rank: Annotated[int, Ge(1), Le(3)] = 2
    """Spatial dimensions of the convolutions: 1 for signals, 2 for images, 3 for volumes."""
    blocks: Annotated[tuple[ConvBlock, ...], Field(min_length=1, max_length=100)]
    """The stages, in order."""
    pooling: Literal["flatten", "average", "max"] = "flatten"
    """How the last feature maps become a vector: flattened, or by global average or max pooling."""
    dense: tuple[Count, ...] = ()
    """Units of the dense layers between the feature vector and the output layer."""
    activation: Activation = "relu"
    """Activation of the dense layers."""
    dropout: Proportion = 0.0
    """Dropout rate before each dense layer, including the output layer."""


class Lenet5(BuiltModel):
    """LeNet-5 (LeCun et al. 1998) in its modern form: 61,706 parameters with 10 classes."""

    kind: Literal["lenet5"]
    """Family of networks."""
    activation: Literal["relu", "tanh", "sigmoid"] = "relu"
    """Activation of the convolutional and dense layers (1998: a scaled tanh)."""
    pool: Literal["max", "average"] = "max"
    """Pooling of the two stages (1998: a trainable average)."""


class Mlp(BuiltModel):
    """A multilayer perceptron on the flattened image."""

    kind: Literal["mlp"]
    """Family of networks."""
    units: tuple[Count, ...] = (128,)
    """Units of the hidden layers, in order."""
    activation: Activation = "relu"
    """Activation of the hidden layers."""
    batch_norm: bool = False
    """Batch normalization before each activation; the layer then has no bias."""
    dropout: Proportion = 0.0
    """Dropout rate after each hidden layer."""


class Backbone(BuiltModel):
    """The keys of networks that were published for ImageNet: a backbone that computes feature maps, and a head."""

    head: Literal["paper", "average", "max"] = "paper"
    """How the last feature maps become a vector: as in the paper, or by global average or max pooling."""
    dense: tuple[Count, ...] = ()
    """Units of dense layers with ReLU before the output layer."""
    dropout: Annotated[Proportion, NullForDefault()] = 0.0
    """Dropout rate before the output layer, or after each of the dense layers."""


class Scalable(Backbone):
    """The keys of backbones that dlcli builds itself."""

    width: Annotated[float, Ge(0.01), Le(16), FractionsAllowed()] = 1.0
    """Factor on all numbers of filters: 0.25 keeps a quarter of them, and about a sixteenth of the weights."""


class Vgg(Scalable):
    """VGG (Simonyan and Zisserman 2014, table 1)."""

    kind: Literal["vgg"]
    """Family of networks."""
    depth: Annotated[Literal[11, 13, 16, 19], WholeNumber()] = 16
    """Layers with weights: configurations A, B, D and E."""
    batch_norm: bool = False
    """Batch normalization between each convolution and its ReLU; the convolution then has no bias."""
    dense: Annotated[tuple[Count, ...], NullForDefault("[4096, 4096] with `head: paper`, else []")] = (4096, 4096)
    """Units of dense layers with ReLU before the output layer."""
    dropout: Annotated[Proportion, NullForDefault()] = 0.5
    """Dropout rate before the output layer, or after each of the dense layers (section 3.1)."""

    @classmethod
    def dependent_defaults(cls, values: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"dense": ()} if values.get("head") in ("average", "max") else {}


class Resnet(Scalable):
    """Residual network (He et al. 2015; version 2: 2016), without biases in its convolutions."""

    kind: Literal["resnet"]
    """Family of networks."""
    depth: Annotated[Literal[18, 34, 50, 101, 152, 20, 32, 44, 56, 110], WholeNumber()] = 50
    """Number of layers: 18 to 152 for ImageNet; 20, 32, 44, 56 and 110 for CIFAR-10, which are narrow."""
    version: Annotated[Literal[1, 2], WholeNumber()] = 1
    """Whether normalization and ReLU come after each convolution (1) or before it (2)."""
    stem: Annotated[Literal["imagenet", "small"], NullForDefault("small for the CIFAR depths, else imagenet")] = (
        "imagenet"
    )
    """The first layers: a 7x7 convolution and pooling, or one 3x3 convolution for small images."""
    downsample: Literal["1x1", "3x3"] = "1x1"
    """The convolution of a bottleneck block that has the stride, for depth 50 and more of version 1: the first 1x1, as
    in the paper, or the 3x3, as in torchvision and timm, whose weights need it."""

    @classmethod
    def dependent_defaults(cls, values: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"stem": "small"} if values.get("depth") in CIFAR_DEPTHS else {}

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from super().rules()
        if self.stem == "imagenet" and self.depth in CIFAR_DEPTHS:
            yield (
                "stem",
                f"depth {self.depth} is for CIFAR-10, whose stem is small; remove the key, or set depth to 18, 34, "
                "50, 101 or 152",
            )
        is_bottleneck = self.depth in (50, 101, 152) and self.version == 1
        if self.downsample == "3x3" and not is_bottleneck:
            yield "downsample", "3x3 is for depth 50, 101 and 152 of version 1; remove the key"
        if self.weights.endswith(TORCH_SUFFIXES):
            if self.version == 2 or self.depth in CIFAR_DEPTHS:
                yield "weights", "files of PyTorch are for version 1 with depth 18, 34, 50, 101 or 152"
            elif is_bottleneck and self.downsample == "1x1":
                yield "downsample", "must be 3x3 for a file of PyTorch, where the 3x3 convolution has the stride"


class Resnext(Scalable):
    """ResNeXt (Xie et al. 2017)."""

    kind: Literal["resnext"]
    """Family of networks."""
    variant: Literal["50_32x4d", "101_32x8d", "101_64x4d"] = "50_32x4d"
    """Number of layers, cardinality, and filters of each group in the first stage."""


class Senet(Scalable):
    """Squeeze-and-excitation network (Hu et al. 2018)."""

    kind: Literal["senet"]
    """Family of networks."""
    variant: Literal["se_resnet50", "se_resnext50_32x4d", "se_resnext101_32x4d", "senet154"] = "se_resnet50"
    """The network whose blocks have squeeze-and-excitation."""
    downsample: Annotated[Literal["1x1", "3x3"], NullForDefault("1x1 for se_resnet50, else 3x3")] = "1x1"
    """The convolution of a block that has the stride: of SE-ResNet-50 the first 1x1, as in the paper, or the 3x3, as in
    timm, whose weights need it."""
    dropout: Annotated[Proportion, NullForDefault("0.2 with `variant: senet154`, else 0")] = 0.0
    """Dropout rate before the output layer, or after each of the dense layers (appendix)."""

    @classmethod
    def dependent_defaults(cls, values: Mapping[str, Any]) -> Mapping[str, Any]:
        variant = values.get("variant") or "se_resnet50"
        dropout = {"dropout": 0.2} if variant == "senet154" else {}
        return dropout if variant == "se_resnet50" else {"downsample": "3x3", **dropout}

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from super().rules()
        if self.downsample == "1x1" and self.variant != "se_resnet50":
            yield "downsample", "1x1 is for variant: se_resnet50; remove the key"
        if self.weights.endswith(TORCH_SUFFIXES):
            if self.variant == "senet154":
                yield "weights", "files of PyTorch have another stem for senet154; name a file of Keras"
            elif self.downsample == "1x1":
                yield "downsample", "must be 3x3 for a file of PyTorch, where the 3x3 convolution has the stride"


class Dpn(Scalable):
    """Dual path network (Chen et al. 2017)."""

    kind: Literal["dpn"]
    """Family of networks."""
    depth: Annotated[Literal[68, 92, 98, 131], WholeNumber()] = 92
    """Number of layers."""


class Polynet(Scalable):
    """Very Deep PolyNet (Zhang et al. 2017), for images of at least 75x75."""

    kind: Literal["polynet"]
    """Family of networks."""
    dropout: Annotated[Proportion, NullForDefault()] = 0.2
    """Dropout rate before the output layer, or after each of the dense layers."""


class Cells(Backbone):
    """A network of searched cells: NASNet, PNASNet, AmoebaNet, or cells that are written out."""

    kind: Literal["cells"]
    """Family of networks."""
    genotype: GenotypeName | Genotype
    """The cells: the name of published ones, or the two cells written out."""
    repeats: Annotated[int, Ge(1), Le(100)] = 6
    """Normal cells in each of the three stages: N of the papers."""
    filters: Annotated[int, Ge(2), Le(10_000)] = 32
    """Filters of each state in the first stage, which double with each stage: F of the papers."""
    stem: Literal["cifar", "imagenet"] = "cifar"
    """The first layers: one 3x3 convolution for small images (cifar), or a convolution and two reduction cells, which
    divide the sides by 8 (imagenet)."""
    stem_filters: Annotated[Count, NullForDefault("3 times `filters` with `stem: cifar`, else 32")] = 32
    """Filters of the first convolution. NASNet-A and PNASNet-5 have 96 in their large sizes."""
    skip_reduction_input: bool = False
    """Whether s1 of the first normal cell after a reduction cell is the output of the cell before the input of the
    reduction, as in NASNet-A (6, 168), instead of this input."""
    drop_path: Proportion = 0.0
    """Probability of dropping the output of an operation for a sample, in the last cell at the end of training. It
    grows linearly from cell to cell and over each training stage. NASNet-A has 0.4 for CIFAR-10, 0.3 if large."""
    auxiliary: NonNegativeNumber = 0.0
    """Weight of the loss of an auxiliary classifier at the end of the second stage, which the saved model does not
    have; 0.4 in the papers. 0: there is none. For `task: classification`."""

    @classmethod
    def dependent_defaults(cls, values: Mapping[str, Any]) -> Mapping[str, Any]:
        filters = values.get("filters", cls.model_fields["filters"].default)
        has_small_stem = values.get("stem", cls.model_fields["stem"].default) == "cifar"
        return {"stem_filters": 3 * filters} if has_small_stem and type(filters) is int else {}

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from super().rules()
        if self.stem == "imagenet" and self.filters < 8:
            yield (
                "filters",
                "must be at least 8 with stem: imagenet, whose first cell has a quarter of them. "
                f"Received {self.filters}.",
            )


class GeneticCnn(Backbone):
    """A network of the space of Genetic CNN (Xie and Yuille 2017, section 3.1)."""

    kind: Literal["genetic_cnn"]
    """Family of networks."""
    bits: Annotated[tuple[Bits, ...], Field(min_length=1, max_length=10)]
    """The connections of each stage: for its second, third, … node a group with a bit for each earlier node, 1 where it
    is read, such as '1-01-100' for four nodes. A node is a 3x3 convolution; one without connections is left out."""
    filters: Annotated[int, Ge(1), Le(10_000)] = 64
    """Filters of the convolutions of the first stage, which double with each stage."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from super().rules()
        yield from rules_of_bits(self.bits)


class BlockQnn(Backbone):
    """A network of the space of Block-QNN (Zhong et al. 2018, section 3.1)."""

    kind: Literal["block_qnn"]
    """Family of networks."""
    code: Annotated[tuple[StructureLayer, ...], Field(min_length=1, max_length=100)]
    """The block as a network structure code: for each layer [index, type, kernel size, predecessor, predecessor]. The
    types are 1 convolution, 2 max pooling, 3 average pooling, 4 identity, 5 addition, 6 concatenation, 7 terminal."""
    repeats: Annotated[int, Ge(1), Le(100)] = 3
    """Blocks in each of the three stages: N of the paper."""
    filters: Annotated[int, Ge(1), Le(10_000)] = 32
    """Filters of the convolutions of the first stage, which double with each stage."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from super().rules()
        yield from rules_of_code(self.code)


class Hierarchical(Backbone):
    """A network of the hierarchical space (Liu et al. 2018, section 2): a cell of motifs of operations."""

    kind: Literal["hierarchical"]
    """Family of networks."""
    motifs: Annotated[dict[str, Graph], Field(min_length=1, max_length=50)]
    """The motifs by name, each the edges of its nodes n2, n3, …, such as [[sep3(n1)], [max3(n1), conv1(n2)]]. n1 is the
    input, the last node the output. The operations are conv1, depthwise3, sep3, max3, avg3 and identity."""
    cell: Graph
    """The cell: the edges of its nodes, which are motifs, such as [[first(n1)], [second(n1), first(n2)]]."""
    repeats: Annotated[int, Ge(1), Le(100)] = 2
    """Cells in each of the three stages: N of the paper."""
    filters: Annotated[int, Ge(1), Le(10_000)] = 64
    """Filters of the operations of the first stage, which double with each stage: C of the paper."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from super().rules()
        yield from rules_of_motifs(self.motifs, self.cell)


NETWORKS_WITH = {
    "alpha": ("mobilenet", "mobilenetv2", "mobilenetv3large", "mobilenetv3small"),
    "depth_multiplier": ("mobilenet",),
    "minimalistic": ("mobilenetv3large", "mobilenetv3small"),
}
"""The networks of keras.applications that have an argument, by its name."""


def listed_with(key: str) -> str:
    """The networks that have an argument, in words."""
    names = NETWORKS_WITH[key]
    return f"only {', '.join(names)} {'have' if len(names) > 1 else 'has'} it"


class Application(Backbone):
    """A network of keras.applications, built by Keras."""

    kind: Literal["application"]
    """Family of networks."""
    network: ApplicationName
    """Name of the function in keras.applications, in lowercase."""
    dropout: Annotated[Proportion, NullForDefault("that of the network with `head: paper`, else 0")] = 0.0
    """Dropout rate before the output layer, or after each of the dense layers."""
    alpha: Annotated[float, Gt(0), Le(8), FractionsAllowed()] | None = None
    """Width multiplier of MobileNet, V2 and V3, such as 0.35. Default: 1."""
    depth_multiplier: Annotated[int, Ge(1), Le(64)] | None = None
    """Output maps for each input map of MobileNet's depthwise convolutions. Default: 1."""
    minimalistic: bool | None = None
    """Whether to build MobileNetV3 without squeeze-and-excitation, hard swish and 5x5 convolutions. Default: false."""

    @classmethod
    def dependent_defaults(cls, values: Mapping[str, Any]) -> Mapping[str, Any]:
        has_paper_head = values.get("head", "paper") == "paper"
        return {"dropout": KERAS_DROPOUT.get(str(values.get("network")), 0.0)} if has_paper_head else {}

    @property
    def scales_pixels_itself(self) -> bool:
        """Whether the network scales raw pixels itself."""
        return self.network.startswith(("convnext", "efficientnet", "mobilenetv3"))

    @property
    def options(self) -> dict[str, float | int | bool]:
        """The arguments of the Keras function that are given."""
        given = {"alpha": self.alpha, "depth_multiplier": self.depth_multiplier, "minimalistic": self.minimalistic}
        return {key: value for key, value in given.items() if value is not None}

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from super().rules()
        for key in self.options:
            if self.network not in NETWORKS_WITH[key]:
                yield key, f"{self.network} has no such argument; {listed_with(key)}"
        if self.dense and self.head == "paper":
            yield "dense", "replaces the paper's own layers; set head to average or max"
        if self.scales_pixels_itself and self.preprocessing not in (None, "none"):
            yield "preprocessing", f"{self.network} scales raw pixels itself; remove the key"


class PythonNetwork(BuiltModel):
    """A network of your own: a function in a Python file beside the recipe, which `--allow-code` permits to execute. It
    takes the scaled images and returns feature maps or a vector, of layers of Keras alone."""

    kind: Literal["python"]
    """Family of networks."""
    file: LocalPath
    """The file, in the recipe's folder, such as my_net.py. The run keeps a copy and its digest."""
    function: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$"), Expected("a function's name")] = (
        "features"
    )
    """The function: `features(inputs, **options)`, where inputs is float32 [batch, height, width, channels], scaled by
    `preprocessing`."""
    options: dict[str, bool | int | float | str | tuple[int, ...]] = Field(default_factory=dict)
    """Further arguments of the function, by name."""
    head: Literal["average", "max"] = "average"
    """How feature maps become a vector: by global average or max pooling."""
    dense: tuple[Count, ...] = ()
    """Units of dense layers with ReLU before the output layer."""
    dropout: Proportion = 0.0
    """Dropout rate before the output layer, or after each of the dense layers."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from super().rules()
        if not self.file.endswith(".py"):
            yield "file", "expected the name of a Python file, such as my_net.py"
        if "inputs" in self.options:
            yield "options", "'inputs' is the argument for the images; remove it"


class Saved(ImageModel):
    """A saved classifier whose last layer is replaced by new layers; it keeps its own scaling of pixels."""

    kind: Literal["saved"]
    """Family of networks."""
    file: PathOrRun
    """The model: run:NAME, or a .keras file."""
    input_range: tuple[Number, Number] | None = None
    """The range in which the saved model takes pixels, such as [0, 1] or [-1, 1], if it does not scale them itself: the
    scaling becomes part of the new model. Default: pixels in [0, 255] as they are."""
    dense: tuple[Count, ...] = ()
    """Units of dense layers with ReLU before the output layer."""
    dropout: Proportion = 0.0
    """Dropout rate before the output layer, or after each of the dense layers."""

    @property
    def origin(self) -> str:
        """Where the initial weights come from."""
        return self.file

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from rules_of_source("file", self.file, (".keras",))
        if self.input_range is not None and self.input_range[0] >= self.input_range[1]:
            low, high = self.input_range
            yield "input_range", f"the first value must be below the second. Received [{low}, {high}]."


ImageClassifier = Annotated[
    Convnet
    | Lenet5
    | Mlp
    | Vgg
    | Resnet
    | Resnext
    | Senet
    | Dpn
    | Polynet
    | Cells
    | GeneticCnn
    | BlockQnn
    | Hierarchical
    | Application
    | Saved
    | PythonNetwork,
    Field(discriminator="kind"),
]


def rules_without_auxiliary(model: ImageClassifier) -> Iterator[tuple[str, str]]:
    """For tasks whose loss is not that of a classifier alone."""
    if isinstance(model, Cells) and model.auxiliary:
        yield "model.auxiliary", "is for task: classification; remove the key"


def rules_of_input(
    model: ImageClassifier, augment: Augment | None, *, precision: str, place: str = "model"
) -> Iterator[tuple[str, str]]:
    """Rules on ``augment`` and ``train.precision`` that depend on how a network scales its pixels.

    Args:
        place: the key of the network's section.
    """
    match model:
        case Application(network=network, scales_pixels_itself=True):
            scales_itself: str | None = network
        case Saved():
            scales_itself = "a saved model"
        case _:
            scales_itself = None
    if augment is not None and scales_itself is not None:
        for key in augment.input_keys:
            yield f"augment.{key}", f"{scales_itself} scales raw pixels itself; remove the key"
    if augment is not None and augment.rescale is not None and getattr(model, "preprocessing", None) is not None:
        yield (
            "augment.rescale",
            f"cannot be combined with {place}.preprocessing, which scales pixels too; remove one of them",
        )
    if isinstance(model, Saved) and precision != "float32":
        yield "train.precision", "must be float32, in which the layers of a saved model compute"
