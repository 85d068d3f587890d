"""``dlcli transfer --top imagenet``: a network as it was trained, with its 1,000 classes, as a run by itself."""

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import keras

from dlcli.data.images.decoding import ImagePolicy
from dlcli.errors import InputError
from dlcli.models.images.keras_application import IMAGENET_CLASSES, read_class_index
from dlcli.recipe.load import LoadedRecipe
from dlcli.recipe.yaml_writer import resolved, to_yaml
from dlcli.report.cost.layer_table import layer_table, table_text
from dlcli.rundir import RunDir, create_run, file_digest, now, replace_by, replace_file, replace_json
from dlcli.runtime.console import Console
from dlcli.runtime.startup import Device, set_seed
from dlcli.tasks.dispatch import pretrained_classifier
from dlcli.workflow.train import command, versions

MAX_INDEX_BYTES = 2**20


def keep_top(
    loaded: LoadedRecipe, *, class_index: Path | None, runs: Path, name: str | None, device: Device, console: Console
) -> dict[str, Any]:
    """Makes a completed run of a network with the weights and classes of ImageNet.

    Args:
        class_index: the classes as in Keras's imagenet_class_index.json; None for that file, from Keras's cache or
            downloaded.

    Returns what run.json holds, and ``run``, its folder.

    Raises:
        InputError: weights or names cannot be had, or do not fit.
    """
    recipe = loaded.of_images
    data = recipe.data
    assert data.image_size is not None
    classes, aliases = _names(read_class_index() if class_index is None else _read_index(class_index))
    policy = ImagePolicy(data.image_size, "rgb", data.resize, data.interpolation, data.antialias)
    set_seed(recipe.train.seed, deterministic=recipe.train.deterministic)
    model = pretrained_classifier(loaded, num_classes=IMAGENET_CLASSES)
    run = create_run(runs, name or recipe.name or "imagenet")
    try:
        console.log = run.log
        _write(run, loaded, model, classes=classes, aliases=aliases, policy=policy, device=device)
    except BaseException:  # nothing half-written
        shutil.rmtree(run.path)
        raise
    finally:
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
            "device": device.name,
            "versions": versions(),
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
        if path.stat().st_size > MAX_INDEX_BYTES:
            raise InputError(f"{path}: is too large for the names of {IMAGENET_CLASSES:,} classes.")
        index = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from None
    except (ValueError, RecursionError):
        index = None
    wanted = {str(i) for i in range(IMAGENET_CLASSES)}
    is_sound = isinstance(index, dict) and set(index) == wanted
    if not is_sound or not all(
        isinstance(pair, list) and len(pair) == 2 and all(isinstance(part, str) and part for part in pair)
        for pair in index.values()
    ):
        raise InputError(
            f'{path}: expected the classes as keras has them: {{"0": ["n01440764", "tench"], …, "999": […]}}.'
        )
    return dict(index)


def _names(index: dict[str, list[str]]) -> tuple[tuple[str, ...], dict[str, str]]:
    """Each class's name, with its number where two have the same, and the name by the number."""
    pairs = [index[str(i)] for i in range(IMAGENET_CLASSES)]
    counts = Counter(name for _, name in pairs)
    names = tuple(name if counts[name] == 1 else f"{name} ({number})" for number, name in pairs)
    return names, {number: name for (number, _), name in zip(pairs, names, strict=True)}
