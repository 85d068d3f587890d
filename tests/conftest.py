"""What all tests share: TensorFlow without its chatter, and where the real data are."""

import gc
import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

import dlcli.recipe.load  # noqa: F401 - before TensorFlow: pydantic searches all modules for the source of each class

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
# every worker of pytest-xdist has a core to itself; more threads only wait for each other
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
os.environ["DLCLI_CACHE"] = ""  # no index of images but in the tests of the index
os.fsync = lambda descriptor: None  # only a power failure would show the difference, and each call waits for the disk

# a shell ignores Ctrl-C for what it starts in the background, and every process started from here would too
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # as nohup does

# tests take a share of the profile's examples: `make test-long` gives ten times as many as the default profile, 100
settings.register_profile("long", max_examples=1000)

ROOT = Path(__file__).parents[1]

gc.disable()  # while the tests are imported, which leaves no garbage


def pytest_collection_finish() -> None:
    """Excludes what was imported from garbage collection, which Keras starts whenever it clears its session."""
    gc.freeze()
    gc.enable()


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Excludes also what the tests of a file leave behind, such as traced functions."""
    if nextitem is None or nextitem.path != item.path:
        gc.collect()
        gc.freeze()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data sets beside the repository; tests that need them skip without."""
    path = ROOT.parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip("the real data sets are not here")
    return path
