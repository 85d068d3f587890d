"""Explains the outputs of networks for images: what in an image speaks for an output, and what against it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcli.data.images.samples import Samples
from dlcli.data.splits import NO_LABEL, LeftOut, evenly_spaced
from dlcli.errors import InputError
from dlcli.explanation.logits import Classifier
from dlcli.explanation.method import Method, batches, num_at_once
from dlcli.explanation.network import Network, NotExplainable
from dlcli.explanation.rectifiers import rectifiers
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.runtime.model_files import load_float32
from dlcli.tasks.explanation import FAILED, digest_of, recorded_verdicts, verdicts
from dlcli.tasks.images.aspects import Aspect, Explainable
from dlcli.tasks.images.attribution import WITH_LAYER, layer_of, make_methods, methods_of
from dlcli.tasks.images.evaluation import samples_of_run
from dlcli.tasks.images.explained_tiles import TILE_COLUMNS
from dlcli.tasks.images.explanation_check import check_methods
from dlcli.tasks.images.explanation_items import explain_all, plot_of, rows_of, writer_of
from dlcli.tasks.images.head import ImageHead
from dlcli.tasks.images.prediction import read_samples
from dlcli.tasks.run_models import BestModel, load_model
from dlcli.tasks.task import Explained, ExplanationRequest

NUM_OF_SPLIT = 16  # images of a split that are explained unless another number is given


def explain(run: RunDir, head: ImageHead, request: ExplanationRequest, console: Console) -> Explained:
    """As :meth:`dlcli.tasks.task.Task.explain`, for images."""
    return with_network(run, head, request, console, _explain)


def with_network(
    run: RunDir,
    head: ImageHead,
    request: ExplanationRequest,
    console: Console,
    make: Callable[[RunDir, ImageHead, BestModel, Explainable, ExplanationRequest, Console], Explained],
) -> Explained:
    """What ``make`` finds in the network of a run's best model.

    Raises:
        InputError: the network lacks what is asked for.
    """
    best = load_model(run, console, load=load_float32)
    head.check_model(run, best.model)
    try:
        explainable = head.explainable(best.model, request, run.read_classes())
        return make(run, head, best, explainable, request, console)
    except NotExplainable as reason:
        raise InputError(f"{best.file}: {reason}") from None


def _explain(
    run: RunDir,
    head: ImageHead,
    best: BestModel,
    explainable: Explainable,
    request: ExplanationRequest,
    console: Console,
) -> Explained:
    aspects = explainable.aspects
    names = methods_of(request, aspects[0].network)
    methods = [(aspect, make_methods(names, aspect.network, request, last=aspect.layer)) for aspect in aspects]
    samples, left_out, source = samples_to_explain(run, head, best, request, console)
    limit = request.limit or (len(samples) if request.paths else NUM_OF_SPLIT)
    if request.mistakes:
        index, total = _mistakes(aspects[0].network, samples, limit, source, console.evaluating)
        found_in = f"the {len(index):,} most confident of {total:,} mistakes in {source}"
    else:
        index = evenly_spaced(len(samples), limit)
        found_in = counted(len(index), len(samples))
    console.say(f"run {run.path}: explaining {found_in} by {' and '.join(names)}")
    if samples.is_tiled:
        console.say("of each image, the tile that holds most of what is explained")
    num_relus = len(rectifiers(aspects[0].network)) if "guided" in names else None
    if num_relus is not None:
        console.say(f"guided backpropagation replaces {num_relus} ReLUs")
    layers = {}
    if set(WITH_LAYER) & set(names):
        layers = {aspect.name: layer_of(aspect.network, request.layer, last=aspect.layer) for aspect in aspects}
    items, empty = explain_all(methods, samples, index, console.evaluating)
    for name in empty:
        console.warn(f"{name}: {explainable.missing}; skipped")
    if not items:
        raise InputError(f"nothing to explain: {explainable.missing} in any of the images.")
    known = _known(run, best.digest, aspects, names, layers)
    check = None
    if request.check:
        check = {"sha256": best.digest, **_check(run, head, methods, layers, request, samples, console)}
        known |= verdicts(check)
    for label in [aspect.label(name) for aspect in aspects for name in names]:
        if known.get(label) == FAILED:
            console.warn(f"{label} {FAILED}: its maps hardly depend on what the network has learned")
    rows = rows_of(items, layers, known)
    return Explained(
        name="-".join([*(["mistakes"] if request.mistakes else []), *names]),
        rows=rows,
        files={"maps.npz": writer_of(items), "maps.png": plot_of(items, rows, explainable, layers, known)},
        facts={
            "model": str(best.file),
            "sha256": best.digest,
            "source": source,
            "samples": len(index),
            "digest": digest_of([samples.digests[i] for i in index]),
            "settings": {
                "methods": list(names),
                "class": request.target,
                "targets": [aspect.name for aspect in aspects if aspect.name],
                "object": request.object_number,
                "layers": layers,
                "baseline": request.baseline or "black",
                "steps": request.steps or "auto",
                "check": request.check,
                "mistakes": request.mistakes,
                "relus": num_relus,
            },
        },
        check=check,
        left_out=[*((left.name, left.reason) for left in left_out), *((name, explainable.missing) for name in empty)],
        shown=(
            "file",
            *(TILE_COLUMNS if samples.is_tiled else ()),
            *explainable.shown,
            "method",
            "largest",
            "completeness_error",
            "note",
        ),
    )


def _mistakes(
    network: Network, samples: Samples, number: int, source: str, progress: Callable[[int, int], None]
) -> tuple[NDArray[np.int64], int]:
    """The positions of the images with the most confident wrong predictions, and the number of all wrong ones.

    Raises:
        InputError: the network makes no mistakes.
    """
    assert isinstance(network, Classifier)  # which the option is refused without
    found = []
    for part in batches(len(samples), num_at_once(network)):
        images = samples.load(np.arange(part.start, part.stop)).astype(np.float32)
        found.append(network.probabilities(network(images)).numpy())
        progress(part.stop, len(samples))
    probabilities = np.concatenate(found)
    is_wrong = (probabilities.argmax(axis=1) != samples.labels) & (samples.labels != NO_LABEL)
    wrong = np.flatnonzero(is_wrong)
    if not len(wrong):
        raise InputError(f"--mistakes: the network makes no mistakes in {source}. Remove the option.")
    return wrong[np.argsort(-probabilities[wrong].max(axis=1), kind="stable")][:number], len(wrong)


def counted(number: int, total: int) -> str:
    """``3 of 359 images``, or ``1 image`` for all of them."""
    images = f"image{'' if total == 1 else 's'}"
    return f"{number:,} {images}" if number == total else f"{number:,} of {total:,} {images}"


def samples_to_explain(
    run: RunDir, head: ImageHead, best: BestModel, request: ExplanationRequest, console: Console
) -> tuple[Samples, Sequence[LeftOut], str]:
    """The images to explain, what was skipped, and what they are called."""
    if request.paths:
        samples, left_out = read_samples(run, head, best.model, request.paths, console, verb="explain")
        return samples, left_out, ", ".join(map(str, request.paths))
    name, samples, _ = samples_of_run(run, head, split=request.split, data=None, console=console)
    return samples, (), name


def _known(
    run: RunDir, digest: str, aspects: Sequence[Aspect], names: Sequence[str], layers: Mapping[str, str]
) -> dict[str, str]:
    """The verdicts of earlier checks on each method of each aspect, by their label."""
    known: dict[str, str] = {}
    for aspect in aspects:
        labels = {name: aspect.label(name) for name in names}
        with_layer = [label for name, label in labels.items() if name in WITH_LAYER]
        layer = layers.get(aspect.name)
        known |= recorded_verdicts(run, digest, list(labels.values()), layer=layer, with_layer=with_layer)
    return known


def _check(
    run: RunDir,
    head: ImageHead,
    methods: Sequence[tuple[Aspect, Mapping[str, Method]]],
    layers: Mapping[str, str],
    request: ExplanationRequest,
    samples: Samples,
    console: Console,
) -> dict[str, Any]:
    """Check the methods on images of a split; ``samples`` are those that are explained, which may be files."""
    name = "the paths"
    if request.paths:
        name, samples, _ = samples_of_run(run, head, split=None, data=None, console=console)
    index = evenly_spaced(len(samples), request.limit or NUM_OF_SPLIT)
    labels = [aspect.label(method) for aspect, of_aspect in methods for method in of_aspect]
    source = f" of {name}" if request.paths else ""
    console.say(f"checking {', '.join(labels)} on {counted(len(index), len(samples))}{source}")
    return check_methods(
        methods, samples, index, layers=layers, baseline=request.baseline or "black", progress=console.evaluating
    )
