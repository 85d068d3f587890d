"""The formats of exported models: their files, the packages they need, and how far their outputs may differ."""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

from dlcli.errors import InputError

Format = Literal["saved_model", "onnx", "litert"]
Quantization = Literal["float16", "dynamic", "int8"]

FORMATS: tuple[Format, ...] = get_args(Format)
QUANTIZATIONS: tuple[Quantization, ...] = get_args(Quantization)

FILES: Mapping[Format, str] = MappingProxyType(
    {"saved_model": "saved_model", "onnx": "model.onnx", "litert": "model.tflite"}
)
"""The name of the exported model; that of a SavedModel is a folder."""

PACKAGES: Mapping[Format, tuple[str, ...]] = MappingProxyType(
    {"saved_model": (), "onnx": ("tf2onnx", "onnx", "onnxruntime"), "litert": ("ai_edge_litert",)}
)
"""The modules that a format needs, which its extra installs."""

DISTRIBUTIONS: Mapping[Format, tuple[str, ...]] = MappingProxyType(
    {"saved_model": (), "onnx": ("tf2onnx", "onnx", "onnxruntime"), "litert": ("ai-edge-litert",)}
)
"""The packages whose versions an exported model may depend on, besides TensorFlow and Keras."""


@dataclass(frozen=True)
class Bound:
    """How far the outputs of an exported model may differ from those of the Keras model.

    Attributes:
        difference: the largest absolute difference, as a fraction of the range of the output's values; that of
            probabilities is 1.
        mean: the mean over the samples of the largest difference of each.
        agreement: the least proportion of decisions that are the same: top classes, labels, tags, pixels, objects.
    """

    difference: float
    mean: float
    agreement: float


BOUNDS: Mapping[Quantization | None, Bound] = MappingProxyType(
    {
        None: Bound(difference=1e-3, mean=1e-3, agreement=0.99),
        "float16": Bound(difference=5e-2, mean=1e-2, agreement=0.98),
        "dynamic": Bound(difference=0.3, mean=0.04, agreement=0.95),
        "int8": Bound(difference=0.3, mean=0.04, agreement=0.95),
    }
)
"""8 bits move a sample near the border of two classes far, and others hardly, so the mean has a bound of its own. Of
the runs in docs/guide/export.md, usable models have at most 0.021, and the others at least 0.05."""


def check_format(name: Format, quantization: Quantization | None) -> None:
    """Refuse a format whose packages are not installed, and a quantization that it lacks.

    Raises:
        InputError: with the remedy.
    """
    if name == "saved_model" and quantization is not None:
        raise InputError(
            f"--quantize {quantization}: a SavedModel is not quantized; ONNX and LiteRT models are. Use --format onnx "
            "or --format litert, or remove --quantize."
        )
    missing = [package for package in PACKAGES[name] if importlib.util.find_spec(package) is None]
    if missing:
        raise InputError(
            f"--format {name}: needs the Python package {missing[0].replace('_', '-')}. Install it with: "
            f"pip install 'dlcli[{name}]'"
        )
