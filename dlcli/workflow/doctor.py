"""``dlcli doctor``: what is installed, what it can use, and what is missing."""

import os
import platform
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any

from dlcli import __version__
from dlcli.errors import InputError
from dlcli.runtime.startup import start_tensorflow


def examine() -> dict[str, Any]:
    """Versions by package, devices, memory in GiB, notes, and errors that keep training from working."""
    from packaging.requirements import Requirement

    versions = {"dlcli": __version__, "python": platform.python_version()}
    errors = []
    bounds = [Requirement(text) for text in requires("dlcli") or [] if "extra ==" not in text]
    for bound in bounds:
        try:
            versions[bound.name] = version(bound.name)
            if not bound.specifier.contains(versions[bound.name], prereleases=True):
                errors.append(
                    f"{bound.name} {versions[bound.name]}: dlcli needs {bound}. Install it: pip install '{bound}'"
                )
        except PackageNotFoundError:
            versions[bound.name] = "missing"
            errors.append(f"{bound.name}: missing. Install it: pip install '{bound}'")
    devices, notes = [], []
    try:
        chosen = start_tensorflow("auto")
        devices.append(chosen.name)
        if chosen.kind == "cpu":
            notes.append("no GPU is in use; on Linux with an NVIDIA GPU: pip install 'tensorflow[and-cuda]'")
    except InputError as error:
        errors.append(str(error))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {"versions": versions, "devices": devices, "memory_gib": memory, "notes": notes, "errors": errors}
