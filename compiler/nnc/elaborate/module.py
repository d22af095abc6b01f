"""Files: load and parse them, bring in what they `use`, and put the prelude under them."""

from __future__ import annotations

import functools
import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import nnlang
from nnlang import syntax
from nnlang.diagnostics import Diagnostic, DiagnosticError, suggest
from nnlang.saved_library import parse_library

from .context import STANDARD, Context, Limit, Mistake
from .evaluator import EVALUATOR
from .expressions import evaluate
from .names import check_names
from .reading import read_text
from .scope import Scope
from .statements import known_constant
from .values import POISON, Block, Namespace

LIBRARY = Path(nnlang.__file__).parent / "std"
PRELUDE = (
    "_settings",
    "functions",
    "activations",
    "layers",
    "losses",
    "optimizers",
    "schedules",
    "initializers",
    "regularizers",
    "metrics",
)


@dataclass(eq=False)
class Module:
    """One file: its text, its tree and the names it defines."""

    source: syntax.Source
    file: syntax.File
    scope: Scope
    nets: dict[str, syntax.Net] = field(default_factory=dict)
    trains: list[syntax.Train] = field(default_factory=list)


@dataclass(eq=False)
class Loader:
    """Loads files once; knows every source text for messages and every mistake found on the way."""

    sources: dict[str, syntax.Source] = field(default_factory=dict)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    modules: dict[str, Module] = field(default_factory=dict)
    loading: list[str] = field(default_factory=list)
    directory: str = ""  # of the first file

    def load(self, source: syntax.Source, parent: Scope | None) -> Module:
        """Parse a text and bind its items. Mistakes are kept, but syntax errors raise."""
        self.sources[source.name] = source
        try:
            file = nnlang.parse(source.text, source.name)
        except DiagnosticError as error:
            raise DiagnosticError(error.diagnostics, self.sources) from None
        return self.bind(source, file, parent)

    def bind(self, source: syntax.Source, file: syntax.File, parent: Scope | None) -> Module:
        """Bind the items of a tree."""
        self.sources[source.name] = source
        module = Module(source, file, Scope(parent, of_file=True, tree=file))
        context = Context(self.sources, EVALUATOR, training=False, subject=source.name)
        with suppress(Limit):
            self.add_all(module, context)
            if not source.name.startswith(STANDARD):
                check_names(context, file, module.scope)
        self.diagnostics += sorted(context.diagnostics, key=_position)
        return module

    def add_all(self, module: Module, context: Context) -> None:
        """Bind every item; the name of one that has a mistake is poisoned."""
        for item in sorted(module.file.items, key=_order):
            name = item_name(item)
            try:
                self.add(module, item, context)
            except (Mistake, RecursionError) as error:
                if name is not None and name.text not in module.scope.names:
                    module.scope.bind(name.text, POISON, "value", name.span)
                if isinstance(error, Mistake):
                    context.report(error)
                    if isinstance(error, Limit):
                        raise
                else:
                    context.report_failure("N0107", "this is nested too deeply", item.span)

    def add(self, module: Module, item: syntax.Item, context: Context) -> None:
        scope = module.scope
        if isinstance(item, syntax.Train):
            self.add_train(module, item, context)
            return
        made = item_name(item)
        assert made is not None
        name, place = made.text, made.span
        if name in scope.names:
            other = scope.names[name].span or place
            first, again = sorted((other, place), key=lambda span: span.start)
            context.fail(
                "N0202",
                f"`{name}` is defined twice",
                again,
                "again here",
                others=[(first, "first here")],
                helps=["give one of them another name"],
            )
        if isinstance(item, (syntax.Block, syntax.Rule)):
            check_parameters(context, item)
            scope.bind(name, Block(item, module), "library", place)
        elif isinstance(item, syntax.Net):
            check_parameters(context, item)
            module.nets[name] = item
            scope.bind(name, Block(item, module), "net", place)
        elif isinstance(item, syntax.Const):
            value = evaluate(context, scope, item.value)
            known_constant(context, item, value)
            scope.bind(name, value, "constant", place)
        else:
            scope.bind(name, self.use(module, item, context), "library", place)

    def add_train(self, module: Module, item: syntax.Train, context: Context) -> None:
        for other in module.trains:
            same = (other.name.text if other.name else None) == (
                item.name.text if item.name else None
            )
            if same and other.net.text == item.net.text:
                context.fail(
                    "N0202",
                    f"a second training section for `{item.net.text}`",
                    item.net.span,
                    "again here",
                    others=[(other.net.span, "first here")],
                    helps=[f"give it a name: `train {item.net.text} as finetune {{ ... }}`"],
                )
        module.trains.append(item)

    def use(self, module: Module, item: syntax.Use, context: Context) -> Namespace:
        path = self.find(module, item, context)
        key = str(path)
        if key in self.loading:
            names = [Path(name).name for name in (*self.loading[self.loading.index(key) :], key)]
            context.fail(
                "N0602",
                "files that use each other",
                item.span,
                f"`{item.path}` is being read already",
                notes=[" uses ".join(f"`{name}`" for name in names)],
                helps=["move what both need to a third file"],
            )
        if key not in self.modules:
            try:
                text = read_text(path)
            except UnicodeDecodeError:
                context.fail("N0601", f"`{item.path}` is no text in UTF-8", item.span)
            except OSError as error:
                context.fail(
                    "N0601", f"`{item.path}` cannot be read", item.span, error.strerror or ""
                )
            self.loading.append(key)
            try:
                source = syntax.Source(self.shown(path, item), text, str(path.parent))
                self.modules[key] = self.load(source, prelude(self).scope)
            finally:
                self.loading.pop()
        members = {name: b.value for name, b in self.modules[key].scope.names.items()}
        return Namespace(item.namespace, members)

    def shown(self, path: Path, item: syntax.Use) -> str:
        """What messages call a file: its path from the first file."""
        if path.is_relative_to(LIBRARY):
            return STANDARD + path.relative_to(LIBRARY).as_posix()
        try:
            return Path(os.path.relpath(path, self.directory)).as_posix()
        except ValueError:  # another drive
            return item.path

    def find(self, module: Module, item: syntax.Use, context: Context) -> Path:
        if item.is_file:
            return self.find_file(module, item, context)
        path = LIBRARY.joinpath(*item.path.split(".")).with_suffix(".nn")
        if not path.is_file():
            parts = [p.relative_to(LIBRARY).with_suffix("") for p in LIBRARY.rglob("*.nn")]
            listed = sorted(part.as_posix().replace("/", ".") for part in parts)
            known = [name for name in listed if not name.startswith("_")]
            near = suggest(item.path, known)
            helps = [f"did you mean `{near}`?"] if near else []
            if (Path(module.source.directory or ".") / f"{item.path}.nn").is_file():
                helps = [f'a file is named in quotes: `use "{item.path}.nn"`']
            context.fail(
                "N0603",
                f"the standard library has no `{item.path}`",
                item.span,
                "not known",
                notes=["it has " + ", ".join(f"`{name}`" for name in known)],
                helps=helps,
            )
        return path

    def find_file(self, module: Module, item: syntax.Use, context: Context) -> Path:
        if module.source.directory is None:
            context.fail(
                "N0601",
                "a text that is no file cannot use files",
                item.span,
                helps=["write the text to a file, and compile that"],
            )
        near = None
        try:
            path = (Path(module.source.directory) / item.path).resolve()
            if path.is_file():
                return path
            if path.parent.is_dir():
                near = suggest(path.name, (p.name for p in path.parent.glob("*.nn")))
        except (OSError, ValueError):  # a path that no system can have
            pass
        context.fail(
            "N0601",
            f"there is no file `{item.path}`",
            item.span,
            "looked for beside this file",
            helps=[f"did you mean `{near}`?"] if near else [],
        )


