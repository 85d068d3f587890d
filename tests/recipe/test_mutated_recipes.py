"""Recipes after random changes: each is read, or refused with the place and the reason of each error."""

import re
from pathlib import Path

import pytest
from mutations import mutated  # type: ignore[import-not-found]

from dlcli.errors import InputError
from dlcli.recipe.load import load_text
from dlcli.recipe.yaml_writer import resolved, to_yaml

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.yaml"))
LINE = re.compile(r"r\.yaml(:\d+:\d+)?: .+")


@pytest.mark.parametrize(
    "seeds",
    [
        range(100),
        pytest.param(range(100, 600), marks=pytest.mark.slow),
        pytest.param(range(600, 5000), marks=pytest.mark.long),
    ],
)
def test_a_mutated_recipe_is_read_or_refused(seeds: range) -> None:
    num_read = 0
    for seed in seeds:
        content = mutated(RECIPES[seed % len(RECIPES)].read_bytes(), seed)
        reasons, loaded = "", None
        try:
            loaded = load_text(content, Path("r.yaml"))
        except InputError as error:
            reasons = str(error)
        assert all(LINE.fullmatch(line) for line in reasons.splitlines()), (seed, reasons)
        if loaded is not None:
            num_read += 1
            again = load_text(to_yaml(resolved(loaded.recipe)).encode(), Path("r.yaml"))
            assert again.recipe == loaded.recipe, seed
    assert 0 < num_read < len(seeds)
