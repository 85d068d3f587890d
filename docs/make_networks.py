"""Counts what every network costs: ``python docs/make_networks.py > dlcli/report/cost/network_costs.json``."""

import json
import sys
from typing import Any

from dlcli.recipe.sections.image_model import ImageClassifier
from dlcli.report.cost.layer_table import layer_table
from dlcli.report.cost.published import Network, sizes
from dlcli.runtime.startup import start_tensorflow, without_weights
from dlcli.tasks.images.network import build_classifier

start_tensorflow("cpu")

from pydantic import TypeAdapter  # noqa: E402


def count(network: Network, side: int) -> dict[str, Any]:
    """One row."""
    section = TypeAdapter(ImageClassifier).validate_python(network.model)
    with without_weights():
        shape = (side, side, network.channels)
        table = layer_table(build_classifier(section, shape=shape, num_classes=network.num_classes).model)
    assert not table.not_counted, [row.name for row in table.not_counted]
    return {
        "network": network.name,
        "side": side,
        "parameters": table.parameters,
        "multiply_adds": table.operations.multiply_adds,
        "activations": table.activations,
    }


def text() -> str:
    """The whole file, a line for each network and size."""
    rows = []
    for network, side in sizes():
        print(network.name, side, file=sys.stderr)
        rows.append(json.dumps(count(network, side)))
    return "[\n" + ",\n".join(rows) + "\n]\n"


if __name__ == "__main__":
    print(text(), end="")
