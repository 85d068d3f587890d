"""Suggestions for misspelled names."""

import pytest

from dlcli.recipe.language.suggestions import did_you_mean, edit_distance, nearest


@pytest.mark.parametrize(
    ("a", "b", "distance"),
    [
        ("", "", 0),
        ("abc", "abc", 0),
        ("abc", "", 3),
        ("abc", "abd", 1),
        ("abc", "ac", 1),
        ("sdg", "sgd", 1),
        ("kitten", "sitting", 3),
    ],
)
def test_edit_distance(a: str, b: str, distance: int) -> None:
    assert edit_distance(a, b) == distance
    assert edit_distance(b, a) == distance


@pytest.mark.parametrize(
    ("word", "choices", "expected"),
    [
        ("rsenet", ["resnet", "vgg", "lenet5"], ("resnet",)),
        ("resnet", ["convnet", "lenet5", "mlp"], ()),  # not a typing error, but another network
        ("Adam", ["adam", "adamw"], ("adam",)),
        ("kernel", ["kernel_size", "filters"], ("kernel_size",)),
        ("size", ["image_size", "resize"], ("image_size",)),
        ("lr", ["l2", "learning_rate"], ("learning_rate",)),
        ("metric_a", ["metric_b", "metric_c", "metric_d"], ("metric_b", "metric_c")),
        ("x", ["y"], ()),
        ("", ["a"], ()),
        ("a" * 1000, ["a"], ()),
        ("abc", [], ()),
    ],
)
def test_nearest(word: str, choices: list[str], expected: tuple[str, ...]) -> None:
    assert nearest(word, choices) == expected


def test_did_you_mean() -> None:
    assert did_you_mean("epoch", ["epochs", "seed"]) == "; did you mean 'epochs'?"
    assert did_you_mean("color", ["epochs", "seed"]) == ""
