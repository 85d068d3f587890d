import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dlcli.data.images.samples import Dataset
from dlcli.data.images.sources.npz import read_npz
from dlcli.errors import InputError

Common = dict[str, Any]
RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (20, 8, 6), np.uint8)
Y = np.arange(20) % 4


def save(folder: Path, **arrays: Any) -> Path:
    path = folder / "data.npz"
    np.savez(path, **arrays)
    return path


def read(path: Path, common: Common, **options: Any) -> Dataset:
    known = {"value_range": (0.0, 255.0), "layout": "image", **options}
    extra = {key: known.pop(key) for key in list(known) if key in common}
    return read_npz(path=path, **known, **{**common, "validation": 0.0, "test": 0.0, **extra})


def error(path: Path, common: Common, **options: Any) -> str:
    with pytest.raises(InputError) as error:
        read(path, common, **options)
    return str(error.value).removeprefix(f"{path}: ")


# What is read -------------------------------------------------------------------------------------------------------


def test_grayscale_images(tmp_path: Path, common: Common) -> None:
    dataset = read(save(tmp_path, x_train=X, y_train=Y), common)
    samples = dataset.splits["train"]
    assert dataset.shape == (8, 6, 1)
    assert dataset.classes == ("0", "1", "2", "3")
    assert samples.names[:2] == ("train/0", "train/1")
    assert samples.pixels is not None
    assert np.array_equal(samples.pixels, X[..., None])
    assert np.array_equal(samples.load(np.array([5, 2])), X[[5, 2], ..., None])
    assert samples.labels.tolist() == Y.tolist()


def test_all_the_splits(tmp_path: Path, common: Common) -> None:
    path = save(tmp_path, x_train=X, y_train=Y, x_val=X[:4], y_val=Y[:4], x_test=X[:8], y_test=Y[:8], notes=Y)
    with pytest.raises(InputError, match="4 samples are both in validation and in train"):
        read(path, common, validation=None, test=None)
    dataset = read(path, common, validation=None, test=None, allow_leakage=True)
    assert {split: samples.names[-1] for split, samples in dataset.splits.items()} == {
        "train": "train/19",
        "validation": "validation/3",
        "test": "test/7",
    }
    assert [item.name for item in dataset.left_out] == ["notes"]
    assert dataset.warnings[0].text == "4 samples are both in validation and in train: validation/0 equals train/0."


def test_splits_are_drawn_if_there_is_only_train(tmp_path: Path, common: Common) -> None:
    dataset = read(save(tmp_path, x_train=X, y_train=Y), common, validation=None, test=None)
    assert {split: len(samples) for split, samples in dataset.splits.items()} == {
        "train": 14,
        "validation": 2,
        "test": 4,
    }
    for samples in dataset.splits.values():
        numbers = [int(name.removeprefix("train/")) for name in samples.names]
        assert np.array_equal(samples.load(np.arange(len(samples))), X[numbers, ..., None])


def test_color_arrays_are_resized_like_files(tmp_path: Path, common: Common) -> None:
    x = RNG.integers(0, 256, (20, 8, 6, 3), np.uint8)
    dataset = read(save(tmp_path, x_train=x, y_train=Y), common, image_size=(4, 4), color_mode="grayscale")
    expected = Image.fromarray(x[7]).convert("L").resize((4, 4), Image.Resampling.BILINEAR)
    pixels = dataset.splits["train"].pixels
    assert pixels is not None
    assert np.array_equal(pixels[7, :, :, 0], np.asarray(expected))


def test_large_data_is_resized_on_loading(tmp_path: Path, common: Common, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path, x_train=X, y_train=Y)
    at_once = read(path, common, image_size=(16, 16)).splits["train"]
    monkeypatch.setattr("dlcli.data.images.dataset.RESIZED_BYTES", 16 * 16 * 20 - 1)
    later = read(path, common, image_size=(16, 16)).splits["train"]
    index = np.array([3, 9, 3])
    assert at_once.pixels is not None
    assert later.pixels is None
    assert np.array_equal(later.load(index), at_once.load(index))
    assert later.digests == at_once.digests


