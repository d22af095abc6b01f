"""The imports of the three packages, read from their sources: no circle, and the stages of the
compiler stay apart.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (ROOT / "dsl" / "nnlang", ROOT / "compiler" / "nnc", ROOT / "runtime" / "nnrt")
# These import by name: a command or a pass that the user names, and public names on first use.
BY_NAME = {"nnc.cli.entry", "nnc.passes.rerun", "nnlang", "nnrt"}

Graph = dict[str, set[str]]


def modules(packages: tuple[Path, ...]) -> dict[str, Path]:
    found = {}
    for package in packages:
        for path in sorted(package.rglob("*.py")):
            parts = path.relative_to(package.parent).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node of a syntax tree, also inside functions, except under `if TYPE_CHECKING`."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            for other in child.orelse:
                yield other
                yield from nodes(other)
        else:
            yield child
            yield from nodes(child)


def around(name: str) -> list[str]:
    """The packages that a module is in, itself included: importing it runs them all."""
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts) + 1)]


def targets(name: str, path: Path, known: dict[str, Path]) -> Iterator[str]:
    """What the import statements of a module name: modules, or packages that define a name."""
    for node in nodes(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = around(name)[: len(around(name)) - node.level + (path.stem == "__init__")]
                base = ".".join(filter(None, [package[-1], node.module]))
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield inner if inner in known else base


def import_graph(packages: tuple[Path, ...] = PACKAGES) -> Graph:
    """The modules that each module needs. An import also runs the packages around what it names,
    except those that the module itself is in, which run before it.
    """
    known = modules(packages)
    graph: Graph = {}
    for name, path in known.items():
        needed: set[str] = set()
        for target in targets(name, path, known):
            needed |= {target, *(set(around(target)) - set(around(name)))}
        graph[name] = (needed & known.keys()) - {name}
    return graph


def circle(graph: Graph) -> list[str]:
    """Modules that import each other, the first again at the end; empty where there are none."""
    done: set[str] = set()

    def search(name: str, path: list[str]) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return []
        for target in sorted(graph[name]):
            found = search(target, [*path, name])
            if found:
                return found
        done.add(name)
        return []

    return next((found for name in sorted(graph) if (found := search(name, []))), [])


@pytest.fixture(scope="module")
def graph() -> Graph:
    return import_graph()


def below(graph: Graph, package: str) -> set[str]:
    return {name for name in graph if name == package or name.startswith(f"{package}.")}


def reached(graph: Graph, start: set[str]) -> set[str]:
    found: set[str] = set()
    waiting = list(start)
    while waiting:
        for target in graph[waiting.pop()] - found:
            found.add(target)
            waiting.append(target)
    return found


def test_no_import_circle(graph: Graph) -> None:
    assert circle(graph) == []


def test_lower_imports_nothing_of_passes(graph: Graph) -> None:
    assert not reached(graph, below(graph, "nnc.lower")) & below(graph, "nnc.passes")


def test_graph_imports_nothing_of_operators(graph: Graph) -> None:
    assert not reached(graph, {"nnc.graph"}) & below(graph, "nnc.ops")


def test_modules_are_imported_by_statements() -> None:
    """No circle hides behind a name in a string."""
    by_name = {
        name
        for name, path in modules(PACKAGES).items()
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, (ast.Name, ast.Attribute))
        and ast.unparse(node).endswith(("import_module", "__import__"))
    }
    assert by_name == BY_NAME


def test_only_patterns_name_operators() -> None:
    """The rest of the compiler asks operators for traits."""
    patterns = {"canonicalize", "fold_batch_norm", "mask_gradients", "reuse_masks", "structure"}
    compiler = PACKAGES[1]
    asking = [compiler / f"{name}.py" for name in ("autodiff", "index_bounds", "rows", "slopes")]
    asking += (compiler / "lower").glob("*.py")
    asking += [path for path in (compiler / "passes").glob("*.py") if path.stem not in patterns]
    naming = [
        f"{path.name}:{node.lineno}"
        for path in asking
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Compare)
        and ast.unparse(node.left).endswith("op.name")
        and any(isinstance(part, ast.Constant) for c in node.comparators for part in ast.walk(c))
    ]
    assert naming == []


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"a": "from . import b", "b": "def f():\n    from .a import x"}, ["a", "b", "a"]),
        ({"a": "import box.b", "b": "if TYPE_CHECKING:\n    from . import a"}, []),
        ({"a": "from .b import c", "b": "", "c": "from .a import d"}, []),
        (
            {"a": "from .inner import b", "inner.b": "", "inner.__init__": "from ..a import x"},
            ["a"],
        ),
    ],
)
def test_circles_are_found(files: dict[str, str], expected: list[str], tmp_path: Path) -> None:
    for name, text in files.items():
        path = tmp_path / "box" / f"{name.replace('.', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "box" / "__init__.py").write_text("")
    found = circle(import_graph((tmp_path / "box",)))
    assert found[: len(expected)] == [f"box.{name}" for name in expected]
    assert bool(found) == bool(expected)
