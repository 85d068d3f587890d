"""What is found for each image and aspect: the maps of the methods, as rows, plots and arrays."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcli.data.images.samples import Samples
from dlcli.explanation.integrated import TOLERANCE
from dlcli.explanation.method import Method
from dlcli.explanation.network import NotExplainable
from dlcli.report.plots.attribution import MOST_ROWS, MapColumn, attribution_maps
from dlcli.tasks.explanation import FAILED
from dlcli.tasks.images.aspects import Aspect, Chosen, Explainable
from dlcli.tasks.images.attribution import WITH_LAYER
from dlcli.tasks.images.explained_tiles import Views, load_views

AT_ONCE = 16


@dataclass(frozen=True)
class Item:
    """One aspect of one image.

    Attributes:
        file: the image's name.
        image: ``[height, width, channels]`` as it was loaded.
        aspect: what is explained.
        columns: of explanations.csv.
        caption: in plots.
        outline: bool ``[height, width]``, marked in plots; None for nothing.
        maps: float32 ``[height, width]`` by method.
        facts: values by their names, by method.
    """

    file: str
    image: NDArray[Any]
    aspect: Aspect
    columns: Mapping[str, Any]
    caption: str
    outline: NDArray[np.bool_] | None
    maps: Mapping[str, NDArray[np.float32]]
    facts: Mapping[str, Mapping[str, Any]]


def explain_all(
    methods: Sequence[tuple[Aspect, Mapping[str, Method]]],
    samples: Samples,
    index: NDArray[np.int64],
    progress: Callable[[int, int], None],
) -> tuple[list[Item], list[str]]:
    """The items in the order of the images and, for each of them, of the aspects; and the images that have none.

    Args:
        methods: of each aspect, by name.
        index: the positions of the images to explain.

    Raises:
        NotExplainable: an output or a map is not finite.
    """
    items: list[Item] = []
    empty: list[str] = []
    for start in range(0, len(index), AT_ONCE):
        rows = index[start : start + AT_ONCE]
        views = load_views(methods[0][0], samples, rows)
        pixels = views.pixels.astype(np.float32)
        of_row: list[list[Item]] = [[] for _ in rows]
        for aspect, of_aspect in methods:
            chosen = aspect.choose(pixels, samples, rows)
            kept = np.arange(len(rows)) if chosen.exists is None else np.flatnonzero(chosen.exists)
            if not len(kept):
                continue
            found = {name: method(pixels[kept], chosen.targets[kept]) for name, method in of_aspect.items()}
            for name, explanation in found.items():
                if not np.isfinite(explanation.maps).all():
                    raise NotExplainable(f"its maps by {name} must be finite. Received NaN or infinity.")
            for place, row in enumerate(kept.tolist()):
                maps = {name: explanation.maps[place] for name, explanation in found.items()}
                facts = {
                    name: {key: values[place].item() for key, values in explanation.facts.items()}
                    for name, explanation in found.items()
                }
                of_row[row].append(_item(aspect, chosen, row, samples.names[rows[row]], views, maps, facts))
        items += [item for of_image in of_row for item in of_image]
        empty += [samples.names[number] for number, of_image in zip(rows, of_row, strict=True) if not of_image]
        progress(start + len(rows), len(index))
    return items, empty


def _item(
    aspect: Aspect,
    chosen: Chosen,
    row: int,
    file: str,
    views: Views,
    maps: Mapping[str, NDArray[np.float32]],
    facts: Mapping[str, Mapping[str, Any]],
) -> Item:
    outline = None if chosen.outlines is None else chosen.outlines[row]
    columns = {**views.columns(row), **chosen.columns[row]}
    return Item(file, views.pixels[row], aspect, columns, chosen.captions[row], outline, maps, facts)


def rows_of(items: Iterable[Item], layers: Mapping[str, str], known: Mapping[str, str]) -> list[dict[str, Any]]:
    """The rows of explanations.csv: one for each item and method.

    Args:
        layers: of Grad-CAM, by the aspect's name.
        known: the verdict on each method of an aspect, by :meth:`Aspect.label`.
    """
    rows = []
    for item in items:
        for name, values in item.maps.items():
            sizes, facts = np.abs(values.astype(np.float64)), item.facts[name]
            total = sizes.sum()
            rows.append(
                {
                    "file": item.file,
                    **item.columns,
                    "method": name,
                    "layer": layers.get(item.aspect.name) if name in WITH_LAYER else None,
                    "steps": facts.get("steps"),
                    "completeness_error": facts.get("completeness_error"),
                    "largest": float(sizes.max()),
                    "positive_share": float(values.astype(np.float64).clip(0).sum() / total) if total else None,
                    "note": _note(values, facts),
                    "check": known.get(item.aspect.label(name)),
                }
            )
    return rows


def _note(values: NDArray[np.float32], facts: Mapping[str, Any]) -> str:
    """What must be known of a map; empty if nothing."""
    if not values.any():
        return "empty: all zero"
    error = facts.get("completeness_error")
    return "" if error is None or error <= TOLERANCE else f"incomplete by {error:.1%} after {facts['steps']} steps"


def plot_of(
    items: Sequence[Item],
    rows: Sequence[Mapping[str, Any]],
    explainable: Explainable,
    layers: Mapping[str, str],
    known: Mapping[str, str],
) -> bytes:
    """The PNG file of the first images with their maps: a row for each item, all the items of an image."""
    num_aspects = len(explainable.aspects)
    items = items[: max(1, MOST_ROWS // num_aspects) * num_aspects]
    methods = list(items[0].maps)
    names = {item.aspect.name for item in items}
    columns = []
    for number, method in enumerate(methods):
        used = dict.fromkeys(layers[name] for name in layers if name in names) if method in WITH_LAYER else ()
        failed = [aspect.label(method) for aspect in explainable.aspects if known.get(aspect.label(method)) == FAILED]
        columns.append(
            MapColumn(
                f"{method}, {' and '.join(used)}" if used else method,
                np.stack([item.maps[method] for item in items]),
                [row["note"] or _completeness(row) for row in rows[number :: len(methods)][: len(items)]],
                FAILED if failed == [method] else f"{FAILED}: {', '.join(failed)}" if failed else "",
            )
        )
    outlines = None if items[0].outline is None else np.stack([_filled(item) for item in items])
    return attribution_maps(
        np.stack([item.image for item in items]),
        [item.caption for item in items],
        [item.file for item in items],
        columns,
        title=explainable.meaning,
        outlines=outlines,
    )


def _filled(item: Item) -> NDArray[np.bool_]:
    return np.zeros(item.image.shape[:2], bool) if item.outline is None else item.outline


def _completeness(row: Mapping[str, Any]) -> str:
    return "" if row["completeness_error"] is None else f"complete within {row['completeness_error']:.2%}"


def writer_of(items: Sequence[Item]) -> Callable[[Path], None]:
    """Writes maps.npz: an array for each method, whose rows are those of the items."""
    arrays = {
        "images": np.stack([item.image for item in items]),
        "files": np.array([item.file for item in items]),
        "classes": np.array([str(item.columns.get("class", "")) for item in items]),
        "targets": np.array([item.aspect.name for item in items]),
    }
    maps = {name: np.stack([item.maps[name] for item in items]) for name in items[0].maps}
    return lambda path: np.savez(path, allow_pickle=False, **arrays, **maps)
