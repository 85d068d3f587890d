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

INPUTS = {"images": "image", "signals": "signal", "volumes": "volume", "texts": "text", "series": "series"}
"""The name of a model's input, by the kind of its samples: the kinds that are served."""

CLASS = "class"
"""The name of the second input of language models whose texts have classes."""

FORMS = {
    "images": 'an image must be {"b64": "…"}, its file in base64, or nested lists [height][width][channels]',
    "texts": "a text must be a string",
    "series": "a series must be nested lists [steps][features] of numbers",
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
        if not isinstance(inner, list):
            raise Refused(400, f"{FORMS[kind]}. Received {_kind_of(inner)}.")
        return of_array(array_of(inner, FORMS[kind]), kind, limits)

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
    """A sample of bytes: an encoded image, or a text in UTF-8.

    Raises:
        Refused: the image has too many pixels by its header, or it is not an image; the text is not UTF-8 or too long;
            the samples are arrays.
    """
    if kind == "images":
        try:
            width, height = read_size(data)
        except BadImage as reason:
            raise Refused(400, f"{reason}.") from None
        if width * height > limits.max_pixels:
            raise Refused(400, f"too large: an image may have at most {limits.max_pixels:,} pixels.")
        return data
    if kind == "texts":
        try:
            return of_text(data.decode("utf-8"), limits)
        except UnicodeDecodeError:
            raise Refused(400, "a text must be UTF-8.") from None
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


def array_of(value: list[Any], form: str) -> NDArray[Any]:
    """Nested lists of numbers as an array.

    Raises:
        Refused: they are ragged, too deep, or hold other values.
    """
    try:
        array = np.array(value)
    except (ValueError, RecursionError, OverflowError):
        raise Refused(400, f"{form}. Received lists of unequal lengths or depths.") from None
    if array.dtype.kind not in "iuf":
        raise Refused(400, f"{form}. Received other values than numbers.")
    return array


def of_array(array: NDArray[Any], kind: str, limits: Limits) -> NDArray[Any]:
    """A sample of numbers, such as the pixels of an image or the steps of a series, whose shape the predictor checks.

    Raises:
        Refused: it has no or too many values, or values that are not finite.
    """
    if kind == "texts":
        raise Refused(400, f"{FORMS[kind]}. Received numbers.")
    if kind == "series" and array.ndim == 1:  # of one feature
        array = array[:, None]
    if not array.size or array.size > limits.max_values:
        raise Refused(400, f"a sample must have 1 to {limits.max_values:,} values. Received {array.size:,}.")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise Refused(400, "the values of a sample must be finite. Received NaN or infinity.")
    is_byte = array.dtype.kind in "iu" and array.min() >= 0 and array.max() <= 255
    return array.astype(np.uint8 if is_byte and kind == "images" else np.float32)


def _kind_of(value: Any) -> str:
    """What a JSON value is called."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")
