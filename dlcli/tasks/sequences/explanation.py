"""Explains the outputs of sequence models: the steps that a prediction is due to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcli.errors import InputError
from dlcli.explanation.integrated import TOLERANCE
from dlcli.explanation.sequences.attribution import Method, gradient_x_input, integrated_gradients, leave_one_out
from dlcli.tasks.task import ExplanationRequest

SMALLEST_SHOWN = 0.005  # below, two decimals show 0.00
NUM_OF_SPLIT = 16  # samples of a split that are explained unless another number is given


@dataclass(frozen=True)
class TextValues:
    """The values of the tokens of each text by one method, and what is known of them."""

    values: Sequence[NDArray[np.float64]]
    facts: Sequence[Mapping[str, Any]]


def methods_of(request: ExplanationRequest, auto: Sequence[str]) -> dict[str, Method]:
    """The methods that are asked for, each once, by their names.

    Args:
        auto: the methods that auto stands for.

    Raises:
        InputError: an option of the request is for none of them.
    """
    names = dict.fromkeys(name for given in request.methods for name in (auto if given == "auto" else [given]))
    if request.steps is not None and "integrated" not in names:
        raise InputError(f"--steps is for --method integrated. Received the methods {', '.join(names)}.")
    every: Mapping[str, Method] = {
        "integrated": integrated_gradients(steps=request.steps),
        "gradient-x-input": gradient_x_input,
        "leave-one-out": leave_one_out,
    }
    return {name: every[name] for name in names}


def note_of(values: NDArray[np.float64], facts: Mapping[str, Any]) -> str:
    """What must be known of an attribution; empty if nothing."""
    if not values.any():
        return "empty: all zero"
    error = facts.get("completeness_error")
    return "" if error is None or error <= TOLERANCE else f"incomplete by {error:.1%} after {facts['steps']} steps"


def described(method: str, facts: Mapping[str, Any], note: str) -> str:
    """The name of a method with what is known of its result: ``integrated, complete within 0.21%``."""
    error = facts.get("completeness_error")
    shown = "" if error is None else f"complete within {max(error, 1e-4):.2%}"  # rounded up: it is never exact
    return ", ".join(filter(None, [method, note or shown]))


def strongest(tokens: Sequence[tuple[str, float]], number: int = 3) -> str:
    """The tokens with the largest values that two decimals show: ``for great +1.32, fun +0.41; against dull -0.90``."""
    ranked = sorted((token for token in tokens if abs(token[1]) >= SMALLEST_SHOWN), key=lambda token: -abs(token[1]))
    signs = {"for": [t for t in ranked if t[1] > 0][:number], "against": [t for t in ranked if t[1] < 0][:number]}
    parts = [
        f"{sign} {', '.join(f'{text} {value:+.2f}' for text, value in some)}" for sign, some in signs.items() if some
    ]
    return "; ".join(parts) or "every token counts for less than 0.01"
