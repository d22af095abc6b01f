"""Writes the graph that a pass or the lowering failed on to a file, to run it again."""

from __future__ import annotations

from .graph import Graph
from .text import print_graph


def write_reproducer(graph: Graph, pass_name: str) -> str:
    """Write the graph that a pass failed on, with the way to run it again, into the working
    directory.
    """
    import hashlib

    from nnrt.errors import Error
    from nnrt.kinds import GRAPH
    from nnrt.writing import target

    text = print_graph(graph, inline_limit=1 << 16)
    key = hashlib.sha256(f"{pass_name}\n{text}".encode()).hexdigest()[:12]
    path = f"crash-{key}.nnir"
    again = f"python -m nnc.passes.rerun {pass_name} {path}"
    try:
        target(path, GRAPH).write_text(f"# pass: {pass_name}\n# again: {again}\n{text}")
    except Error:
        return "(could not be written)"
    return path
