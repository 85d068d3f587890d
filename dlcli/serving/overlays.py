"""What the page shows of a prediction: an image's mask, what in an image, text or series speaks for it, and what comes
before a forecast."""

import base64
import io
from collections.abc import Sequence
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dlcli.tasks.predictor import Shown, ShownHistory, ShownSteps, ShownTokens

FOR, AGAINST = (200, 30, 30), (30, 80, 200)
"""Red speaks for the prediction, blue against it, as in the plots of ``dlcli explain``."""
BLACK = (0, 0, 0)
OPACITY = 200  # of the strongest pixel, of 255


def shown_json(shown: Shown | ShownTokens | ShownSteps | ShownHistory, classes: Sequence[str]) -> dict[str, Any]:
    """What the page shows, for JSON; the values of tokens and steps have three digits."""
    match shown:
        case Shown():
            return overlays_of(shown, classes)
        case ShownHistory():
            return {"history": [{"series": name, "values": _known(values)} for name, values in shown.series]}
        case ShownTokens():
            tokens = [{"token": token, "value": _rounded(value)} for token, value in shown.tokens]
            found: dict[str, Any] = {"tokens": tokens, "separator": shown.separator}
        case ShownSteps():
            found = {
                "series": [_known(row) for row in shown.series],
                "values": [[_rounded(x) for x in row] for row in shown.values.tolist()],
                "columns": list(shown.columns),
            }
        case _:
            assert_never(shown)
    return {**found, "explained": shown.explained, "unit": shown.unit}


def _known(values: NDArray[Any]) -> list[float | None]:
    return [None if np.isnan(x) else float(x) for x in values]


def _rounded(value: float) -> float | None:
    return float(f"{value:.3g}") if np.isfinite(value) else None


def overlays_of(shown: Shown, classes: Sequence[str]) -> dict[str, Any]:
    """The images as data URLs: ``view``, ``map`` and ``mask``, each absent if there is none; ``explained``, what the
    map explains, and ``colors``, those of the mask by class."""
    view = shown.view[:, :, 0] if shown.view.shape[2] == 1 else shown.view
    found: dict[str, Any] = {}
    if shown.attribution is not None:
        found["view"] = _url(_png(Image.fromarray(view)))
        found["explained"] = shown.explained
        found["map"] = _url(_png(Image.fromarray(colored(shown.attribution))))
    if shown.mask is not None:
        with Image.open(io.BytesIO(shown.mask)) as mask:
            palette = mask.getpalette("RGB") or []
            colors = list(zip(*[iter(palette)] * 3, strict=False))
            # what is black in the palette, the background, does not darken the image
            black = colors.index(BLACK) if BLACK in colors else None
            found["mask"] = _url(_png(mask, transparency=black))
        found["colors"] = {
            name: "#{:02x}{:02x}{:02x}".format(*color) for name, color in zip(classes, colors, strict=False)
        }
    return found


def colored(attribution: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A map [height, width] as RGBA: the color by the sign, the opacity by the share of the largest value."""
    largest = float(np.abs(attribution).max()) or 1.0
    pixels = np.where((attribution > 0)[..., None], np.array(FOR, np.uint8), np.array(AGAINST, np.uint8))
    opacity = np.rint(np.abs(attribution) / largest * OPACITY).astype(np.uint8)
    return np.concatenate([pixels, opacity[..., None]], axis=2)


def _png(image: Image.Image, *, transparency: int | None = None) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1, **({} if transparency is None else {"transparency": transparency}))
    return file.getvalue()


def _url(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
