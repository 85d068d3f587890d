"""The program of a worker process of :mod:`dlcli.workflow.trials.pool`."""

import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

from dlcli.errors import STOP_SIGNALS


def serve(do: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Do the tasks that come in on stdin, a line each, until it ends; then the process ends at once, in a task too.

    Args:
        do: does a task, and returns its outcome as plain JSON values.
    """
    for number in STOP_SIGNALS:  # of a user who stops the parent, which then ends this process
        signal.signal(number, signal.SIG_IGN)
    results = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what a library prints is not an outcome
    tasks: queue.SimpleQueue[str] = queue.SimpleQueue()

    def receive() -> None:
        for line in sys.stdin:
            tasks.put(line)
        os._exit(0)

    threading.Thread(target=receive, daemon=True).start()
    while True:
        outcome = do(json.loads(tasks.get()))
        results.write(json.dumps(outcome) + "\n")
        results.flush()


def main() -> None:
    """Serve the tasks of :mod:`dlcli.workflow.trials.tasks`, which imports TensorFlow with the first one."""

    def do(task: dict[str, Any]) -> dict[str, Any]:
        from dlcli.workflow.trials.tasks import do_task

        return do_task(task)

    serve(do)


if __name__ == "__main__":
    main()
