"""The documentation site: every page is in its navigation, and it loads nothing from other hosts."""

import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
LOADED = re.compile(r"<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=\"?([^\" >]+)")


def navigation() -> list[Any]:
    pytest.importorskip("mkdocs")
    return list(runpy.run_path(str(DOCS / "site_hooks.py"))["navigation"]())


def pages(entries: list[Any]) -> Iterator[str]:
    for entry in entries:
        for value in entry.values() if isinstance(entry, dict) else [entry]:
            yield from pages(value) if isinstance(value, list) else [value]


def test_every_page_is_in_the_navigation_once() -> None:
    listed = list(pages(navigation()))
    assert sorted(listed) == sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))


def test_the_navigation_has_the_parts_of_the_documentation() -> None:
    parts = [next(iter(entry)) for entry in navigation()]
    assert parts == ["Home", "Tutorials", "Course", "Guide", "Reference", "Design"]
    guide = next(entry["Guide"] for entry in navigation() if "Guide" in entry)
    assert guide[:2] == ["guide/data.md", "guide/augmentation.md"]  # as in docs/README.md


@pytest.mark.slow
def test_the_site_is_built_without_warnings_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs")
    arguments = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(tmp_path)]
    subprocess.run(arguments, cwd=ROOT, check=True)
    built = sorted(tmp_path.rglob("*.html"))
    assert len(built) > len(list(DOCS.rglob("*.md")))  # and 404.html
    for page in built:
        loaded = LOADED.findall(page.read_text("utf-8"))
        assert not [address for address in loaded if re.match(r"(https?:)?//", address)], page.name
        if page.name != "404.html":
            addresses = [page.parent / address.partition("?")[0] for address in loaded if address[0] not in "#d"]
            assert not [address for address in addresses if not address.exists()], page.name
    styles = "".join(path.read_text("utf-8") for path in tmp_path.rglob("*.css"))
    assert not re.search(r"url\(\"?https?:|@import", styles)
    index = (tmp_path / "search" / "search_index.js").read_text("utf-8")
    assert "translation invariance" in index.lower()
    models = (tmp_path / "guide" / "models.html").read_text("utf-8")
    assert 'href="../recipes/cifar10_vgg.yaml.txt"' in models
    assert (tmp_path / "recipes" / "cifar10_vgg.yaml.txt").read_text().startswith("# ")
