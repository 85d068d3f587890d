"""``dlcli data import`` as a user meets it."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import processes
import pytest
from PIL import Image

RECIPE = "task: classification\ndata: {kind: shards, path: PATH}\nmodel: {kind: mlp}\n"


@pytest.fixture
def tars(tmp_path: Path) -> Path:
    """Two tar files, train and test, of images with classes by name."""
    rng = np.random.default_rng(0)
    (tmp_path / "tars").mkdir()
    for split, number in (("train", 20), ("test", 6)):
        with tarfile.open(tmp_path / "tars" / f"{split}.tar", "w") as tar:
            for i in range(number):
                image = io.BytesIO()
                Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).save(image, "PNG")
                for name, data in ((f"{i}.png", image.getvalue()), (f"{i}.txt", b"cat" if i % 2 else b"dog")):
                    info = tarfile.TarInfo(name)
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))
    return tmp_path


def test_tar_files(tars: Path) -> None:
    before = {path.name: path.read_bytes() for path in (tars / "tars").iterdir()}
    done = processes.run("data", "import", "tars", "-o", "packed", folder=tars).expect(0)
    counts, key = done.stdout.splitlines()
    assert counts.startswith("20 train, 6 test, 2 classes in 2 shards of ")
    assert key == "data: {kind: shards, path: packed}"
    assert {path.name: path.read_bytes() for path in (tars / "tars").iterdir()} == before
    done = processes.run("data", "import", "tars", "--in-place", "--json", folder=tars).expect(0)
    assert json.loads(done.stdout)["samples"] == {"train": 20, "test": 6}
    splits = []
    for name in ("packed", "tars"):
        (tars / f"{name}.yaml").write_text(RECIPE.replace("PATH", name))
        splits.append(processes.run("data", "split", f"{name}.yaml", "--json", folder=tars).expect(0).stdout)
    assert splits[0] == splits[1]
    assert json.loads(splits[0])["test"] == {"cat": 3, "dog": 3}


def test_nothing_is_left_of_an_import_that_fails(tars: Path) -> None:
    content = (tars / "tars/train.tar").read_bytes()
    (tars / "tars/train.tar").write_bytes(content[:4000])
    for place in (("-o", "packed"), ("--in-place",)):
        done = processes.run("data", "import", "tars", *place, folder=tars).expect(2)
        assert (
            done.stderr
            == "tars/train.tar: is not a tar file, or is truncated or corrupt. Download or write it again.\n"
        )
        assert done.stdout == ""
    assert sorted(path.name for path in tars.rglob("*")) == ["tars", "test.tar", "train.tar"]
    for arguments in (("tars",), ("tars", "-o", "x", "--in-place")):
        done = processes.run("data", "import", *arguments, folder=tars).expect(2)
        assert "give either -o DIR or --in-place" in done.stderr
