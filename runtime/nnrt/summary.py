"""The summary of a model as text: a table of layers, totals, memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nnrt import _engine
from nnrt.errors import Error
from nnrt.text import visible

if TYPE_CHECKING:
    from nnrt.model import Model

HEADER = ("layer", "kind", "shape", "parameters", "FLOPs", "activations", "source")
RIGHT = (3, 4, 5)  # columns of numbers
UNITS = ("", " k", " M", " G", " T")


def summary(model: Model) -> str:
    symbol = batch_symbol(model)
    rows = [row_cells(row, symbol) for row in model.manifest.get("summary", [])]
    flops = [number_of(row.get("flops", 0), symbol) for row in model.manifest.get("summary", [])]
    lines = [repr(model)[1:-1]]
    lines += table([HEADER, *rows]) if rows else []
    parameters, states = model.parameters, model.states.elements
    line = f"parameters: {parameters.elements:,} ({bytes_text(parameters.nbytes)})"
    lines.append("; ".join([line, *parameters.narrow()]))
    if states:
        lines.append(f"states: {states:,}")
    if flops and all(value is not None for value in flops):
        lines.append(f"FLOPs a row: {short(sum(value or 0 for value in flops))}")
    lines += memory_lines(model, symbol)
    lines += rounding_lines(model, symbol)
    return "\n".join(lines)


def batch_symbol(model: Model) -> str:
    for item in model.inputs:
        if item["shape"] and isinstance(item["shape"][0], str):
            return str(item["shape"][0])
    return "N"


def row_cells(row: Mapping[str, Any], symbol: str) -> tuple[str, ...]:
    parameters = row.get("parameters", 0)
    cells = (
        str(row.get("path", "")),
        str(row.get("layer", "")),
        str(row.get("shape", "")),
        f"{parameters:,}" if isinstance(parameters, int) else str(parameters),
        cost_text(row.get("flops", 0), symbol, short),
        cost_text(row.get("activation_bytes", 0), symbol, bytes_text),
        str(row.get("source", "")),
    )
    return tuple(visible(cell) for cell in cells)


def number_of(value: Any, symbol: str) -> int | None:
    """The cost of one row, or None where it depends on other sizes too."""
    try:
        return _engine.evaluate_dimension(str(value), {symbol: 1})
    except Error:
        return None


def cost_text(value: Any, symbol: str, form: Any) -> str:
    number = number_of(value, symbol)
    return str(value) if number is None else str(form(number))


def memory_lines(model: Model, symbol: str) -> list[str]:
    """What the engine needs beyond the parameters, where the batch is the only open size."""
    if set(model.plan["symbols"]) - {symbol}:
        return []
    lines = []
    cases = [("predict", 1, "to predict one row")]
    if model.trainable and model.training is not None:
        batch = model.training["batch"]
        cases.append(("train", batch, f"to train in batches of {batch}"))
    for program, rows, what in cases:
        try:
            info = model.describe(program, **{symbol: rows})
        except Error:
            continue  # a size that this net cannot take
        lines.append(
            f"memory {what}: {bytes_text(info['arena_bytes'])} of activations "
            f"(no plan needs less than {bytes_text(info['lower_bound_bytes'])})"
        )
    return lines


def rounding_lines(model: Model, symbol: str) -> list[str]:
    """Which convolutions run by Winograd's algorithm, and what that means for large values."""
    convolutions = [step for step in model.plan["programs"]["predict"]["steps"] if is_conv(step)]
    if not convolutions or model.plan["strict"]:
        return []
    if set(model.plan["symbols"]) - {symbol}:
        which = f"up to {len(convolutions)} convolutions, depending on the sizes,"
    else:
        try:
            steps = model.describe("predict", **{symbol: 1})["steps"]
        except Error:
            return []
        paths = [step["path"] for step in steps if step["algorithm"].startswith("winograd")]
        if not paths:
            return []
        shown = ", ".join(visible(path) for path in paths[:3]) + (", …" if len(paths) > 3 else "")
        which = f"{len(paths)} of {len(convolutions)} convolutions ({shown})"
    return [
        f"rounding: {which} run by Winograd's algorithm, which rounds relative to the largest "
        "value of a 6x6 tile: a single pixel of 1e6 costs its neighbours an error of about 0.2. "
        "Scale inputs with such outliers, or compile with "
        '`precision="strict"` (`--precision strict`)'
    ]


def is_conv(step: Mapping[str, Any]) -> bool:
    return str(step["kernel"]).startswith("conv2d")


def short(value: float) -> str:
    unit = 0
    while value >= 10_000 and unit < len(UNITS) - 1:
        value /= 1000
        unit += 1
    return (
        f"{value:,.0f}{UNITS[unit]}" if unit == 0 or value >= 100 else f"{value:,.1f}{UNITS[unit]}"
    )


def bytes_text(value: float) -> str:
    return f"{short(value)}{'' if value >= 10_000 else ' '}B"


def table(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if column in RIGHT else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    lines.insert(1, "  ".join("-" * width for width in widths))
    return lines
