from typing import Any

import numpy as np
import pytest

from dlcli.data.boxes.boxes import Frame, boxes_of, relative_boxes
from dlcli.data.images.samples import Dataset
from dlcli.data.synthetic import shapes
from dlcli.data.synthetic.shapes import SHAPES, SIDES, read_shapes
from dlcli.errors import InputError

Common = dict[str, Any]
DIGESTS = ("03b1f6fec58fded6", "a802cd5799a3ec69", "79851efdde02eb62", "c91203a3dffd9030")


def read(common: Common, num_samples: int = 40, seed: int = 0, **options: Any) -> Dataset:
    extra = {key: options.pop(key) for key in list(options) if key in common}
    keys = {**common, "validation": 0.0, "test": 0.0, **extra}
    return read_shapes(num_samples=num_samples, seed=seed, **options, **keys)


def pixels_of(dataset: Dataset) -> np.ndarray:
    pixels = dataset.splits["train"].pixels
    assert pixels is not None
    return pixels


def corners_of(dataset: Dataset) -> np.ndarray:
    boxes = boxes_of(dataset.splits["train"])
    assert boxes is not None
    return boxes.corners


def test_scenes_cycle_through_the_classes(common: Common) -> None:
    dataset = read(common, 42)
    samples = dataset.splits["train"]
    assert dataset.classes == ("circle", "cross", "square", "triangle")
    assert (dataset.shape, dataset.dtype, dataset.warnings) == ((64, 64, 3), "uint8", ())
    assert samples.names[:2] == ("shapes/0", "shapes/1")
    assert samples.labels.tolist() == [i % 4 for i in range(42)]
    assert len(set(samples.digests)) == 42


def test_a_scene_depends_only_on_the_seed_and_its_number(common: Common) -> None:
    dataset, fewer, other = read(common), read(common, 10), read(common, seed=1)
    assert dataset.fingerprint() == read(common).fingerprint()
    assert np.array_equal(pixels_of(dataset)[:10], pixels_of(fewer))
    assert np.array_equal(corners_of(dataset)[:10], corners_of(fewer))
    assert not (pixels_of(dataset) == pixels_of(other)).all(axis=(1, 2, 3)).any()


def test_the_pixels_are_the_same_on_every_machine(common: Common) -> None:
    assert read(common, 4).splits["train"].digests == DIGESTS


