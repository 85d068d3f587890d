"""A server of models that need no TensorFlow, in a thread of the test's process."""

import asyncio
import contextlib
import http.client
import io
import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dlcli.data.images.decoding import BadImage, decode
from dlcli.errors import InputError
from dlcli.rundir.directory import RunDir
from dlcli.serving.address import bind, url_of
from dlcli.serving.application import Application
from dlcli.serving.example import predict_example
from dlcli.serving.guard import Guard
from dlcli.serving.limits import Limits
from dlcli.serving.metrics import Metrics
from dlcli.serving.served_model import ServedModel
from dlcli.serving.server import Server
from dlcli.tasks.predictor import Kind, ShownHistory, ShownSteps, ShownTokens

CLASSES = ("dark", "bright")
HOSTILE = "<img src=x onerror=alert(1)>"
SECRET = "/home/somebody/runs/shades"


def encoded(level: int, *, size: tuple[int, int] = (4, 4), image_format: str = "PNG") -> bytes:
    """A gray image file of one level."""
    buffer = io.BytesIO()
    Image.new("L", size, level).save(buffer, image_format)
    return buffer.getvalue()


@dataclass
class Shades:
    """A predictor that classifies images by their mean, and fails for images whose mean is 13."""

    kind: Kind = "images"
    classes: tuple[str, ...] = CLASSES
    batch_sizes: tuple[int, ...] = (1, 2, 4, 8)
    run: RunDir = field(default_factory=lambda: RunDir(Path(SECRET)))
    sizes: list[int] = field(default_factory=list)  # of the batches
    gate: threading.Event = field(default_factory=threading.Event)  # predictions wait for it

    def __post_init__(self) -> None:
        self.gate.set()
        self.model: Any = SimpleNamespace(inputs=[SimpleNamespace(shape=(None, 4, 4, 1))])

    def read(self, sample: Any) -> float:
        try:
            pixels = np.asarray(decode(sample)) if isinstance(sample, bytes) else np.asarray(sample)
        except BadImage as reason:
            raise InputError(f"{SECRET}/x: {reason}.") from None
        if pixels.ndim not in (2, 3):
            raise InputError(f"the image: must be [height, width, channels]. Received shape {pixels.shape}.")
        return float(pixels.mean()) / 255

    def predict(
        self, samples: Sequence[Any], *, top: int = 3, score: float | None = None, beam: int = 1
    ) -> list[dict[str, Any]]:
        self.gate.wait(10)
        self.sizes.append(len(samples))
        if any(round(value * 255) == 13 for value in samples):
            raise RuntimeError(f"unlucky: {SECRET}")
        return [_row(value, top) for value in samples]


def _row(value: float, top: int) -> dict[str, Any]:
    pairs = sorted(zip(CLASSES, (1 - value, value), strict=True), key=lambda pair: -pair[1])
    listed = [{"class": name, "probability": probability} for name, probability in pairs]
    return {"predicted": pairs[0][0], "confidence": pairs[0][1], "top": listed[:top]}


@dataclass
class Echo:
    """A predictor of texts or series, whose predictions say what it received."""

    kind: Kind = "texts"
    classes: tuple[str, ...] = ()
    batch_sizes: tuple[int, ...] = (1, 2)
    run: RunDir = field(default_factory=lambda: RunDir(Path(SECRET)))

    def __post_init__(self) -> None:
        shape = (None,) if self.kind == "texts" else (None, None, 2)
        self.model: Any = SimpleNamespace(inputs=[SimpleNamespace(shape=shape)])

    def read(self, sample: Any) -> Any:
        if self.kind == "series" and (np.ndim(sample) != 2 or np.shape(sample)[1] != 2):
            raise InputError(f"the series: must be [steps, 2]. Received shape {np.shape(sample)}.")
        if self.kind == "texts" and not isinstance(sample, str):
            raise InputError(f"the text: must be a string. Received {type(sample).__name__}.")
        return sample

    def predict(
        self, samples: Sequence[Any], *, top: int = 3, score: float | None = None, beam: int = 1
    ) -> list[dict[str, Any]]:
        if self.kind == "texts":
            return [{"predicted": text.upper(), "length": len(text), "tags": list(text)} for text in samples]
        sums = [np.nansum(array, axis=0) for array in samples]
        return [
            {
                "predicted": float(of_columns.sum()),
                "means": (of_columns / (~np.isnan(array)).sum(axis=0).clip(1)).tolist(),
            }
            for of_columns, array in zip(sums, samples, strict=True)
        ]


