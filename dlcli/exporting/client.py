"""The example client of an exported model: a short program that needs the runtime, but neither dlcli nor Keras."""

import sys
from collections.abc import Mapping
from types import MappingProxyType

from dlcli.exporting.exportable import ClientLines
from dlcli.exporting.formats import FILES, Format

IMPORTS: Mapping[Format, str] = MappingProxyType(
    {
        "saved_model": "import tensorflow as tf",
        "onnx": "import onnxruntime",
        "litert": "from ai_edge_litert.interpreter import Interpreter",
    }
)

CALLS: Mapping[Format, tuple[str, ...]] = MappingProxyType(
    {
        "saved_model": (
            'model = tf.saved_model.load(here / "{file}").signatures["serving_default"]',
            "",
            "",
            "def run(inputs):",
            "    outputs = model(**{{name: tf.constant(values) for name, values in inputs.items()}})",
            "    return {{name: values.numpy() for name, values in outputs.items()}}",
        ),
        "onnx": (
            'model = onnxruntime.InferenceSession(here / "{file}")',
            "",
            "",
            "def run(inputs):",
            "    return dict(zip([output.name for output in model.get_outputs()], model.run(None, inputs)))",
        ),
        "litert": (
            'model = Interpreter(str(here / "{file}")).get_signature_runner("serving_default")',
            "",
            "",
            "def run(inputs):",
            "    return model(**inputs)",
        ),
    }
)
"""Statements that load the model and define ``run``, from arrays by name to arrays by name."""


def client_text(lines: ClientLines, name: Format) -> str:
    """The text of ``client.py``, which is started in any folder and finds its files beside itself."""
    imports = sorted({"import sys", "from pathlib import Path", "import numpy as np", IMPORTS[name], *lines.imports})
    imports.sort(key=lambda line: (not line.startswith("import"), line))
    return "\n".join(
        [
            f'"""{lines.purpose}"""',
            "",
            *(line for line in imports if _is_standard(line)),
            "",
            *(line for line in imports if not _is_standard(line)),
            "",
            "here = Path(__file__).parent",
            *(line.format(file=FILES[name]) for line in CALLS[name]),
            "",
            "",
            *lines.prepare,
            "outputs = run(inputs)",
            *lines.show,
            "",
        ]
    )


def _is_standard(statement: str) -> bool:
    return statement.split()[1].split(".")[0] in sys.stdlib_module_names
