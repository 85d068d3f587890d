"""Requests are predicted together, in order, and one cannot fail for another."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from served import Shades, encoded, served  # type: ignore[import-not-found]

from dlcli.serving.batching import Batcher
from dlcli.serving.limits import Limits
from dlcli.serving.metrics import Metrics
from dlcli.serving.refusal import Refused

LIMITS = Limits(max_batch=8)


@pytest.fixture
def batcher() -> Iterator[Batcher]:
    reports: list[str] = []
    found = Batcher(LIMITS, Metrics(), reports.append)
    yield found
    found.stop()


def image(level: int) -> Callable[[], bytes]:
    return lambda: encoded(level)


def run_together(batcher: Batcher, shades: Shades, requests: list[Any]) -> list[Any]:
    """The results of requests that arrive while the worker is busy: the number of samples, or a refusal's status."""
    model = replace(served("shades", shades), seconds={})
    shades.sizes.clear()

    async def run() -> list[Any]:
        shades.gate.clear()
        first = asyncio.create_task(batcher.predict(model, [image(0)], top=2))
        while not batcher._metrics.queue.total() or batcher._waiting or batcher._num_reading:
            await asyncio.sleep(0.001)
        others = []
        for request in requests:
            others.append(asyncio.create_task(batcher.predict(model, request, top=2)))
            while len(batcher._waiting) < len(others):
                await asyncio.sleep(0.001)
        shades.gate.set()
        await first
        return await asyncio.gather(*others, return_exceptions=True)

    return asyncio.run(run())


def test_waiting_requests_share_batches(batcher: Batcher) -> None:
    shades = Shades()
    levels = [[200], [9, 210], [3], [220, 230, 240]]
    rows = run_together(batcher, shades, [[image(level) for level in request] for request in levels])
    assert [[row["predicted"] for row in of_request] for of_request in rows] == [
        ["bright"],
        ["dark", "bright"],
        ["dark"],
        ["bright"] * 3,
    ]
    assert shades.sizes == [1, 7]


def test_a_batch_is_never_larger_than_its_bound_and_requests_keep_their_order(batcher: Batcher) -> None:
    shades = Shades()
    run_together(batcher, shades, [[image(0)] * 3, [image(0)] * 6, [image(0)], [image(0)] * 20])
    assert shades.sizes == [1, 3, 7, 8, 8, 4]


def test_one_request_fails_alone(batcher: Batcher) -> None:
    shades = Shades()
    results = run_together(batcher, shades, [[image(200)], [image(13)], [image(9)]])
    assert results[0][0]["predicted"] == "bright"
    assert isinstance(results[1], Refused)
    assert results[1].status == 500
    assert results[2][0]["predicted"] == "dark"
    assert shades.sizes == [1, 3, 1, 1, 1]


def test_requests_of_a_client_that_gave_up_are_not_predicted(batcher: Batcher) -> None:
    shades = Shades()
    model = replace(served("shades", shades), seconds={})
    shades.sizes.clear()

    async def run() -> None:
        shades.gate.clear()
        first = asyncio.create_task(batcher.predict(model, [image(0)], top=2))
        while not batcher._metrics.queue.total() or batcher._waiting or batcher._num_reading:
            await asyncio.sleep(0.001)
        second = asyncio.create_task(batcher.predict(model, [image(0)] * 5, top=2))
        while not batcher._waiting:
            await asyncio.sleep(0.001)
        second.cancel()
        await asyncio.wait([second])
        shades.gate.set()
        await first
        await batcher.predict(model, [image(0)] * 2, top=2)

    asyncio.run(run())
    assert shades.sizes == [1, 2]
    assert batcher._metrics.queue.total() == 0


@pytest.mark.parametrize(
    ("seconds", "number", "expected"),
    [
        ({}, 7, 7),
        ({1: 1.0, 2: 1.1, 4: 1.2, 8: 1.3}, 5, 5),  # mostly overhead: padding to 8 costs little
        ({1: 1.0, 2: 2.0, 4: 4.0, 8: 8.0}, 5, 4),  # proportional: padding would cost 3 samples
        ({1: 1.0, 2: 2.0, 4: 4.0, 8: 8.0}, 7, 4),
        ({1: 1.0, 2: 2.0, 4: 4.0, 8: 6.0}, 7, 7),
        ({1: 1.0, 2: 2.0, 4: 4.0, 8: 8.0}, 8, 8),
        ({1: 1.0, 2: 2.0}, 9, 2),
        ({1: 1.0}, 1, 1),
        ({1: 1.0, 2: 1.5, 4: 4.0}, 4, 2),  # the largest batch does not fit into the caches
        ({1: 1.0, 2: 1.5, 4: 4.0}, 9, 2),
    ],
)
def test_how_many_samples_are_predicted_at_once(seconds: dict[int, float], number: int, expected: int) -> None:
    assert replace(served("shades", Shades()), seconds=seconds).best_batch(number) == expected