@pytest.mark.parametrize(
    ("x", "value_range", "expected"),
    [
        (np.array([0.0, 0.5, 1.0]), (0, 1), [0, 128, 255]),
        (np.array([-1.0, 0.0, 1.0], np.float32), (-1, 1), [0, 128, 255]),
        (np.array([0, 8, 16], np.int64), (0, 16), [0, 128, 255]),
        (np.array([0, 32768, 65535], np.uint16), (0, 65535), [0, 128, 255]),
        (np.array([False, True, True]), (0, 1), [0, 255, 255]),
        (np.array([0.0, 99.4, 200.6]), (0, 255), [0, 99, 201]),
        (np.array([0, 1, 1], np.uint8), (0, 255), [0, 1, 1]),
        (np.array([100, 150, 200], np.int32), (100, 200), [0, 128, 255]),
    ],
)
def test_the_value_range_becomes_0_to_255(
    tmp_path: Path, common: Common, x: np.ndarray, value_range: tuple[float, float], expected: list[int]
) -> None:
    images = np.repeat(x[:, None, None], 3, axis=1)  # 3x1 pixels each
    path = save(tmp_path, x_train=images, y_train=[0, 1, 1])
    pixels = read(path, common, value_range=value_range).splits["train"].pixels
    assert pixels is not None
    assert pixels.dtype == np.uint8
    assert pixels[:, 0, 0, 0].tolist() == expected


@pytest.mark.parametrize(("layout", "shape"), [("signal", (7, 2)), ("signal", (7, 1)), ("volume", (4, 5, 6, 1))])
def test_signals_and_volumes_are_not_scaled(
    tmp_path: Path, common: Common, layout: str, shape: tuple[int, ...]
) -> None:
    x = RNG.normal(0, 1e4, (20, *shape))
    dataset = read(save(tmp_path, x_train=x, y_train=Y), common, layout=layout, test=0.2)
    assert dataset.shape == shape
    assert dataset.dtype == "float32"
    assert dataset.policy is None
    samples = dataset.splits["test"]
    loaded = samples.load(np.array([1]))
    assert loaded.dtype == np.float32
    assert np.array_equal(loaded[0], x[int(samples.names[1].removeprefix("train/"))].astype(np.float32))


@pytest.mark.parametrize(
    ("y", "classes", "labels"),
    [
        ([10, 9, 10, 2], ("2", "9", "10"), [2, 1, 2, 0]),
        ([[1], [0], [1], [1]], ("0", "1"), [1, 0, 1, 1]),
        ([-1, 1, 1, -1], ("-1", "1"), [0, 1, 1, 0]),
        (np.array([1.0, 2.0, 2.0, 1.0]), ("1", "2"), [0, 1, 1, 0]),
        ([True, False, True, True], ("0", "1"), [1, 0, 1, 1]),
        (["dog", "cat", "dog", "eel"], ("cat", "dog", "eel"), [1, 0, 1, 2]),
        (["10", "9", "9", "10"], ("9", "10"), [1, 0, 0, 1]),
        (np.array(["ä".encode(), b"b", b"b", b"b"]), ("b", "ä"), [1, 0, 0, 0]),
        (np.eye(3)[[0, 2, 1, 1]], ("0", "1", "2"), [0, 2, 1, 1]),
        (np.eye(2, dtype=np.uint8)[[0, 1, 1, 1]], ("0", "1"), [0, 1, 1, 1]),
    ],
)
def test_labels(tmp_path: Path, common: Common, y: Any, classes: tuple[str, ...], labels: list[int]) -> None:
    dataset = read(save(tmp_path, x_train=X[:4], y_train=y), common)
    assert dataset.classes == classes
    assert dataset.splits["train"].labels.tolist() == labels


def test_the_labels_of_a_trained_model(tmp_path: Path, common: Common) -> None:
    path = save(tmp_path, x_train=X, y_train=Y)
    dataset = read(path, common, classes=("3", "2", "1", "0", "x"))
    assert dataset.splits["train"].labels[:4].tolist() == [3, 2, 1, 0]


