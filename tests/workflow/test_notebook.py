"""The notebook of the tutorials runs, and says what it says in the repository."""

import os
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).parents[2] / "docs" / "tutorials" / "python.ipynb"


def texts(book: Any) -> list[str]:
    outputs = [output for cell in book.cells for output in cell.get("outputs", ())]
    return [output.get("text") or output["data"]["text/plain"] for output in outputs]


@pytest.mark.slow  # a kernel of its own
@pytest.mark.filterwarnings("default::DeprecationWarning", "default::ResourceWarning", "default::RuntimeWarning")
def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    monkeypatch.setenv("PYTHONPATH", str(NOTEBOOK.parents[2]))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "jupyter"))
    book = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(book)
    written = texts(book)
    nbclient.NotebookClient(book, timeout=240, resources={"metadata": {"path": str(tmp_path)}}).execute()
    found = texts(book)
    assert len(found) == len(written)
    same = [0, 5, 7]  # an error, shapes, and checks; the others are measured on some processor
    assert [found[i] for i in same] == [written[i] for i in same]
    assert "accuracy 0.9" in found[1]
    assert os.listdir(tmp_path / "runs") == ["digits"]
