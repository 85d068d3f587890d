"""Methods of search on a synthetic table of scores, in place of trainings."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from dlcli.search.controller import Controller
from dlcli.search.evolution import Evolution, mutated
from dlcli.search.method import Choices, Method, random_of_trial
from dlcli.search.random_search import RandomSearch
from dlcli.search.reinforce import Reinforce

SPACE = (3,) * 8
MakeMethod = Callable[[int], Method]

METHODS: dict[str, MakeMethod] = {
    "random": lambda seed: RandomSearch(SPACE, seed=seed),
    "evolution": lambda seed: Evolution(SPACE, population=16, sample=4, seed=seed),
    "tournament": lambda seed: Evolution(SPACE, population=16, sample=4, aging=False, seed=seed),
    "reinforce": lambda seed: Reinforce(SPACE, learning_rate=0.2, decay=0.9, seed=seed),
    "controller": lambda seed: Controller(SPACE, units=8, learning_rate=0.02, decay=0.9, seed=seed),
}
every_method = pytest.mark.parametrize("make", METHODS.values(), ids=METHODS)


def synthetic_table() -> np.ndarray:
    """Scores ``[3] * 8``: an effect of each option, of each pair of neighbors, and noise."""
    random = np.random.default_rng(0)
    table = random.normal(scale=0.3, size=SPACE)
    for position in range(8):
        shape = [1] * 8
        shape[position] = 3
        table += random.normal(size=3).reshape(shape)
        if position:
            shape[position - 1] = 3
            table += 0.5 * random.normal(size=(3, 3)).reshape(shape)
    return table


def searched(method: Method, table: np.ndarray, *, num_trials: int = 100) -> list[Choices]:
    tried = []
    for trial in range(num_trials):
        tried.append(method.ask(trial).choices)
        method.tell(trial, tried[-1], float(table[tried[-1]]))
    return tried


@every_method
def test_a_method_depends_on_its_seed_and_on_what_it_was_told(make: MakeMethod) -> None:
    table = synthetic_table()
    whole = searched(make(1), table, num_trials=40)
    assert searched(make(1), table, num_trials=40) == whole
    assert searched(make(2), table, num_trials=40) != whole
    replayed = make(1)
    for trial, choices in enumerate(whole[:30]):
        replayed.tell(trial, choices, float(table[choices]))
    assert replayed.ask(30) == replayed.ask(30)
    assert replayed.ask(30).choices == whole[30]
    assert all(len(choices) == 8 and set(choices) <= {0, 1, 2} for choices in whole)


@every_method
def test_trials_without_a_score_are_survived(make: MakeMethod) -> None:
    method = make(0)
    for trial in range(40):
        method.tell(trial, method.ask(trial).choices, 0.5 if trial % 3 == 2 else None)
    assert len(method.ask(40).choices) == 8


@pytest.mark.parametrize("name", ["evolution", "tournament", "reinforce"])
def test_methods_beat_random_search(name: str) -> None:
    table = synthetic_table()
    best = {
        key: [max(table[choices] for choices in searched(METHODS[key](seed), table)) for seed in range(25)]
        for key in ("random", name)
    }
    test = mannwhitneyu(best[name], best["random"], alternative="greater")
    assert test.statistic / 25**2 >= 0.7
    assert test.pvalue < 0.001


def test_random_search_draws_all_options_equally_often() -> None:
    method = RandomSearch((2, 5, 1), seed=0)
    drawn = np.array([method.ask(trial).choices for trial in range(5000)])
    for position, options in enumerate((2, 5, 1)):
        counts = np.bincount(drawn[:, position], minlength=options)
        assert np.abs(counts - 5000 / options).max() < 5 * np.sqrt(5000)


def test_aging_removes_the_oldest_and_the_tournament_the_worst() -> None:
    for aging, expected in ((True, [1, 2, 3]), (False, [0, 2, 3])):
        method = Evolution((2,), population=3, sample=2, aging=aging, seed=0)
        for trial, score in enumerate([0.9, 0.1, 0.5, 0.7]):
            method.tell(trial, (0,), score)
        assert [one.trial for one in method.population] == expected


def test_a_child_is_a_mutation_of_the_best_of_the_sample() -> None:
    method = Evolution(SPACE, population=4, sample=4, seed=0)
    scores = [0.1, 0.9, 0.3, 0.2]
    for trial, score in enumerate(scores):
        proposal = method.ask(trial)
        assert proposal.parent is None
        method.tell(trial, proposal.choices, score)
    parents = [method.ask(trial).parent for trial in range(4, 204)]
    assert parents.count(1) / 200 == pytest.approx(1 - (3 / 4) ** 4, abs=0.1)  # drawn with replacement
    child = method.ask(300)
    parent = next(one for one in method.population if one.trial == child.parent)
    assert sum(a != b for a, b in zip(child.choices, parent.choices, strict=True)) == 1


def test_a_mutation_changes_one_position_to_any_other_option() -> None:
    seen = {mutated((1, 0, 2), (3, 1, 4), random_of_trial(0, trial)) for trial in range(200)}
    assert seen == {(0, 0, 2), (2, 0, 2), (1, 0, 0), (1, 0, 1), (1, 0, 3)}
    assert mutated((0, 0), (1, 1), random_of_trial(0, 0)) == (0, 0)


def test_reinforce_takes_the_step_of_the_paper() -> None:
    method = Reinforce((2, 3), learning_rate=0.5, decay=0.5, seed=0)
    method.tell(0, (0, 0), 1.0)  # the first score is the baseline
    assert all((logits == 0).all() for logits in method.logits)
    method.tell(1, (1, 2), 3.0)
    advantage = 2 / np.sqrt(0.5 * 2**2)
    np.testing.assert_allclose(method.logits[0], 0.5 * advantage * np.array([-1 / 2, 1 / 2]))
    np.testing.assert_allclose(method.logits[1], 0.5 * advantage * np.array([-1 / 3, -1 / 3, 2 / 3]))


def test_the_gradient_of_the_controller_equals_finite_differences() -> None:
    controller = Controller((3, 2, 4), units=5, learning_rate=0.1, decay=0.9, seed=3)
    for name, value in controller.weights.items():
        controller.weights[name] = 5 * value  # far from linear
    choices = (2, 0, 3)
    _, gradients = controller.log_probability(choices)
    random = np.random.default_rng(0)
    for name, weight in controller.weights.items():
        for _ in range(4):
            index = tuple(random.integers(side) for side in weight.shape)
            kept, values = weight[index], []
            for step in (1e-6, -1e-6):
                weight[index] = kept + step
                values.append(controller.log_probability(choices)[0])
            weight[index] = kept
            assert gradients[name][index] == pytest.approx((values[0] - values[1]) / 2e-6, abs=1e-7), name


def test_the_probabilities_of_the_controller_are_what_it_draws_with() -> None:
    controller = Controller((2, 3), units=4, learning_rate=0.1, decay=0.9, seed=1)
    for name, value in controller.weights.items():
        controller.weights[name] = 20 * value
    drawn = [controller.ask(trial).choices for trial in range(3000)]
    total = 0.0
    for choices in np.ndindex(2, 3):
        expected = float(np.exp(controller.log_probability(choices)[0]))
        assert drawn.count(choices) / 3000 == pytest.approx(expected, abs=0.04)
        total += expected
    assert total == pytest.approx(1)


@pytest.mark.parametrize("make", [METHODS["reinforce"], METHODS["controller"]])
def test_a_policy_learns_the_only_good_option(make: MakeMethod) -> None:
    method = make(0)
    for trial in range(300):
        choices = method.ask(trial).choices
        method.tell(trial, choices, float(choices[4] == 2))
    assert np.mean([method.ask(trial).choices[4] == 2 for trial in range(300, 400)]) > 0.9


@pytest.mark.parametrize("space", [(), (3, 0)])
def test_a_space_without_options_is_refused(space: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="a space needs at least one position"):
        RandomSearch(space, seed=0)


def test_a_sample_larger_than_the_population_is_refused() -> None:
    with pytest.raises(ValueError, match=r"sample must be from 1 to population, 4. Received 5"):
        Evolution(SPACE, population=4, sample=5, seed=0)
