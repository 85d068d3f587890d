"""Hooks of the documentation site (mkdocs.yml): its navigation, the recipes that pages link to, and no other hosts."""

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PARTS = ("tutorials", "course", "guide", "reference", "design")
# of the theme, for search in pages that are opened as files; assets/offline-search.js does the same
OTHER_HOST = re.compile(r"<script src=\"?https://[^>]*></script>")
RECIPE = re.compile(r"\]\((?:\.\./)+recipes/")


def navigation() -> list[Any]:
    """Every page, part by part: in the order of the links in README.md, then those that it does not link to by name."""
    order = re.findall(r"\]\(([\w/-]+\.md)\)", (DOCS / "README.md").read_text("utf-8"))
    return [{"Home": "README.md"}, *({part.capitalize(): _pages(DOCS / part, order)} for part in PARTS)]


def _pages(folder: Path, order: list[str]) -> list[Any]:
    names = [path.relative_to(DOCS).as_posix() for path in folder.glob("*.md")]
    names.sort(
        key=lambda name: (not name.endswith("/README.md"), order.index(name) if name in order else len(order), name)
    )
    folders = [path for path in sorted(folder.iterdir()) if path.is_dir() and any(path.glob("*.md"))]
    return [*names, *({path.name.capitalize(): _pages(path, order)} for path in folders)]


def on_config(config: Any) -> Any:
    """Sets the navigation."""
    config.nav = navigation()
    return config


def on_files(files: Files, config: Any) -> Files:
    """Adds the recipes, as text files, to those of the site."""
    for recipe in sorted((ROOT / "recipes").glob("*.yaml")):
        # as text, so that a browser shows it
        files.append(File.generated(config, f"recipes/{recipe.name}.txt", content=recipe.read_text("utf-8")))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Turns links to recipes of the project into links to those of the site."""
    up = "../" * page.file.src_uri.count("/")
    text = RECIPE.sub(f"]({up}recipes/", markdown)
    return re.sub(r"(\]\([^)]*recipes/\w+\.yaml)\)", r"\1.txt)", text)


def on_post_page(output: str, page: Any, config: Any) -> str:
    """Replaces the theme's script of another host by the project's own."""
    up = "../" * page.url.count("/")
    return OTHER_HOST.sub(f'<script src="{up}assets/offline-search.js"></script>', output)


def on_post_template(output_content: str, template_name: str, config: Any) -> str:
    """Removes it from pages that are no Markdown, such as 404.html."""
    return OTHER_HOST.sub("", output_content)
