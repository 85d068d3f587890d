"""KServe's inference protocol, version 2 (the Open Inference Protocol), with its extension for binary tensors.

Source: https://github.com/kserve/open-inference-protocol (inference_rest.md); for binary tensors, Triton's
extension_binary_data.md.
"""

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcli import __version__
from dlcli.serving.kserve_inputs import DTYPES, LENGTH, Samples, expect, read_tensors
from dlcli.serving.limits import Limits
from dlcli.serving.outputs import tensors_of
from dlcli.serving.refusal import Refused
from dlcli.serving.samples import CLASS, ENCODED, INPUTS, parse_json
from dlcli.serving.served_model import ServedModel
from dlcli.tasks.predictor import takes_class

HEADER_LENGTH = "inference-header-content-length"
VERSION = "1"
NAMES = {np.dtype(dtype): name for name, dtype in DTYPES.items()}


def server_metadata() -> dict[str, Any]:
    """Name, version and extensions of the server."""
    return {"name": "dlcli", "version": __version__, "extensions": ["binary_tensor_data"]}


def metadata(model: ServedModel) -> dict[str, Any]:
    """Names, types and shapes of a model's inputs and outputs; -1 for a size that varies."""
    kind = model.predictor.kind
    shape = [-1, *(-1 if side is None else side for side in model.predictor.model.inputs[0].shape[1:])]
    datatype, shape = ("BYTES", [-1]) if kind in ENCODED else ("FP32", shape)
    outputs = tensors_of(model.example, model.predictor.classes) if model.example else {}
    return {
        "name": model.name,
        "versions": [VERSION],
        "platform": "keras",
        "inputs": [
            {"name": INPUTS[kind], "datatype": datatype, "shape": shape},
            *([{"name": CLASS, "datatype": "BYTES", "shape": [-1]}] if takes_class(model.predictor) else []),
        ],
        "outputs": [
            {"name": name, "datatype": _datatype(tensor), "shape": [-1, *tensor.shape[1:]]}
            for name, tensor in outputs.items()
        ],
    }


@dataclass(frozen=True)
class Encoded:
    """The body of a response, and the length of its JSON part if binary tensors follow it."""

    body: bytes
    header_length: int | None


@dataclass(frozen=True)
class InferRequest:
    """A request for inference.

    Attributes:
        samples: what reads each of them.
        identifier: that the response repeats; None for none.
        outputs: whether each output that is asked for is sent as binary; empty for all outputs.
        is_binary: whether outputs that are not in ``outputs`` are.
    """

    samples: Sequence[Callable[[], Any]]
    identifier: str | None
    outputs: Mapping[str, bool]
    is_binary: bool

    def response(self, model: ServedModel, rows: Sequence[Mapping[str, Any]]) -> Encoded:
        """The response with the predictions.

        Raises:
            Refused: an output is asked for that does not exist.
        """
        tensors = tensors_of(rows, model.predictor.classes)
        unknown = self.outputs.keys() - tensors.keys()
        if unknown:
            raise Refused(400, f"no output '{min(unknown)[:100]}'. The outputs are {', '.join(tensors)}.")
        entries: list[dict[str, Any]] = []
        parts: list[bytes] = []
        for name in self.outputs or tensors:
            tensor = tensors[name]
            entry: dict[str, Any] = {"name": name, "datatype": _datatype(tensor), "shape": list(tensor.shape)}
            if self.outputs.get(name, self.is_binary):
                parts.append(_binary(tensor))
                entry["parameters"] = {"binary_data_size": len(parts[-1])}
            else:
                entry["data"] = tensor.ravel().tolist()
            entries.append(entry)
        response: dict[str, Any] = {"model_name": model.name, "model_version": VERSION, "outputs": entries}
        if self.identifier is not None:
            response["id"] = self.identifier
        header = json.dumps(response).encode()
        return Encoded(b"".join((header, *parts)), len(header) if parts else None)


def read_request(body: bytes, header_length: str | None, model: ServedModel, limits: Limits) -> InferRequest:
    """A request for inference.

    Args:
        body: JSON, followed by binary tensors if there is a ``header_length``.
        header_length: the length of the JSON part, from the header HEADER_LENGTH.

    Raises:
        Refused: it is not a request for this model.
    """
    length = len(body)
    if header_length is not None:
        if not (header_length.isascii() and header_length.isdigit() and len(header_length) <= 10):
            raise Refused(400, "Inference-Header-Content-Length must be a number of bytes.")
        length = int(header_length)
        if length > len(body):
            raise Refused(400, "Inference-Header-Content-Length must be at most the length of the body.")
    request = expect(parse_json(body[:length]), dict, "the body")
    identifier = request.get("id")
    if identifier is not None:
        expect(identifier, str, "id")
    inputs = expect(request.get("inputs"), list, "inputs")
    parameters = expect(request.get("parameters", {}), dict, "parameters")
    tensors = read_tensors(inputs, body[length:], _inputs(model), limits)
    return InferRequest(
        _samples(tensors, INPUTS[model.predictor.kind]),
        identifier,
        _requested(request.get("outputs", [])),
        parameters.get("binary_data_output") is True,
    )


def _inputs(model: ServedModel) -> dict[str, str]:
    """The kind of the samples of each input, by the input's name."""
    kind = model.predictor.kind
    inputs: dict[str, str] = {INPUTS[kind]: kind}
    return inputs | {CLASS: "texts"} if takes_class(model.predictor) else inputs


def _samples(tensors: Mapping[str, Samples], name: str) -> Samples:
    """What reads each sample of the input of that name; with the class of each, if there is such an input."""
    samples = tensors[name]
    if CLASS not in tensors:
        return samples
    classes = tensors[CLASS]
    if len(classes) != len(samples):
        raise Refused(400, f"inputs: '{name}' has {len(samples):,} samples, and '{CLASS}' {len(classes):,}.")
    return [functools.partial(_with_class, name, *pair) for pair in zip(samples, classes, strict=True)]


def _with_class(name: str, sample: Callable[[], Any], label: Callable[[], Any]) -> dict[str, Any]:
    return {name: sample(), CLASS: label()}


def _requested(outputs: Any) -> dict[str, bool]:
    requested = {}
    for number, output in enumerate(expect(outputs, list, "outputs")):
        name = expect(expect(output, dict, f"outputs[{number}]").get("name"), str, f"outputs[{number}].name")
        parameters = expect(output.get("parameters", {}), dict, f"outputs[{number}].parameters")
        if parameters.get("classification"):
            raise Refused(400, f"outputs[{number}]: the extension for classification is not supported.")
        requested[name] = parameters.get("binary_data") is True
    return requested


def _datatype(tensor: NDArray[Any]) -> str:
    return NAMES.get(tensor.dtype, "BYTES")


def _binary(tensor: NDArray[Any]) -> bytes:
    if tensor.dtype != np.object_:
        return np.ascontiguousarray(tensor).tobytes()
    texts = [value.encode() for value in tensor.ravel()]
    return b"".join(part for text in texts for part in (LENGTH.pack(len(text)), text))
