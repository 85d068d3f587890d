"""The application: which address is handled by which protocol, and how errors are."""

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dlcli.errors import InputError
from dlcli.printing import json_text
from dlcli.serving import kserve, openapi, tensorflow_serving, uploads
from dlcli.serving.batching import Batcher
from dlcli.serving.guard import HEADERS, Guard
from dlcli.serving.limits import Bodies, Limits
from dlcli.serving.metrics import CONTENT_TYPE, Metrics
from dlcli.serving.overlays import shown_json
from dlcli.serving.page.files import page_file
from dlcli.serving.refusal import Refused
from dlcli.serving.served_model import ServedModel
from dlcli.tasks.predictor import ReadsTables, Shows, takes_class

Endpoint = Callable[[Request], Awaitable[Response]]
TOP = 5  # classes for each sample, unless a client asks for another number
WRONG = {404: "no such address; /openapi.json lists them.", 405: "this address does not support this method."}


class Application:
    """What the server responds to requests. :meth:`asgi` is the application for an ASGI server."""

    def __init__(
        self,
        models: Sequence[ServedModel],
        *,
        guard: Guard,
        limits: Limits,
        metrics: Metrics,
        report: Callable[[str], None],
    ) -> None:
        """
        Args:
            models: at least one, with different names.
            report: gets a line for each error of the server.
        """
        self._models = {model.name: model for model in models}
        self._guard, self._limits, self._metrics, self._report = guard, limits, metrics, report
        self._bodies = Bodies(limits)
        self._batcher = Batcher(limits, metrics, report)
        self._shows = Batcher(limits, metrics, report)  # which take longer, and must not keep predictions waiting

    def asgi(self) -> ASGIApp:
        """The application, guarded."""
        answered = self._answered
        of_model = ["/v1/models/{name}", "/v1/models/{name}/versions/1"]
        of_v2 = ["/v2/models/{name}", "/v2/models/{name}/versions/1"]
        routes = [
            Route("/", answered(self._page), name="page"),
            Route("/page/{file}", answered(self._page), name="page"),
            Route("/openapi.json", answered(self._openapi), name="openapi"),
            Route("/metrics", answered(self._text_metrics), name="metrics"),
            Route("/v1/models", answered(self._list), name="models"),
            *(Route(f"{path}:predict", answered(self._predict), methods=["POST"], name="predict") for path in of_model),
            Route("/v1/models/{name}:show", answered(self._show), methods=["POST"], name="show"),
            *(Route(f"{path}/metadata", answered(self._metadata), name="metadata") for path in of_model),
            *(Route(path, answered(self._status), name="status") for path in of_model),
            Route("/v2", answered(self._v2_server), name="v2"),
            Route("/v2/health/{state:str}", answered(self._health), name="health"),
            *(Route(f"{path}/infer", answered(self._infer), methods=["POST"], name="infer") for path in of_v2),
            *(Route(f"{path}/ready", answered(self._v2_ready), name="ready") for path in of_v2),
            *(Route(path, answered(self._v2_metadata), name="metadata") for path in of_v2),
        ]
        inner = Starlette(routes=routes, exception_handlers={HTTPException: _wrong_address})
        inner.router.redirect_slashes = False
        return functools.partial(self._guarded, inner)

    def stop(self) -> None:
        """End the threads, after the server has stopped."""
        self._batcher.stop()
        self._shows.stop()

    async def _guarded(self, inner: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Checks a request, adds the headers of every response, and counts it."""
        if scope["type"] != "http":
            return
        started = time.monotonic()
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *HEADERS]
            await send(message)

        try:
            self._guard.check(scope["path"], Headers(scope=scope))
        except Refused as refusal:
            await _refuse(refusal)(scope, receive, send_with_headers)
        else:
            await inner(scope, receive, send_with_headers)
        name = scope.get("path_params", {}).get("name", "")
        route = scope["route"].name if "route" in scope else "other"
        self._metrics.requests.add(route=route, model=name if name in self._models else "", status=str(status))
        self._metrics.seconds.observe(time.monotonic() - started, route=route)

    def _answered(self, endpoint: Endpoint) -> Endpoint:
        """An endpoint whose errors are answered in JSON, without a path or a traceback."""

        async def call(request: Request) -> Response:
            try:
                return await endpoint(request)
            except Refused as refusal:
                return _refuse(refusal)
            except ClientDisconnect:
                return Response(status_code=499)  # which nobody reads
            except MemoryError:
                return _refuse(Refused(503, "the server is out of memory: try again later.", retry_after=5))
            except Exception as error:
                self._report(f"{request.method} {request.url.path[:200]}: {type(error).__name__}: {error}")
                return _refuse(Refused(500, "the server failed; its log has the reason.", closes=True))

        return call

    def _model(self, request: Request) -> ServedModel:
        name = request.path_params["name"]
        if request.method == "GET" and name.endswith(
            (":predict", ":show")
        ):  # which matches the address of a model, too
            raise Refused(405, WRONG[405])
        if name not in self._models:
            known = ", ".join(self._models)
            raise Refused(404, f"no model named '{name[:100]}'. This server has: {known}.")
        return self._models[name]

    # TensorFlow Serving -----------------------------------------------------------------------------------------------

    async def _status(self, request: Request) -> Response:
        self._model(request)
        return _json(tensorflow_serving.status())

    async def _metadata(self, request: Request) -> Response:
        return _json(tensorflow_serving.metadata(self._model(request)))

    async def _predict(self, request: Request) -> Response:
        """Also forms with images, and bodies that are one image or one text."""
        model, limits, top = self._model(request), self._limits, _top(request)
        kind = model.predictor.kind
        content_type = request.headers.get("content-type", "")
        essence = content_type.partition(";")[0].strip().lower()
        names: list[str] | None = None
        response = tensorflow_serving.predictions
        async with self._bodies.body(request) as body:
            if essence == uploads.FORM:
                names, samples = await _parsed(lambda: uploads.read_form(body, content_type, kind, limits), body)
            elif essence in ("", "application/json", "application/x-www-form-urlencoded"):  # curl's -d sends the last
                samples, response = await _parsed(lambda: tensorflow_serving.read_request(body, model, limits), body)
            else:
                samples = [uploads.read_plain(body, essence, kind, limits)]
            rows = await self._batcher.predict(model, samples, top=top)
        if names is not None:
            rows = [{"file": name, **row} for name, row in zip(names, rows, strict=True)]
        return _json(response(rows))

    async def _show(self, request: Request) -> Response:
        """What the page shows of a prediction: of an image, which is the body, or of a text, a series, a table."""
        model = self._model(request)
        predictor = model.predictor
        if not isinstance(predictor, Shows) or not predictor.shows:
            raise Refused(400, "this model has nothing to show of its predictions.")

        def show(sample: Any) -> dict[str, Any]:
            shown = predictor.show(sample)
            if shown is None:
                raise InputError("there is nothing to show of this prediction.")
            return shown_json(shown, predictor.classes)

        async with self._bodies.body(request) as body:
            essence = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            if predictor.kind == "images":
                samples = [uploads.read_plain(body, essence, predictor.kind, self._limits)]
            else:
                samples, _ = await _parsed(lambda: tensorflow_serving.read_request(body, model, self._limits), body)
            if len(samples) != 1:
                raise Refused(400, f"one sample is shown at a time. Received {len(samples):,}.")
            (shown,) = await self._shows.predict(model, samples, top=1, call=show)
        return _json(shown)

    async def _list(self, request: Request) -> Response:
        """What the page needs of all models."""
        models = [
            {
                "name": model.name,
                "kind": model.predictor.kind,
                "shows": isinstance(model.predictor, Shows) and model.predictor.shows,
                "takes_class": takes_class(model.predictor),
                "needs": model.predictor.needs if isinstance(model.predictor, ReadsTables) else "",
                "classes": list(model.predictor.classes),
                "card": model.card,
            }
            for model in self._models.values()
        ]
        return _json({"models": models})

    # KServe -----------------------------------------------------------------------------------------------------------

    async def _v2_server(self, request: Request) -> Response:
        return _json(kserve.server_metadata())

    async def _health(self, request: Request) -> Response:
        if request.path_params["state"] not in ("live", "ready"):
            raise Refused(404, WRONG[404])
        return Response(status_code=200)

    async def _v2_ready(self, request: Request) -> Response:
        self._model(request)
        return Response(status_code=200)

    async def _v2_metadata(self, request: Request) -> Response:
        return _json(kserve.metadata(self._model(request)))

    async def _infer(self, request: Request) -> Response:
        model = self._model(request)
        async with self._bodies.body(request) as body:
            length = request.headers.get(kserve.HEADER_LENGTH)
            infer = await _parsed(lambda: kserve.read_request(body, length, model, self._limits), body)
            rows = await self._batcher.predict(model, infer.samples, top=max(1, len(model.predictor.classes)))
        response = infer.response(model, rows)
        if response.header_length is None:
            return Response(response.body, media_type="application/json")
        headers = {kserve.HEADER_LENGTH: str(response.header_length)}
        return Response(response.body, media_type="application/octet-stream", headers=headers)

    # The rest ---------------------------------------------------------------------------------------------------------

    async def _openapi(self, request: Request) -> Response:
        return _json(openapi.document(list(self._models.values()), needs_token=self._guard.token is not None))

    async def _text_metrics(self, request: Request) -> Response:
        return Response(self._metrics.text(), media_type=CONTENT_TYPE)

    async def _page(self, request: Request) -> Response:
        found = page_file(request.path_params.get("file", "index.html"))
        if found is None:
            raise Refused(404, WRONG[404])
        content, media_type = found
        return Response(content, media_type=media_type, headers={"cache-control": "no-cache"})


def _top(request: Request) -> int:
    """The number of classes that a client asks for with ``?top=N``."""
    text = request.query_params.get("top", str(TOP))
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 7 and int(text) > 0):
        raise Refused(400, "top must be a whole number > 0.")
    return int(text)


LARGE = 2**16  # bytes of JSON that are parsed in a thread


async def _parsed(parse: Callable[[], Any], body: bytes) -> Any:
    """What ``parse`` returns; of a large body it is called in a thread, so that other requests are answered."""
    return await asyncio.to_thread(parse) if len(body) > LARGE else parse()


def _json(value: Any) -> Response:
    content = json_text(value, indent=None, allow_nan=False)
    return Response(content, media_type="application/json", headers={"cache-control": "no-store"})


def _refuse(refusal: Refused) -> Response:
    response = _json({"error": str(refusal)})
    response.status_code = refusal.status
    if refusal.retry_after is not None:
        response.headers["retry-after"] = str(refusal.retry_after)
    if refusal.status == 401:
        response.headers["www-authenticate"] = "Bearer"
    if refusal.closes:
        response.headers["connection"] = "close"
    return response


async def _wrong_address(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    response = _refuse(Refused(error.status_code, WRONG.get(error.status_code, "the request cannot be answered.")))
    response.headers.update(error.headers or {})
    return response
