"""The head of numbers: targets from which nothing can be learned are refused, and reported by data check."""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from dlcli.errors import InputError
from dlcli.models.heads.vector import numbers
from dlcli.recipe.load import LoadedRecipe, load
from dlcli.runtime.console import Console
from dlcli.tasks.images.inspection import check
from dlcli.tasks.images.regression import RegressionHead

QUIET = Console(quiet=True)


def recipe_of(folder: Path, values: Sequence[str], more: str = "") -> LoadedRecipe:
    """A recipe for a table with one target, x."""
    for i in range(len(values)):
        pixels = np.random.default_rng(i).integers(0, 256, (8, 8), np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    rows = [f"{i}.png,{value}" for i, value in enumerate(values)]
    (folder / "t.csv").write_text("\n".join(["path,x", *rows]) + "\n")
    (folder / "r.yaml").write_text(
        f"task: image_regression\ndata: {{kind: csv, path: t.csv, targets: [x], test: 0, validation: 0{more}}}\n"
        "model: {kind: mlp}\n"
    )
    return load(folder / "r.yaml")


def refusal(loaded: LoadedRecipe) -> str:
    head = RegressionHead(loaded.recipe)  # type: ignore[arg-type]
    dataset = head.open_data(loaded, QUIET)
    with pytest.raises(InputError) as caught:
        head.check(loaded, dataset, QUIET)
    return str(caught.value)


def test_targets_from_which_nothing_can_be_learned_are_refused(tmp_path: Path) -> None:
    place = f"{tmp_path / 'r.yaml'}:2:42: data.targets.0: "
    assert refusal(recipe_of(tmp_path, ["3", "3", "3"])) == (
        f"{place}'x' is 3 in all of train: there is nothing to learn"
    )
    assert refusal(recipe_of(tmp_path, ["1000000", "1000001", "1000002"])) == (
        f"{place}'x' varies too little for its size: its standard deviation in train must be at least 10. Received "
        "0.816; subtract a constant from its values"
    )


def findings(loaded: LoadedRecipe) -> list[tuple[str, bool, str]]:
    head = RegressionHead(loaded.recipe)  # type: ignore[arg-type]
    report = check(loaded.recipe.data, head, QUIET)
    return [(found["kind"], found["is_problem"], found["text"]) for found in report["findings"]]


def test_what_data_check_reports(tmp_path: Path) -> None:
    text = "2 rows without a value (data.on_missing): 1.png (no value in column 'x'), 3.png (no value in column 'x')"
    constant = ("constant target", True, "'x' is 7 in all of train: there is nothing to learn. Training refuses it")
    assert findings(recipe_of(tmp_path, ["7", "NA", "7", ""])) == [("missing value", True, text), constant]
    skips = recipe_of(tmp_path, ["7", "NA", "7", ""], ", on_missing: skip")
    assert findings(skips) == [("missing value", False, text), constant]
    (close,) = findings(recipe_of(tmp_path, ["1000000", "1000001", "1000002"]))
    assert close[:2] == ("constant target", True)
    assert close[2].startswith("'x' varies too little for its size")
    far = recipe_of(tmp_path, ["1", "2", "3", "4", "5", "1e9"])
    assert findings(far) == [("far value", False, "train: 'x' is far from its median, 3.5: 5.png (1e+09)")]
    assert findings(recipe_of(tmp_path, ["1", "2", "3"])) == []


def test_numbers_keep_their_units_in_the_head() -> None:
    features = keras.Input((3,))
    model = keras.Model(features, numbers(features, mean=[100.0, -2.0], deviation=[10.0, 0.5]))
    model.get_layer("scaled_value").set_weights([np.zeros((3, 2)), np.array([1.0, -1.0])])
    np.testing.assert_allclose(model(np.zeros((1, 3))), [[110.0, -2.5]], rtol=1e-6)
    again = keras.Model.from_config(model.get_config())
    assert again.get_layer("value").scale == [10.0, 0.5]
    with pytest.raises(ValueError, match="flatten or pool them first"):
        numbers(keras.Input((4, 4, 3)), mean=[0.0], deviation=[1.0])
