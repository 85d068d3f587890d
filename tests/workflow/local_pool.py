"""A pool without processes: tasks are done one after the other in this process, so that tests are quick."""

from collections.abc import Callable, Mapping
from typing import Any, Self

from dlcli.workflow.trials.tasks import do_task


class LocalPool:
    """Does tasks when they are waited for.

    Args:
        num_workers: tasks that are submitted at the same time.
        do: what does them.
    """

    def __init__(self, num_workers: int, do: Callable[[Mapping[str, Any]], dict[str, Any]] = do_task) -> None:
        self.num_workers = num_workers
        self._do = do
        self._waiting: list[tuple[Any, Mapping[str, Any]]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None: ...

    @property
    def num_running(self) -> int:
        return len(self._waiting)

    @property
    def is_free(self) -> bool:
        return self.num_running < self.num_workers

    def submit(self, key: Any, task: Mapping[str, Any], *, seconds: float | None = None) -> None:
        self._waiting.append((key, task))

    def wait(self) -> tuple[Any, dict[str, Any]]:
        key, task = self._waiting.pop(0)
        return key, self._do(task)