# What is refused ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arrays", "options", "message"),
    [
        ({"x": X, "y": Y}, {}, "there must be arrays x_train and y_train. Received 'x', 'y'."),
        ({}, {}, "there must be arrays x_train and y_train. Received none."),
        ({"x_train": X, "label": Y}, {}, "there must be arrays x_train and y_train. Received 'x_train', 'label'."),
        (
            {"x_train": X, "y_train": Y, "x_test": X},
            {},
            "there must be arrays x_test and y_test. Received 'x_train', 'y_train', 'x_test'.",
        ),
        (
            {"x_train": X, "y_train": Y[:-1]},
            {},
            "x_train and y_train must have one entry for each sample. Received shapes (20, 8, 6) and (19,).",
        ),
        (
            {"x_train": np.uint8(3), "y_train": np.uint8(3)},
            {},
            "y_train must be labels [n], [n, 1], or one-hot rows [n, classes]. Received shape ().",
        ),
        (
            {"x_train": X[:, 0], "y_train": Y},
            {},
            "x_train must be [n, height, width] or [n, height, width, channels] with 1 or 3 channels "
            "for layout: image. Received shape (20, 6).",
        ),
        (
            {"x_train": X[:, :, :0], "y_train": Y},
            {},
            "x_train must be [n, height, width] or [n, height, width, channels] with 1 or 3 channels "
            "for layout: image. Received shape (20, 8, 0).",
        ),
        (
            {"x_train": np.zeros((20, 3, 8, 6)), "y_train": Y},
            {},
            "x_train must be [n, height, width] or [n, height, width, channels] with 1 or 3 channels. "
            "Received shape (20, 3, 8, 6). Channels must come last.",
        ),
        (
            {"x_train": np.zeros((20, 8, 6, 2)), "y_train": Y},
            {},
            "x_train must be [n, height, width] or [n, height, width, channels] with 1 or 3 channels. "
            "Received shape (20, 8, 6, 2).",
        ),
        (
            {"x_train": X[:, 0], "y_train": Y},
            {"layout": "signal"},
            "x_train must be [n, time, channels] for layout: signal. Received shape (20, 6).",
        ),
        (
            {"x_train": X, "y_train": Y},
            {"layout": "volume"},
            "x_train must be [n, depth, height, width, channels] for layout: volume. Received shape (20, 8, 6).",
        ),
        (
            {"x_train": X, "y_train": Y},
            {"layout": "signal", "image_size": (3, 3)},
            "data.image_size and data.color_mode are for layout: image. Received layout: signal.",
        ),
        ({"x_train": X.astype(str), "y_train": Y}, {}, "x_train must contain numbers. Received <U3."),
        ({"x_train": X + 0j, "y_train": Y}, {}, "x_train must contain numbers. Received complex128."),
        ({"x_train": X * np.nan, "y_train": Y}, {}, "x_train must be finite. Received NaN or infinite values."),
        (
            {"x_train": np.where(X > 250, np.inf, X), "y_train": Y},
            {},
            "x_train must be finite. Received NaN or infinite values.",
        ),
        (
            {"x_train": X * 1e40, "y_train": Y},
            {"layout": "signal"},
            "x_train must be finite as float32. Received NaN or infinite values.",
        ),
        (
            {"x_train": X - 128.0, "y_train": Y},
            {},
            "x_train must lie within [0, 255]. Received values from -128 to 127: "
            "set data.value_range to the range of the pixels.",
        ),
        (
            {"x_train": X / 255, "y_train": Y},
            {},
            "x_train: all values lie in [0, 1], which is black if pixels are in [0, 255]: "
            "set data.value_range to the range of the pixels.",
        ),
        (
            {"x_train": X, "y_train": Y},
            {"value_range": (1, 1)},
            "data.value_range must be increasing. Received [1, 1].",
        ),
        ({"x_train": X, "y_train": Y + 0.5}, {}, "y_train must be whole numbers or strings. Received 0.5."),
        ({"x_train": X, "y_train": Y * np.nan}, {}, "y_train must be whole numbers or strings. Received nan."),
        ({"x_train": X, "y_train": Y * 1j}, {}, "y_train must be whole numbers or strings. Received complex128."),
        (
            {"x_train": X, "y_train": np.tile(b"\xff", 20)},
            {},
            "y_train must be whole numbers or UTF-8 strings. Received other bytes.",
        ),
        (
            {"x_train": X, "y_train": ["a"] * 19 + [""]},
            {},
            "y_train must not contain empty strings. Received one at position 19.",
        ),
        (
            {"x_train": X, "y_train": np.ones((20, 3))},
            {},
            "y_train must be labels [n], [n, 1], or one-hot rows [n, classes]. Received shape (20, 3).",
        ),
        (
            {"x_train": X, "y_train": Y * 0},
            {},
            "there must be at least two classes. Received one: '0'.",
        ),
        (
            {"x_train": X, "y_train": Y, "x_val": X[:1], "y_val": [7]},
            {},
            "every class in validation must also be in train. Received '7': correct the name or remove the samples. "
            "Classes: '0', '1', '2', '3'.",
        ),
        (
            {"x_train": X, "y_train": Y, "x_test": X[:, :5], "y_test": Y},
            {},
            "samples must have the same shape. Received (8, 6, 1) in train and (5, 6, 1) in test.",
        ),
        (
            {"x_train": X, "y_train": Y, "x_test": X[:0], "y_test": Y[:0]},
            {},
            "x_test must contain at least one sample. Received none: remove it or add samples.",
        ),
        (
            {"x_train": X, "y_train": np.array([{}] * 20)},
            {},
            "y_train must hold plain numbers or text. Received pickled Python objects.",
        ),
    ],
)
def test_bad_arrays(
    tmp_path: Path, common: Common, arrays: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    assert error(save(tmp_path, **arrays), common, **options) == message


class Bomb:
    """Fails the test if it is called by unpickling."""

    def __reduce__(self) -> Any:
        return (pytest.fail, ("a pickle was loaded",))


def test_nothing_is_unpickled(tmp_path: Path, common: Common) -> None:
    path = tmp_path / "data.npz"
    np.savez(path, x_train=X, y_train=np.array([Bomb()] * 20, dtype=object))
    assert "pickled Python objects" in error(path, common)
    path.write_bytes(pickle.dumps(Bomb()))
    assert "Received another kind of file" in error(path, common)


def test_files_that_are_not_npz(tmp_path: Path, common: Common) -> None:
    path = tmp_path / "data.npz"
    assert error(path, common) == "no such file. Give an .npz file with arrays x_train and y_train."
    path.mkdir()
    assert error(path, common) == "a folder, not a file. Give an .npz file with arrays x_train and y_train."
    single = tmp_path / "x.npy"
    np.save(single, X)
    archive = "must be an .npz archive, as written by numpy.savez."
    assert error(single, common) == f"{archive} Received a single array (.npy)."
    text = tmp_path / "text.npz"
    text.write_text("hello")
    assert error(text, common) == f"{archive} Received another kind of file."


@pytest.mark.parametrize("compressed", [True, False])
def test_cut_and_corrupt_archives(tmp_path: Path, common: Common, compressed: bool) -> None:
    path = tmp_path / "data.npz"
    (np.savez_compressed if compressed else np.savez)(path, x_train=X, y_train=Y)
    whole = path.read_bytes()
    for length in range(4, len(whole), 37):
        path.write_bytes(whole[:length])
        assert error(path, common) == "the .npz archive is corrupt or truncated. Write or download it again."
    refused = 0
    for position in range(30, len(whole), 11):
        corrupt = bytearray(whole)
        corrupt[position] ^= 0xFF
        path.write_bytes(corrupt)
        try:
            read(path, common)
        except InputError:
            refused += 1
    assert refused > 0


def header(shape: tuple[int, ...], dtype: str = "|u1") -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
    return file.getvalue()


def test_sizes_are_bounded_by_the_headers(tmp_path: Path, common: Common, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path, x_train=X, y_train=Y)
    monkeypatch.setattr("dlcli.data.npz_archive.half_of_memory", lambda: X.nbytes + Y.nbytes - 1)
    assert error(path, common) == (
        "the arrays must fit into half of this machine's memory (1,119 bytes). Received 1,120 bytes: "
        "give fewer samples, or image files."
    )


@pytest.mark.parametrize("shape", [(10**12, 8, 6), (-(10**12), 8, 6)])
def test_headers_that_declare_too_much_data(tmp_path: Path, common: Common, shape: tuple[int, ...]) -> None:
    path = tmp_path / "data.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x_train.npy", header(shape) + b"\0" * 1000)
        archive.writestr("y_train.npy", header((4,)) + b"\0\1\2\3")
    assert error(path, common) == "the .npz archive is corrupt or truncated. Write or download it again."
