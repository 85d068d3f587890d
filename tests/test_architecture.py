"""The layers of the program: who may import whom. Reads the imports of every module, those inside functions included,
and imports none of them.
"""

import ast
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "dlcli"
FOUNDATIONS = ("dlcli", "dlcli.errors", "dlcli.files", "dlcli.printing")  # what everything may import

LEAVES = (
    "data",
    "convolution",
    "models",
    "training",
    "evaluation",
    "attacks",
    "explanation",
    "search",
    "exporting",
    "report",
)
"""Arrays and models in, numbers and arrays out; they know no recipe."""

MAY_IMPORT: Mapping[str, tuple[str, ...]] = {
    "errors": (),
    "arguments": (),
    "files": (),
    "printing": (),
    "temporary": (),
    "replicas": (),
    "rundir": ("rundir", "temporary"),
    **{leaf: (leaf,) for leaf in LEAVES},
    "attacks": ("attacks", "replicas"),
    "training": ("training", "rundir", "temporary", "replicas"),
    "recipe": ("recipe",),
    "runtime": ("runtime", "models", "rundir"),
    "tasks": ("tasks", "recipe", "runtime", "rundir", "replicas", *LEAVES),
    "serving": ("serving", "tasks", "data", "runtime", "rundir"),
    "workflow": ("workflow", "serving", "tasks", "recipe", "runtime", "rundir", "temporary", *LEAVES),
    "cli": ("cli", "recipe"),
    "api": ("arguments",),
    "__main__": ("cli",),
}
"""For each part of the program the parts that its modules may import."""

INSIDE_FUNCTIONS: Mapping[str, tuple[str, ...]] = {
    "cli": ("workflow", "runtime", "rundir", "temporary"),
    "api": ("workflow", "recipe", "runtime", "rundir"),
    "": ("api",),
}
"""What may be imported besides, but only while a verb runs."""

OTHER_TASKS: Mapping[str, tuple[str, ...]] = {
    "segmentation": ("images",),
    "detection": ("images",),
    "forecasting": ("sequences",),
    "language_model": ("sequences",),
    "sequence_to_sequence": ("sequences",),
}
"""The folders of other tasks that a task's folder may use."""

