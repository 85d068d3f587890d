"""Batches the samples of many requests: one worker thread predicts what has arrived, while the next is being read.

A batch starts as soon as the worker is free. It waits for further samples, a few milliseconds at most, only if some
are being read or the batch before had more: a single client never waits.
"""

import asyncio
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from dlcli.errors import InputError
from dlcli.serving.limits import Limits
from dlcli.serving.metrics import Metrics
from dlcli.serving.refusal import Refused
from dlcli.serving.served_model import ServedModel

Rows = list[dict[str, Any]]
Sample = Callable[[], Any]
"""Decodes a sample of a request, or raises Refused."""

BUSY = "the server is busy: {} samples wait for their prediction. Try again later."


@dataclass
class _Request:
    """The samples of a request, as ``Predictor.read`` returned them, and where their predictions go."""

    model: ServedModel
    samples: Sequence[Any]
    top: int
    call: Callable[[Any], dict[str, Any]] | None = None
    """What is called with each sample in place of the predictor, for requests that are worked on one by one."""
    rows: "Future[Rows]" = field(default_factory=Future)


class Batcher:
    """Predicts samples in batches of one model, first come, first served."""

    def __init__(self, limits: Limits, metrics: Metrics, report: Callable[[str], None]) -> None:
        """
        Args:
            report: gets a line for each prediction that failed for a reason that no client is responsible for.
        """
        self._limits, self._metrics, self._report = limits, metrics, report
        self._readers = ThreadPoolExecutor(max(2, os.cpu_count() or 1), thread_name_prefix="read")
        self._waiting: deque[_Request] = deque()
        self._changed = threading.Condition()
        self._num_reading = 0  # requests
        self._num_held = 0  # samples, from admission to response; used by the event loop alone
        self._last_size = 1  # of the batch before
        self._stops = False
        self._worker = threading.Thread(target=self._work, name="predict", daemon=True)
        self._worker.start()

    def stop(self) -> None:
        """End the threads; what still waits is not predicted."""
        with self._changed:
            self._stops = True
            self._changed.notify()
        self._worker.join()
        self._readers.shutdown(cancel_futures=True)

    async def predict(
        self,
        model: ServedModel,
        samples: Sequence[Sample],
        *,
        top: int,
        call: Callable[[Any], dict[str, Any]] | None = None,
    ) -> Rows:
        """The predictions for the samples of one request.

        Args:
            samples: return what ``Predictor.read`` takes; they are called in a thread.
            top: number of classes that are listed for each sample, for classifiers.
            call: is called with what ``Predictor.read`` returned of each sample in place of ``Predictor.predict``.

        Raises:
            Refused: a sample cannot be used, the queue is full, or the time is up.
        """
        self._admit(len(samples))
        request: _Request | None = None
        try:
            async with asyncio.timeout(self._limits.predict_seconds):
                request = await self._read(model, samples, top, call)
                return await asyncio.wrap_future(request.rows)
        except TimeoutError:
            seconds = f"{self._limits.predict_seconds:g}"
            raise Refused(503, f"not predicted within {seconds} seconds: try again later.", retry_after=5) from None
        finally:
            if request is not None:
                request.rows.cancel()  # does nothing to predictions that exist
            self._num_held -= len(samples)
            self._metrics.queue.add(-len(samples))

    def _admit(self, number: int) -> None:
        limits = self._limits
        if not 0 < number <= limits.max_samples:
            raise Refused(400, f"a request must have 1 to {limits.max_samples} samples. Received {number:,}.")
        if self._num_held + number > limits.max_queue:
            raise Refused(503, BUSY.format(f"{self._num_held:,}"), retry_after=1)
        self._num_held += number
        self._metrics.queue.add(number)

    async def _read(
        self,
        model: ServedModel,
        samples: Sequence[Sample],
        top: int,
        call: Callable[[Any], dict[str, Any]] | None,
    ) -> _Request:
        with self._changed:
            self._num_reading += 1
        try:
            loop = asyncio.get_running_loop()
            read = await loop.run_in_executor(self._readers, _read_all, model, samples)
            request = _Request(model, read, top, call)
        except BaseException:
            with self._changed:
                self._num_reading -= 1
            raise
        with self._changed:
            self._num_reading -= 1
            self._waiting.append(request)
            self._changed.notify()
        return request

    # The worker thread ------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while True:
            batch = self._next_batch()
            if not batch:
                return
            started = time.monotonic()
            self._predict(batch)
            size = sum(len(request.samples) for request in batch)
            name = batch[0].model.name
            self._metrics.batch_seconds.observe(time.monotonic() - started, model=name)
            self._metrics.batches.observe(size, model=name)
            self._metrics.samples.add(size, model=name)

    def _next_batch(self) -> list[_Request]:
        """The requests to predict together, all of one model; none if the batcher stops."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._waiting or self._stops)
                if self._stops:
                    return []
                model = self._waiting[0].model
                self._wait_for_more(model)
                if batch := self._take(model):
                    return batch

    def _wait_for_more(self, model: ServedModel) -> None:
        self._changed.wait_for(lambda: self._stops or not self._may_grow(model), self._limits.batch_seconds)

    def _take(self, model: ServedModel) -> list[_Request]:
        """Remove the next requests for a model that fit into a batch; none if their clients have given up."""
        batch: list[_Request] = []
        others: list[_Request] = []
        size = 0
        most = model.best_batch(min(self._num_waiting(model), self._limits.max_batch))
        while self._waiting and size < most:
            request = self._waiting.popleft()
            is_alone = request.call is not None or any(other.call is not None for other in batch)
            fits = not batch or (size + len(request.samples) <= most and not is_alone)
            if request.model is not model or not fits:
                others.append(request)
                if request.model is model:  # later ones must not overtake it
                    break
            elif request.rows.set_running_or_notify_cancel():
                batch.append(request)
                size += len(request.samples)
        self._waiting.extendleft(reversed(others))
        self._last_size = size
        return batch

    def _may_grow(self, model: ServedModel) -> bool:
        """Whether a batch that starts now would probably be larger a moment later."""
        size = self._num_waiting(model)
        return size < self._limits.max_batch and (self._num_reading > 0 or size < self._last_size)

    def _num_waiting(self, model: ServedModel) -> int:
        return sum(len(request.samples) for request in self._waiting if request.model is model)

    def _predict(self, batch: Sequence[_Request]) -> None:
        """Predict a batch; if that fails, each request by itself, so that one cannot fail for another."""
        samples = [sample for request in batch for sample in request.samples]
        try:
            call = batch[0].call
            top = max(request.top for request in batch)
            rows = self._rows(batch[0].model, samples, top) if call is None else [call(sample) for sample in samples]
        except Exception as error:
            if len(batch) > 1:
                for request in batch:
                    self._predict([request])
                return
            batch[0].rows.set_exception(self._refusal(batch[0].model, error))
            return
        start = 0
        for request in batch:
            own = rows[start : start + len(request.samples)]
            request.rows.set_result([_cut(row, request.top) for row in own])
            start += len(request.samples)

    def _rows(self, model: ServedModel, samples: Sequence[Any], top: int) -> Rows:
        step = self._limits.max_batch
        rows: Rows = []
        for start in range(0, len(samples), step):
            rows += model.predictor.predict(samples[start : start + step], top=top)
        if len(rows) != len(samples):
            raise AssertionError(f"{len(rows)} predictions for {len(samples)} samples")
        return rows

    def _refusal(self, model: ServedModel, error: Exception) -> Refused:
        if isinstance(error, InputError):
            return Refused(400, model.public(error))
        self._report(f"{model.name}: a prediction failed: {type(error).__name__}: {error}")
        return Refused(500, "the prediction failed; the log of the server has the reason.")


def _cut(row: dict[str, Any], top: int) -> dict[str, Any]:
    """A prediction with at most so many classes."""
    return {**row, "top": row["top"][:top]} if "top" in row else row


def _read_all(model: ServedModel, samples: Sequence[Sample]) -> list[Any]:
    """The samples as the predictor takes them.

    Raises:
        Refused: names the position of the first of several that cannot be used.
    """
    read = []
    for position, sample in enumerate(samples):
        place = f"sample {position}: " if len(samples) > 1 else ""
        try:
            read.append(model.predictor.read(sample()))
        except InputError as error:
            raise Refused(400, place + model.public(error)) from None
        except Refused as error:
            raise Refused(error.status, f"{place}{error}") from None
    return read
