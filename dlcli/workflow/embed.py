"""``dlcli embed``: feature vectors of images, their nearest neighbors, and a sheet of these."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.data.splits import evenly_spaced
from dlcli.evaluation.neighbors import nearest
from dlcli.recipe.load import LoadedRecipe, load
from dlcli.report.plots.image_grid import image_grid
from dlcli.rundir.directory import RunDir
from dlcli.rundir.tables import write_csv
from dlcli.rundir.writing import replace_by, replace_file
from dlcli.runtime.console import Console
from dlcli.tasks import dispatch
from dlcli.tasks.task import Embedded

MOST_ROWS = 12  # images on a sheet whose neighbors are shown
CAPTION = 22  # characters of a file's name


def embed(network: RunDir | LoadedRecipe, paths: Sequence[Path], *, console: Console) -> Embedded:
    """The feature vectors of images by a run's best model, or by the pretrained network of a recipe.

    Raises:
        InputError: the network is not available, or nothing can be read.
    """
    if isinstance(network, LoadedRecipe):
        return dispatch.embed_with_base(network, paths, console)
    return dispatch.task_of(load(network.config).recipe).embed(network, paths, console)


def write_vectors(output: Path, embedded: Embedded, *, safe_csv: bool) -> None:
    """Write a .npz with the arrays ``files`` and ``vectors``, or a .csv with a row for each image."""
    names, vectors = embedded.samples.names, embedded.vectors
    if output.suffix.lower() == ".npz":
        replace_by(output, lambda path: _save(path, files=np.array(names), vectors=vectors))
        return
    header = ["file", *(f"f{i}" for i in range(vectors.shape[1]))]
    rows = ([name, *map(float, vector)] for name, vector in zip(names, vectors, strict=True))
    replace_by(output, lambda path: write_csv(path, header, rows, safe=safe_csv))


def _save(path: Path, **arrays: Any) -> None:
    with path.open("wb") as file:  # np.savez would add a suffix to the name
        np.savez(file, **arrays)


def neighbors(embedded: Embedded, number: int) -> list[dict[str, Any]]:
    """Each image with its most similar ones: ``file`` and ``nearest``, a list of ``file`` and ``similarity``."""
    names = embedded.samples.names
    positions, similarities = nearest(embedded.vectors, number)
    return [
        {
            "file": name,
            "nearest": [
                {"file": names[i], "similarity": float(value)} for i, value in zip(of_row, values, strict=True)
            ],
        }
        for name, of_row, values in zip(names, positions.tolist(), similarities, strict=True)
    ]


def write_sheet(output: Path, embedded: Embedded, number: int) -> None:
    """Write a PNG file with a row for some of the images, evenly spaced: the image, then its nearest ones."""
    positions, similarities = nearest(embedded.vectors, number)
    chosen = evenly_spaced(len(positions), MOST_ROWS)
    index = np.concatenate([np.concatenate([[i], positions[i]]) for i in chosen]).astype(np.int64)
    captions = [
        caption
        for i in chosen
        for caption in [[_short(embedded.samples.names[i])], *([f"{value:.3f}"] for value in similarities[i])]
    ]
    images = embedded.samples.of_one_size().load(index)
    title = "images and their nearest, by cosine similarity"
    replace_file(output, image_grid(images, captions, title=title, num_columns=1 + positions.shape[1]))


def _short(name: str) -> str:
    """The end of a file's name."""
    name = name.rpartition("/")[2] or name
    return name if len(name) <= CAPTION else f"…{name[1 - CAPTION :]}"
