"""The recipe of ``task: classification``: images (signals, volumes) into one of several classes."""

from typing import Annotated, Literal

from pydantic import Field

from dlcli.recipe.data import ImageData
from dlcli.recipe.fields import Section
from dlcli.recipe.model import ImageClassifier
from dlcli.recipe.train import Train


class Classification(Section):
    """One label for each picture."""

    task: Literal["classification"]
    """What is learned."""
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$")] | None = None
    """Name of the run's folder. Default: the recipe's file name without its suffix."""
    data: ImageData
    """Where the samples come from."""
    model: ImageClassifier
    """The network."""
    train: Train = Train()
    """How it is trained."""
