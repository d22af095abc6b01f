"""`load "weights.safetensors"` in a training section: start from stored parameters and states, met
by name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from nnlang import syntax
from nnlang.diagnostics import suggest

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
        arrays = read_arrays(context, path, node)
        for name, array in arrays.items():
            spec = context.variables.get(name)
            if spec is None or spec.kind == "slot":
                meant = suggest(
                    name, [s.name for s in context.variables.values() if s.kind != "slot"]
                )
                context.report_failure(
                    "N0508",
                    f"the net has no parameter `{name}`, which {path.name} holds",
                    node.span,
                    "",
                    helps=[f"did you mean `{meant}`? rename it in the file"] if meant else [],
                )
            elif array.shape != values[name].shape:
                context.report_failure(
                    "N0508",
                    f"`{name}` in {path.name} has the shape {list(array.shape)}",
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

    if not path.is_file():
        context.report_failure(
            "N0508", f"there is no file {path.name}", node.span, f"looked in {path.parent.name}/"
        )
        return {}
    try:
        found = load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        context.report_failure("N0508", f"{path.name} is no safetensors file: {error}", node.span)
        return {}
    if not found:
        context.report_failure("N0508", f"{path.name} holds no arrays", node.span)
    return dict(found)
