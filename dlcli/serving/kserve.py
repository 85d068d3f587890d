"""KServe's inference protocol, version 2 (the Open Inference Protocol), with its extension for binary tensors.

Source: https://github.com/kserve/open-inference-protocol (inference_rest.md); for binary tensors, Triton's
extension_binary_data.md.
"""

import json
import math
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcli import __version__
from dlcli.serving.limits import Limits
from dlcli.serving.outputs import tensors_of
from dlcli.serving.refusal import Refused
from dlcli.serving.samples import INPUTS, decode_base64, of_array, of_bytes, parse_json
from dlcli.serving.served_model import ServedModel

HEADER_LENGTH = "inference-header-content-length"
VERSION = "1"
DTYPES = {
    "BOOL": "?",
    **{f"UINT{8 * size}": f"<u{size}" for size in (1, 2, 4, 8)},
    **{f"INT{8 * size}": f"<i{size}" for size in (1, 2, 4, 8)},
    **{f"FP{8 * size}": f"<f{size}" for size in (2, 4, 8)},
}
"""NumPy's name of each type of number; BYTES are strings."""

NAMES = {np.dtype(dtype): name for name, dtype in DTYPES.items()}
LENGTH = struct.Struct("<I")  # before each element of a binary tensor of BYTES
MAX_RANK = 8


def server_metadata() -> dict[str, Any]:
    """Name, version and extensions of the server."""
    return {"name": "dlcli", "version": __version__, "extensions": ["binary_tensor_data"]}


