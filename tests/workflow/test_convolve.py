"""``dlcli convolve`` as users run it: sums, files, measured shifts, and what it refuses."""

import json
import sys
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from scipy import signal

from dlcli.cli import cli
from dlcli.errors import InputError

PIXELS = np.random.default_rng(2).integers(0, 256, (9, 12, 3)).astype(np.uint8)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(PIXELS).save("photo.png")
    Path("table.csv").write_text("day,load\n1,3\n2,5\n3,4\n")
    Path("plain.txt").write_text("3\n5\n4\n")
    return tmp_path


def run(*arguments: str) -> str:
    result = CliRunner().invoke(cli, ["convolve", *arguments], prog_name="dlcli", standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result.stdout


def parsed(*arguments: str) -> Any:
    return json.loads(run(*arguments, "--json"))


def test_the_sums_are_written_out() -> None:
    lines = run("0,1,2", "--kernel", "1,3", "--padding", "full").splitlines()
    assert lines[:2] == ["kernel, reversed in the sums:", "  1 3"]
    assert [line.split()[-1] for line in lines[4:8]] == ["0", "1", "5", "6"]
    assert lines[6].split(maxsplit=2)[2] == "1·3 + 2·1    5"
    assert "products" not in run(",".join(["1"] * 30), "--kernel", "1")


def test_json_has_every_step() -> None:
    found = parsed("3,-1,4,1,5", "--kernel", "1,0,-1", "--relu", "--pool", "2", "--pool-stride", "1")
    names = [step["name"] for step in found["steps"]]
    assert names == ["input", "convolution", "detector", "pooling"]
    values = [step["values"] for step in found["steps"]]
    assert values[1] == np.convolve(values[0], [1, 0, -1], "same").tolist() == [-1, 1, 2, 1, -1]
    assert values[2:] == [[0, 1, 2, 1, 0], [1, 2, 2, 1]]
    assert found["padding"] == [[1, 1]]
    assert parsed("1,2,3", "--kernel", "1,2", "--no-flip")["steps"][1]["name"] == "cross-correlation"


def test_files_of_an_image_hold_what_scipy_computes() -> None:
    run("photo.png", "-k", "sobel-x", "--gray", "-o", "edges.npz", "--plot", "edges.png", "--stride", "2")
    with np.load("edges.npz") as arrays:
        gray = arrays["input"][..., 0]
        other = signal.convolve2d(np.pad(gray, ((1, 1), (0, 1))), arrays["kernel"], "valid")[::2, ::2]
        np.testing.assert_array_equal(arrays["convolution"][..., 0], other)
    run("photo.png", "-k", "sobel-x", "--gray", "-o", "edges.csv")
    assert np.loadtxt("edges.csv", delimiter=",", skiprows=1).shape == (9, 12)
    with Image.open("edges.png") as plot:
        assert plot.width > 300


def test_a_png_has_the_channels_and_says_what_it_cannot_hold() -> None:
    assert run("photo.png", "-k", "identity", "-o", "same.png").splitlines()[-1] == "same.png"
    with Image.open("same.png") as image:
        np.testing.assert_array_equal(np.asarray(image), PIXELS)
    result = CliRunner().invoke(cli, ["convolve", "photo.png", "-k", "laplacian", "-o", "other.png"])
    count = int(result.stderr.split(": ")[1].split(" values")[0].replace(",", ""))
    ours = np.stack([signal.convolve2d(PIXELS[..., i], [[0, 1, 0], [1, -4, 1], [0, 1, 0]], "same") for i in range(3)])
    assert count == int(((ours.astype(float) < 0) | (ours > 255)).sum())


def test_tables() -> None:
    assert parsed("table.csv", "-k", "1", "--column", "load")["steps"][0]["values"] == [3, 5, 4]
    assert parsed("plain.txt", "-k", "1")["steps"][0]["values"] == [3, 5, 4]
    run("plain.txt", "-k", "1,1", "--padding", "valid", "-o", "sums.csv")
    assert Path("sums.csv").read_text() == "step,value\n0,8.0\n1,9.0\n"


def test_pooling_changes_less_than_what_is_pooled() -> None:
    rows = {row["name"]: row for row in parsed("0.1,1,0.2,0.1,0.1", "-k", "1", "--pool", "3", "--shift", "1")["shift"]}
    assert rows["input"]["changed"] == rows["convolution"]["changed"] == 0.8
    assert rows["pooling"]["changed"] == 0
    assert parsed("0,0", "-k", "1", "--shift", "1")["shift"][0]["relative_change"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["1,2", "-k", "1,2,3", "--padding", "valid"],
            "1,2: a kernel of 3 is larger than the input. Use --padding same",
        ),
        (["1,2", "-k", "1", "--pool", "3"], "1,2: a pooling window of 3 is larger than the 2 values"),
        (["1,2,3", "-k", "1", "--pool", "5"], "Use a smaller --pool."),
        (["1,,2", "-k", "1"], "separated by commas or spaces. Received '1,,2'"),
        (["1e308,1", "-k", "1"], "expected numbers of at most 1e+18 in magnitude"),
        (["", "-k", "1"], "the input must not be empty"),
        (["none.png", "-k", "1"], "none.png: no such file. Give an image"),
        (["table.csv", "-k", "1"], "--column: name one of the columns of table.csv. It has day, load"),
        (["table.csv", "-k", "1", "--column", "x"], "Received 'x'"),
        (["bad.csv", "-k", "1"], "bad.csv:3: column 'load' must be a number. Received 'x'"),
        (["empty.csv", "-k", "1"], "empty.csv: there must be rows"),
        (["photo.png", "-k", "1", "--column", "x"], "--column: is for a table"),
        (["1,2", "-k", "1", "--gray"], "--gray: is for an image"),
        (["1,2", "-k", "1", "-o", "x.png"], "x.png: a signal is written as .csv or .npz"),
        (["photo.png", "-k", "1", "-o", "x.csv"], "a table cannot hold 3 channels"),
        (["photo.png", "-k", "1", "-o", "photo.png"], "already exists"),
    ],
)
def test_what_cannot_be_computed_is_refused(folder: Path, arguments: list[str], message: str) -> None:
    Path("bad.csv").write_text("load\n1\nx\n")
    Path("empty.csv").write_text("")
    before = sorted(folder.iterdir())
    with pytest.raises(InputError) as error:
        run(*arguments)
    assert message in str(error.value)
    assert sorted(folder.iterdir()) == before


def test_too_much_work_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(click.UsageError, match="--pool-stride needs --pool"):
        run("1,2", "-k", "1", "--pool-stride", "2")
    monkeypatch.setattr(sys.modules["dlcli.workflow.convolve"], "MAX_PRODUCTS", 100)
    with pytest.raises(InputError, match="more than 100 products"):
        run("photo.png", "-k", "mean:5")
    monkeypatch.setattr(sys.modules["dlcli.workflow.convolve"], "MAX_VALUES", 100)
    with pytest.raises(InputError, match=r"at most 100 values\. Received 324"):
        run("photo.png", "-k", "1")
