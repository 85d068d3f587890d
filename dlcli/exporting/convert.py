"""Writes a model in a format, and loads it by the runtime of the format."""

from pathlib import Path
from typing import assert_never

from dlcli.errors import InputError
from dlcli.exporting import litert, onnx, saved_model
from dlcli.exporting.exportable import Exportable, NotConvertible, Runtime, one_by_one
from dlcli.exporting.formats import FILES, Format, Quantization


def convert(exportable: Exportable, folder: Path, name: Format, quantization: Quantization | None) -> int | None:
    """Write an exportable model into a folder, under the format's file name.

    Returns:
        1 if the exported model takes one sample at a time; None for batches of any size.

    Raises:
        InputError: the format lacks an operation of the network; the message names the formats that have all.
    """
    path, model = folder / FILES[name], exportable.model
    try:
        match name:
            case "saved_model":
                saved_model.write(model, path)
            case "onnx":
                onnx.write(model, path, quantization, exportable.representative())
                onnx.load(path)
            case "litert":
                return litert.write(model, path, quantization, exportable.representative)
            case _:
                assert_never(name)
    except NotConvertible:
        runtime, other = ("LiteRT", "onnx") if name == "litert" else ("ONNX Runtime", "litert")
        more = ", or remove --quantize" if quantization else ""
        raise InputError(
            f"--format {name}: {runtime} lacks an operation of this network. Use --format saved_model, or try --format "
            f"{other}{more}."
        ) from None
    return None


def load(folder: Path, name: Format, batch: int | None) -> Runtime:
    """Load what :func:`convert` wrote into a folder, for batches of any size.

    Args:
        batch: what :func:`convert` returned.
    """
    path = folder / FILES[name]
    runtime: Runtime
    match name:
        case "saved_model":
            runtime = saved_model.load(path)
        case "onnx":
            runtime = onnx.load(path)
        case "litert":
            runtime = litert.load(path)
        case _:
            assert_never(name)
    return runtime if batch is None else one_by_one(runtime)


def num_bytes(path: Path) -> int:
    """The size of a file, or of all files of a folder."""
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return path.stat().st_size
