"""The head of labels: data from which nothing can be learned, weights of positives, and the layers of the head."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from dlcli.data.images.samples import Dataset
from dlcli.errors import InputError
from dlcli.models.heads.vector import labels
from dlcli.recipe.load import LoadedRecipe, load
from dlcli.runtime.console import Console
from dlcli.tasks.images.inspection import check, stats
from dlcli.tasks.images.multilabel import MultilabelHead

QUIET = Console(quiet=True)


def recipe_of(folder: Path, rows: str, more: str = "", train: str = "{}") -> LoadedRecipe:
    """A recipe for a table with the labels a, b and c."""
    lines = rows.split()
    for i in range(len(lines)):
        pixels = np.random.default_rng(i).integers(0, 256, (8, 8), np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    (folder / "t.csv").write_text("\n".join(["path,a,b,c", *(f"{i}.png,{row}" for i, row in enumerate(lines))]) + "\n")
    (folder / "r.yaml").write_text(
        f"task: multilabel\ndata: {{kind: csv, path: t.csv, labels: [a, b, c], test: 0, validation: 0{more}}}\n"
        f"model: {{kind: mlp}}\ntrain: {train}\n"
    )
    return load(folder / "r.yaml")


def opened(loaded: LoadedRecipe) -> tuple[MultilabelHead, Dataset]:
    head = MultilabelHead(loaded.recipe)  # type: ignore[arg-type]
    return head, head.open_data(loaded, QUIET)


def refusal(loaded: LoadedRecipe) -> str:
    head, dataset = opened(loaded)
    with pytest.raises(InputError) as caught:
        head.check(loaded, dataset, QUIET)
    return str(caught.value)


def test_labels_that_never_or_always_apply(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loaded = recipe_of(tmp_path, "1,0,0 1,0,1 1,0,0")
    head, dataset = opened(loaded)
    head.check(loaded, dataset, Console(quiet=False))
    texts = ["train: 1 label of 3 never applies: b", "train: 1 label of 3 always applies: a"]
    assert capsys.readouterr().err.splitlines() == [f"warning: {text}" for text in texts]
    report = check(loaded.recipe.data, head, QUIET)
    assert [(found["text"], found["is_problem"]) for found in report["findings"]] == [(text, False) for text in texts]
    constant = recipe_of(tmp_path, "1,0,0 1,0,0")
    reason = "no label applies to some images of train and not to others: there is nothing to learn"
    assert refusal(constant).endswith(reason)
    findings = check(constant.recipe.data, head, QUIET)["findings"]
    assert [found["text"] for found in findings] == [
        f"{reason}. Training refuses it",
        "train: 2 labels of 3 never apply: b, c",
        "train: 1 label of 3 always applies: a",
    ]


def test_missing_values_are_a_problem_unless_they_are_unknown(tmp_path: Path) -> None:
    def missing(more: str) -> list[tuple[str, bool]]:
        loaded = recipe_of(tmp_path, "1,0,0 0,1,1 ,1,0", more)
        head = MultilabelHead(loaded.recipe)  # type: ignore[arg-type]
        findings = check(loaded.recipe.data, head, QUIET)["findings"]
        return [(found["text"], found["is_problem"]) for found in findings]

    text = "1 row without a value (data.on_missing): 2.png (no value in column 'a')"
    assert missing("") == [(text, True)]
    assert missing(", on_missing: skip") == [(text, False)]
    assert missing(", on_missing: unknown") == []


def test_statistics_count_known_values_only(tmp_path: Path) -> None:
    loaded = recipe_of(tmp_path, "1,0,0 0,1,1 ,1,0 ,0,0", ", on_missing: unknown")
    head, dataset = opened(loaded)
    assert stats(loaded, head, QUIET)["targets"][0] == {"name": "a", "images": 1, "proportion": 0.5, "known": 2}
    assert head.info(dataset).facts["frequencies"] == [0.5, 0.5, 0.25]


def test_weights_of_positives_weight_the_loss_of_training_alone(tmp_path: Path) -> None:
    loaded = recipe_of(tmp_path, "1,0,0 0,1,1 0,1,0 0,1,0", train="{positive_weights: balanced}")
    head, dataset = opened(loaded)
    info, train = head.info(dataset), dataset.splits["train"]
    logits = tf.zeros([1, 3])
    batch: Any = {"y": {"labels": tf.ones([1, 3])}, "weight": tf.ones([1])}
    weighted = head.objective(info, train=train).minimized(logits, batch).numpy()[0]
    np.testing.assert_allclose(weighted / np.log(2), [3, 1 / 3, 3], rtol=1e-5)
    np.testing.assert_allclose(head.objective(info).loss(logits, batch).numpy()[0], np.log(2), rtol=1e-5)
    given = recipe_of(tmp_path, "1,0,0 0,1,1", train="{positive_weights: {a: 1, b: 2, d: 3}}")
    assert "expected a weight for each label; missing: c; not a label of the data: d" in refusal(given)


def test_each_label_has_a_sigmoid() -> None:
    features = keras.Input((2,))
    model = keras.Model(features, labels(features, num_labels=3))
    x = np.array([[0.5, -1.0]], np.float32)
    logits = keras.Model(features, model.get_layer("logits").output)(x).numpy()
    np.testing.assert_allclose(model(x), 1 / (1 + np.exp(-logits)), rtol=1e-6)
    with pytest.raises(ValueError, match="a head for labels takes features"):
        labels(keras.Input((4, 4, 3)), num_labels=2)
