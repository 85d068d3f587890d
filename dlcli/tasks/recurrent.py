"""What is measured of recurrent networks, for the tasks that have them: gradient norms, and gates over time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras

from dlcli.errors import InputError
from dlcli.explanation.network import NotExplainable
from dlcli.explanation.sequences.gates import Gates, gates_of
from dlcli.explanation.sequences.gradient_norms import GradientNorms, gradient_norms
from dlcli.rundir.directory import RunDir
from dlcli.tasks.run_models import BestModel

NUM_SEQUENCES = 64  # of a split, unless another number is given


@dataclass(frozen=True)
class RecurrentSamples:
    """The network of a run and sequences of its data.

    Attributes:
        best: its best model.
        samples: raw inputs of one sequence each, with a batch dimension of 1.
        is_class: as in :func:`dlcli.explanation.sequences.gradient_norms.gradient_norms`.
        part: the part of the best model that takes these samples and has the outputs that are meant; None for all of
            it, up to the logits of classes.
    """

    best: BestModel
    samples: Sequence[Any]
    is_class: bool
    part: keras.Model | None = None

    @property
    def model(self) -> keras.Model:
        whole = self.best.model
        if self.part is not None:
            return self.part
        return keras.Model(whole.input, whole.get_layer("logits").output) if self.is_class else whole


def alone(part: keras.Model) -> keras.Model:
    """A part of a model as a model with layers of its own, each of which is called in this part alone."""
    copy = keras.models.clone_model(part)
    copy.set_weights(part.get_weights())
    return copy


def norms_of_run(run: RunDir, found: RecurrentSamples) -> GradientNorms:
    """The norms in the network of a run, with its weights and with initial ones that the run's seed draws.

    Raises:
        InputError: the network is not recurrent.
    """
    try:
        return gradient_norms(found.model, found.samples, is_class=found.is_class, seed=int(run.read_info()["seed"]))
    except NotExplainable as reason:
        raise InputError(f"{found.best.file}: {reason}") from None


def gates_of_run(found: RecurrentSamples) -> list[Gates]:
    """The gates in the network of a run, for each sequence.

    Raises:
        InputError: the network has no LSTM or GRU layer.
    """
    try:
        return [gates_of(found.model, sample) for sample in found.samples]
    except NotExplainable as reason:
        raise InputError(f"{found.best.file}: {reason}") from None
