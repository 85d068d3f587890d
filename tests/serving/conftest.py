"""One server that the tests of protocols share."""

from collections.abc import Iterator

import pytest
from served import Client, Echo, Shades, served, serving  # type: ignore[import-not-found]


@pytest.fixture(scope="session")
def client() -> Iterator[Client]:
    """A client of a server with a model of images, one of texts and one of series."""
    models = [served("shades", Shades()), served("echo", Echo()), served("steps", Echo("series"))]
    with serving(*models) as found:
        yield found