def metadata(model: ServedModel) -> dict[str, Any]:
    """Names, types and shapes of a model's input and outputs; -1 for a size that varies."""
    kind = model.predictor.kind
    shape = [-1, *(-1 if side is None else side for side in model.predictor.model.inputs[0].shape[1:])]
    datatype, shape = ("BYTES", [-1]) if kind in ("images", "texts") else ("FP32", shape)
    outputs = tensors_of(model.example, model.predictor.classes) if model.example else {}
    return {
        "name": model.name,
        "versions": [VERSION],
        "platform": "keras",
        "inputs": [{"name": INPUTS[kind], "datatype": datatype, "shape": shape}],
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
    request = _expect(parse_json(body[:length]), dict, "the body")
    identifier = request.get("id")
    if identifier is not None:
        _expect(identifier, str, "id")
    inputs = _expect(request.get("inputs"), list, "inputs")
    name = INPUTS[model.predictor.kind]
    if len(inputs) != 1 or _expect(inputs[0], dict, "inputs[0]").get("name") != name:
        raise Refused(400, f"inputs: expected one input, named '{name}'.")
    parameters = _expect(request.get("parameters", {}), dict, "parameters")
    return InferRequest(
        _samples(inputs[0], body[length:], model.predictor.kind, limits),
        identifier,
        _requested(request.get("outputs", [])),
        parameters.get("binary_data_output") is True,
    )


def _requested(outputs: Any) -> dict[str, bool]:
    requested = {}
    for number, output in enumerate(_expect(outputs, list, "outputs")):
        name = _expect(_expect(output, dict, f"outputs[{number}]").get("name"), str, f"outputs[{number}].name")
        parameters = _expect(output.get("parameters", {}), dict, f"outputs[{number}].parameters")
        if parameters.get("classification"):
            raise Refused(400, f"outputs[{number}]: the extension for classification is not supported.")
        requested[name] = parameters.get("binary_data") is True
    return requested


def _samples(tensor: dict[str, Any], binary: bytes, kind: str, limits: Limits) -> list[Callable[[], Any]]:
    """What reads each sample of an input tensor, whose first axis counts them."""
    shape, datatype = _shape(tensor.get("shape")), tensor.get("datatype")
    parameters = _expect(tensor.get("parameters", {}), dict, "parameters of the input")
    size = parameters.get("binary_data_size")
    if "shared_memory_region" in parameters:
        raise Refused(400, "the extension for shared memory is not supported.")
    if (size is None) == ("data" not in tensor):
        raise Refused(400, "the input must have data, or binary_data_size among its parameters, and not both.")
    if size is not None and (type(size) is not int or size != len(binary)):
        raise Refused(400, f"binary_data_size must be the number of bytes after the JSON part, {len(binary):,}.")
    if size is None and binary:
        raise Refused(400, "bytes follow the JSON part, and the input has no binary_data_size.")
    if datatype == "BYTES":
        elements = _strings(tensor["data"], kind) if size is None else _elements(binary)
        _check_count(len(elements), shape)
        if shape[1:] not in ((), (1,)):
            raise Refused(400, f"shape: BYTES must have one element for each sample. Received {list(shape)}.")
        return [lambda data=data: of_bytes(data, kind, limits) for data in elements]  # type: ignore[misc]
    if datatype not in DTYPES or datatype == "BOOL":
        raise Refused(400, f"datatype must be BYTES or that of a number. Received {str(datatype)[:100]!r}.")
    if math.prod(shape) > limits.max_values * limits.max_samples:
        raise Refused(400, f"shape: too many values. Received {list(shape)}.")
    array = _numbers(tensor["data"], datatype) if size is None else _binary_numbers(binary, datatype)
    _check_count(array.size, shape)
    return [lambda part=part: of_array(part, kind, limits) for part in array.reshape(shape)]  # type: ignore[misc]


def _shape(value: Any) -> tuple[int, ...]:
    shape = tuple(_expect(value, list, "shape"))
    if not 1 <= len(shape) <= MAX_RANK or not all(type(side) is int and 0 < side < 2**31 for side in shape):
        raise Refused(400, f"shape must be a list of 1 to {MAX_RANK} sizes above 0.")
    return shape


def _check_count(number: int, shape: tuple[int, ...]) -> None:
    if number != math.prod(shape):
        raise Refused(400, f"shape: {list(shape)} has {math.prod(shape):,} elements. Received {number:,}.")


def _strings(data: Any, kind: str) -> list[bytes]:
    """The elements of a tensor of BYTES in JSON: texts as they are, files in base64."""
    found = []
    for value in _flat(_expect(data, list, "data"), 0):
        text = _expect(value, str, "an element of data")
        found.append(decode_base64(text) if kind != "texts" else text.encode("utf-8", "surrogatepass"))
    return found


def _flat(values: list[Any], depth: int) -> list[Any]:
    if depth > MAX_RANK:
        raise Refused(400, f"data: nested too deeply, in more than {MAX_RANK} lists.")
    if not any(isinstance(value, list) for value in values):
        return values
    return [inner for value in values for inner in (_flat(value, depth + 1) if isinstance(value, list) else [value])]


def _elements(binary: bytes) -> list[bytes]:
    """The elements of a binary tensor of BYTES, each after its length."""
    found, start = [], 0
    while start < len(binary):
        end = start + LENGTH.size
        if end > len(binary) or (stop := end + LENGTH.unpack_from(binary, start)[0]) > len(binary):
            raise Refused(400, "a tensor of BYTES must have 4 bytes of length before each element, and all of it.")
        found.append(binary[end:stop])
        start = stop
    return found


def _numbers(data: Any, datatype: str) -> NDArray[Any]:
    values = _flat(_expect(data, list, "data"), 0)
    if not all(type(value) in (int, float) for value in values):
        raise Refused(400, "data must be numbers.")
    try:
        array = np.array(values, np.float64)
    except OverflowError:
        raise Refused(400, "data must be numbers of at most 64 bits.") from None
    wanted = np.dtype(DTYPES[datatype])
    if wanted.kind in "iu":
        bounds = np.iinfo(wanted)
        if (array != np.floor(array)).any() or (array < bounds.min).any() or (array > bounds.max).any():
            raise Refused(400, f"data must be whole numbers of the type {datatype}.")
    with np.errstate(over="ignore"):  # infinity is refused with the sample
        return array.astype(wanted)


def _binary_numbers(binary: bytes, datatype: str) -> NDArray[Any]:
    dtype = np.dtype(DTYPES[datatype])
    if len(binary) % dtype.itemsize:
        raise Refused(400, f"binary_data_size must be a multiple of {dtype.itemsize} for {datatype}.")
    return np.frombuffer(binary, dtype)


def _datatype(tensor: NDArray[Any]) -> str:
    return NAMES.get(tensor.dtype, "BYTES")


def _binary(tensor: NDArray[Any]) -> bytes:
    if tensor.dtype != np.object_:
        return np.ascontiguousarray(tensor).tobytes()
    texts = [value.encode() for value in tensor.ravel()]
    return b"".join(part for text in texts for part in (LENGTH.pack(len(text)), text))


def _expect(value: Any, kind: type, place: str) -> Any:
    """The value, which must be of a type of JSON."""
    names: dict[type, str] = {dict: "an object", list: "a list", str: "a string"}
    if not isinstance(value, kind):
        raise Refused(400, f"{place} must be {names[kind]}.")
    return value
