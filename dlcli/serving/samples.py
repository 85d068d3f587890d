"""Samples as clients send them: JSON values, texts and encoded images, with bounds checked before they are decoded."""

import base64
import binascii
import json
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcli.data.images.decoding import BadImage, read_size
from dlcli.printing import describe_bad_json
from dlcli.serving.limits import Limits
from dlcli.serving.refusal import Refused

INPUTS = {
    "images": "image",
    "signals": "signal",
    "volumes": "volume",
    "texts": "text",
    "series": "series",
    "tables": "table",
}
"""The name of a model's input, by the kind of its samples."""

WRITTEN = ("texts", "tables")
"""The kinds of samples that are text."""

ENCODED = ("images", *WRITTEN)
"""The kinds of samples that are bytes or text; the others are arrays of numbers."""

CLASS = "class"
"""The name of the second input of language models whose texts have classes."""

FORMS = {
    "images": 'an image must be {"b64": "…"}, its file in base64, or nested lists [height][width][channels]',
    "texts": "a text must be a string",
    "series": "a series must be nested lists [steps][features] of numbers, null where missing",
    "tables": "a table must be a string, the content of a CSV file with its header",
    "signals": "a signal must be nested lists [steps][channels] of numbers",
    "volumes": "a volume must be nested lists [depth][height][width][channels] of numbers",
}


def parse_json(body: bytes) -> Any:
    """The JSON document of a request.

    Raises:
        Refused: it is not one, or has a number that JSON does not know.
    """
    try:
        return json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"the body must be JSON: {describe_bad_json(error)}.") from None


def _refuse_constant(name: str) -> None:
    raise Refused(400, f"the body must be JSON, which has no {name}.")


def sample_of(value: Any, kind: str, limits: Limits) -> Callable[[], Any]:
    """What reads a sample from a JSON value; it is called in another thread, because that may take long.

    Args:
        value: the form of FORMS, or an object with that as its only entry.
        kind: of the samples, a key of FORMS.
    """

    def read() -> Any:
        inner = value
        if isinstance(inner, dict) and len(inner) == 1 and "b64" not in inner:
            (inner,) = inner.values()
        if isinstance(inner, dict) and inner.keys() == {"b64"}:
            return of_bytes(decode_base64(inner["b64"]), kind, limits)
        if kind == "texts":
            if isinstance(inner, dict) and inner.keys() == {"text", CLASS}:  # of a language model
                return {name: of_text(part, limits) for name, part in inner.items()}
            return of_text(inner, limits)
        if kind == "tables":
            return of_table(inner, limits)
        if not isinstance(inner, list):
            raise Refused(400, f"{FORMS[kind]}. Received {_kind_of(inner)}.")
        return of_array(array_of(inner, kind), kind, limits)

    return read


def decode_base64(value: Any) -> bytes:
    """The bytes of a base64 text.

    Raises:
        Refused: it is not one.
    """
    if not isinstance(value, str):
        raise Refused(400, f"expected base64 text. Received {_kind_of(value)}.")
    if value.startswith("data:"):  # a data URL, as a browser makes it
        value = value.partition(",")[2]
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise Refused(400, "expected base64 text. Received other characters, or a wrong length.") from None


def of_bytes(data: bytes, kind: str, limits: Limits) -> Any:
    """A sample of bytes: an encoded image, or a text or a table in UTF-8.

    Raises:
        Refused: the image has too many pixels by its header, or it is not an image; the text or the table is not UTF-8
            or too long; the samples are arrays.
    """
    if kind == "images":
        try:
            width, height = read_size(data)
        except BadImage as reason:
            raise Refused(400, f"{reason}.") from None
        if width * height > limits.max_pixels:
            raise Refused(400, f"too large: an image may have at most {limits.max_pixels:,} pixels.")
        return data
    if kind in WRITTEN:
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            raise Refused(400, f"a {INPUTS[kind]} must be UTF-8.") from None
        return of_text(text, limits) if kind == "texts" else of_table(text, limits)
    raise Refused(400, f"{FORMS[kind]}. Received bytes.")


def of_text(value: Any, limits: Limits) -> str:
    """A text.

    Raises:
        Refused: it is another value, too long, or has half of a surrogate pair, which no UTF-8 text has.
    """
    if not isinstance(value, str):
        raise Refused(400, f"{FORMS['texts']}. Received {_kind_of(value)}.")
    if len(value) > limits.max_characters:
        raise Refused(400, f"a text may have at most {limits.max_characters:,} characters. Received {len(value):,}.")
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise Refused(400, "a text must be UTF-8. Received half of a surrogate pair.")
    return value


def of_table(value: Any, limits: Limits) -> bytes:
    """A table, the content of a CSV file in UTF-8.

    Raises:
        Refused: it is not text, or too long.
    """
    if not isinstance(value, str):
        raise Refused(400, f"{FORMS['tables']}. Received {_kind_of(value)}.")
    try:
        data = value.encode()
    except UnicodeEncodeError:
        raise Refused(400, "a table must be UTF-8. Received half of a surrogate pair.") from None
    if len(data) > limits.max_table:
        raise Refused(400, f"a table may have at most {limits.max_table:,} bytes. Received {len(data):,}.")
    return data


def array_of(value: list[Any], kind: str) -> NDArray[Any]:
    """Nested lists of numbers as an array; of series, with NaN in place of null.

    Raises:
        Refused: they are ragged, too deep, or hold other values.
    """
    form = FORMS[kind]
    try:
        array = np.array(value)
        if kind == "series" and array.dtype == object:
            entries = array.ravel().tolist()
            if all(type(entry) in (int, float, type(None)) for entry in entries):
                array = np.array([np.nan if entry is None else entry for entry in entries]).reshape(array.shape)
    except (ValueError, RecursionError, OverflowError):
        raise Refused(400, f"{form}. Received lists of unequal lengths or depths.") from None
    if array.dtype.kind not in "iuf":
        raise Refused(400, f"{form}. Received other values than numbers.")
    return array


def of_array(array: NDArray[Any], kind: str, limits: Limits) -> NDArray[Any]:
    """A sample of numbers, such as the pixels of an image or the steps of a series, whose shape the predictor checks.

    Raises:
        Refused: it has no or too many values, or values that are not finite; a missing value of a series is NaN.
    """
    if kind in WRITTEN:
        raise Refused(400, f"{FORMS[kind]}. Received numbers.")
    if kind == "series" and array.ndim == 1:  # of one feature
        array = array[:, None]
    if not array.size or array.size > limits.max_values:
        raise Refused(400, f"a sample must have 1 to {limits.max_values:,} values. Received {array.size:,}.")
    if kind == "images" and array.dtype.kind in "iu" and array.min() >= 0 and array.max() <= 255:
        return array.astype(np.uint8)
    with np.errstate(over="ignore"):  # float64 beyond float32 becomes infinity
        values = array.astype(np.float32)
    if np.isinf(values).any() or (kind != "series" and np.isnan(values).any()):
        expected = "finite, or missing" if kind == "series" else "finite"
        raise Refused(400, f"the values of a sample must be {expected}, in float32. Received NaN or infinity.")
    return values


def _kind_of(value: Any) -> str:
    """What a JSON value is called."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")
