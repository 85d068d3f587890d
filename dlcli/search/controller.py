"""REINFORCE with a recurrent controller (Zoph and Le 2017): an LSTM in NumPy that chooses one position after another.

The embedding of each choice is the input of the next step, so that a choice may depend on all those before it.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dlcli.search.method import Choices, Proposal, check_space, random_of_trial
from dlcli.search.reinforce import Reward, drawn, softmax

Array = NDArray[np.float64]

INITIAL_RANGE = 0.1  # weights start uniformly in [-0.1, 0.1] (Zoph and Le 2017: 0.08)
BETAS = (0.9, 0.999)  # of Adam (Kingma and Ba 2015)
EPSILON = 1e-8


class Controller:
    """REINFORCE with an LSTM as the policy, trained by Adam.

    Args:
        space: the number of options at each position.
        units: of the LSTM, and of the embeddings.
        learning_rate: of Adam.
        decay: of the moving averages of the scores.
        seed: of everything that is drawn.
    """

    def __init__(self, space: Sequence[int], *, units: int, learning_rate: float, decay: float, seed: int) -> None:
        self._space = check_space(space)
        self._units = units
        self._rate = learning_rate
        self._reward = Reward(decay)
        self._seed = seed
        random = np.random.default_rng(seed)
        shapes = {"start": (units,), "kernel": (2 * units, 4 * units), "bias": (4 * units,)}
        for position, options in enumerate(self._space):
            shapes[f"embedding{position}"] = (options, units)
            shapes[f"output{position}"] = (units, options)
        self.weights: dict[str, Array] = {
            name: random.uniform(-INITIAL_RANGE, INITIAL_RANGE, shape) for name, shape in shapes.items()
        }
        self._means = {name: np.zeros_like(value) for name, value in self.weights.items()}
        self._squares = {name: np.zeros_like(value) for name, value in self.weights.items()}
        self._num_steps = 0

    def ask(self, trial: int) -> Proposal:
        """Draw from the policy as it is now, position by position."""
        random = random_of_trial(self._seed, trial)
        choices: list[int] = []
        hidden = cell = np.zeros(self._units)
        for position in range(len(self._space)):
            hidden, cell, _ = self._step(self._input(position, choices), hidden, cell)
            choices.append(drawn(softmax(hidden @ self.weights[f"output{position}"]), random))
        return Proposal(tuple(choices))

    def tell(self, trial: int, choices: Choices, score: float | None) -> None:
        """Take a step along the gradient of the advantage times the log-probability of the choices."""
        advantage = self._reward.advantage(score)
        if advantage != 0:
            _, gradients = self.log_probability(choices)
            self._ascend({name: advantage * gradient for name, gradient in gradients.items()})

    def log_probability(self, choices: Choices) -> tuple[float, dict[str, Array]]:
        """The log-probability of the choices, and its gradient with respect to each weight (by backpropagation)."""
        hidden = cell = np.zeros(self._units)
        steps, total = [], 0.0
        for position, choice in enumerate(choices):
            hidden, cell, kept = self._step(self._input(position, choices[:position]), hidden, cell)
            probabilities = softmax(hidden @ self.weights[f"output{position}"])
            total += float(np.log(probabilities[choice]))
            steps.append((hidden, kept, probabilities))
        gradients = {name: np.zeros_like(value) for name, value in self.weights.items()}
        of_hidden, of_cell = np.zeros(self._units), np.zeros(self._units)
        for position in reversed(range(len(choices))):
            hidden, kept, probabilities = steps[position]
            of_logits = -probabilities
            of_logits[choices[position]] += 1
            gradients[f"output{position}"] = np.outer(hidden, of_logits)
            of_hidden = of_hidden + self.weights[f"output{position}"] @ of_logits
            of_input, of_hidden, of_cell = self._backward(kept, of_hidden, of_cell, gradients)
            if position == 0:
                gradients["start"] += of_input
            else:
                gradients[f"embedding{position - 1}"][choices[position - 1]] += of_input
        return total, gradients

    def _input(self, position: int, choices: Sequence[int]) -> Array:
        if position == 0:
            return self.weights["start"]
        embedding: Array = self.weights[f"embedding{position - 1}"][choices[position - 1]]
        return embedding

    def _step(self, inputs: Array, hidden: Array, cell: Array) -> tuple[Array, Array, tuple[Array, ...]]:
        """One step of the LSTM (Hochreiter and Schmidhuber 1997, with forget gates): hidden, cell, and what the
        gradient needs."""
        joined = np.concatenate([inputs, hidden])
        gates = (joined @ self.weights["kernel"] + self.weights["bias"]).reshape(4, self._units)
        opened, kept, shown = (1 / (1 + np.exp(-gates[index])) for index in range(3))
        candidate = np.tanh(gates[3])
        new = kept * cell + opened * candidate
        return shown * np.tanh(new), new, (joined, cell, new, opened, kept, shown, candidate)

    def _backward(
        self, values: tuple[Array, ...], of_hidden: Array, of_cell: Array, gradients: dict[str, Array]
    ) -> tuple[Array, Array, Array]:
        """The gradients of a step's input, earlier hidden state and earlier cell; those of the weights are added."""
        joined, cell, new, opened, kept, shown, candidate = values
        squashed = np.tanh(new)
        of_cell = of_cell + of_hidden * shown * (1 - squashed**2)
        of_gates = np.concatenate(
            [
                of_cell * candidate * opened * (1 - opened),
                of_cell * cell * kept * (1 - kept),
                of_hidden * squashed * shown * (1 - shown),
                of_cell * opened * (1 - candidate**2),
            ]
        )
        gradients["kernel"] += np.outer(joined, of_gates)
        gradients["bias"] += of_gates
        of_joined = self.weights["kernel"] @ of_gates
        return of_joined[: self._units], of_joined[self._units :], of_cell * kept

    def _ascend(self, gradients: dict[str, Array]) -> None:
        """A step of Adam uphill."""
        self._num_steps += 1
        first, second = BETAS
        for name, gradient in gradients.items():
            self._means[name] += (1 - first) * (gradient - self._means[name])
            self._squares[name] += (1 - second) * (gradient**2 - self._squares[name])
            mean = self._means[name] / (1 - first**self._num_steps)
            square = self._squares[name] / (1 - second**self._num_steps)
            self.weights[name] += self._rate * mean / (np.sqrt(square) + EPSILON)
