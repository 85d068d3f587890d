"""The fixtures of :mod:`small_problem`."""

from small_problem import make_loop, uncompiled  # type: ignore[import-not-found]

__all__ = ["make_loop", "uncompiled"]