@pytest.mark.parametrize("size", [(64, 64), (40, 100), (17, 16)])
def test_the_box_is_the_exact_extent_of_the_shape(
    common: Common, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drawn again without its shape, a scene differs only inside the box, up to each of its edges."""
    with_shapes = read(common, image_size=size)
    with monkeypatch.context() as patch:
        patch.setattr(shapes, "coverage", lambda shape, side: np.zeros((side, side, 1), np.float32))
        without = read(common, image_size=size)
    corners = corners_of(with_shapes)
    assert boxes_of(with_shapes.splits["train"]).frames == (Frame(size[1], size[0]),) * 40  # type: ignore[union-attr]
    exact = 0
    for scene, ground, (x1, y1, x2, y2) in zip(pixels_of(with_shapes), pixels_of(without), corners, strict=True):
        ys, xs = np.nonzero((scene != ground).any(axis=2))
        found = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])
        assert (abs(found - (x1, y1, x2, y2)) <= 1).all()  # a corner may cover too little of a pixel to be visible
        assert (found[:2] >= (x1, y1)).all()
        assert (found[2:] <= (x2, y2)).all()
        exact += np.array_equal(found, (x1, y1, x2, y2))
    assert exact > 30


def test_positions_and_sizes_vary(common: Common) -> None:
    corners = corners_of(read(common, 400))
    sides = corners[:, 2:] - corners[:, :2]
    assert np.array_equal(sides[:, 0], sides[:, 1])
    assert SIDES[0] * 64 <= sides.min() < 15
    assert 36 < sides.max() <= SIDES[1] * 64
    assert corners.min() == 0
    assert corners.max() == 64
    centers = (corners[:, :2] + corners[:, 2:]) / 2
    assert (abs(centers.mean(axis=0) - 32) < 2).all()
    assert (centers.std(axis=0) > 10).all()


@pytest.mark.parametrize("side", [13, 14, 38])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_fills_its_box(shape: str, side: int) -> None:
    cover = shapes.coverage(shape, side)[..., 0]
    assert cover.min() >= 0
    assert cover.max() == 1
    for edge in (cover[0], cover[-1], cover[:, 0], cover[:, -1]):
        assert edge.any()
    assert np.allclose(cover, cover[:, ::-1])  # all shapes are symmetric
    part = {"circle": np.pi / 4, "cross": 5 / 9, "square": 1.0, "triangle": 0.5}[shape]
    assert cover.mean() == pytest.approx(part, abs=0.03)


def test_a_triangle_points_up() -> None:
    cover = shapes.coverage("triangle", 20)[..., 0].sum(axis=1)
    assert (np.diff(cover) > 0).all()


def test_shapes_contrast_with_the_background_in_grayscale(common: Common) -> None:
    dataset = read(common, 100, color_mode="grayscale")
    assert dataset.shape == (64, 64, 1)
    for scene, (x1, y1, x2, y2) in zip(pixels_of(dataset)[..., 0], corners_of(dataset).astype(int), strict=True):
        middle = (y1 + y2) // 2  # every shape covers it from about a quarter of the width
        inside = scene[middle - 1 : middle + 2, (x1 + x2) // 2 - 1 : (x1 + x2) // 2 + 2].mean()
        outside = np.ones(scene.shape, bool)
        outside[y1:y2, x1:x2] = False
        assert abs(inside - scene[outside].mean()) > 40


def test_scenes_are_drawn_at_the_requested_size(common: Common) -> None:
    dataset = read(common, image_size=(48, 80), resize="crop")
    assert dataset.shape == (48, 80, 3)
    relative = relative_boxes(dataset.splits["train"])
    assert relative is not None
    assert np.allclose(relative * (80, 48, 80, 48), corners_of(dataset), atol=1e-4)


def test_splits_are_drawn(common: Common) -> None:
    dataset = read(common, 200, validation=None, test=None)
    assert {split: len(samples) for split, samples in dataset.splits.items()} == {
        "train": 140,
        "validation": 20,
        "test": 40,
    }
    whole = read(common, 200)
    for samples in dataset.splits.values():
        numbers = [int(name.removeprefix("shapes/")) for name in samples.names]
        assert np.array_equal(samples.load(np.arange(len(samples))), pixels_of(whole)[numbers])
        assert boxes_of(samples) is not None
        assert np.array_equal(boxes_of(samples).corners, corners_of(whole)[numbers])


def test_classes_of_a_trained_model(common: Common) -> None:
    trained = ("triangle", "square", "cross", "circle", "star")
    dataset = read(common, 4, classes=trained)
    assert dataset.classes == trained
    assert dataset.splits["train"].labels.tolist() == [3, 2, 1, 0]
    with pytest.raises(InputError, match="shapes: every class must be one of the trained model's"):
        read(common, 4, classes=("circle", "cross"))


def test_impossible_scenes_are_refused(common: Common, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError) as error:
        read(common, image_size=(64, 15))
    assert str(error.value) == (
        "shapes: data.image_size must be at least 16 pixels along each side. Received [64, 15]."
    )
    monkeypatch.setattr(shapes, "half_of_memory", lambda: 64 * 64 * 3 * 10)
    assert len(read(common, 10).splits["train"]) == 10
    with pytest.raises(InputError) as error:
        read(common, 11)
    assert str(error.value) == (
        "shapes: the scenes must fit into half of this machine's memory (122,880 bytes). Received data.num_samples: 11 "
        "of 64x64 pixels: lower one of them."
    )
