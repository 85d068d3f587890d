"""The REST protocol of TensorFlow Serving, version 1, so that its clients work.

Source: https://www.tensorflow.org/tfx/serving/api_rest (model status, model metadata, predict).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dlcli.serving.limits import Limits
from dlcli.serving.refusal import Refused
from dlcli.serving.samples import ENCODED, INPUTS, parse_json, sample_of
from dlcli.serving.served_model import ServedModel

VERSION = "1"  # of every model: a run does not change


def status() -> dict[str, Any]:
    """The status of a model: available, because the server listens only when all its models are."""
    state = {"version": VERSION, "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    return {"model_version_status": [state]}


def metadata(model: ServedModel) -> dict[str, Any]:
    """The signature of a model."""
    kind = model.predictor.kind
    dtype = "DT_STRING" if kind in ENCODED else "DT_FLOAT"
    outputs = {name: {"name": name} for row in model.example for name in row}
    signature = {
        "inputs": {INPUTS[kind]: {"name": INPUTS[kind], "dtype": dtype}},
        "outputs": outputs,
        "method_name": "tensorflow/serving/predict",
    }
    return {
        "model_spec": {"name": model.name, "signature_name": "", "version": VERSION},
        "metadata": {"signature_def": {"signature_def": {"serving_default": signature}}},
    }


Respond = Callable[[Sequence[Mapping[str, Any]]], dict[str, Any]]
"""Makes the body of a response from the predictions for each sample."""


def predictions(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The response to a request with ``instances``."""
    return {"predictions": rows}


def read_request(body: bytes, model: ServedModel, limits: Limits) -> tuple[list[Callable[[], Any]], Respond]:
    """The samples of a ``predict`` request, and what makes its response.

    Raises:
        Refused: the body is not a request.
    """
    request = parse_json(body)
    if not isinstance(request, dict):
        raise Refused(400, 'the body must be {"instances": […]}.')
    unknown = request.keys() - {"signature_name", "instances", "inputs"}
    if unknown:
        known = "a request has instances or inputs, and signature_name"
        raise Refused(400, f"unknown key '{min(unknown)[:100]}': {known}.")
    if request.get("signature_name") not in (None, "", "serving_default"):
        raise Refused(400, "signature_name: a model has one signature, serving_default.")
    if ("instances" in request) == ("inputs" in request):
        raise Refused(400, 'the body must have "instances" or "inputs", and not both.')
    key = "instances" if "instances" in request else "inputs"
    values = request[key]
    if key == "inputs" and isinstance(values, dict) and len(values) == 1 and "b64" not in values:
        (values,) = values.values()
    if not isinstance(values, list):
        raise Refused(400, f"{key} must be a list with a sample for each entry.")
    samples = [sample_of(value, model.predictor.kind, limits) for value in values]
    return samples, predictions if key == "instances" else lambda rows: {"outputs": rows}
