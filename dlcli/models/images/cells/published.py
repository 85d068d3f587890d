"""The cells that were found by search and published, in the written form of a recipe's ``model.genotype``.

A state is the sum of its operations; ``s0`` is the output of the last cell, ``s1`` that of the cell before it, and the
lines define ``s2``, ``s3``, …. What a cell concatenates is part of it: the published cells also concatenate states that
other states read, and inputs, so that it does not follow from the states.
"""

from collections.abc import Mapping

from dlcli.models.images.cells.cell import Genotype

NASNET_A: Genotype = {
    "normal": {
        "states": [
            ["sep5(s0)", "sep3(s1)"],
            ["sep5(s1)", "sep3(s1)"],
            ["avg3(s0)", "identity(s1)"],
            ["avg3(s1)", "avg3(s1)"],
            ["sep3(s0)", "identity(s0)"],
        ],
        "concatenate": ["s1", "s2", "s3", "s4", "s5", "s6"],
    },
    "reduction": {
        "states": [
            ["sep5(s0)", "sep7(s1)"],
            ["max3(s0)", "sep7(s1)"],
            ["avg3(s0)", "sep5(s1)"],
            ["identity(s3)", "avg3(s2)"],
            ["sep3(s2)", "max3(s0)"],
        ],
        "concatenate": ["s3", "s4", "s5", "s6"],
    },
}
"""Zoph, Vasudevan, Shlens and Le 2018, figure 4."""

PNASNET_5: Genotype = {
    "normal": {
        "states": [
            ["sep5(s1)", "max3(s1)"],
            ["sep7(s0)", "max3(s0)"],
            ["sep5(s0)", "sep3(s0)"],
            ["sep3(s4)", "max3(s0)"],
            ["sep3(s1)", "identity(s0)"],
        ],
        "concatenate": ["s2", "s3", "s4", "s5", "s6"],
    },
}
"""Liu, Zoph et al. 2018, "Progressive neural architecture search", figure 1: one cell, which also reduces."""

AMOEBANET_A: Genotype = {
    "normal": {
        "states": [
            ["avg3(s0)", "max3(s0)"],
            ["sep3(s1)", "identity(s1)"],
            ["identity(s0)", "avg3(s1)"],
            ["sep3(s0)", "sep5(s2)"],
            ["avg3(s5)", "sep3(s0)"],
        ],
        "concatenate": ["s1", "s3", "s4", "s6"],
    },
    "reduction": {
        "states": [
            ["sep3(s1)", "avg3(s0)"],
            ["max3(s0)", "sep7(s2)"],
            ["max3(s1)", "max3(s0)"],
            ["sep3(s4)", "conv1x7_7x1(s0)"],
            ["avg3(s1)", "sep7(s0)"],
        ],
        "concatenate": ["s2", "s3", "s4", "s5", "s6"],
    },
}
"""Real, Aggarwal, Huang and Le 2019, "Regularized evolution for image classifier architecture search", figure 6."""

AMOEBANET_B: Genotype = {
    "normal": {
        "states": [
            ["conv1(s1)", "max3(s1)"],
            ["identity(s1)", "sep3(s0)"],
            ["conv1(s1)", "sep3(s0)"],
            ["conv1(s2)", "identity(s2)"],
            ["avg3(s1)", "conv1(s5)"],
        ],
        "concatenate": ["s0", "s3", "s4", "s6"],
    },
    "reduction": {
        "states": [
            ["max2(s0)", "max3(s0)"],
            ["identity(s2)", "conv3(s1)"],
            ["dil5(s2)", "max3(s2)"],
            ["identity(s3)", "sep3(s1)"],
            ["avg3(s4)", "conv1(s3)"],
        ],
        "concatenate": ["s5", "s6"],
    },
}
"""Real et al. 2019, first version. The released code does not apply the dilation of its 5x5 convolution."""

AMOEBANET_C: Genotype = {
    "normal": {
        "states": [
            ["avg3(s0)", "sep3(s0)"],
            ["identity(s0)", "sep3(s0)"],
            ["avg3(s2)", "sep3(s1)"],
            ["identity(s0)", "sep3(s1)"],
            ["avg3(s3)", "sep3(s0)"],
        ],
        "concatenate": ["s1", "s2", "s4", "s5", "s6"],
    },
    "reduction": {
        "states": [
            ["max3(s0)", "max3(s0)"],
            ["sep7(s2)", "sep3(s0)"],
            ["sep7(s0)", "max3(s1)"],
            ["sep5(s4)", "sep5(s4)"],
            ["max3(s1)", "sep3(s1)"],
        ],
        "concatenate": ["s0", "s2", "s3", "s4", "s5", "s6"],
    },
}
"""Real et al. 2019, first version."""

AMOEBANET_D: Genotype = {
    "normal": {
        "states": [
            ["conv1(s1)", "max3(s1)"],
            ["identity(s1)", "conv1x7_7x1(s0)"],
            ["conv1(s0)", "conv1x7_7x1(s0)"],
            ["max3(s2)", "identity(s2)"],
            ["avg3(s1)", "conv1(s5)"],
        ],
        "concatenate": ["s0", "s3", "s4", "s6"],
    },
    "reduction": {
        "states": [
            ["max2(s0)", "max3(s0)"],
            ["identity(s2)", "conv3(s1)"],
            ["conv1x7_7x1(s2)", "max3(s2)"],
            ["identity(s3)", "max2(s1)"],
            ["avg3(s2)", "conv1(s3)"],
        ],
        "concatenate": ["s4", "s5", "s6"],
    },
}
"""The release of AmoebaNet, github.com/tensorflow/tpu, models/official/amoeba_net."""

GENOTYPES: Mapping[str, Genotype] = {
    "nasnet_a": NASNET_A,
    "pnasnet_5": PNASNET_5,
    "amoebanet_a": AMOEBANET_A,
    "amoebanet_b": AMOEBANET_B,
    "amoebanet_c": AMOEBANET_C,
    "amoebanet_d": AMOEBANET_D,
}
"""The published genotypes, by the name in recipes."""
