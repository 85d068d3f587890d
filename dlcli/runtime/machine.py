"""What a result depends on besides recipe, seed and data: processor, threads, and the state of the recipe's folder."""

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dlcli import __version__
from dlcli.errors import InputError
from dlcli.files import BadFile, read_file

NUMERIC_FLAGS = re.compile(r"(sse|ssse|avx|fma|f16c|amx|asimd|sve|bf16|neon).*")
"""The flags of a processor that choose among kernels, whose sums differ in the last digits."""
MAX_CPUINFO_BYTES = 2**24
GIT_SECONDS = 10
COMMIT = re.compile(r"[0-9a-f]{40,64}")


def environment(device: str) -> dict[str, Any]:
    """What a result depends on besides recipe, seed and data, as run.json and results record it: ``device`` (its name),
    ``versions`` and ``machine``. TensorFlow must have been started."""
    return {"device": device, "versions": versions(), "machine": describe_machine()}


def versions() -> dict[str, str]:
    """The versions of the packages that a result may depend on."""
    packages = ("tensorflow", "keras", "numpy", "pillow", "scikit-learn")
    return {"dlcli": __version__, "python": platform.python_version(), **{name: version(name) for name in packages}}


def describe_machine() -> dict[str, Any]:
    """What run.json records about the machine; TensorFlow must have been started.

    ``onednn`` is the value of TF_ENABLE_ONEDNN_OPTS, "default" if it is not set. Of ``threads``, 0 means a thread for
    each core.
    """
    import tensorflow as tf

    threading = tf.config.threading
    cpu, flags = _processor()
    return {
        "platform": f"{platform.system()} {platform.machine()}",
        "cpu": cpu,
        "cpu_flags": flags,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": {
            "intra_op": threading.get_intra_op_parallelism_threads() or _number("TF_NUM_INTRAOP_THREADS"),
            "inter_op": threading.get_inter_op_parallelism_threads() or _number("TF_NUM_INTEROP_THREADS"),
        },
        "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default"),
    }


def _number(variable: str) -> int:
    text = os.environ.get(variable, "")
    return int(text) if re.fullmatch(r"[0-9]{1,6}", text) else 0


def _processor() -> tuple[str, str]:
    """The name of the processor, and its flags that matter, separated by spaces; empty where Linux does not say."""
    try:
        text = read_file(Path("/proc/cpuinfo"), MAX_CPUINFO_BYTES).decode(errors="replace")
    except (BadFile, InputError, OSError):
        return platform.processor(), ""
    found = {
        key: match[1].strip()
        for key in ("model name", "flags", "Features")
        if (match := re.search(rf"^{key}\s*:(.*)$", text, re.MULTILINE))
    }
    flags = found.get("flags", found.get("Features", "")).split()
    return found.get("model name", platform.processor()), " ".join(sorted(filter(NUMERIC_FLAGS.fullmatch, flags)))


def commit_of(folder: Path) -> str | None:
    """The commit that is checked out in the Git repository of a folder; None without Git or a repository."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder.absolute()), "rev-parse", "--verify", "HEAD"],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=GIT_SECONDS,
            check=False,
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    commit = done.stdout.strip()
    return commit if done.returncode == 0 and COMMIT.fullmatch(commit) else None
