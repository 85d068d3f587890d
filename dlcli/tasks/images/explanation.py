"""Explains the outputs of image classifiers: what in an image speaks for a class, and what against it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcli.data.images.samples import Samples
from dlcli.data.splits import NO_LABEL, LeftOut, evenly_spaced
from dlcli.errors import InputError
from dlcli.explanation.integrated import TOLERANCE
from dlcli.explanation.logits import Classifier, open_network
from dlcli.explanation.method import Explanation, Method
from dlcli.explanation.network import NotExplainable
from dlcli.explanation.rectifiers import rectifiers
from dlcli.report.plots.attribution import MapColumn, attribution_maps
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.runtime.model_files import load_float32
from dlcli.tasks.explanation import FAILED, check_target, class_index, digest_of, recorded_verdicts, verdicts
from dlcli.tasks.images.attribution import WITH_LAYER, layer_of, make_methods, methods_of
from dlcli.tasks.images.evaluation import samples_of_run
from dlcli.tasks.images.explanation_check import check_methods
from dlcli.tasks.images.head import ImageHead
from dlcli.tasks.images.prediction import read_samples
from dlcli.tasks.run_models import BestModel, load_model
from dlcli.tasks.task import Explained, ExplanationRequest

NUM_OF_SPLIT = 16  # images of a split that are explained unless another number is given
AT_ONCE = 16


def explain(run: RunDir, head: ImageHead, request: ExplanationRequest, console: Console) -> Explained:
    """As :meth:`dlcli.tasks.task.Task.explain`, for classifiers of images."""
    return with_network(run, head, request, console, _explain)


def with_network(
    run: RunDir,
    head: ImageHead,
    request: ExplanationRequest,
    console: Console,
    make: Callable[[RunDir, ImageHead, BestModel, Classifier, ExplanationRequest, Console], Explained],
) -> Explained:
    """What ``make`` finds in the network of a run's best model.

    Raises:
        InputError: the network lacks what is asked for.
    """
    best = load_model(run, console, load=load_float32)
    head.check_model(run, best.model)
    try:
        return make(run, head, best, open_network(best.model), request, console)
    except NotExplainable as reason:
        raise InputError(f"{best.file}: {reason}") from None


def _explain(
    run: RunDir,
    head: ImageHead,
    best: BestModel,
    network: Classifier,
    request: ExplanationRequest,
    console: Console,
) -> Explained:
    classes = run.read_classes()
    check_target(request.target, classes, has_labels=not request.paths)
    names = methods_of(request, network)
    methods = make_methods(names, network, request)
    samples, left_out, source = samples_to_explain(run, head, best, request, console)
    limit = request.limit or (len(samples) if request.paths else NUM_OF_SPLIT)
    index = evenly_spaced(len(samples), limit)
    console.say(f"run {run.path}: explaining {len(index):,} of {len(samples):,} images by {' and '.join(names)}")
    num_relus = len(rectifiers(network)) if "guided" in names else None
    if num_relus is not None:
        console.say(f"guided backpropagation replaces {num_relus} ReLUs")
    layer = layer_of(network, request.layer) if set(WITH_LAYER) & set(names) else None
    images, logits, targets, found = _explain_all(network, methods, samples, index, request.target, classes, console)
    known = recorded_verdicts(run, best.digest, names, layer=layer, with_layer=WITH_LAYER)
    check = None
    if request.check:
        check = _check(run, head, network, methods, request, samples, console)
        check = {"sha256": best.digest, "layer": layer, **check}
        known |= verdicts(check)
    for name in names:
        if known.get(name) == FAILED:
            console.warn(f"{name} {FAILED}: its maps hardly depend on what the network has learned")
    rows = _rows(network, samples, index, classes, logits, targets, found, layer, known)
    return Explained(
        name="-".join(names),
        rows=rows,
        files={
            "maps.npz": _writer(images, [samples.names[i] for i in index], [classes[i] for i in targets], found),
            "maps.png": _plot(images, rows, found, layer, known),
        },
        facts={
            "model": str(best.file),
            "sha256": best.digest,
            "source": source,
            "samples": len(index),
            "digest": digest_of([samples.digests[i] for i in index]),
            "settings": {
                "methods": list(names),
                "class": request.target,
                "layer": layer,
                "baseline": request.baseline or "black",
                "steps": request.steps or "auto",
                "check": request.check,
                "relus": num_relus,
            },
        },
        check=check,
        left_out=[(left.name, left.reason) for left in left_out],
    )


def samples_to_explain(
    run: RunDir, head: ImageHead, best: BestModel, request: ExplanationRequest, console: Console
) -> tuple[Samples, Sequence[LeftOut], str]:
    """The images to explain, what was skipped, and what they are called."""
    if request.paths:
        samples, left_out = read_samples(run, head, best.model, request.paths, console, verb="explain")
        return samples, left_out, ", ".join(map(str, request.paths))
    name, samples, _ = samples_of_run(run, head, split=request.split, data=None, console=console)
    if request.target == "label" and not samples.has_classes:
        raise InputError(f"--class label: the images of {name} have no label, or several. Name a class.")
    return samples, (), name


def _check(
    run: RunDir,
    head: ImageHead,
    network: Classifier,
    methods: Mapping[str, Method],
    request: ExplanationRequest,
    samples: Samples,
    console: Console,
) -> dict[str, Any]:
    """Check the methods on images of a split; ``samples`` are those that are explained, which may be files."""
    name = "the paths"
    if request.paths:
        name, samples, _ = samples_of_run(run, head, split=None, data=None, console=console)
    index = evenly_spaced(len(samples), request.limit or NUM_OF_SPLIT)
    console.say(f"checking {', '.join(methods)} on {len(index):,} images{f' of {name}' if request.paths else ''}")
    return check_methods(
        network,
        methods,
        samples.load(index).astype(np.float32),
        samples.labels[index],
        baseline=request.baseline or "black",
        progress=console.evaluating,
    )


def _explain_all(
    network: Classifier,
    methods: Mapping[str, Method],
    samples: Samples,
    index: NDArray[np.int64],
    target: str,
    classes: Sequence[str],
    console: Console,
) -> tuple[NDArray[Any], NDArray[np.float32], NDArray[np.int32], dict[str, Explanation]]:
    """The images, their logits, the class that is explained of each, and the explanations by each method."""
    images, logits, targets = [], [], []
    parts: dict[str, list[Explanation]] = {name: [] for name in methods}
    for start in range(0, len(index), AT_ONCE):
        rows = index[start : start + AT_ONCE]
        images.append(samples.load(rows))
        pixels = images[-1].astype(np.float32)
        logits.append(np.asarray(network(pixels)))
        if not np.isfinite(logits[-1]).all():
            raise NotExplainable("its outputs must be finite to be explained. Received NaN or infinity.")
        if target == "predicted":
            targets.append(logits[-1].argmax(axis=1).astype(np.int32))
        elif target == "label":
            targets.append(samples.labels[rows].astype(np.int32))
        else:
            targets.append(np.full(len(rows), class_index(target, classes), np.int32))
        for name, method in methods.items():
            parts[name].append(method(pixels, targets[-1]))
            if not np.isfinite(parts[name][-1].maps).all():
                raise NotExplainable(
                    f"its maps by {name} must be finite. Received NaN or infinity. Use another --method."
                )
        console.evaluating(start + len(rows), len(index))
    found = {name: _joined(explanations) for name, explanations in parts.items()}
    return np.concatenate(images), np.concatenate(logits), np.concatenate(targets), found


def _joined(parts: Sequence[Explanation]) -> Explanation:
    facts = {name: np.concatenate([part.facts[name] for part in parts]) for name in parts[0].facts}
    return Explanation(np.concatenate([part.maps for part in parts]), facts)


def _rows(
    network: Classifier,
    samples: Samples,
    index: NDArray[np.int64],
    classes: Sequence[str],
    logits: NDArray[np.float32],
    targets: NDArray[np.int32],
    found: Mapping[str, Explanation],
    layer: str | None,
    known: Mapping[str, str],
) -> list[dict[str, Any]]:
    """The rows of explanations.csv: one for each image and method."""
    probabilities, predicted = np.asarray(network.probabilities(logits)), logits.argmax(axis=1)
    rows = []
    for position, number in enumerate(index):
        label = samples.labels[number]
        for name, explanation in found.items():
            values = explanation.maps[position].astype(np.float64)
            total = np.abs(values).sum()
            facts = {key: column[position].item() for key, column in explanation.facts.items()}
            rows.append(
                {
                    "file": samples.names[number],
                    "label": None if label == NO_LABEL else classes[label],
                    "predicted": classes[predicted[position]],
                    "class": classes[targets[position]],
                    "probability": float(probabilities[position, targets[position]]),
                    "logit": float(logits[position, targets[position]]),
                    "method": name,
                    "layer": layer if name in WITH_LAYER else None,
                    "steps": facts.get("steps"),
                    "completeness_error": facts.get("completeness_error"),
                    "largest": float(np.abs(values).max()),
                    "positive_share": float(values.clip(0).sum() / total) if total else None,
                    "note": _note(values, facts),
                    "check": known.get(name),
                }
            )
    return rows


def _note(values: NDArray[np.float64], facts: Mapping[str, Any]) -> str:
    """What must be known of a map; empty if nothing."""
    if not values.any():
        return "empty: all zero"
    error = facts.get("completeness_error")
    return "" if error is None or error <= TOLERANCE else f"incomplete by {error:.1%} after {facts['steps']} steps"


def _plot(
    images: NDArray[Any],
    rows: Sequence[Mapping[str, Any]],
    found: Mapping[str, Explanation],
    layer: str | None,
    known: Mapping[str, str],
) -> bytes:
    of_image = rows[:: len(found)]
    captions = [
        f"{row['class']} {row['probability']:.2f}"
        + ("" if row["class"] == row["predicted"] else f"\npredicted {row['predicted']}")
        + ("" if row["label"] in (None, row["predicted"]) else f"\nlabel {row['label']}")
        for row in of_image
    ]
    columns = [
        MapColumn(
            f"{name}, {layer}" if name in WITH_LAYER else name,
            explanation.maps,
            [row["note"] or _completeness(row) for row in rows[number :: len(found)]],
            FAILED if known.get(name) == FAILED else "",
        )
        for number, (name, explanation) in enumerate(found.items())
    ]
    return attribution_maps(images, captions, [row["file"] for row in of_image], columns)


def _completeness(row: Mapping[str, Any]) -> str:
    return "" if row["completeness_error"] is None else f"complete within {row['completeness_error']:.2%}"


def _writer(
    images: NDArray[Any], files: Sequence[str], classes: Sequence[str], found: Mapping[str, Explanation]
) -> Callable[[Path], None]:
    arrays = {"images": images, "files": np.array(files), "classes": np.array(classes)}
    maps = {name: explanation.maps for name, explanation in found.items()}
    return lambda path: np.savez(path, allow_pickle=False, **arrays, **maps)
