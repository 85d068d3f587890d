"""Shows what the filters of a network for images have learned: the patches that excite them, their projections, and
images that maximize them."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcli.data.images.samples import Samples
from dlcli.data.splits import NO_LABEL, evenly_spaced
from dlcli.errors import InputError
from dlcli.explanation.deconvnet import check_maps, deconvnet
from dlcli.explanation.filters import filters_of_pixels, first_convolution
from dlcli.explanation.maximization import Maximized, color_root, maximize
from dlcli.explanation.network import Network
from dlcli.explanation.patches import Span, Strongest, cut, strongest, window_of
from dlcli.report.cost.receptive_field import Window, input_windows, windows_after
from dlcli.report.plots.features import StageFeatures, feature_rows, filter_grid, hierarchy
from dlcli.rundir.directory import RunDir
from dlcli.rundir.tables import rows_text
from dlcli.runtime.console import Console
from dlcli.tasks.explanation import digest_of
from dlcli.tasks.images.aspects import Explainable
from dlcli.tasks.images.attribution import LARGEST_SMALL, layer_of, stages_of
from dlcli.tasks.images.explanation import counted, samples_to_explain, with_network
from dlcli.tasks.images.explanation_items import AT_ONCE
from dlcli.tasks.images.head import ImageHead
from dlcli.tasks.run_models import BestModel
from dlcli.tasks.task import Explained, ExplanationRequest

STAGE = re.compile("stage[0-9]+")
MAPS_RANK = 4
NUM_FILTERS = 8  # of a layer, unless some are named
NUM_PATCHES = 9
NUM_FOR_COLORS = 64  # images of which the colors are taken


@dataclass(frozen=True)
class LayerFeatures:
    """What excites some filters of a layer.

    Attributes:
        stage: what was asked for, such as ``stage2``.
        layer: the name of the call.
        filters: numbers of maps.
        found: the strongest activations.
        windows: rows and columns of the patch of each, ``[filters, n, 2, 2]`` in pixels, beyond the image at borders.
        patches: float32 ``[filters, n, height, width, channels]`` in [0, 255], NaN beyond the image.
        projections: float32 of the same shape.
        middle: rows and columns of the patch at the middle of the map, for the images that maximize.
        maximized: images that maximize each filter, if asked for.
    """

    stage: str
    layer: str
    filters: tuple[int, ...]
    found: Strongest
    windows: NDArray[np.int64]
    patches: NDArray[np.float32]
    projections: NDArray[np.float32]
    middle: tuple[tuple[int, int], tuple[int, int]]
    maximized: Maximized | None


def explain_features(run: RunDir, head: ImageHead, request: ExplanationRequest, console: Console) -> Explained:
    """As :meth:`dlcli.tasks.task.Task.explain`, for the filters of a stage instead of the outputs.

    Raises:
        InputError: the network has no such stage or filter, or no ReLU.
    """
    return with_network(run, head, request, console, _explain)


def _explain(
    run: RunDir,
    head: ImageHead,
    best: BestModel,
    explainable: Explainable,
    request: ExplanationRequest,
    console: Console,
) -> Explained:
    assert request.features is not None
    network = explainable.aspects[0].network
    layers = _layers(network, request.features, last=explainable.aspects[0].layer)
    projectors = {layer: deconvnet(network, layer) for layer in layers.values()}
    filters = {layer: _filters(network, layer, request.filters) for layer in layers.values()}
    samples, left_out, source = samples_to_explain(run, head, best, request, console)
    index = evenly_spaced(len(samples), request.limit or len(samples))
    colors = _colors(network, samples, index)
    known = windows_of(network)
    found: list[LayerFeatures] = []
    for stage, layer in layers.items():
        number = f"{len(filters[layer])} filter{'' if len(filters[layer]) == 1 else 's'} of {stage}"
        where = "" if layer == stage else f" ({layer})"
        console.say(f"run {run.path}: {number}{where} in {counted(len(index), len(samples))}")
        strong = strongest(network, layer, filters[layer], _batches(samples, index, console), num=NUM_PATCHES)
        images = samples.load(strong.images.ravel()).astype(np.float32)
        numbers = np.repeat(np.array(filters[layer], np.int32), strong.images.shape[1])
        projections = projectors[layer](images, numbers, strong.positions.reshape(-1, 2).astype(np.int32))
        maximized = None
        if request.maximize:
            jitter = _jitter(network, known[layer])
            console.say(f"maximizing {number}")
            maximized = maximize(
                network, layer, filters[layer], scale=strong.values[:, 0], colors=colors, jitter=jitter
            )
        found.append(_cut(network, stage, layer, filters[layer], strong, known[layer], images, projections, maximized))
    return Explained(
        name=f"features-{_file_name(request.features)}",
        rows=[row for features in found for row in _rows(features, samples, run.read_classes())],
        files={
            "filters.csv": rows_text([row for features in found for row in _filter_rows(features)]),
            **{f"{_file_name(features.stage)}.png": feature_rows(_drawn(features)) for features in found},
            **{f"{_file_name(features.stage)}.npz": _writer(features) for features in found},
            **_first_filters(network),
        },
        plots={"hierarchy.png": hierarchy(list(map(_drawn, found)))} if request.features == "all" else {},
        facts={
            "model": str(best.file),
            "sha256": best.digest,
            "source": source,
            "samples": len(index),
            "digest": digest_of([samples.digests[i] for i in index]),
            "settings": {
                "methods": ["deconvnet", *(["maximization"] if request.maximize else [])],
                "features": dict(layers),
                "filters": list(request.filters),
            },
        },
        left_out=[(left.name, left.reason) for left in left_out],
    )


def windows_of(network: Network) -> Mapping[str, tuple[Window, ...] | None]:
    """The receptive field of each call of a network, by its name; None if it is not known."""
    found: dict[int, tuple[Window, ...] | None] = {id(network.inputs): input_windows(network.shape)}
    named = {}
    for call in network.calls:
        inputs = [found.get(id(tensor)) for tensor in call.inputs]
        shapes = [tuple(tensor.shape[1:]) for tensor in call.inputs]
        outputs = [tuple(tensor.shape[1:]) for tensor in call.outputs]
        named[call.name] = windows_after(call.operation, inputs, shapes, outputs)
        found.update((id(tensor), named[call.name]) for tensor in call.outputs)
    return named


def _layers(network: Network, name: str, *, last: str | None = None) -> dict[str, str]:
    """The layer of each stage that is asked for.

    Args:
        last: the layer that the last stage ends with; None for the last one with feature maps.

    Raises:
        InputError: there is no such stage.
    """
    if name != "all":
        return {name: layer_of(network, name, last=last, option="--features")}
    last = layer_of(network, None, last=last)
    named = {call.name: call.name for call in network.calls if STAGE.fullmatch(call.name)}
    with_maps = {stage: layer for stage, layer in named.items() if len(network.layer(layer).shape) == MAPS_RANK}
    return with_maps or dict(stages_of(network, last))


def _file_name(name: str) -> str:
    """The name of a stage or layer as a part of the name of a file: that of a layer may have any characters."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", name)[:60]


