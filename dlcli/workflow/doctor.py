"""``dlcli doctor``: installed versions, available devices, and what is missing."""

import importlib
import os
import platform
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any

from dlcli import __version__
from dlcli.errors import InputError
from dlcli.runtime.cuda import examine_cuda
from dlcli.runtime.startup import start_tensorflow


def examine() -> dict[str, Any]:
    """Report package versions, devices, memory in GiB, notes, and errors that prevent training."""
    from packaging.requirements import Requirement

    versions = {"dlcli": __version__, "python": platform.python_version()}
    errors = []
    requirements = [Requirement(text) for text in requires("dlcli") or [] if "extra ==" not in text]
    for required in requirements:
        name = required.name
        try:
            versions[name] = version(name)
            if not required.specifier.contains(versions[name], prereleases=True):
                errors.append(
                    f"{name} {versions[name]}: dlcli needs {required}. Install it with: pip install '{required}'"
                )
        except PackageNotFoundError:
            versions[name] = "missing"
            errors.append(f"{name}: missing. Install it with: pip install '{required}'")
    devices, notes = [], []
    try:
        chosen = start_tensorflow("auto")
        devices.append(chosen.name)
        if chosen.kind == "cpu":
            cuda = examine_cuda(importlib.import_module("tensorflow").sysconfig.get_build_info())
            notes += ["no GPU in use", *([] if cuda is None else cuda.notes())]
    except InputError as error:
        errors.append(str(error))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {"versions": versions, "devices": devices, "memory_gib": memory, "notes": notes, "errors": errors}
