"""One server that the tests of protocols share."""

from collections.abc import Iterator

import pytest
from served import CLASSES, Client, Echo, Shades, Teller, served, serving  # type: ignore[import-not-found]


@pytest.fixture(scope="session")
def client() -> Iterator[Client]:
    """A client of a server with a model of images, one of texts, one of series, and one of texts with a class."""
    models = [served("shades", Shades()), served("echo", Echo()), served("steps", Echo("series"))]
    models.append(served("teller", Teller(classes=CLASSES)))
    with serving(*models) as found:
        yield found
