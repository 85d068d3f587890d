"""The recipe of ``task: classification``: images (signals, volumes) into one of several classes."""

from collections.abc import Iterator
from typing import Literal

from dlcli.recipe.augment import Augment
from dlcli.recipe.data import ImageData, Npz
from dlcli.recipe.fields import RunName, Section
from dlcli.recipe.model import Application, Backbone, BuiltModel, Convnet, ImageClassifier, Lenet5, Saved
from dlcli.recipe.train import Train

RANK = {"signal": 1, "image": 2, "volume": 3}
"""Dimensions of the convolution that fit each layout of the samples."""


class Classification(Section):
    """One label for each picture."""

    task: Literal["classification"]
    """What is learned."""
    name: RunName | None = None
    """Name of the run's folder. Default: the recipe's file name without its suffix."""
    data: ImageData
    """Where the samples come from."""
    augment: Augment | None = None
    """Random changes to training pictures."""
    model: ImageClassifier
    """The network."""
    train: Train = Train()
    """How it is trained."""

    def rules(self) -> Iterator[tuple[str, str]]:
        layout = self.data.layout if isinstance(self.data, Npz) else "image"
        if isinstance(self.model, Convnet) and self.model.rank != RANK[layout]:
            yield (
                "model.rank",
                f"must be {RANK[layout]}, because the layout of the data is {layout}. Received {self.model.rank}.",
            )
        if self.augment is not None and layout != "image":
            yield "augment", f"is for pictures; remove it. The layout of the data is {layout}."
        scale = self.model.preprocessing if isinstance(self.model, BuiltModel) else None
        if self.augment is not None and self.augment.rescale is not None and scale is not None:
            yield "augment.rescale", "model.preprocessing sets the scale already; remove one of them"
        if self.train.adversarial is not None:
            if layout != "image":
                yield "train.adversarial", f"is for pictures; remove it. The layout of the data is {layout}."
            for key in ("mixup", "cutmix"):
                if self.augment is not None and getattr(self.augment, key) is not None:
                    yield f"augment.{key}", "cannot stand beside train.adversarial, which needs one label a sample"
        if self.augment is not None and self.train.batch_size == 1:
            for key in ("mixup", "cutmix"):
                if getattr(self.augment, key) is not None:
                    yield f"augment.{key}", "mixes the samples of a batch, and train.batch_size is 1; raise it"
        if isinstance(self.model, Lenet5 | Backbone | Saved) and layout != "image":
            yield (
                "model.kind",
                f"{self.model.kind} takes pictures, and the layout of the data is {layout}; use convnet or mlp",
            )
        if self.augment is not None:
            for key in self.augment.input_keys if self._scales_itself else ():
                yield f"augment.{key}", f"{self._scales_itself} scales raw pixels itself; remove the key"
        if isinstance(self.model, Saved) and self.train.precision != "float32":
            yield "train.precision", "must be float32: a saved model's layers compute in that"

    @property
    def _scales_itself(self) -> str | None:
        """What the network is called, if its own scaling of raw pixels is inside."""
        match self.model:
            case Application(network=network, scales_pixels_itself=True):
                return network
            case Saved():
                return "a saved model"
        return None
