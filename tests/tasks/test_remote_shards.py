"""Shards at a URL: complete copies, whatever happens to a download."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from PIL import Image

from dlcli.data.images.dataset import Reading
from dlcli.data.images.shard_writer import digests_text, write_shards
from dlcli.data.images.sources.class_folders import read_folder
from dlcli.data.images.sources.shards import COLUMNS, DIGESTS, INDEX, index_rows
from dlcli.errors import InputError
from dlcli.recipe.sections.image_data import Shards
from dlcli.rundir.tables import write_csv
from dlcli.runtime.console import Console
from dlcli.tasks.images.sources import read_dataset
from dlcli.tasks.remote_shards import local_shards

URL = "memory://bucket/packed"


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of several shards."""
    root = tmp_path_factory.mktemp("data")
    for name in ("cat", "dog"):
        (root / "photos" / name).mkdir(parents=True)
        for i in range(10):
            pixels = np.random.default_rng([i, name == "cat"]).integers(0, 256, (6, 5, 3), np.uint8)
            Image.fromarray(pixels).save(root / "photos" / name / f"{i}.png")
    keys: dict[str, Any] = {"image_size": None, "color_mode": None, "resize": "stretch", "interpolation": "bilinear"}
    keys |= {
        "antialias": True,
        "validation": None,
        "test": None,
        "split_seed": 0,
        "limit": None,
        "allow_leakage": False,
    }
    dataset = read_folder(path=root / "photos", reading=Reading(), **keys)
    folder = root / "packed"
    folder.mkdir()
    places = write_shards(dataset, folder, max_bytes=6000, progress=lambda done, total: None)
    write_csv(folder / INDEX, COLUMNS, index_rows(dataset, places))
    (folder / DIGESTS).write_text(digests_text(folder))
    return folder


@pytest.fixture
def remote(packed: Path) -> Iterator[Any]:
    """The file system in memory, with the shards."""
    filesystem = fsspec.filesystem("memory")
    filesystem.put(str(packed) + "/", "/bucket/packed/", recursive=True)
    yield filesystem
    filesystem.rm("/bucket", recursive=True)


def section(folder: Path | None, url: str = URL) -> Shards:
    return Shards(kind="shards", path=url, cache_folder=None if folder is None else str(folder))


@pytest.fixture
def console() -> Console:
    return Console(quiet=True)


def test_the_data_are_those_of_a_local_folder(remote: Any, packed: Path, tmp_path: Path, console: Console) -> None:
    dataset = read_dataset(section(tmp_path), console)
    assert dataset.fingerprint() == read_dataset(section(None, str(packed)), console).fingerprint()
    (copies,) = tmp_path.glob("*/packed")
    assert sorted(path.name for path in copies.iterdir()) == sorted(
        {path.name for path in packed.iterdir()} - {DIGESTS}
    )
    assert len(list(copies.glob("*.tar"))) > 3


def test_copies_are_kept_and_complete_ones_alone(
    remote: Any, packed: Path, tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[str] = []
    get_file = type(remote).get_file

    def interrupted(self: Any, path: str, to: str, **keys: Any) -> None:
        fetched.append(path.rpartition("/")[2])
        if len(fetched) == 3:
            Path(to).write_bytes(b"half")
            raise ConnectionResetError("the server closed the connection\nand more")
        get_file(self, path, to, **keys)

    monkeypatch.setattr(type(remote), "get_file", interrupted)
    with pytest.raises(InputError) as error:
        local_shards(section(tmp_path), console)
    assert str(error.value) == (
        f"{URL}/{fetched[2]}: cannot be read (ConnectionResetError: the server closed the connection). Run the command "
        "again: shards that are complete are kept."
    )
    (copies,) = tmp_path.glob("*/packed")
    assert sorted(path.name for path in copies.iterdir()) == sorted(fetched[:2])
    local_shards(section(tmp_path), console)
    assert len(fetched) == len(set(fetched)) + 1  # the third, twice
    again = len(fetched)
    (copies / fetched[0]).write_bytes(b"short")
    folder = local_shards(section(tmp_path), console)
    assert folder == copies
    assert fetched[again:] == [fetched[0]]
    for path in packed.glob("*.tar"):
        assert (folder / path.name).read_bytes() == path.read_bytes()


def test_data_that_were_packed_again_are_other_copies(remote: Any, tmp_path: Path, console: Console) -> None:
    first = local_shards(section(tmp_path), console)
    content = remote.cat_file(f"/bucket/packed/{INDEX}")
    remote.pipe_file(f"/bucket/packed/{INDEX}", content.replace(b"cat/1.png", b"cat/x.png"))
    assert local_shards(section(tmp_path), console) != first


def test_a_corrupt_shard(remote: Any, packed: Path, tmp_path: Path, console: Console) -> None:
    name = sorted(path.name for path in packed.glob("test-*.tar"))[0]
    content = bytearray((packed / name).read_bytes())
    content[700] ^= 1
    remote.pipe_file(f"/bucket/packed/{name}", bytes(content))
    with pytest.raises(InputError) as error:
        local_shards(section(tmp_path), console)
    expected = f"{URL}/{name}: is corrupt: {DIGESTS} has another SHA-256. Copy the shards there again."
    assert str(error.value) == expected
    assert not list(tmp_path.rglob(name))


def test_in_the_users_cache_folder(
    remote: Any, tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DLCLI_CACHE", str(tmp_path / "cache"))
    assert local_shards(section(None), console).parents[1] == tmp_path / "cache" / "shards"
    monkeypatch.setenv("DLCLI_CACHE", "")
    with pytest.raises(
        InputError,
        match=r"^memory://bucket/packed: there is no cache folder .* Set data\.cache_folder or DLCLI_CACHE\.$",
    ):
        local_shards(section(None), console)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("memory://nowhere/packed", "memory://nowhere/packed: no such file, folder or bucket. Check the address."),
        ("memory://bucket", "memory://bucket: there is no shards.csv at this address. Give a folder that dlcli data"),
        ("nosuch://bucket/x", "nosuch://bucket/x: cannot be read (ValueError: Protocol not known: nosuch). Check the"),
    ],
)
def test_bad_addresses(remote: Any, tmp_path: Path, console: Console, url: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        local_shards(section(tmp_path, url), console)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"shard\n../x.tar\n", b"shard\nx\n", b'shard\n"x\n'])
def test_what_is_no_index(remote: Any, tmp_path: Path, console: Console, content: bytes) -> None:
    remote.pipe_file(f"/bucket/packed/{INDEX}", content)
    with pytest.raises(InputError, match=r"^memory://bucket/packed/shards\.csv: must be an index of shards\. Give"):
        local_shards(section(tmp_path), console)


def test_a_missing_shard(remote: Any, packed: Path, tmp_path: Path, console: Console) -> None:
    name = sorted(path.name for path in packed.glob("*.tar"))[0]
    remote.rm(f"/bucket/packed/{name}")
    with pytest.raises(InputError, match=rf"must have the shards of its shards\.csv\. It lacks '{name}'\.$"):
        local_shards(section(tmp_path), console)


def test_packages_that_are_missing(tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(InputError, match=r"^s3://bucket/x: a package is missing: .*s3fs"):
        local_shards(section(tmp_path, "s3://bucket/x"), console)
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(InputError, match=r"^s3://bucket/x: shards at a URL need the package fsspec\. Install it with"):
        local_shards(section(tmp_path, "s3://bucket/x"), console)
