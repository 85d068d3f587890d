"""The layers of the program: who may import whom. Reads the imports of every module; imports none of them."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "dlcli"
LEAVES = ("data", "models", "training", "evaluation", "attacks", "explain", "search", "report")
FOUNDATIONS = ("dlcli", "dlcli.errors")  # what everything may import


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path, *, everywhere: bool) -> set[str]:
    """The modules that a file imports; only while it is itself imported, unless ``everywhere``."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = set() if everywhere else _nodes_in_functions(tree)
    found: set[str] = set()
    for node in ast.walk(tree):
        if node in inside:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports must be absolute"
            assert node.module is not None
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names if is_module(f"{node.module}.{alias.name}")}
    return found


def _nodes_in_functions(tree: ast.AST) -> set[ast.AST]:
    functions = [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    return {inner for function in functions for inner in ast.walk(function)}


def is_module(name: str) -> bool:
    path = PACKAGE.parent.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


MODULES = sorted(PACKAGE.rglob("*.py"))
IDS = [module_name(path) for path in MODULES]


def part(module: str) -> str:
    """``dlcli.data.images.decoding`` -> ``data``."""
    return module.split(".")[1] if module.count(".") else ""


def modules_of(*parts: str) -> pytest.MarkDecorator:
    """Runs a test for each module of these parts."""
    chosen = [path for path in MODULES if part(module_name(path)) in parts]
    return pytest.mark.parametrize("path", chosen, ids=[module_name(path) for path in chosen])


def test_there_is_something_to_check() -> None:
    assert len(MODULES) > 30
    assert {"cli", "recipe", "workflow", "rundir", "data", "models", "training"} <= {part(name) for name in IDS}


@modules_of(*LEAVES)
def test_a_leaf_imports_no_other_leaf_and_nothing_above_it(path: Path) -> None:
    own = part(module_name(path))
    allowed = {own, "errors", *(["rundir"] if own == "training" else [])}
    others = {
        name for name in imports(path, everywhere=True) if name.startswith("dlcli.") and part(name) not in allowed
    }
    assert not others


@modules_of("cli", "recipe", "rundir", "errors")
def test_modules_import_only_what_lies_below(path: Path) -> None:
    below = {
        "cli": ("cli", "recipe", "errors"),
        "recipe": ("recipe", "errors"),
        "rundir": ("errors",),
        "errors": (),
    }[part(module_name(path))]
    found = {other for other in imports(path, everywhere=False) if other.startswith("dlcli.")}
    assert not {other for other in found if part(other) not in below}


@modules_of("cli", "recipe", "rundir", "errors", "")
def test_cli_and_recipe_come_without_heavy_imports(path: Path) -> None:
    heavy = ("tensorflow", "keras", "numpy", "sklearn", "matplotlib", "scipy", "PIL")
    if part(module_name(path)) in ("cli", ""):
        heavy += ("pydantic", "yaml", "rich")
    assert not {name for name in imports(path, everywhere=False) if name.split(".")[0] in heavy}


def test_the_run_directory_needs_the_standard_library_alone() -> None:
    found = {name.split(".")[0] for name in imports(PACKAGE / "rundir.py", everywhere=True)}
    import sys

    assert found - set(sys.stdlib_module_names) == {"dlcli"}


def test_only_workflow_sees_both_the_recipe_and_the_parts() -> None:
    for path in MODULES:
        found = {part(name) for name in imports(path, everywhere=True) if name.startswith("dlcli.")}
        if "recipe" in found and found & set(LEAVES):
            assert part(module_name(path)) == "workflow", module_name(path)


def test_no_cycles() -> None:
    graph = {
        module_name(path): {
            name for name in imports(path, everywhere=False) if name in IDS and name != module_name(path)
        }
        for path in MODULES
    }
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " -> ".join((*way, name))
        if name in done:
            return
        for other in graph[name]:
            if not name.startswith(f"{other}."):  # a package's own __init__ is imported before its modules
                visit(other, (*way, name))
        done.add(name)

    for name in graph:
        visit(name, ())


def test_there_is_no_utils() -> None:
    assert not [name for name in IDS if name.split(".")[-1] in ("utils", "util", "helpers", "common", "misc")]
