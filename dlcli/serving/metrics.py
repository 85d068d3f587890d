"""Counts of a server in the text format of Prometheus (exposition format 0.0.4)."""

import threading
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SIZES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)

Labels = tuple[tuple[str, str], ...]


class Counter:
    """A number for each combination of labels."""

    kind = "counter"

    def __init__(self, name: str, description: str) -> None:
        self.name, self.description = name, description
        self._values: dict[Labels, float] = {}
        self._lock = threading.Lock()

    def add(self, value: float = 1, **labels: str) -> None:
        key = tuple(labels.items())
        with self._lock:
            self._values[key] = self._values.get(key, 0) + value

    def total(self) -> float:
        """The sum over all labels."""
        with self._lock:
            return sum(self._values.values())

    def lines(self) -> Iterator[str]:
        with self._lock:
            values = dict(self._values)
        for labels, value in values.items():
            yield (
                f"{self.name}{_written(labels)} {value:g}"
                if value % 1
                else f"{self.name}{_written(labels)} {value:.0f}"
            )


class Gauge(Counter):
    """A number that goes up and down."""

    kind = "gauge"


class Histogram:
    """The number of observations up to each of some bounds, by labels."""

    kind = "histogram"

    def __init__(self, name: str, description: str, bounds: Sequence[float]) -> None:
        self.name, self.description, self._bounds = name, description, tuple(bounds)
        self._counts: dict[Labels, list[int]] = {}
        self._sums: dict[Labels, float] = {}
        self._lock = threading.Lock()

    def observe(self, value: float, **labels: str) -> None:
        key = tuple(labels.items())
        with self._lock:
            counts = self._counts.setdefault(key, [0] * (len(self._bounds) + 1))
            counts[bisect_left(self._bounds, value)] += 1
            self._sums[key] = self._sums.get(key, 0.0) + value

    def lines(self) -> Iterator[str]:
        with self._lock:
            found = {labels: (list(counts), self._sums[labels]) for labels, counts in self._counts.items()}
        for labels, (counts, total) in found.items():
            number = 0
            for bound, count in zip((*map(str, self._bounds), "+Inf"), counts, strict=True):
                number += count
                yield f"{self.name}_bucket{_written((*labels, ('le', bound)))} {number}"
            yield f"{self.name}_sum{_written(labels)} {total:.6f}"
            yield f"{self.name}_count{_written(labels)} {number}"


class Metrics:
    """What a server counts. Labels are names of models and routes, never text of a client."""

    def __init__(self) -> None:
        self.requests = Counter("dlcli_requests_total", "Requests by route, model and status of HTTP.")
        self.seconds = Histogram("dlcli_request_seconds", "Time from a request's header to its response.", SECONDS)
        self.samples = Counter("dlcli_samples_total", "Samples that were predicted.")
        self.batches = Histogram("dlcli_batch_samples", "Samples that were predicted at once.", SIZES)
        self.batch_seconds = Histogram("dlcli_batch_seconds", "Time of one prediction of a batch.", SECONDS)
        self.queue = Gauge("dlcli_queue_samples", "Samples that are being read or wait for their prediction.")
        self.connections = Gauge("dlcli_connections", "Open connections.")
        self.evicted = Counter("dlcli_connections_closed_total", "Connections closed because they were slow or idle.")

    def text(self) -> str:
        """All counts in the text format of Prometheus."""
        lines: list[str] = []
        for metric in vars(self).values():
            lines += [f"# HELP {metric.name} {metric.description}", f"# TYPE {metric.name} {metric.kind}"]
            lines += metric.lines()
        return "\n".join(lines) + "\n"


def _written(labels: Labels) -> str:
    values: Mapping[int, str] = {ord("\\"): "\\\\", ord('"'): '\\"', ord("\n"): "\\n"}
    return "{" + ",".join(f'{name}="{value.translate(values)}"' for name, value in labels) + "}" if labels else ""
