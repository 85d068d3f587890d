"""A worker that trains nothing: its tasks say what happens. Run by the tests as a script."""

import os
import time
from typing import Any

from dlcli.workflow.trials.worker import serve


def do(task: dict[str, Any]) -> dict[str, Any]:
    if task.get("prints"):
        print("a library prints this")
    match task["do"]:
        case "crash":
            os.write(2, b"what it wrote last\n")
            os.abort()
        case "exit":
            os._exit(3)
        case "hang":
            time.sleep(1000)
    metrics = {"val_accuracy": task["value"], "process": os.getpid(), "worker": task["worker"]}
    status = task["do"] if task["do"] in ("failed", "refused") else "complete"
    error = None if status == "complete" else f"it {status}"
    return {"status": status, "metrics": metrics, "cost": {"parameters": 7}, "seconds": 0.5, "error": error}


serve(do)
