"""``dlcli doctor``."""

import json
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import processes  # type: ignore[import-not-found]


def test_versions_and_devices(tmp_path: Path) -> None:
    done = processes.run("doctor", folder=tmp_path).expect(0)
    assert done.stderr == ""
    lines = {line.split()[0]: line.split(maxsplit=1)[1] for line in done.stdout.splitlines()}
    assert {"dlcli", "python", "tensorflow", "keras", "numpy", "devices", "memory"} <= set(lines)
    assert lines["memory"].endswith(" GiB")


def test_json(tmp_path: Path) -> None:
    report = json.loads(processes.run("doctor", "--json", folder=tmp_path).expect(0).stdout)
    assert report["errors"] == []
    assert report["devices"]
    assert report["memory_gib"] > 0


def without_h5py_and_with_an_old_keras() -> None:
    def changed(version: Callable[[str], str]) -> Callable[[str], str]:
        def wrapper(name: str) -> str:
            if name == "h5py":
                raise PackageNotFoundError(name)
            return "3.10.0" if name == "keras" else version(name)

        return wrapper

    processes.replace("dlcli.workflow.doctor.version", changed)


def test_missing_or_old_packages_fail_the_check(tmp_path: Path) -> None:
    done = processes.run("doctor", folder=tmp_path, prepare=without_h5py_and_with_an_old_keras).expect(1)
    assert "h5py: missing. Install it with: pip install 'h5py" in done.stderr
    assert "keras 3.10.0: dlcli needs keras>=3.15.1. Install it with: pip install 'keras>=3.15.1'" in done.stderr
    assert len(done.stderr.splitlines()) == 2
    report = json.loads(
        processes.run("doctor", "--json", folder=tmp_path, prepare=without_h5py_and_with_an_old_keras).expect(1).stdout
    )
    assert len(report["errors"]) == 2
    assert report["versions"]["h5py"] == "missing"
