"""dlcli: turn a YAML recipe into a trained, evaluated and explained Keras model in one run directory.

From Python, the verbs are functions: :func:`train`, :func:`resume`, :func:`transfer`, :func:`evaluate` and
:func:`attack`; :func:`load` opens a run. They load TensorFlow when they are first called, so that importing dlcli takes
no time.
"""

from typing import TYPE_CHECKING, Any

from dlcli.errors import CheckFailed, InputError, Interrupted

if TYPE_CHECKING:
    from dlcli.api import Run, attack, evaluate, load, resume, train, transfer

__version__ = "0.1.0"
__all__ = [
    "CheckFailed",
    "InputError",
    "Interrupted",
    "Run",
    "__version__",
    "attack",
    "evaluate",
    "load",
    "resume",
    "train",
    "transfer",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from dlcli import api

        return getattr(api, name)
    raise AttributeError(f"module 'dlcli' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
