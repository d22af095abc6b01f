"""`load "weights.safetensors"` in a training section: start from stored parameters and states, met
by name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from nnlang import syntax
from nnlang.diagnostics import suggest
from nnlang.paths import shown_path

from .context import Context
from .training import Recipe


def load_weights(
    context: Context, recipe: Recipe, values: dict[str, np.ndarray[Any, Any]], directory: str | None
) -> tuple[str, ...]:
    """Replace first values by those of the files. Every array of a file must fit a variable;
    mistakes are kept.
    """
    loaded: list[str] = []
    for node in recipe.load:
        path = Path(directory or ".") / node.value
        shown = shown_path(str(path))
        arrays = read_arrays(context, path, node)
        for name, array in arrays.items():
            spec = context.variables.get(name)
            if spec is None or spec.kind == "slot":
                meant = suggest(
                    name, [s.name for s in context.variables.values() if s.kind != "slot"]
                )
                context.report_failure(
                    "N0508",
                    f"the net has no parameter `{name}`, which {shown} holds",
                    node.span,
                    "",
                    helps=[f"did you mean `{meant}`? rename it in the file"] if meant else [],
                )
            elif array.shape != values[name].shape:
                context.report_failure(
                    "N0508",
                    f"`{name}` in {shown} has the shape {list(array.shape)}",
                    node.span,
                    f"the net has {list(values[name].shape)}",
                )
            else:
                values[name] = np.ascontiguousarray(array, values[name].dtype)
                loaded.append(name)
    return tuple(loaded)


def read_arrays(
    context: Context, path: Path, node: syntax.String
) -> dict[str, np.ndarray[Any, Any]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    shown = shown_path(str(path))
    if not path.is_file():
        words = "" if Path(node.value).is_absolute() else "looked for beside this file"
        context.report_failure("N0508", f"there is no file {shown}", node.span, words)
        return {}
    try:
        found = load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        context.report_failure("N0508", f"{shown} is no safetensors file: {error}", node.span)
        return {}
    if not found:
        context.report_failure("N0508", f"{shown} holds no arrays", node.span)
    return dict(found)
