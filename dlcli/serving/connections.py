"""Connections of a server: slow and idle clients lose theirs, so that others are always answered.

uvicorn bounds neither the time of a request's header nor that of a client which does not read its response.
"""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from dlcli.serving.limits import Limits
from dlcli.serving.metrics import Metrics

LARGE = 4096  # bytes that a client sends at once: it is not slow
TOO_SLOW = (
    b"HTTP/1.1 408 Request Timeout\r\ncontent-type: application/json\r\nconnection: close\r\n"
    b'content-length: 42\r\n\r\n{"error": "the header took too much time"}'
)


class Connections:
    """The open connections, those that have sent no whole request for the longest time first."""

    def __init__(self, limits: Limits, metrics: Metrics) -> None:
        self.limits = limits
        self._metrics = metrics
        self._most = limits.num_connections
        self._waiting: dict[Connection, None] = {}  # in order
        self._num_open = 0

    def add(self, connection: "Connection") -> None:
        """A new connection; if there are too many, the one that waited for the longest time is closed."""
        self._num_open += 1
        self._metrics.connections.add(1)
        self._waiting[connection] = None
        if self._num_open > self._most:
            self.close(next(iter(self._waiting)))

    def close(self, connection: "Connection") -> None:
        """Close a connection at once, without waiting for what its client has not read."""
        self._waiting.pop(connection, None)
        self._metrics.evicted.add()
        connection.transport.abort()

    def set_waiting(self, connection: "Connection", is_waiting: bool) -> None:
        """Whether a connection may be closed for others: it waits for its client."""
        if not is_waiting:
            self._waiting.pop(connection, None)
        elif connection not in self._waiting:
            self._waiting[connection] = None

    def moves(self, connection: "Connection") -> None:
        """A connection whose client sends much at once is the last to be closed."""
        if connection in self._waiting:
            del self._waiting[connection]
            self._waiting[connection] = None

    def remove(self, connection: "Connection") -> None:
        self._num_open -= 1
        self._metrics.connections.add(-1)
        self._waiting.pop(connection, None)


class Connection(H11Protocol):
    """A connection with a bound on the time of a header, and of a response that is not read."""

    all: Connections  # set by protocol_for

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._timer: asyncio.TimerHandle | None = None
        self.all.add(self)
        self._await_header()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self.all.remove(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if len(data) >= LARGE:
            self.all.moves(self)
        if self.transport.is_closing():
            return
        if self.conn.their_state is h11.IDLE:
            if self._timer is None:
                self._await_header()
        else:  # the header is complete; the application bounds the time of the body
            self._stop_timer()
            self.all.set_waiting(self, self.conn.their_state is h11.SEND_BODY)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self.all.set_waiting(self, True)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stop_timer()
        self._timer = self.loop.call_later(self.all.limits.write_seconds, self.all.close, self)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_timer()

    def _await_header(self) -> None:
        self._timer = self.loop.call_later(self.all.limits.header_seconds, self._refuse)

    def _refuse(self) -> None:
        self._timer = None
        if not self.transport.is_closing():
            self.transport.write(TOO_SLOW)
            self.transport.close()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def protocol_for(limits: Limits, metrics: Metrics) -> type[Any]:
    """The class of the connections of one server."""
    return type("OwnConnection", (Connection,), {"all": Connections(limits, metrics)})
