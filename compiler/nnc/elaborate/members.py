"""What stands behind a point: `library.block`, `embedding.table` of something shared, and
`outputs.name` of what a net gives.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

from nnlang import other_tools, syntax
from nnlang.diagnostics import suggest

from .context import Context
from .scope import Scope
from .values import Instance, Namespace, Outputs, Part, Tensor, describe


def member(context: Context, scope: Scope, node: syntax.Attribute, value: Any) -> Any:
    """The member of a value that an expression names. Raises Mistake."""
    name = node.name.text
    if isinstance(value, Namespace):
        if name not in value.members:
            _unknown(context, node, f"`{value.name}`", value.members)
        return value.members[name]
    if isinstance(value, Instance):
        return _of_shared(context, node, value, "")
    if isinstance(value, Part):
        return _of_shared(context, node, value.instance, value.path)
    if isinstance(value, Outputs):
        if name not in value.names:
            _unknown(context, node, "what the net gives", value.names, listed=True)
        return value[value.names.index(name)]
    text = context.snippet(node.value.span)
    known = other_tools.MEMBERS.get(name)
    helps = [f"write `{name}({text})`"] if scope.hides_block(name) else []
    context.fail(
        "N0112",
        "values have no methods or attributes",
        node.span,
        f"`{text}` is {describe(value)}",
        helps=[known.format(text)] if known else helps,
    )


def _of_shared(
    context: Context, node: syntax.Attribute, instance: Instance, path: str
) -> Tensor | Part:
    """A parameter or state of a shared instance, or a part that holds some, by its path."""
    name = node.name.text
    whole = f"{instance.paths.prefix}.{path}.{name}" if path else f"{instance.paths.prefix}.{name}"
    spec = context.variables.get(whole)
    if spec is not None:
        tensor = context.current.get(whole)
        value = tensor.value if tensor is not None else spec.value
        return Tensor(value, node.span, context.snippet(node.span))
    if any(known.startswith(f"{whole}.") for known in context.variables):
        return Part(instance, f"{path}.{name}" if path else name)
    above = whole.removesuffix(name)
    names = [key[len(above) :].split(".")[0] for key in context.variables if key.startswith(above)]
    shared = f"the shared `{instance.block.name}`"
    if not names:
        context.fail(
            "N0208",
            f"{shared} has no parameters yet",
            node.span,
            "it makes them when it is used first",
            helps=[f"use it before this place: `{context.snippet(node.value.span)}(...)`"],
        )
    _unknown(context, node, f"`{path}` of {shared}" if path else shared, names, listed=True)


def _unknown(
    context: Context,
    node: syntax.Attribute,
    owner: str,
    names: Iterable[str],
    listed: bool = False,
) -> NoReturn:
    known = list(dict.fromkeys(names))
    meant = suggest(node.name.text, known)
    shown = ", ".join(f"`{name}`" for name in known[:12]) + (", ..." if len(known) > 12 else "")
    context.fail(
        "N0205",
        f"{owner} has no `{node.name.text}`",
        node.name.span,
        "not known",
        notes=[f"it has {shown}"] if listed else [],
        helps=[f"did you mean `{meant}`?"] if meant else [],
    )
