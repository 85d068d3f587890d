"""Rasterizing against hand computations, exact areas, and pycocotools if it is installed."""

import numpy as np
import pytest

from dlcli.data.boxes.polygons import decode_runs, encode_runs, fill_polygon, fill_runs


def points(*pairs: tuple[float, float]) -> np.ndarray:
    return np.array(pairs, np.float64)


def plainly_encoded(counts: list[int]) -> str:
    """COCO's compressed encoding, number by number."""
    text = ""
    for position, count in enumerate(counts):
        value = count - counts[position - 2] if position > 2 else count
        while True:
            part, value = value & 31, value >> 5
            is_last = value == (-1 if part & 16 else 0)
            text += chr(48 + part + (0 if is_last else 32))
            if is_last:
                break
    return text


def test_a_triangle_by_hand() -> None:
    inside = fill_polygon(points((0, 0), (4, 0), (0, 4)), 4, 5)
    # centers (c + 0.5, r + 0.5) with c + r + 1 < 4: those on the slanted edge belong to what follows on the right
    assert inside.astype(int).tolist() == [[1, 1, 1, 0, 0], [1, 1, 0, 0, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]]


def test_rectangles_have_their_exact_area_in_both_directions() -> None:
    for corners in (points((2, 1), (7, 1), (7, 4), (2, 4)), points((2, 4), (7, 4), (7, 1), (2, 1))):
        inside = fill_polygon(corners, 6, 9)
        assert inside.sum() == 15
        assert inside[1:4, 2:7].all()


def test_polygons_that_share_edges_neither_overlap_nor_leave_gaps() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        center = rng.uniform(5, 25, 2)
        outline = points((0, 0), (30, 0), (30, 30), (0, 30))
        total = np.zeros((30, 30), int)
        for first, second in zip(outline, np.roll(outline, -1, axis=0), strict=True):
            total += fill_polygon(np.stack([center, first, second]), 30, 30)
        assert (total == 1).all()


def test_the_even_odd_rule_leaves_the_middle_of_a_star_empty() -> None:
    angles = np.arange(5) * 4 * np.pi / 5
    star = 50 + 45 * np.stack([np.sin(angles), -np.cos(angles)], axis=1)
    inside = fill_polygon(star, 100, 100)
    assert not inside[50, 50]
    assert inside[12, 50]


def test_a_circle_has_its_area() -> None:
    angles = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    circle = 100 + 80 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert fill_polygon(circle, 200, 200).sum() == pytest.approx(np.pi * 80**2, rel=2e-3)


def test_what_is_outside_is_cut_off() -> None:
    whole = fill_polygon(points((-5, -5), (50, -5), (50, 50), (-5, 50)), 4, 6)
    assert whole.all()
    assert not fill_polygon(points((10, 10), (20, 10), (15, 20)), 4, 6).any()
    assert not fill_polygon(points((-9, 0), (-1, 0), (-1, 4)), 4, 6).any()


def test_each_row_is_right_for_random_polygons() -> None:
    """Against a test of each center by the sum of the angles under which the edges are seen."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:20, :24] + 0.5
    for _ in range(10):
        angles = np.sort(rng.uniform(0, 2 * np.pi, 7))
        radii = rng.uniform(3, 9, 7)
        corners = np.stack([12 + radii * np.cos(angles), 10 + radii * np.sin(angles)], axis=1)
        turned = np.zeros((20, 24))
        for (x1, y1), (x2, y2) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            step = np.arctan2(y2 - y, x2 - x) - np.arctan2(y1 - y, x1 - x)
            turned += (step + np.pi) % (2 * np.pi) - np.pi
        assert np.array_equal(fill_polygon(corners, 20, 24), np.abs(turned) > np.pi)


def test_runs_by_hand() -> None:
    inside = fill_runs([2, 3, 1], height=3, width=2)
    assert inside.astype(int).tolist() == [[0, 1], [0, 1], [1, 0]]
    with pytest.raises(ValueError, match=r"must be 6 pixels in all\. Received 5"):
        fill_runs([2, 3], height=3, width=2)


@pytest.mark.parametrize("counts", [[6], [0, 6], [2, 3, 1], [5, 1000, 3, 70000, 1, 2, 90, 31, 32, 33, 15, 16, 17]])
def test_compressed_runs(counts: list[int]) -> None:
    assert decode_runs(plainly_encoded(counts)) == counts


def test_compressed_runs_by_hand() -> None:
    # 5 is '5'; 40 = 8 + 32 * 1 is 'X' (8 + continued) and '1'; the fourth, 3 - 40 = -37 = 27 - 64, is 'k', 'N'
    assert decode_runs("5X15kN") == [5, 40, 5, 3]


@pytest.mark.parametrize("text", ["5~", "X", "é", "X" * 40])
def test_texts_that_are_no_runs(text: str) -> None:
    with pytest.raises(ValueError, match=r"must follow|incomplete"):
        decode_runs(text)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_against_pycocotools() -> None:
    tools = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(2)
    for _ in range(20):
        angles = np.sort(rng.uniform(0, 2 * np.pi, 9))
        corners = 50 + rng.uniform(15, 40, 9)[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        encoded = tools.merge(tools.frPyObjects([corners.ravel().tolist()], 100, 100))
        theirs = tools.decode(encoded).astype(bool)
        ours = fill_polygon(corners, 100, 100)
        assert (ours & theirs).sum() / (ours | theirs).sum() > 0.98  # it rounds corners to fifths of a pixel
        counts = decode_runs(encoded["counts"].decode())
        assert np.array_equal(fill_runs(counts, 100, 100), theirs)


def test_encoding_by_all_numbers_at_once_equals_that_number_by_number() -> None:
    rng = np.random.default_rng(0)
    for size in (1, 2, 3, 4, 50):
        counts = rng.integers(0, [3, 40, 10**4, 10**6][size % 4], size)
        assert encode_runs(counts) == plainly_encoded(counts.tolist())
    assert encode_runs(np.zeros(0, np.int64)) == ""