def _filters(network: Network, layer: str, asked: Sequence[int]) -> tuple[int, ...]:
    """The filters that are shown of a layer.

    Raises:
        InputError: one of them does not exist.
    """
    num = check_maps(network, layer)
    for number in asked:
        if number >= num:
            raise InputError(f"--filters {number}: layer '{layer}' has filters 0 to {num - 1}.")
    return tuple(dict.fromkeys(asked)) or tuple(evenly_spaced(num, NUM_FILTERS).tolist())


def _batches(
    samples: Samples, index: NDArray[np.int64], console: Console
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    for start in range(0, len(index), AT_ONCE):
        rows = index[start : start + AT_ONCE]
        yield rows, samples.load(rows).astype(np.float32)
        console.evaluating(start + len(rows), len(index))


def _colors(network: Network, samples: Samples, index: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """How colors vary in the images, if they are photos and not small."""
    if max(network.shape[:2]) <= LARGEST_SMALL:
        return None
    return color_root(samples.load(index[evenly_spaced(len(index), NUM_FOR_COLORS)]))


def _jitter(network: Network, windows: tuple[Window, ...] | None) -> int:
    """Pixels by which an image is moved while it is optimized: an eighth of the receptive field, or less."""
    fields = [None, None] if windows is None else [window.field for window in windows[:2]]
    sides = zip(fields, network.shape[:2], strict=True)
    return min(min(side // 16, side if field is None else field // 8) for field, side in sides)


def _cut(
    network: Network,
    stage: str,
    layer: str,
    filters: tuple[int, ...],
    found: Strongest,
    windows: tuple[Window, ...] | None,
    images: NDArray[np.float32],
    projections: NDArray[np.float32],
    maximized: Maximized | None,
) -> LayerFeatures:
    """Cut images and projections ``[filters * n, height, width, channels]`` by the receptive field."""

    def window_at(position: Iterable[int]) -> tuple[tuple[int, int], tuple[int, int]]:
        spans: list[Span] = [None, None]
        if windows is not None:
            spans = [window.span(int(place)) for window, place in zip(windows[:2], position, strict=True)]
        rows, columns = (window_of(span, side) for span, side in zip(spans, network.shape[:2], strict=True))
        return rows, columns

    cuts = [window_at(position) for position in found.positions.reshape(-1, 2)]
    shape = found.images.shape
    patches = np.stack([cut(image, *where) for image, where in zip(images, cuts, strict=True)])
    shown = np.stack([cut(image, *where) for image, where in zip(projections, cuts, strict=True)])
    _, height, width, _ = network.layer(layer).shape
    return LayerFeatures(
        stage=stage,
        layer=layer,
        filters=filters,
        found=found,
        windows=np.array(cuts).reshape(*shape, 2, 2),
        patches=patches.reshape(*shape, *patches.shape[1:]),
        projections=shown.reshape(*shape, *shown.shape[1:]),
        middle=window_at((height // 2, width // 2)),
        maximized=maximized,
    )


def _rows(features: LayerFeatures, samples: Samples, classes: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of explanations.csv: one for each patch."""
    rows = []
    for place, number in enumerate(features.filters):
        for rank, image in enumerate(features.found.images[place]):
            (top, bottom), (left, right) = features.windows[place, rank].tolist()
            label = samples.labels[image]
            rows.append(
                {
                    "stage": features.stage,
                    "layer": features.layer,
                    "filter": number,
                    "rank": rank + 1,
                    "file": samples.names[image],
                    "label": "" if label == NO_LABEL else classes[label],
                    "activation": float(features.found.values[place, rank]),
                    "row": int(features.found.positions[place, rank, 0]),
                    "column": int(features.found.positions[place, rank, 1]),
                    "top": top,
                    "left": left,
                    "height": bottom - top,
                    "width": right - left,
                }
            )
    return rows


def _filter_rows(features: LayerFeatures) -> list[dict[str, Any]]:
    """The rows of filters.csv: one for each filter."""
    rows = []
    for place, number in enumerate(features.filters):
        row = {
            "stage": features.stage,
            "layer": features.layer,
            "filter": number,
            "largest": float(features.found.values[place, 0]),
            "active_share": float(features.found.active_share[place]),
        }
        if features.maximized is not None:
            row |= {
                "maximized": float(features.maximized.last[place]),
                "random_image": float(features.maximized.first[place]),
            }
        rows.append(row)
    return rows


def _drawn(features: LayerFeatures) -> StageFeatures:
    maximized = features.maximized
    return StageFeatures(
        stage=features.stage,
        layer=features.layer,
        filters=features.filters,
        patches=features.patches,
        projections=features.projections,
        largest=features.found.values[:, 0],
        maximized=None if maximized is None else np.stack([cut(image, *features.middle) for image in maximized.images]),
        values=None if maximized is None else maximized.last,
    )


def _writer(features: LayerFeatures) -> Callable[[Path], None]:
    arrays: dict[str, NDArray[Any]] = {
        "filters": np.array(features.filters),
        "patches": features.patches,
        "projections": features.projections,
    }
    if features.maximized is not None:
        arrays["maximized"] = features.maximized.images
    return lambda path: np.savez(path, allow_pickle=False, **arrays)


def _first_filters(network: Network) -> dict[str, bytes]:
    """The file with the filters of the first convolution, if it sees gray or colored pixels."""
    call = first_convolution(network)
    if call is None or network.shape[2] not in (1, 3):
        return {}
    windows = windows_of(network)[call.name]
    if windows is None:
        return {}
    middle = [side // 2 for side in call.outputs[0].shape[1:3]]
    rows, columns = (window_of(windows[axis].span(middle[axis]), network.shape[axis]) for axis in (0, 1))
    filters = np.stack([cut(image, rows, columns) for image in filters_of_pixels(network, call)])
    return {"first_layer.png": filter_grid(np.nan_to_num(filters), call.name)}