def item_name(item: syntax.Item) -> syntax.Name | None:
    """The name that an item binds in its file; a training section binds none."""
    if isinstance(item, syntax.Train):
        return None
    if isinstance(item, syntax.Use):
        return item.alias or syntax.Name(item.namespace, span=item.span)
    return item.name


def _order(item: syntax.Item) -> int:
    """Blocks do not depend on the order of the text; constants may use them and what is used."""
    if isinstance(item, (syntax.Block, syntax.Rule, syntax.Net)):
        return 0
    return 1 if isinstance(item, syntax.Use) else 2


def _position(found: Diagnostic) -> int:
    return found.primary.span.start if found.primary else 0


def check_parameters(context: Context, item: syntax.Block | syntax.Rule | syntax.Net) -> None:
    """Every parameter has its own name."""
    seen: dict[str, syntax.Span] = {}
    for parameter in item.parameters:
        name = parameter.name.text
        if name in seen:
            context.report_failure(
                "N0202",
                f"`{name}` is listed twice",
                parameter.name.span,
                "again here",
                others=[(seen[name], "first here")],
                helps=["give it another name"],
            )
        seen.setdefault(name, parameter.name.span)


@functools.cache
def _prelude_modules() -> tuple[Scope, dict[str, syntax.Source]]:
    """The prelude, parsed once for the process: blocks only, so it can be shared."""
    from .builtins import builtins

    base = Scope(of_file=True)
    for name, value in builtins().items():
        base.bind(name, value, "constant" if isinstance(value, float) else "library")
    loader = Loader()
    scope = Scope(base, of_file=True)
    sources = [
        syntax.Source(f"{STANDARD}{part}.nn", path.read_text("utf-8"), str(LIBRARY))
        for part, path in ((part, LIBRARY / f"{part}.nn") for part in PRELUDE)
    ]
    for source, file in zip(sources, parse_library(sources), strict=True):
        module = loader.bind(source, file, scope)
        for name, binding in module.scope.names.items():
            scope.bind(name, binding.value, "library", binding.span)
        module.scope.parent = scope
    if loader.diagnostics:
        raise DiagnosticError(loader.diagnostics, loader.sources)
    return scope, loader.sources


@dataclass(frozen=True)
class Prelude:
    """The scope over every file: builtins and the standard library."""

    scope: Scope
    names: tuple[str, ...] = ()


def prelude(loader: Loader) -> Prelude:
    scope, sources = _prelude_modules()
    loader.sources.update(sources)
    return Prelude(scope, tuple(scope.names))


def load_text(source: syntax.Source) -> tuple[Module, Loader]:
    """A user's file over the prelude. Raises DiagnosticError for syntax errors."""
    loader = Loader(directory=source.directory or "")
    top = prelude(loader)
    if source.directory is not None:
        loader.loading.append(str((Path(source.directory) / source.name).resolve()))
    module = loader.load(source, top.scope)
    return module, loader
