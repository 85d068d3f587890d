"""The files of the attention weights of texts."""

import csv
from typing import Any

import numpy as np
import pytest

from dlcli.tasks.sequences import attention_files as module


def test_a_row_for_each_head_and_token(monkeypatch: pytest.MonkeyPatch) -> None:
    heads = np.array([[[0.2, 0.8, 0.0], [0.4, 0.6, 0.0], [0.0, 0.0, 1.0]]])  # the last step is padding
    given: list[Any] = []

    def weights(raw: Any) -> dict[str, Any]:
        given.append(raw.numpy().tolist())
        return {"attention1": heads[None], "attention_weights": np.array([[[0.25], [0.75], [0.0]]])}

    monkeypatch.setattr(module, "attention_of", lambda model: weights)
    files = module.attention_files(object(), ["a.txt:1"], ["Good day"], [["good", "day"]])
    rows = list(csv.DictReader(files["attention.csv"].splitlines()))
    assert given == [[b"Good day"]]
    assert [(row["head"], row["token"], float(row["attention_weight"])) for row in rows] == [
        *(("block 1 head 1", "good", pytest.approx(0.3)), ("block 1 head 1", "day", pytest.approx(0.7))),
        *(("pooling", "good", 0.25), ("pooling", "day", 0.75)),
    ]
    assert files["attention.png"].startswith(b"\x89PNG")


def test_networks_without_attention_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "attention_of", lambda model: None)
    assert module.attention_files(object(), ["a"], ["b"], [["b"]]) == {}
