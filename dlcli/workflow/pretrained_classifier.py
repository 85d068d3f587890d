"""``dlcli transfer --top imagenet``: a run of a pretrained network with its 1,000 classes, without training."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import keras

from dlcli.data.images.decoding import ImagePolicy
from dlcli.errors import InputError
from dlcli.files import BadFile, read_file
from dlcli.models.images.keras_application import IMAGENET_CLASSES, read_class_index
from dlcli.recipe.load import LoadedRecipe
from dlcli.recipe.yaml_writer import resolved, to_yaml
from dlcli.report.cost.layer_table import layer_table, table_text
from dlcli.rundir.directory import RunDir
from dlcli.rundir.reading import file_digest
from dlcli.rundir.runs import create_run, now
from dlcli.rundir.writing import replace_by, replace_file, replace_json
from dlcli.runtime.console import Console
from dlcli.runtime.machine import environment
from dlcli.runtime.startup import Device, set_seed
from dlcli.tasks.dispatch import pretrained_classifier
from dlcli.workflow.train import command

MAX_INDEX_BYTES = 2**20


def make_pretrained_run(
    loaded: LoadedRecipe, *, class_index: Path | None, runs: Path, name: str | None, device: Device, console: Console
) -> dict[str, Any]:
    """Make a completed run of a network with the weights and classes of ImageNet.

    Args:
        class_index: a file of classes in the format of Keras's imagenet_class_index.json; None for that file itself,
            from Keras's cache or downloaded.

    Returns the content of run.json, and ``run``, its directory.

    Raises:
        InputError: the weights or class names are not available or do not match the network.
    """
    recipe = loaded.of_images
    data = recipe.data
    assert data.image_size is not None
    assert data.resize != "none"
    classes, aliases = _names(read_class_index() if class_index is None else _read_index(class_index))
    policy = ImagePolicy(data.image_size, "rgb", data.resize, data.interpolation, data.antialias)
    set_seed(recipe.train.seed, deterministic=recipe.train.deterministic)
    model = pretrained_classifier(loaded, num_classes=IMAGENET_CLASSES)
    run = create_run(
        runs,
        name or recipe.name or "imagenet",
        lambda run: _write(run, loaded, model, classes=classes, aliases=aliases, policy=policy, device=device),
    )
    console.log = run.log
    run.unlock()
    return {"run": str(run.path), **run.read_info()}


def _write(
    run: RunDir,
    loaded: LoadedRecipe,
    model: keras.Model,
    *,
    classes: tuple[str, ...],
    aliases: dict[str, str],
    policy: ImagePolicy,
    device: Device,
) -> None:
    recipe = loaded.recipe
    config = resolved(recipe.model_copy(update={"name": run.name}))
    replace_file(run.recipe, loaded.text)
    replace_file(run.config, to_yaml(config))
    replace_json(run.labels, {"classes": list(classes), "aliases": aliases})
    replace_file(run.layers, table_text(layer_table(model)) + "\n")
    replace_by(run.model, lambda path: model.save(path))
    replace_json(
        run.info,
        {
            "status": "completed",
            "command": command(),
            "task": recipe.task,
            "seed": recipe.train.seed,
            "started": now(),
            "finished": now(),
            **environment(device.name),
            "data": {
                "fingerprint": "",
                "classes": list(classes),
                "shape": list(policy.shape),
                "samples": {},
                "left_out": [],
                "images": policy.to_dict(),
            },
            "parameters": model.count_params(),
            "custom_layers": [],
            "config": config,
            "best": None,
            "final": None,
            "model": file_digest(run.model),
        },
    )


def _read_index(path: Path) -> dict[str, list[str]]:
    try:
        index = json.loads(read_file(path, MAX_INDEX_BYTES))
    except BadFile as reason:
        raise InputError(f"{path}: {reason}. Give a file with the names of {IMAGENET_CLASSES:,} classes.") from None
    except (ValueError, RecursionError):
        index = None
    expected = {str(i) for i in range(IMAGENET_CLASSES)}
    has_all_classes = isinstance(index, dict) and set(index) == expected
    if not has_all_classes or not all(
        isinstance(pair, list) and len(pair) == 2 and all(isinstance(part, str) and part for part in pair)
        for pair in index.values()
    ):
        raise InputError(
            f'{path}: expected classes in the format of Keras: {{"0": ["n01440764", "tench"], …, "999": […]}}.'
        )
    return dict(index)


def _names(index: dict[str, list[str]]) -> tuple[tuple[str, ...], dict[str, str]]:
    """The name of each class, with its WordNet id if two share a name, and the names by WordNet id."""
    pairs = [index[str(i)] for i in range(IMAGENET_CLASSES)]
    counts = Counter(name for _, name in pairs)
    names = tuple(name if counts[name] == 1 else f"{name} ({wordnet_id})" for wordnet_id, name in pairs)
    return names, {wordnet_id: name for (wordnet_id, _), name in zip(pairs, names, strict=True)}
