"""The base of the training jobs of all sequence tasks."""

from dataclasses import dataclass

import keras

from dlcli.tasks.job import Job
from dlcli.tasks.sequences.encoders import SequenceNetwork


@dataclass(frozen=True)
class NetworkJob(Job):
    """A job whose saved model and trained network are the two models of a :class:`SequenceNetwork`."""

    network: SequenceNetwork

    @property
    def model(self) -> keras.Model:
        return self.network.model

    @property
    def trained(self) -> keras.Model:
        return self.network.trained
