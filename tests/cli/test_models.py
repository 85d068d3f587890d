"""``dlcli models``: the table of all networks, without TensorFlow."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from dlcli.cli import cli
from dlcli.report.cost.published import NETWORKS, QUOTED


def run(*arguments: str) -> str:
    result = CliRunner().invoke(cli, ["models", *arguments], prog_name="dlcli", catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_the_table_has_every_network() -> None:
    lines = run().splitlines()
    assert [line.split()[0] for line in lines[1:]] == [network.name for network in NETWORKS]
    assert lines[0].split() == [
        *("network", "model", "input", "parameters", "mult-adds", "activations", "top-1", "top-5", "weights"),
    ]
    resnet = next(line for line in lines if line.startswith("resnet50 "))
    assert resnet.split("  ")[0] == "resnet50"
    for cell in ("{kind: resnet, depth: 50, version: 1}", "224x224x3", "25,610,152", "3.858 G", "22.85", "6.71"):
        assert cell in resnet


def test_one_family() -> None:
    rows = json.loads(run("--family", "dpn", "--json"))
    assert [row["model"] for row in rows] == [{"kind": "dpn", "depth": depth} for depth in (68, 92, 98, 131)]
    assert rows[1]["top1_error"] == 20.7
    assert rows[1]["source"].startswith("Chen et al. 2017")
    assert all(row["source"] for row in json.loads(run("--json")))


def test_quoted_and_counted_figures() -> None:
    rows = json.loads(run("--quoted", "--json"))
    assert [row["quoted_as"] for row in rows] == [row.label for row in QUOTED]
    vgg = rows[0]
    assert (vgg["quoted"]["activations"], vgg["counted"]["activations"]) == (24e6, 15_245_800)
    lines = run("--quoted").splitlines()
    assert len(lines) == len(QUOTED) + 1 + len({row.note for row in QUOTED if row.note})
    assert "145.8 M" in lines[9]
    assert "115.3 M" in lines[9]


def test_figures_that_cannot_be_met_have_a_note() -> None:
    rows = {row["quoted_as"]: row for row in json.loads(run("--quoted", "--json"))}
    assert rows["GeNet-2"]["network"] is None
    assert rows["GeNet-2"]["counted"]["parameters"] is None
    lines = run("--quoted").splitlines()
    marked = next(line for line in lines if line.startswith("AmoebaNet-B"))
    assert "(6, 190) [3]" in marked
    assert lines[-1].startswith("[3] The quoted figures are those of amoebanet_b_6_196: F = 196, not 190")
    assert all(row["note"] for row in rows.values() if row["network"] is None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--family", "resnets"),
            "--family resnets: unknown family. Choose from lenet5, vgg, resnet, resnext, senet, dpn, polynet, cells",
        ),
        (("--family", "vgg", "--quoted"), "--family and --quoted cannot be combined"),
    ],
)
def test_refused_options(arguments: tuple[str, ...], message: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dlcli", "models", *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stdout == ""


def test_it_needs_no_heavy_imports() -> None:
    program = (
        "import atexit, sys; from dlcli.cli import main; sys.argv = ['dlcli', 'models', '--quoted']\n"
        "atexit.register(lambda: print(sorted({'tensorflow', 'keras', 'numpy'} & set(sys.modules)), file=sys.stderr))\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"
