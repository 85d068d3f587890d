"""What all tests share: TensorFlow without its chatter, and where the real data are."""

import gc
import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

# a shell ignores Ctrl-C for what it starts in the background, and every process started from here would too
signal.signal(signal.SIGINT, signal.default_int_handler)

# tests take a share of the profile's examples: `make test-long` gives ten times as many as the default profile, 100
settings.register_profile("long", max_examples=1000)

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
