"""Listens, serves, and stops: on a signal no new connection is accepted, and what was asked is answered."""

import asyncio
import contextlib
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from types import FrameType

import uvicorn

from dlcli.errors import STOP_SIGNALS, Interrupted
from dlcli.serving.application import Application
from dlcli.serving.connections import protocol_for
from dlcli.serving.limits import Limits
from dlcli.serving.metrics import Metrics

BACKLOG = 2048  # connections that the system holds until they are accepted
ACCEPTED_AT_ONCE = 16  # between two looks at those that exist, lest a burst closes them before they are read
MAX_HEADER = 32 * 1024  # bytes of a request's header


class Server(uvicorn.Server):
    """A server that is stopped by the house's signals, and calls a function once it listens."""

    def __init__(
        self, application: Application, limits: Limits, metrics: Metrics, on_start: Callable[[], None]
    ) -> None:
        logging.getLogger("uvicorn").addHandler(logging.NullHandler())  # without one, warnings go to stderr
        logging.getLogger("uvicorn").propagate = False
        config = uvicorn.Config(
            application.asgi(),
            http=protocol_for(limits, metrics),
            interface="asgi3",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=ACCEPTED_AT_ONCE,
            h11_max_incomplete_event_size=MAX_HEADER,
            timeout_keep_alive=int(limits.idle_seconds),
            timeout_graceful_shutdown=int(limits.drain_seconds),
        )
        super().__init__(config)
        self._on_start = on_start
        self.stopped_by: int | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for bound in sockets or []:
            bound.listen(BACKLOG)
        if self.started:
            self._on_start()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handlers of the signals, of which uvicorn handles only two, until the server has stopped."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {
            number: signal.signal(number, self._stop)
            for number in STOP_SIGNALS
            if signal.getsignal(number) is not signal.SIG_IGN
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self.should_exit:  # the second signal does not wait
            self.force_exit = True
        self.should_exit = True
        self.stopped_by = self.stopped_by or number


def serve(
    application: Application, bound: socket.socket, limits: Limits, metrics: Metrics, on_start: Callable[[], None]
) -> None:
    """Serve until a signal.

    Raises:
        Interrupted: always, by the signal; requests that were at work are answered.
    """
    server = Server(application, limits, metrics, on_start)
    try:
        asyncio.run(server.serve(sockets=[bound]))
    finally:
        bound.close()
    number = server.stopped_by
    assert number is not None, "the server stops by a signal alone"
    total = f"{metrics.requests.total():,.0f}"
    raise Interrupted(f"stopped by {signal.Signals(number).name} after {total} requests.", number)
