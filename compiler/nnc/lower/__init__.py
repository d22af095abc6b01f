"""From graphs to the plan: kernel steps over named buffers, with fused tile programs.

`combine` takes the optimized graphs of a net (predict, and evaluate and train where there is a
training section) and gives one plan and the arrays of its variables; variables are numbered over
all programs by name, equal constant arrays are kept once.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np

from ..dtypes import DTYPES, name_of
from ..errors import InternalError
from ..graph import Graph, Variable
from ..plan import Plan, PlanVariable, Program
from ..reproducer import write_reproducer
from .program import lower

Array = np.ndarray[Any, Any]


class VariableTable:
    """The variables of a plan: those of the graphs, by name, then constant arrays."""

    def __init__(self, graphs: Mapping[str, Graph]) -> None:
        self.variables: list[PlanVariable] = []
        self.weights: dict[str, Array] = {}
        self._numbers: dict[str, int] = {}
        self._constants: dict[Hashable, int] = {}
        for graph in graphs.values():
            for variable in graph.variables:
                self._add_variable(variable)

    def _add_variable(self, variable: Variable) -> None:
        type = variable.value.type
        shape = tuple(int(str(dim)) for dim in type.shape)
        made = PlanVariable(variable.name, type.dtype, shape, variable.kind, variable.master_of)
        if variable.name in self._numbers:
            if self.variables[self._numbers[variable.name]] != made:
                raise InternalError(
                    f"the programs disagree on the variable `{variable.name}`", "lower"
                )
            return
        self._add(made, np.asarray(variable.initial, DTYPES[type.dtype]))

    def _add(self, variable: PlanVariable, array: Array) -> int:
        self._numbers[variable.name] = len(self.variables)
        self.variables.append(variable)
        self.weights[variable.name] = array
        return self._numbers[variable.name]

    def variable(self, name: str) -> int:
        return self._numbers[name]

    def constant(self, array: Array) -> int:
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            name = f"constant.{len(self._constants)}"
            while name in self._numbers:
                name += "_"
            dtype = name_of(array.dtype)
            assert dtype is not None
            made = PlanVariable(name, dtype, tuple(int(d) for d in array.shape), "constant")
            self._constants[key] = self._add(made, np.ascontiguousarray(array))
        return self._constants[key]


def combine(graphs: Mapping[str, Graph], strict: bool = False) -> tuple[Plan, dict[str, Array]]:
    """The plan of all programs, and the first values of its variables by name."""
    table = VariableTable(graphs)
    symbols = dict.fromkeys(name for graph in graphs.values() for name in graph.symbols())
    programs = {name: _lower(graph, table) for name, graph in graphs.items()}
    return Plan(tuple(symbols), tuple(table.variables), programs, strict), table.weights


def _lower(graph: Graph, table: VariableTable) -> Program:
    try:
        return lower(graph, table)
    except InternalError as error:
        file = write_reproducer(graph, "lower")
        raise InternalError(error.message, "lower", error.node, error.lines, file) from error
    except Exception as error:
        file = write_reproducer(graph, "lower")
        message = f"{type(error).__name__}: {error}"
        raise InternalError(message, "lower", "", (), file) from error


__all__ = ["combine", "lower"]
