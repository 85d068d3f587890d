"""The files of the page, read once."""

import functools
from importlib import resources

TYPES = {
    "index.html": "text/html; charset=utf-8",
    "style.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "results.js": "text/javascript; charset=utf-8",
    "drawing.js": "text/javascript; charset=utf-8",
    "explained.js": "text/javascript; charset=utf-8",
    "forecast.js": "text/javascript; charset=utf-8",
    "elements.js": "text/javascript; charset=utf-8",
    "requests.js": "text/javascript; charset=utf-8",
    "series.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
"""The files that are served, with their media types; no other names are looked up."""


@functools.cache
def page_file(name: str) -> tuple[bytes, str] | None:
    """The content and media type of a file of the page; None for any other name."""
    if name not in TYPES:
        return None
    return resources.files(__package__).joinpath(name).read_bytes(), TYPES[name]
