"""Input tensors of KServe's protocol v2: from JSON, or the bytes after it, to the samples of a request."""

import math
import struct
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcli.serving.limits import Limits
from dlcli.serving.refusal import Refused
from dlcli.serving.samples import WRITTEN, decode_base64, of_array, of_bytes

DTYPES = {
    "BOOL": "?",
    **{f"UINT{8 * size}": f"<u{size}" for size in (1, 2, 4, 8)},
    **{f"INT{8 * size}": f"<i{size}" for size in (1, 2, 4, 8)},
    **{f"FP{8 * size}": f"<f{size}" for size in (2, 4, 8)},
}
"""NumPy's name of each type of number; BYTES are strings."""

LENGTH = struct.Struct("<I")  # before each element of a binary tensor of BYTES
MAX_RANK = 8

Samples = list[Callable[[], Any]]
"""What reads each sample of a tensor."""


def read_tensors(tensors: list[Any], binary: bytes, kinds: Mapping[str, str], limits: Limits) -> dict[str, Samples]:
    """The samples of each input by its name.

    Args:
        binary: the bytes after the JSON part, which hold those of the binary tensors in their order.
        kinds: the inputs of the model, and the kind of the samples of each.

    Raises:
        Refused: they are not these inputs, or one of them is malformed.
    """
    named = [
        expect(expect(tensor, dict, f"inputs[{i}]").get("name"), str, f"inputs[{i}].name")
        for i, tensor in enumerate(tensors)
    ]
    if sorted(named) != sorted(kinds):
        number, wanted = "one input" if len(kinds) == 1 else "two inputs", " and ".join(f"'{name}'" for name in kinds)
        raise Refused(400, f"inputs: expected {number}, named {wanted}.")
    found: dict[str, Samples] = {}
    start = 0
    for name, tensor in zip(named, tensors, strict=True):
        size = _binary_size(tensor, len(binary) - start)
        part = None if size is None else binary[start : start + size]
        start += size or 0
        found[name] = _samples(tensor, part, kinds[name], limits)
    if start != len(binary):
        more = len(binary) - start
        raise Refused(400, f"binary_data_size: the inputs must have all bytes after the JSON part. {more:,} are left.")
    return found


def _binary_size(tensor: dict[str, Any], most: int) -> int | None:
    """The bytes of an input after the JSON part; None if its data is in JSON."""
    parameters = expect(tensor.get("parameters", {}), dict, "parameters of the input")
    size = parameters.get("binary_data_size")
    if "shared_memory_region" in parameters:
        raise Refused(400, "the extension for shared memory is not supported.")
    if (size is None) == ("data" not in tensor):
        raise Refused(400, "the input must have data, or binary_data_size among its parameters, and not both.")
    if size is not None and (type(size) is not int or not 0 <= size <= most):
        raise Refused(400, f"binary_data_size must be a number of bytes after the JSON part, at most {most:,}.")
    return size


def _samples(tensor: dict[str, Any], binary: bytes | None, kind: str, limits: Limits) -> Samples:
    """What reads each sample of an input tensor, whose first axis counts them.

    Args:
        binary: its bytes after the JSON part; None if its data is in JSON.
    """
    shape, datatype = _shape(tensor.get("shape")), tensor.get("datatype")
    if datatype == "BYTES":
        elements = _strings(tensor["data"], kind) if binary is None else _elements(binary)
        _check_count(len(elements), shape)
        if shape[1:] not in ((), (1,)):
            raise Refused(400, f"shape: BYTES must have one element for each sample. Received {list(shape)}.")
        return [lambda data=data: of_bytes(data, kind, limits) for data in elements]  # type: ignore[misc]
    if datatype not in DTYPES or datatype == "BOOL":
        raise Refused(400, f"datatype must be BYTES or that of a number. Received {str(datatype)[:100]!r}.")
    if math.prod(shape) > limits.max_values * limits.max_samples:
        raise Refused(400, f"shape: too many values. Received {list(shape)}.")
    array = _numbers(tensor["data"], datatype) if binary is None else _binary_numbers(binary, datatype)
    _check_count(array.size, shape)
    return [lambda part=part: of_array(part, kind, limits) for part in array.reshape(shape)]  # type: ignore[misc]


def _shape(value: Any) -> tuple[int, ...]:
    shape = tuple(expect(value, list, "shape"))
    if not 1 <= len(shape) <= MAX_RANK or not all(type(side) is int and 0 < side < 2**31 for side in shape):
        raise Refused(400, f"shape must be a list of 1 to {MAX_RANK} sizes above 0.")
    return shape


def _check_count(number: int, shape: tuple[int, ...]) -> None:
    if number != math.prod(shape):
        raise Refused(400, f"shape: {list(shape)} has {math.prod(shape):,} elements. Received {number:,}.")


def _strings(data: Any, kind: str) -> list[bytes]:
    """The elements of a tensor of BYTES in JSON: texts as they are, files in base64."""
    found = []
    for value in _flat(expect(data, list, "data"), 0):
        text = expect(value, str, "an element of data")
        found.append(text.encode("utf-8", "surrogatepass") if kind in WRITTEN else decode_base64(text))
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
    values = _flat(expect(data, list, "data"), 0)
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


def expect(value: Any, kind: type, place: str) -> Any:
    """The value, which must be of a type of JSON."""
    names: dict[type, str] = {dict: "an object", list: "a list", str: "a string"}
    if not isinstance(value, kind):
        raise Refused(400, f"{place} must be {names[kind]}.")
    return value
