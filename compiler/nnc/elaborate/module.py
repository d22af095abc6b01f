"""Files: load and parse them, bring in what they `use`, and put the prelude under them."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import nnlang
from nnlang import syntax
from nnlang.diagnostics import Diagnostic, DiagnosticError, diagnostic, suggest

from .context import STANDARD, Context, Mistake
from .expressions import evaluate
from .scope import Scope
from .values import Block, Namespace

LIBRARY = Path(nnlang.__file__).parent / "std"
PRELUDE = ("activations", "layers", "losses", "optimizers", "schedules", "initializers", "regularizers", "metrics")


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

    def load(self, source: syntax.Source, parent: Scope | None) -> Module:
        """Parse a text and bind its items. Mistakes are kept in `diagnostics`; syntax errors raise."""
        self.sources[source.name] = source
        try:
            file = nnlang.parse(source.text, source.name)
        except DiagnosticError as error:
            raise DiagnosticError(error.diagnostics, self.sources) from None
        module = Module(source, file, Scope(parent, of_file=True))
        context = Context(self.sources, training=False)
        for item in file.items:
            try:
                self.add(module, item, context)
            except Mistake as mistake:
                context.report(mistake)
        self.diagnostics += context.diagnostics
        return module

    def add(self, module: Module, item: syntax.Item, context: Context) -> None:
        scope = module.scope
        if isinstance(item, syntax.Train):
            self.add_train(module, item, context)
            return
        name = item.namespace if isinstance(item, syntax.Use) else item.name.text
        place = item.span if isinstance(item, syntax.Use) else item.name.span
        if name in scope.names:
            first = scope.names[name].span
            context.fail("N0202", f"`{name}` is defined twice", place, "again here",
                         others=[(first, "first here")] if first else [])  # fmt: skip
        if isinstance(item, (syntax.Block, syntax.Rule)):
            check_parameters(context, item)
            scope.bind(name, Block(item, module), "library", place)
        elif isinstance(item, syntax.Net):
            check_parameters(context, item)
            module.nets[name] = item
            scope.bind(name, None, "net", place)
        elif isinstance(item, syntax.Const):
            scope.bind(name, evaluate(context, scope, item.value), "constant", place)
        else:
            scope.bind(name, self.use(module, item, context), "library", place)

    def add_train(self, module: Module, item: syntax.Train, context: Context) -> None:
        for other in module.trains:
            same = (other.name.text if other.name else None) == (item.name.text if item.name else None)
            if same and other.net.text == item.net.text:
                context.fail("N0202", f"a second training section for `{item.net.text}`", item.span, "",
                             others=[(other.net.span, "first here")],
                             helps=[f"give it a name: `train {item.net.text} as finetune {{ ... }}`"])  # fmt: skip
        module.trains.append(item)

    def use(self, module: Module, item: syntax.Use, context: Context) -> Namespace:
        path = self.find(module, item, context)
        key = str(path)
        if key in self.loading:
            context.fail("N0602", "files that use each other", item.span, f"`{item.path}` is being read already")
        if key not in self.modules:
            library = path.is_relative_to(LIBRARY)
            name = STANDARD + path.relative_to(LIBRARY).as_posix() if library else item.path
            try:
                text = path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                context.fail("N0601", f"`{item.path}` cannot be read: {error}", item.span)
            self.loading.append(key)
            try:
                self.modules[key] = self.load(syntax.Source(name, text, str(path.parent)), prelude(self).scope)
            finally:
                self.loading.pop()
        members = {n: b.value for n, b in self.modules[key].scope.names.items() if b.kind != "net"}
        return Namespace(item.namespace, members)

    def find(self, module: Module, item: syntax.Use, context: Context) -> Path:
        if item.is_file:
            if module.source.directory is None:
                context.fail("N0601", "a text without a file cannot use files", item.span)
            path = (Path(module.source.directory) / item.path).resolve()
            if not path.is_file():
                near = suggest(path.name, (p.name for p in path.parent.glob("*.nn"))) if path.parent.is_dir() else None
                context.fail("N0601", f"there is no file `{item.path}`", item.span, f"looked for {path.name}",
                             helps=[f"did you mean `{near}`?"] if near else [])  # fmt: skip
            return path
        path = LIBRARY.joinpath(*item.path.split(".")).with_suffix(".nn")
        if not path.is_file():
            known = [p.relative_to(LIBRARY).with_suffix("").as_posix().replace("/", ".") for p in LIBRARY.glob("*/*.nn")]
            near = suggest(item.path, known)
            context.fail("N0603", f"the standard library has no `{item.path}`", item.span, "",
                         notes=["it has " + ", ".join(f"`{name}`" for name in sorted(known))] if known else [],
                         helps=[f"did you mean `{near}`?"] if near else [])  # fmt: skip
        return path


def names_used(node: syntax.Node) -> Iterator[str]:
    for part in syntax.walk(node):
        if isinstance(part, syntax.Name):
            yield part.text


def check_parameters(context: Context, item: syntax.Block | syntax.Rule | syntax.Net) -> None:
    """Every parameter has its own name, and every setting of a net is used."""
    seen: dict[str, syntax.Span] = {}
    body = item.body if isinstance(item.body, tuple) else (item.body,)
    used = {name for statement in body for name in names_used(statement)}
    used |= {n for p in item.parameters for part in (p.default, p.type) if part for n in names_used(part)}
    for parameter in item.parameters:
        name = parameter.name.text
        if name in seen:
            context.fail("N0202", f"`{name}` is listed twice", parameter.name.span, "again here",
                         others=[(seen[name], "first here")])  # fmt: skip
        seen[name] = parameter.name.span
        if name not in used and isinstance(item, syntax.Net):
            context.report_failure(
                "N0204", f"the setting `{name}` of `{item.name.text}` is never used", parameter.name.span, "",
                helps=["use it or remove it"],
            )  # fmt: skip


@functools.cache
def _prelude_modules() -> tuple[Scope, dict[str, syntax.Source]]:
    """The prelude, parsed once for the process: blocks only, so it can be shared."""
    from .builtins import builtins

    base = Scope(of_file=True)
    for name, value in builtins().items():
        base.bind(name, value, "library")
    loader = Loader()
    scope = Scope(base, of_file=True)
    for part in PRELUDE:
        path = LIBRARY / f"{part}.nn"
        module = loader.load(syntax.Source(f"{STANDARD}{part}.nn", path.read_text("utf-8"), str(LIBRARY)), scope)
        for name, binding in module.scope.names.items():
            scope.bind(name, binding.value, "library", binding.span)
        module.scope.parent = scope
    if loader.diagnostics:
        raise DiagnosticError(loader.diagnostics, loader.sources)
    return scope, loader.sources


@dataclass(frozen=True)
class Prelude:
    scope: Scope
    names: tuple[str, ...] = ()


def prelude(loader: Loader) -> Prelude:
    scope, sources = _prelude_modules()
    loader.sources.update(sources)
    return Prelude(scope, tuple(scope.names))


def load_text(source: syntax.Source) -> tuple[Module, Loader]:
    """A user's file over the prelude. Raises DiagnosticError for syntax errors."""
    loader = Loader()
    top = prelude(loader)
    module = loader.load(source, top.scope)
    return module, loader
