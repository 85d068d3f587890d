"""What a language model's evaluation counts."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dlcli.data.sequences.ragged import Ragged
from dlcli.data.text.vocabulary import END, FIRST, UNKNOWN
from dlcli.recipe.load import load
from dlcli.tasks.language_model.evaluation import _spelled


@pytest.mark.parametrize(
    ("text", "data", "texts", "ids", "unknown", "total"),
    [
        ("unit: words", "text", ["to be or né"], [[3, UNKNOWN, UNKNOWN]], [2, 3], 2 + 2 + 3 + 3),
        ("unit: characters", "text", ["aéb"], [[UNKNOWN, 4]], [2], 3),
        ("unit: words", "lines", ["to be", ""], [[3, UNKNOWN, END], [END]], [2], 5 + 1 + 1),
        ("unit: words, max_length: 2", "lines", ["to be"], [[3, UNKNOWN]], [2], 5),  # cut before its end
        ("unit: subwords", "text", ["aaé é né"], [[5, 3, 4, 3, UNKNOWN, 4]], [1], 3 + 1 + 2 + 1 + 1 + 2),
        ("unit: subwords", "lines", ["aé ñ", "a"], [[5, 3, UNKNOWN, END], [2, END]], [2], 6 + 1 + 1 + 1),
        ("unit: words, standardize: strip_punctuation", "text", ["a - b c"], [[3, UNKNOWN]], [1], 4),
    ],
)
def test_bytes_of_what_is_predicted(
    tmp_path: Path, text: str, data: str, texts: list[str], ids: list[list[int]], unknown: list[int], total: int
) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(
        f"task: language_model\ndata: {{kind: {data}, path: a.txt}}\ntext: {{{text}}}\nmodel: {{kind: recurrent}}\n"
    )
    recipe: Any = load(file).recipe
    generator: Any = SimpleNamespace(recipe=recipe, tokens=("a", " ", "é", "aé"))
    targets = Ragged.join([np.array(row, np.int32) for row in ids])
    inputs = Ragged.join([np.array([FIRST, *row[:-1]], np.int32) for row in ids])
    found = _spelled(generator, texts, inputs, targets)
    assert (found["unknown"].tolist(), found["num_bytes"]) == (unknown, total)