class Explaining(Echo):
    """As Echo, with what speaks for a prediction: of long words, of large values; nothing for an empty text."""

    shows = True

    def show(self, sample: Any) -> ShownTokens | ShownSteps | None:
        if self.kind == "series":
            values = np.asarray(sample, np.float64)
            gap = np.where(np.asarray(sample) == 2, np.nan, sample).astype(np.float32)
            return ShownSteps(gap, values - values.mean(), ("a", HOSTILE), "large", "log-odds")
        words = sample.split()
        return ShownTokens([(word, len(word) - 4.0) for word in words], " ", HOSTILE, "log-odds") if words else None


class Foresight(Echo):
    """Forecasts that the last value of a table remains, for two steps of each series."""

    shows = True
    needs = "2 rows"

    def __init__(self) -> None:
        super().__init__("tables")

    def read(self, sample: Any) -> list[list[float]]:
        cells = [line.split(",")[1] for line in sample.decode().split()[1:]]
        if not cells:
            raise InputError("the table: must have a row.")
        if wrong := [cell for cell in cells if cell.startswith("x")]:
            raise InputError(f"the table:2: column 'load' must be a number. Received '{wrong[0]}'.")
        return [[float("nan") if cell == "NA" else float(cell) for cell in cells]]

    def example(self) -> list[list[float]]:
        return [[0.0, 0.0]]

    def predict(self, samples: Any, **_: Any) -> list[dict[str, Any]]:
        def rows(values: list[float]) -> list[dict[str, Any]]:
            names = {"predicted": 0.0, "q0.1": -1.0, "q0.9": 1.0}
            parts = [{name: values[-1] + of for name, of in names.items()} for _ in range(2)]
            return [{"after": "4", "step": step, "time": HOSTILE, **part} for step, part in enumerate(parts, start=1)]

        return [{"forecast": [row for values in sample for row in rows(values)], "left_out": []} for sample in samples]

    def show(self, sample: Any) -> ShownHistory:
        return ShownHistory([("", np.array(values)) for values in sample])


class Teller(Echo):
    """A language model whose texts have classes."""

    takes_class = True

    def read(self, sample: Any) -> Any:
        if isinstance(sample, str) or sample["class"] not in CLASSES:
            raise InputError("the text: must have a class")
        return sample

    def predict(self, samples: Any, **_: Any) -> list[dict[str, Any]]:
        return [{**of, "text": of["text"] + HOSTILE, "added": HOSTILE} for of in samples]


def served(name: str, predictor: Any) -> ServedModel:
    example, seconds = predict_example(predictor, 8)
    return ServedModel(name, predictor, {"task": "test"}, example, seconds)


@dataclass
class Client:
    """A client of a server, with a connection for each request."""

    host: str
    port: int
    metrics: Metrics
    reports: list[str]
    server: Server

    def request(
        self, method: str, path: str, body: bytes | str | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes, dict[str, str]]:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=20)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, response.read(), {key.lower(): value for key, value in response.getheaders()}
        finally:
            connection.close()

    def get(self, path: str, headers: dict[str, str] | None = None) -> Any:
        status, body, _ = self.request("GET", path, headers=headers)
        assert status == 200, body
        return json.loads(body) if body else None

    def post(self, path: str, value: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> Any:
        received, body, _ = self.request("POST", path, json.dumps(value), headers)
        assert received == status, body
        return json.loads(body)


@contextlib.contextmanager
def serving(*models: ServedModel, limits: Limits = Limits(), token: str | None = None) -> Iterator[Client]:  # noqa: B008
    """A client of a server of these models; both end with the context."""
    reports: list[str] = []
    metrics = Metrics()
    guard = Guard(is_local=True, token=token)
    application = Application(models, guard=guard, limits=limits, metrics=metrics, report=reports.append)
    bound = bind("127.0.0.1", 0)
    started = threading.Event()
    server = Server(application, limits, metrics, started.set)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[bound])), daemon=True)
    thread.start()
    assert started.wait(20)
    host, port = url_of(bound).removeprefix("http://").split(":")
    try:
        yield Client(host, int(port), metrics, reports, server)
    finally:
        server.should_exit = True
        thread.join(20)
        application.stop()
        assert not thread.is_alive()


def array_of(level: int) -> NDArray[np.uint8]:
    return np.full((4, 4, 1), level, np.uint8)
