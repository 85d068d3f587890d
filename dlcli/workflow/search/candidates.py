"""Recipes of candidates: the recipe of the user with other cells, at the size of a trial or of a finalist."""

from collections.abc import Mapping
from typing import Any

from dlcli.recipe.language.fields import path_keys
from dlcli.recipe.load import LoadedRecipe
from dlcli.recipe.sections.search import Final, Search, Trial

STUDIES = ("search", "sweep")  # sections that no candidate has
NUM_SEEDS = 2**32  # of training
FIRST_FINAL_SEED = 10**6  # after the seed of the recipe: finalists are trained with seeds that no trial had


def written_values(loaded: LoadedRecipe) -> dict[str, Any]:
    """The recipe as it was written, without its name, with absolute paths, so that it can be used from anywhere.

    What is not written stays open: a default may depend on what a candidate changes.
    """
    values = {key: value for key, value in loaded.tree.values.items() if key != "name"}
    data = dict(values["data"])
    for key in path_keys(type(loaded.recipe.data)) & data.keys():
        data[key] = getattr(loaded.recipe.data, key)
    return {**values, "data": data}


class Candidates:
    """Makes the recipes of candidates.

    Args:
        values: of the recipe, as `written_values` returns them.
        search: its ``search`` section.
        seed: its ``train.seed``.
    """

    def __init__(self, values: Mapping[str, Any], search: Search, seed: int) -> None:
        self._values = {key: value for key, value in values.items() if key not in STUDIES}
        self._search = search
        self._seed = seed

    def trial(self, genotype: Mapping[str, Any] | None, number: int) -> dict[str, Any]:
        """The recipe of a trial; None for the cells of the recipe itself."""
        return self._recipe(genotype, self._search.trial, self.trial_seed(number))

    def final(self, genotype: Mapping[str, Any], repeat: int) -> dict[str, Any]:
        """The recipe of a finalist, for its repeat of this number, from 0."""
        return self._recipe(genotype, self._search.final, self.final_seed(repeat))

    def best(self, genotype: Mapping[str, Any]) -> dict[str, Any]:
        """The recipe of a finalist with the seed of the user's recipe."""
        return self._recipe(genotype, self._search.final, self._seed)

    def trial_seed(self, number: int) -> int:
        """The seed of the training of a trial."""
        return (self._seed + number) % NUM_SEEDS

    def final_seed(self, repeat: int) -> int:
        """The seed of the training of a finalist."""
        return (self._seed + FIRST_FINAL_SEED + repeat) % NUM_SEEDS

    def _recipe(self, genotype: Mapping[str, Any] | None, size: Trial | Final, seed: int) -> dict[str, Any]:
        model, train = dict(self._values["model"]), dict(self._values.get("train") or {})
        network = dict(model["backbone"]) if "backbone" in model else model
        if genotype is not None:
            network["genotype"] = genotype
        network |= {key: value for key in ("repeats", "filters") if (value := getattr(size, key)) is not None}
        model = {**model, "backbone": network} if "backbone" in model else network
        if size.epochs is not None:
            train["epochs"] = size.epochs
        return {**self._values, "model": model, "train": {**train, "seed": seed}}
