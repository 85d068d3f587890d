"""``dlcli predict``: the classes of pictures, or of the samples in an .npz."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.data.collect import collect
from dlcli.data.images import PicturePolicy
from dlcli.errors import InputError
from dlcli.recipe.load import load
from dlcli.rundir import RunDir, csv_text, replace_file
from dlcli.workflow.evaluate import predict_logits
from dlcli.workflow.load import load_model
from dlcli.workflow.talk import Talk


def predict(
    run: RunDir, paths: Sequence[Path], *, top: int, output: Path | None, force: bool, talk: Talk
) -> dict[str, Any]:
    """Predicts with a run's best model; pictures are brought to size as they were in training.

    Args:
        paths: pictures, folders of them, and .npz files.
        top: classes given for each sample.
        output: a .csv or .json file for all probabilities.
        force: replace ``output`` where it is there.

    Returns ``run``, ``predictions`` (file, predicted, confidence, and the ``top`` most probable classes each) and
    ``left_out`` (file, reason).

    Raises:
        InputError: no sample can be read, or ``output`` is neither .csv nor .json, or is there already.
    """
    if output is not None and output.suffix not in (".csv", ".json"):
        raise InputError(f"{output}: expected a name that ends in .csv or .json.")
    if output is not None and output.exists() and not force:
        raise InputError(f"{output}: is there already. Give another name, or --force to replace it.")
    if output is not None and not output.parent.is_dir():
        raise InputError(f"{output.parent}: no such folder to write {output.name} to.")
    loaded = load(run.config)
    classes = run.read_classes()
    pictures = run.read_info()["data"]["pictures"]
    policy = None if pictures is None else PicturePolicy.from_dict(pictures)
    model = load_model(run)
    samples, left_out = collect(
        paths,
        policy=policy,
        shape=tuple(model.input_shape[1:]),
        value_range=getattr(loaded.recipe.data, "value_range", (0.0, 255.0)),
    )
    for left in left_out:
        talk.warn(f"{left.name}: {left.reason}: left out")
    if len(samples) == 0:
        raise InputError("nothing to predict: none of the files can be read.")
    talk.say(f"run {run.path}: predicting {len(samples):,} sample{'' if len(samples) == 1 else 's'}")
    probabilities = predict_logits(model, samples, batch_size=loaded.recipe.train.batch_size, talk=talk)[1]
    if output is not None:
        _write_all(output, samples.names, probabilities, classes)
        talk.say(f"{len(samples):,} rows in {output}")
    return {
        "run": str(run.path),
        "predictions": [
            {"file": name, **_ranked(row, classes, min(top, len(classes)))}
            for name, row in zip(samples.names, probabilities, strict=True)
        ],
        "left_out": [[left.name, left.reason] for left in left_out],
    }


def _ranked(probabilities: np.ndarray, classes: tuple[str, ...], top: int) -> dict[str, Any]:
    order = np.argsort(-probabilities, kind="stable")[:top]
    ranked = [{"class": classes[i], "probability": float(probabilities[i])} for i in order]
    return {"predicted": ranked[0]["class"], "confidence": ranked[0]["probability"], "top": ranked}


def _write_all(output: Path, names: tuple[str, ...], probabilities: np.ndarray, classes: tuple[str, ...]) -> None:
    best = probabilities.argmax(axis=1)
    rows = [
        [name, classes[k], float(row[k]), *(float(p) for p in row)]
        for name, row, k in zip(names, probabilities, best, strict=True)
    ]
    header = ["file", "predicted", "confidence", *(f"p_{name}" for name in classes)]
    if output.suffix == ".csv":
        replace_file(output, csv_text(header, rows))
    else:
        records = [dict(zip(header, row, strict=True)) for row in rows]
        replace_file(output, json.dumps(records, indent=1, ensure_ascii=False) + "\n")