KNOWS_EVERY_TASK = ("dlcli.tasks.dispatch", "dlcli.tasks.draft")
"""The modules of tasks/ that import the tasks' folders; step_prediction is a task in one file and uses sequences."""


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path, *, inside_functions: bool) -> set[str]:
    """The modules that a file imports: all, or only those it imports while it is itself imported."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    passed_over = _nodes_for_types(tree) | (set() if inside_functions else _nodes_in_functions(tree))
    found: set[str] = set()
    for node in ast.walk(tree):
        if node in passed_over:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports must be absolute"
            assert node.module is not None
            modules = {
                f"{node.module}.{alias.name}" for alias in node.names if is_module(f"{node.module}.{alias.name}")
            }
            found |= modules if len(modules) == len(node.names) else modules | {node.module}
    return found


def _nodes_in_functions(tree: ast.AST) -> set[ast.AST]:
    functions = [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    return {inner for function in functions for inner in ast.walk(function)}


def _nodes_for_types(tree: ast.AST) -> set[ast.AST]:
    """What only type checkers see, below ``if TYPE_CHECKING:``."""
    conditions = [
        node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
    ]
    return {inner for condition in conditions for inner in ast.walk(condition)}


def is_module(name: str) -> bool:
    path = PACKAGE.parent.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


MODULES = sorted(PACKAGE.rglob("*.py"))
IDS = [module_name(path) for path in MODULES]
every_module = pytest.mark.parametrize("path", MODULES, ids=IDS)


def part(module: str) -> str:
    """``dlcli.data.images`` -> ``data``."""
    return module.split(".")[1] if "." in module else ""


def of_ours(names: set[str]) -> set[str]:
    return {name for name in names if name.startswith("dlcli.") and name not in FOUNDATIONS}


def modules_of(*parts: str) -> pytest.MarkDecorator:
    """Runs a test for each module of these parts."""
    chosen = [path for path in MODULES if part(module_name(path)) in parts]
    return pytest.mark.parametrize("path", chosen, ids=[module_name(path) for path in chosen])


def test_the_table_names_every_part() -> None:
    assert {part(name) for name in IDS} - {""} == set(MAY_IMPORT)
    assert len(MODULES) > 200


@every_module
def test_a_module_imports_only_what_its_part_may(path: Path) -> None:
    own = part(module_name(path))
    allowed = MAY_IMPORT.get(own, ())
    at_the_top = {name for name in of_ours(imports(path, inside_functions=False)) if part(name) not in allowed}
    assert not at_the_top
    allowed += INSIDE_FUNCTIONS.get(own, ())
    anywhere = {name for name in of_ours(imports(path, inside_functions=True)) if part(name) not in allowed}
    assert not anywhere


@modules_of("workflow", "cli")
def test_verbs_know_no_task(path: Path) -> None:
    for name in of_ours(imports(path, inside_functions=True)):
        assert not (name.startswith("dlcli.tasks.") and is_folder_of_a_task(name.split(".")[2])), name
        assert not name.startswith("dlcli.recipe.tasks"), name
        assert name != "dlcli.tasks.step_prediction"


def is_folder_of_a_task(name: str) -> bool:
    return (PACKAGE / "tasks" / name).is_dir()


@modules_of("tasks")
def test_a_task_uses_no_other_task(path: Path) -> None:
    own = module_name(path)
    folder = own.split(".")[2] if own.count(".") > 1 and is_folder_of_a_task(own.split(".")[2]) else None
    allowed = OTHER_TASKS.get(folder or "", ())
    if own == "dlcli.tasks.step_prediction":
        allowed = ("sequences",)
    for name in of_ours(imports(path, inside_functions=True)):
        other = name.split(".")[2] if name.startswith("dlcli.tasks.") else ""
        if is_folder_of_a_task(other) and other and other != folder and own not in KNOWS_EVERY_TASK:
            assert other in allowed, f"{own} imports {name}"


@modules_of("recipe")
def test_the_language_of_recipes_knows_no_key(path: Path) -> None:
    if ".recipe.language" in module_name(path):
        others = {name for name in of_ours(imports(path, inside_functions=True)) if ".recipe.language" not in name}
        assert not others
    if ".recipe.sections" in module_name(path):
        assert not {name for name in imports(path, inside_functions=True) if name.startswith("dlcli.recipe.tasks")}


@modules_of("data")
def test_base_files_of_data_know_no_kind_of_sample(path: Path) -> None:
    if path.parent == PACKAGE / "data":
        folders = {entry.name for entry in path.parent.iterdir() if entry.is_dir()}
        found = {name for name in of_ours(imports(path, inside_functions=True)) if name.startswith("dlcli.data.")}
        assert not {name for name in found if name.split(".")[2] in folders}


@modules_of("cli", "recipe", "rundir", "errors", "files", "printing", "")
def test_cli_and_recipe_come_without_heavy_imports(path: Path) -> None:
    heavy = ("tensorflow", "keras", "numpy", "sklearn", "matplotlib", "scipy", "PIL")
    if part(module_name(path)) in ("cli", ""):
        heavy += ("pydantic", "yaml", "rich")
    assert not {name for name in imports(path, inside_functions=False) if name.split(".")[0] in heavy}


@modules_of("errors", "files", "printing", "rundir")
def test_the_foundations_need_the_standard_library_alone(path: Path) -> None:
    found = {name.split(".")[0] for name in imports(path, inside_functions=True)}
    assert found - set(sys.stdlib_module_names) <= {"dlcli"}


def graph_of_modules() -> dict[str, set[str]]:
    return {
        module_name(path): {
            name for name in imports(path, inside_functions=True) if name in IDS and name != module_name(path)
        }
        for path in MODULES
    }


def test_no_cycles_between_files() -> None:
    assert not cycle(
        {
            name: {other for other in others if not name.startswith(f"{other}.")}  # its own package's __init__
            for name, others in graph_of_modules().items()
        }
    )


def test_no_cycles_between_folders() -> None:
    """Folders below one part may use each other one way only; a folder's own base files belong to none of them."""
    graph: dict[str, set[str]] = {}
    for name, others in graph_of_modules().items():
        for other in others:
            one, two = folder_of(name), folder_of(other)
            if one != two and not (one.startswith(f"{two}.") or two.startswith(f"{one}.")):
                graph.setdefault(one, set()).add(two)
    assert not cycle(graph)


def folder_of(module: str) -> str:
    path = PACKAGE.parent.joinpath(*module.split("."))
    return module if path.is_dir() else module.rpartition(".")[0]


def cycle(graph: Mapping[str, set[str]]) -> str:
    """A way from a node back to itself, or nothing."""
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> str:
        if name in way:
            return " -> ".join((*way[way.index(name) :], name))
        if name in done:
            return ""
        for other in sorted(graph.get(name, ())):
            if found := visit(other, (*way, name)):
                return found
        done.add(name)
        return ""

    return next((found for name in graph if (found := visit(name, ()))), "")


def test_a_cycle_is_found() -> None:
    assert cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == "b -> c -> b"
    assert not cycle({"a": {"b", "c"}, "b": {"c"}})


def test_there_is_no_utils() -> None:
    assert not [name for name in IDS if name.split(".")[-1] in ("utils", "util", "helpers", "common", "misc")]
