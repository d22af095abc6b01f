"""`nnc evaluate`: loss and metrics of a compiled model on data."""

from __future__ import annotations

import argparse
import sys

from nnc.cli import datasets
from nnc.cli.common import artifact, say
from nnc.options import OptionError


def run(arguments: argparse.Namespace) -> int:
    import nnrt
    from nnrt.progress import values_text

    path = artifact(arguments.model)
    model = nnrt.load(path, arguments.device)
    training = model.training
    if training is None:
        raise OptionError(
            f"{path} has no loss to measure: its .nn file has no train section. "
            "`nnc predict` runs it."
        )
    plan = datasets.choose(training, arguments.data, None, None)
    if arguments.data is not None:
        plan = datasets.Plan(plan.data, None, plan.seed)
    elif isinstance(plan.validation, datasets.Place):
        plan = datasets.Plan(plan.validation, None, plan.seed)
    parts = datasets.load(plan, training, closed=True, skip_bad=arguments.skip_bad)
    data = parts.data if parts.validation is None else parts.validation
    held = ", held out" if parts.validation is not None else ""
    batch = arguments.batch if arguments.batch is not None else 256
    result = model.evaluate(dict(data), batch=batch)
    for note in parts.notes:
        say(note, file=sys.stderr)
    say(f"{plan.data.source}: {datasets.rows(data):,} rows{held}")
    say(values_text(result))
    return 0
