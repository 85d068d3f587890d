"""The ``model`` section for semantic segmentation: networks that predict a class for each pixel."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le
from pydantic import Field

from dlcli.recipe.language.fields import Count, NullForDefault, Proportion, Section, WholeNumber
from dlcli.recipe.sections.backbone import DenseBackbone, rules_of_backbone
from dlcli.recipe.sections.image_model import Application, Preprocessing, Vgg


class Unet(Section):
    """U-Net (Ronneberger et al. 2015), from scratch or on the feature maps of another network."""

    kind: Literal["unet"]
    """Family of networks."""
    backbone: DenseBackbone | None = None
    """Network whose last maps at each stride replace the contracting path: an image model section with `weights`.
    Default: the paper's own contracting path."""
    preprocessing: Preprocessing | None = None
    """How pixels in [0, 255] are scaled first, without a backbone: to [0, 1] (unit), to [-1, 1] (symmetric), not at all
    (none), or as in ImageNet networks (caffe, torch). Default: unit; with a backbone, the backbone's."""
    depth: Annotated[int, Ge(1), Le(8)] | None = None
    """Number of poolings of the contracting path. Default: 4; a backbone has its own."""
    filters: Annotated[Count, NullForDefault("64; 16 with a backbone")] = 64
    """Number of filters at the size of the image, doubled at each coarser level."""
    batch_norm: bool = True
    """Batch normalization between each convolution and its ReLU (the paper has none)."""
    dropout: Proportion = 0.0
    """Dropout rate for the coarsest maps."""
    upsampling: Annotated[Literal["transposed", "bilinear"], NullForDefault("transposed; bilinear with a backbone")] = (
        "transposed"
    )
    """Transposed 2x2 convolution, or bilinear interpolation, which has no weights."""

    @classmethod
    def dependent_defaults(cls, values: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"depth": 4} if values.get("backbone") is None else {"filters": 16, "upsampling": "bilinear"}

    def needed_strides(self) -> tuple[int, ...]:
        """The strides at which the backbone must have feature maps: none in particular."""
        return ()

    def rules(self) -> Iterator[tuple[str, str]]:
        if self.backbone is None:
            return
        yield from rules_of_backbone(self.backbone)
        if self.depth is not None:
            yield "depth", "is for a U-Net from scratch; remove the key, because the backbone has its own depth"
        if self.preprocessing is not None:
            yield "preprocessing", "is for a U-Net from scratch; set model.backbone.preprocessing"


class Fcn(Section):
    """Fully convolutional network (Long et al. 2015): FCN-32s, FCN-16s or FCN-8s."""

    kind: Literal["fcn"]
    """Family of networks."""
    backbone: DenseBackbone
    """Network whose feature maps are scored: an image model section with `weights`. The paper's is VGG of depth 16."""
    stride: Annotated[Literal[32, 16, 8], WholeNumber()] = 8
    """The smallest stride of which maps are scored: 8 for FCN-8s."""
    dense: Annotated[tuple[Count, ...], NullForDefault("[4096, 4096] on VGG, else []")] = ()
    """Filters of the convolutions before the coarsest scores, the first of 7x7: VGG's dense layers."""
    dropout: Annotated[Proportion, NullForDefault("0.5 on VGG, else 0")] = 0.0
    """Dropout rate after each of them."""

    @classmethod
    def dependent_defaults(cls, values: Mapping[str, Any]) -> Mapping[str, Any]:
        backbone = values.get("backbone")
        is_vgg = isinstance(backbone, Mapping) and (
            backbone.get("kind") == "vgg" or str(backbone.get("network")).startswith("vgg")
        )
        return {"dense": (4096, 4096), "dropout": 0.5} if is_vgg else {}

    @property
    def is_on_vgg(self) -> bool:
        """Whether the pooled maps are scored, as in the paper, in place of the last maps of each stride."""
        backbone = self.backbone
        return isinstance(backbone, Vgg) or (isinstance(backbone, Application) and backbone.network.startswith("vgg"))

    def needed_strides(self) -> tuple[int, ...]:
        """The strides at which the backbone must have feature maps."""
        return tuple(stride for stride in (8, 16, 32) if stride >= self.stride)

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from rules_of_backbone(self.backbone)


class Deeplabv3plus(Section):
    """DeepLabv3+ (Chen et al. 2018), on a dilated backbone."""

    kind: Literal["deeplabv3plus"]
    """Family of networks."""
    backbone: DenseBackbone
    """Network that is dilated: an image model section with `weights`, such as resnet or mobilenetv2."""
    output_stride: Annotated[Literal[16, 8], WholeNumber()] = 16
    """Stride of the backbone's last maps; 8 is more exact, and takes several times the computation and memory."""
    filters: Count = 256
    """Filters of the convolutions of atrous spatial pyramid pooling and of the decoder."""
    separable: bool = False
    """Depthwise separable convolutions in place of the 3x3 convolutions."""
    dropout: Proportion = 0.1
    """Dropout rate after atrous spatial pyramid pooling."""

    def needed_strides(self) -> tuple[int, ...]:
        """The strides at which the dilated backbone must have feature maps."""
        return (4, self.output_stride)

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from rules_of_backbone(self.backbone)


SegmentationModel = Annotated[Unet | Fcn | Deeplabv3plus, Field(discriminator="kind")]
