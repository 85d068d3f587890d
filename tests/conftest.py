"""What all tests share: TensorFlow without its chatter, and where the real data are."""

import gc
import os
import signal
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

# a shell ignores Ctrl-C for what it starts in the background, and every process started from here would too
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).parents[1]


def pytest_collection_finish() -> None:
    """Leaves what was imported out of the search for garbage, which Keras starts whenever it clears its session."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data sets beside the repository; tests that need them skip without."""
    path = ROOT.parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip("the real data sets are not here")
    return path
