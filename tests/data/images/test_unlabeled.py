import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlcli.data.images.decoding import ImagePolicy, read_image
from dlcli.data.images.formats import FORMAT_NAMES
from dlcli.data.images.samples import Samples
from dlcli.data.images.unlabeled import collect
from dlcli.data.splits import NO_LABEL, LeftOut
from dlcli.errors import InputError

Save = Callable[..., Path]

POLICY = ImagePolicy((5, 4), "rgb", "crop", "bilinear", True)


def gather(*paths: Path, **options: Any) -> tuple[Samples, tuple[LeftOut, ...]]:
    known = {"policy": POLICY, "shape": POLICY.shape, "value_range": (0.0, 255.0), **options}
    return collect(paths, **known)


def error(*paths: Path, **options: Any) -> str:
    with pytest.raises(InputError) as error:
        gather(*paths, **options)
    return str(error.value)


def test_files_and_folders(tmp_path: Path, save_image: Save) -> None:
    for name in ("one.png", "in/b.png", "in/a.png", "in/deep/c.png", "in/.hidden.png"):
        save_image(name)
    (tmp_path / "in" / "notes.txt").write_text("no image")
    (tmp_path / "in" / "bad.jpg").write_text("no image")
    samples, left_out = gather(tmp_path / "in", tmp_path / "one.png", tmp_path / "in" / "a.png")
    names = [f"{tmp_path}/{name}" for name in ("in/a.png", "in/b.png", "in/deep/c.png", "one.png")]
    assert list(samples.names) == names
    assert samples.labels.tolist() == [NO_LABEL] * 4
    assert [(item.name.removeprefix(f"{tmp_path}/"), item.reason) for item in left_out] == [
        ("in/.hidden.png", "hidden"),
        ("in/notes.txt", "not an image by its suffix"),
        ("in/bad.jpg", f"not an image: its content is not {FORMAT_NAMES}"),
    ]
    loaded = samples.load(np.arange(4))
    for name, image in zip(names, loaded, strict=True):
        assert np.array_equal(image, read_image(Path(name), policy=POLICY))


def test_a_named_file_may_have_any_suffix(save_image: Save) -> None:
    path = save_image("image.png").rename(save_image("x.png").parent / "image")
    assert gather(path)[0].names == (str(path),)


def test_names_are_as_given(save_image: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(save_image("in/a.png").parents[1])
    assert gather(Path("in"))[0].names == ("in/a.png",)


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_stdin_is_an_image(mode: str, save_image: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_image("a.png", size=(9, 7), mode=mode)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(path.read_bytes())))
    samples, left_out = gather(Path("-"))
    assert (samples.names, left_out) == (("-",), ())
    assert np.array_equal(samples.load(np.arange(1)), gather(path)[0].load(np.arange(1)))


@pytest.mark.parametrize(
    ("data", "reason"), [(b"", "-: the file is empty"), (b"no image", "-: not an image: its content is not ")]
)
def test_stdin_without_an_image(data: bytes, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    message = error(Path("-"))
    assert message.startswith(reason)
    assert message.endswith(". Send the bytes of one image to stdin.")
    assert error(Path("-"), Path("a.png")) == "-: stdin must be the only path. Received 2 paths."


def test_an_npz_file(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, (3, 8, 6), np.uint8)
    np.savez(tmp_path / "x.npz", x=x / 255, x_test=x[:1])
    samples, left_out = gather(tmp_path / "x.npz", value_range=(0.0, 1.0))
    assert samples.names == ("x.npz/0", "x.npz/1", "x.npz/2")
    assert samples.load(np.array([2])).shape == (1, 5, 4, 3)
    assert left_out == ()
    np.savez(tmp_path / "x.npz", x_test=x, y_test=[1, 2, 3])
    again, _ = gather(tmp_path / "x.npz")
    assert np.array_equal(again.load(np.arange(3)), samples.load(np.arange(3)))
    np.savez(tmp_path / "x.npz", x=x / 255)
    with pytest.raises(InputError, match=r"black if pixels are in \[0, 255\]: rescale the array to that range\."):
        gather(tmp_path / "x.npz")


def test_signals(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(3, 8, 2))
    np.savez(tmp_path / "x.npz", x=x)
    options = {"policy": None, "shape": (8, 2)}
    samples, _ = gather(tmp_path / "x.npz", **options)
    assert np.array_equal(samples.load(np.array([1])), x[1:2].astype(np.float32))
    message = error(tmp_path / "x.npz", policy=None, shape=(9, 2))
    assert message.endswith("x must contain samples of shape (9, 2), as in training. Received (8, 2).")


def test_paths_that_cannot_be_predicted(tmp_path: Path, save_image: Save) -> None:
    missing = tmp_path / "missing.png"
    assert error(missing) == f"{missing}: no such file or folder. Name what to predict."
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"")
    nothing = f"Nothing to predict: give {FORMAT_NAMES} files, or folders of them."
    assert error(bad).splitlines() == [f"{bad}: the file is empty.", nothing]
    (tmp_path / "empty").mkdir()
    assert error(tmp_path / "empty") == f"'{tmp_path / 'empty'}': there must be an image to predict. Received none."
    np.savez(tmp_path / "x.npz", images=np.zeros((1, 8, 6)))
    assert error(tmp_path / "x.npz") == f"{tmp_path}/x.npz: there must be an array x or x_test. Received 'images'."
    image = save_image("a.png")
    assert error(tmp_path / "x.npz", image).endswith("an .npz file must be the only path. Received 2 paths.")
    message = error(image, policy=None, shape=(8, 2))
    assert message == f"{image}: samples of this model are not images. Give an .npz file with an array x."
