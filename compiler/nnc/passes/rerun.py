"""Runs one pass, or `lower`, on a graph in text form.

`python -m nnc.passes.rerun canonicalize FILE.nnir`
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from ..text import parse_graph, print_graph
from . import PassOptions, run_pass


def main(arguments: list[str]) -> int:
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    name, path = arguments
    if name == "lower":
        from ..lower import combine
        from ..plan import print_plan

        graph = parse_graph(Path(path).read_text(encoding="utf-8"))
        print(print_plan(combine({"program": graph})[0]), end="")
        return 0
    module = importlib.import_module(f"nnc.passes.{name}")
    graph = parse_graph(Path(path).read_text(encoding="utf-8"))
    print(print_graph(run_pass(module, graph, PassOptions(verify=True, compare=True))), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
