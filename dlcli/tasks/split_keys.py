"""The keys of a ``data`` section that divide its samples into splits, as the readers take them."""

from dlcli.data.listing import SplitKeys
from dlcli.recipe.sections.image_data import DividedSource


def split_keys(section: DividedSource) -> SplitKeys:
    """The keys by which the samples of a source are divided into splits."""
    return SplitKeys(
        validation=section.validation,
        test=section.test,
        split_seed=section.split_seed,
        limit=section.limit,
        allow_leakage=section.allow_leakage,
        fold=None if section.fold is None else (section.fold.number, section.fold.of),
    )
