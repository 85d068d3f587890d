"""What the training jobs of all sequence tasks have: a network with a side for raw values and one for training."""

from dataclasses import dataclass

import keras

from dlcli.tasks.job import Job
from dlcli.tasks.sequences.encoders import SequenceNetwork


@dataclass(frozen=True)
class NetworkJob(Job):
    """A job whose model and what is trained are those of a :class:`SequenceNetwork`."""

    network: SequenceNetwork

    @property
    def model(self) -> keras.Model:
        return self.network.model

    @property
    def trained(self) -> keras.Model:
        return self.network.trained
