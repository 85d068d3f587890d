"""The norms of gradients by steps before the end, for the tasks that have recurrent networks."""

from collections.abc import Sequence
from typing import Any

import keras

from dlcli.errors import InputError
from dlcli.explanation.network import NotExplainable
from dlcli.explanation.sequences.gradient_norms import GradientNorms, gradient_norms
from dlcli.rundir.directory import RunDir
from dlcli.tasks.run_models import BestModel

NUM_SEQUENCES = 64  # of a split, unless another number is given


def norms_of_run(
    run: RunDir, best: BestModel, samples: Sequence[Any], *, is_class: bool, model: keras.Model | None = None
) -> GradientNorms:
    """The norms in the network of a run, with its weights and with initial ones that the run's seed draws.

    Args:
        samples: raw inputs of one sequence each.
        is_class: as in :func:`dlcli.explanation.sequences.gradient_norms.gradient_norms`.
        model: the part of the best model that takes these samples; None for all of it.

    Raises:
        InputError: the network is not recurrent.
    """
    try:
        return gradient_norms(
            best.model if model is None else model, samples, is_class=is_class, seed=int(run.read_info()["seed"])
        )
    except NotExplainable as reason:
        raise InputError(f"{best.file}: {reason}") from None
