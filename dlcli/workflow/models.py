"""``dlcli models``: the table of all networks. Needs no TensorFlow."""

from typing import Any

from dlcli.report.cost.published import NETWORKS, QUOTED, read_costs

FAMILIES = tuple(dict.fromkeys(network.family for network in NETWORKS))


def list_networks(family: str | None) -> list[dict[str, Any]]:
    """List each network, of one family or all, with its recipe, costs and published errors."""
    costs = read_costs()
    rows = []
    for network in NETWORKS:
        if family not in (None, network.family):
            continue
        cost = costs[network.name, network.side]
        rows.append(
            {
                "network": network.name,
                "family": network.family,
                "model": dict(network.model),
                "input": [network.side, network.side, network.channels],
                "classes": network.num_classes,
                "parameters": cost.parameters,
                "multiply_adds": cost.multiply_adds,
                "activations": cost.activations,
                "top1_error": network.top1,
                "top5_error": network.top5,
                "source": network.source,
                "weights": network.weights,
            }
        )
    return rows


def side_of_application(name: str) -> int:
    """The published input size, in pixels, of a network of keras.applications."""
    return next(network.side for network in NETWORKS if network.model.get("network") == name)


def list_quoted() -> list[dict[str, Any]]:
    """List the figures that papers and lectures quote, each beside this program's count at the same input size."""
    costs = read_costs()
    rows = []
    for quoted in QUOTED:
        cost = costs[quoted.network, quoted.side] if quoted.network and quoted.side else None
        rows.append(
            {
                "quoted_as": quoted.label,
                "network": quoted.network,
                "input": quoted.side and [quoted.side, quoted.side, 3],
                "quoted": {
                    "parameters": quoted.parameters,
                    "multiply_adds": quoted.multiply_adds,
                    "activations": quoted.activations,
                },
                "counted": {
                    "parameters": cost and cost.parameters,
                    "multiply_adds": cost and cost.multiply_adds,
                    "activations": cost and cost.activations,
                },
                "source": quoted.source,
                "note": quoted.note,
            }
        )
    return rows
