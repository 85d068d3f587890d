"""The description of the server's addresses in OpenAPI 3.1, for the models that it has."""

from collections.abc import Mapping, Sequence
from typing import Any

from dlcli import __version__
from dlcli.serving.samples import CLASS, ENCODED, FORMS, INPUTS
from dlcli.serving.served_model import ServedModel

ERRORS = {
    "400": "a sample or the request cannot be used",
    "401": "the token is missing or wrong",
    "404": "there is no such model",
    "413": "the request is too large",
    "503": "the server is busy; Retry-After says when to try again",
}
NAME = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
BINARY = {"schema": {"type": "string", "format": "binary"}}


def document(models: Sequence[ServedModel], *, needs_token: bool) -> dict[str, Any]:
    """The OpenAPI document of a server.

    Args:
        needs_token: whether requests need the header ``Authorization: Bearer TOKEN``.
    """
    name = {**NAME, "schema": {"type": "string", "enum": [model.name for model in models]}}
    kinds = sorted({model.predictor.kind for model in models})
    paths = {
        "/v1/models": _get("The models of this server, with their classes and cards."),
        "/v1/models/{name}": _get("Status of a model (TensorFlow Serving).", name),
        "/v1/models/{name}/metadata": _get("Signature of a model (TensorFlow Serving).", name),
        "/v1/models/{name}:predict": {"post": _predict(kinds, name)},
        "/v1/models/{name}:show": {"post": _show(name)},
        "/v2": _get("Name, version and extensions of the server (KServe v2)."),
        "/v2/health/live": _get("200 while the server works (KServe v2)."),
        "/v2/health/ready": _get("200 when all models are loaded (KServe v2)."),
        "/v2/models/{name}": _get("Inputs and outputs of a model (KServe v2).", name),
        "/v2/models/{name}/ready": _get("200 when the model is loaded (KServe v2).", name),
        "/v2/models/{name}/infer": {"post": _infer(name)},
        "/metrics": _get("Counts in the text format of Prometheus.", media_type="text/plain"),
    }
    result: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "dlcli serve", "version": __version__},
        "paths": paths,
        "components": {"schemas": {"Error": _object({"error": {"type": "string"}})}},
    }
    if needs_token:
        result["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        result["security"] = [{"token": []}]
    return result


def _get(summary: str, *parameters: Mapping[str, Any], media_type: str = "application/json") -> dict[str, Any]:
    return {"get": {"summary": summary, "parameters": list(parameters), "responses": _responses({}, media_type)}}


def _predict(kinds: Sequence[str], name: Mapping[str, Any]) -> dict[str, Any]:
    forms = [{"description": FORMS[kind]} for kind in kinds]
    instances = {"type": "array", "items": {"anyOf": forms}}
    predictions = _object({"predictions": {"type": "array", "items": {"type": "object"}}})
    content: dict[str, Any] = {"application/json": {"schema": _object({"instances": instances})}}
    files = {INPUTS[kind]: {"type": "array", "items": BINARY["schema"]} for kind in kinds if kind in ENCODED}
    if files:
        content["multipart/form-data"] = {"schema": {"type": "object", "properties": files}}
    if "images" in kinds:
        content["image/*"] = BINARY
    if "texts" in kinds:
        content["text/plain"] = {"schema": {"type": "string"}}
    if "tables" in kinds:
        content["text/csv"] = {"schema": {"type": "string"}}
    top = {"name": "top", "in": "query", "description": "Classes for each sample.", "schema": {"type": "integer"}}
    return {
        "summary": "Predictions for samples (TensorFlow Serving), forms and single files.",
        "parameters": [name, top],
        "requestBody": {"required": True, "content": content},
        "responses": _responses(predictions),
    }


def _show(name: Mapping[str, Any]) -> dict[str, Any]:
    urls = {"type": "object", "additionalProperties": True}
    return {
        "summary": "What the page shows of one sample: maps of an image as data URLs, values of a text or series.",
        "parameters": [name],
        "requestBody": {"required": True, "content": {"image/*": BINARY, "application/json": {}}},
        "responses": _responses(urls),
    }


def _infer(name: Mapping[str, Any]) -> dict[str, Any]:
    tensor = _object(
        {
            "name": {"type": "string", "enum": sorted([*INPUTS.values(), CLASS])},
            "datatype": {"type": "string"},
            "shape": {"type": "array", "items": {"type": "integer"}},
            "data": {"type": "array"},
        }
    )
    output = {**tensor, "properties": {**tensor["properties"], "name": {"type": "string"}}}
    request = _object({"inputs": {"type": "array", "items": tensor}})
    return {
        "summary": "Predictions for samples (KServe v2), also with binary tensors.",
        "parameters": [name],
        "requestBody": {"required": True, "content": {"application/json": {"schema": request}}},
        "responses": _responses(_object({"outputs": {"type": "array", "items": output}})),
    }


def _responses(schema: Mapping[str, Any], media_type: str = "application/json") -> dict[str, Any]:
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    done = {"description": "done", "content": {media_type: {"schema": dict(schema)}}}
    return {"200": done, **{status: {"description": text, "content": error} for status, text in ERRORS.items()}}


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": dict(properties), "required": list(properties)}
