"""What ``dlcli data`` reports about folders of images with masks, and the table of splits that it writes."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dlcli.recipe.load import LoadedRecipe, load
from dlcli.runtime.console import Console
from dlcli.tasks.images import inspection
from dlcli.tasks.segmentation.head import SegmentationHead

QUIET = Console(quiet=True)


def write(root: Path, *, image: str, mask: str, number: int = 5) -> None:
    rng = np.random.default_rng(0)
    for place in (image, mask):
        (root / place).parent.mkdir(parents=True, exist_ok=True)
    for i in range(number):
        Image.fromarray(rng.integers(0, 256, (16, 20, 3), np.uint8)).save(root / image.format(i))
        Image.fromarray(rng.integers(0, 2, (16, 20), np.uint8)).save(root / mask.format(i))


def recipe_of(file: Path, data: str) -> LoadedRecipe:
    file.write_text(f"task: segmentation\ndata: {{kind: masks, classes: [a, b], {data}}}\nmodel: {{kind: unet}}\n")
    return load(file)


def problems(loaded: LoadedRecipe) -> list[str]:
    recipe = loaded.recipe
    report = inspection.check(recipe.data, SegmentationHead(recipe), QUIET)  # type: ignore[arg-type]
    return [finding["text"] for finding in report["findings"] if finding["is_problem"]]


@pytest.mark.parametrize("places", [("x/{}.png", "x/{}_mask.png"), ("images/{}.png", "masks/{}.png")])
def test_a_table_of_splits_trains_on_the_same_splits(tmp_path: Path, places: tuple[str, str]) -> None:
    image, mask = places
    write(tmp_path / "data", image=image, mask=mask)
    root = "data/x" if image.startswith("x") else "data"
    first = recipe_of(tmp_path / "r.yaml", f"path: {root}, split_seed: 3")
    table = tmp_path / "tables" / "split.csv"
    table.parent.mkdir()
    inspection.divide(first, SegmentationHead(first.recipe), table, QUIET)  # type: ignore[arg-type]
    text = "path: tables/split.csv, image: file, split: split, allow_outside: true"
    second = recipe_of(tmp_path / "r2.yaml", text)
    head = SegmentationHead(second.recipe)  # type: ignore[arg-type]
    inspection.divide(second, head, tmp_path / "again.csv", QUIET)
    assert table.read_text().replace("../data", "data") == (tmp_path / "again.csv").read_text()


def test_files_without_counterpart_are_problems_where_training_stops(tmp_path: Path) -> None:
    write(tmp_path / "data", image="images/{}.png", mask="masks/{}.png")
    (tmp_path / "data/masks/2.png").unlink()
    (tmp_path / "data/images/3.png").unlink()
    found = problems(recipe_of(tmp_path / "r.yaml", "path: data"))
    assert found == [
        "2 files without counterpart (data.on_missing: error): masks/3.png (a mask without image), images/2.png (an "
        "image without mask)"
    ]


def test_several_sizes_are_a_problem_without_a_size_to_resize_to(tmp_path: Path) -> None:
    write(tmp_path / "data", image="images/{}.png", mask="masks/{}.png")
    for part in ("images", "masks"):
        file = tmp_path / "data" / part / "0.png"
        with Image.open(file) as opened:
            opened.crop((0, 0, 18, 16)).save(file)
    found = problems(recipe_of(tmp_path / "r.yaml", "path: data"))
    assert found == ["the images have 2 sizes: set data.image_size to resize them, or data.tiles to cut them"]
