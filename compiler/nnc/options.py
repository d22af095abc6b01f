"""Every option of nnc: the commands' arguments, the environment's variables, their names in Python.

Takes nothing, gives the one table from which the commands' parsers and help texts, and OPTIONS.md
(`python -m nnc.options`), are made. Keeps true: no other Python file reads the environment.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

COMMANDS: dict[str, str] = {
    "check": "find the mistakes in .nn files",
    "fmt": "format .nn files",
    "compile": "compile a .nn file",
    "train": "train a net and keep it as an .nnc file",
    "evaluate": "measure a trained net on data",
    "predict": "run a trained net on data",
    "summary": "show layers, shapes, parameters and costs",
    "dump": "show what a stage of the compiler makes of a .nn file",
    "doctor": "show what nnc finds on this machine",
}

DETAILS: dict[str, str] = {
    "check": "Prints what is wrong, where, and what to type instead. Exits with 1 if anything is.",
    "fmt": "Writes the one layout of the language. Comments stay, and so does the meaning.",
    "compile": "Writes one file with the plan, the weights as first made, and the sources.",
    "train": (
        "Trains as the file's train section says. Ctrl-C ends training after the step that runs, "
        "and the model so far is kept. An .nnc file saved with --training goes on from there: "
        "in its schedule, with the rows held out that were held out before."
    ),
    "evaluate": "Without --data it measures on what training held out.",
    "predict": "Writes one line for each row to standard output, or a file with -o.",
    "summary": "Takes a .nn file or an .nnc file.",
    "dump": "The stages, in their order: syntax, graph, gradient, optimized, plan.",
    "doctor": "Versions, the processor and the kernels chosen for it, threads and memory.",
}

STAGES = ("syntax", "graph", "gradient", "optimized", "plan")
PROGRAMS = ("predict", "evaluate", "train", "evaluate_metrics", "train_metrics")
DEVICES = ("cpu", "cuda", "auto")
PRECISIONS = ("default", "strict", "double")
STORES = ("bf16",)


@dataclass(frozen=True)
class Option:
    """A row of the table: an argument of commands, or a variable of the environment."""

    names: tuple[str, ...]
    help: str
    commands: tuple[str, ...] = ()
    python: str = ""
    metavar: str = ""
    default: str = ""
    kind: str = "value"  # value, list, flag, number, position, positions, or variable
    choices: tuple[str, ...] = ()

    @property
    def usage(self) -> str:
        """As one types it: `-o, --output FILE`."""
        text = ", ".join(self.names)
        return f"{text} {self.metavar}" if self.metavar and self.kind in VALUED else text

    @property
    def destination(self) -> str:
        return self.names[-1].lstrip("-").replace("-", "_").lower()


VALUED = ("value", "list", "number")


def argument(name: str, help: str, *commands: str, kind: str = "position") -> Option:
    return Option((name,), help, commands, kind=kind)


def variable(name: str, help: str, default: str, choices: tuple[str, ...] = ()) -> Option:
    return Option((name,), help, default=default, kind="variable", choices=choices)


OPTIONS: tuple[Option, ...] = (
    argument("FILE", "a .nn file", "compile", "dump"),
    argument("FILE", "a .nn file, or an .nnc file saved with --training", "train"),
    argument("FILE", "a .nn file or an .nnc file", "summary"),
    argument("FILE", "a .nn file", "check", "fmt", kind="positions"),
    argument("MODEL", "an .nnc file", "evaluate", "predict"),
    argument(
        "INPUT",
        "an .npz, .npy or .csv file, an image, or a folder of IDX files or images",
        "predict",
    ),
    Option(
        ("-o", "--output"),
        "the file to write; without it compile writes FILE.nnc into this folder, train nothing",
        ("compile", "train"),
        "Model.save(path)",
        "OUT.nnc",
    ),
    Option(
        ("-o", "--output"),
        "write the outputs to a file instead of standard output",
        ("predict",),
        metavar="OUT.npz|OUT.csv",
    ),
    Option(
        ("--set",),
        "a setting of the net, or a key of the train section (learning_rate, …); may be repeated",
        ("check", "compile", "train", "summary", "dump"),
        "compile(**settings, overrides={...})",
        "KEY=VALUE",
        kind="list",
    ),
    Option(
        ("--net",),
        "the net to take, where the file has several",
        ("compile", "train", "summary", "dump"),
        "compile(net=)",
        "NAME",
    ),
    Option(
        ("--recipe",),
        "the train section to take, by the name after its `as`",
        ("compile", "train", "summary", "dump"),
        "compile(recipe=)",
        "NAME",
    ),
    Option(
        ("--seed",),
        "the seed of weights, shuffling, dropout and held-out data; of an .nnc file, what was held "
        "out stays",
        ("compile", "train"),
        "compile(seed=), fit(seed=)",
        "N",
        "the train section's, else 0",
        kind="number",
    ),
    Option(
        ("--training",),
        "keep in the file what is needed to train further",
        ("compile", "train"),
        "Model.save(path, training=True)",
        kind="flag",
    ),
    Option(
        ("--allow-not-finite",),
        "write weights that are infinite or no numbers, too",
        ("compile", "train"),
        "Model.save(path, allow_not_finite=True)",
        kind="flag",
    ),
    Option(
        ("--restart",),
        "begin a new course of training with an .nnc file: the schedule at its start, and other "
        "rows held out",
        ("train",),
        "fit(restart=True)",
        kind="flag",
    ),
    Option(
        ("--data",),
        "the data: .npz, .csv, a folder of IDX files or of class folders of images",
        ("train", "evaluate"),
        "fit(data), evaluate(data)",
        "PATH",
        "the train section's `data`",
    ),
    Option(
        ("--validation",),
        "a fraction of the data to hold out, or more data to measure on after each epoch",
        ("train",),
        "fit(validation=)",
        "FRACTION|PATH",
        "the train section's `validation`",
    ),
    Option(
        ("--skip-bad",),
        "leave out images that cannot be read, and say which",
        ("train", "evaluate", "predict"),
        "nnrt.data.open(skip_bad=True)",
        kind="flag",
    ),
    Option(("--quiet",), "print only the results", ("train",), "fit(progress=False)", kind="flag"),
    Option(
        ("--log",),
        "write one line of JSON for each epoch to a file",
        ("train",),
        "fit(log=)",
        "RUN.jsonl",
    ),
    Option(
        ("--epochs",),
        "how many times to go through the data",
        ("train",),
        "fit(epochs=)",
        "N",
        "the train section's; of an .nnc file, those that are left of its plan",
        kind="number",
    ),
    Option(
        ("--batch",),
        "how many rows make a step",
        ("train",),
        "fit(batch=)",
        "N",
        "the train section's",
        kind="number",
    ),
    Option(
        ("--batch",),
        "how many rows to run at a time",
        ("evaluate", "predict"),
        "evaluate(batch=), predict(batch=)",
        "N",
        "256",
        kind="number",
    ),
    Option(
        ("--top",),
        "only the K largest values of each row, with their places",
        ("predict",),
        metavar="K",
        kind="number",
    ),
    Option(("--json",), "print the mistakes as JSON", ("check",), "nnlang.to_json", kind="flag"),
    Option(("--json",), "print what was found as JSON", ("doctor",), kind="flag"),
    Option(
        ("--check",), "write nothing; exit with 1 if a file would change", ("fmt",), kind="flag"
    ),
    Option(
        ("--stdout",),
        "print the formatted text instead of writing it",
        ("fmt",),
        "nnlang.format_source",
        kind="flag",
    ),
    Option(
        ("--stage",),
        "what to show",
        ("dump",),
        metavar="STAGE",
        default="plan",
        choices=STAGES,
    ),
    Option(
        ("--program",),
        "whose graph or plan to show",
        ("dump",),
        metavar="PROGRAM",
        default="predict",
        choices=PROGRAMS,
    ),
    Option(
        ("--precision",),
        "strict: no algorithm that rounds in its own way; double: 64-bit floats, slow",
        ("compile", "train", "dump"),
        "compile(precision=)",
        "NAME",
        "default",
        choices=PRECISIONS,
    ),
    Option(
        ("--store",),
        "the element type that weights are stored in: bf16 halves the file; computing and training "
        "stay in f32",
        ("compile", "train", "dump"),
        "compile(store=)",
        "TYPE",
        "as declared",
        choices=STORES,
    ),
    Option(
        ("--device",),
        "where the net runs; auto: the fastest device of the machine",
        ("train", "evaluate", "predict"),
        "load(path, device=), compile(device=)",
        "NAME",
        "what NNC_DEVICE says, else cpu",
        choices=DEVICES,
    ),
    variable(
        "NNC_DEVICE",
        "where nets run; an error where the machine has no such device; null: bind and plan "
        "everything, run nothing",
        "cpu",
        (*DEVICES, "null"),
    ),
    variable(
        "NNC_THREADS",
        "number of threads",
        "the smaller of the processors this process may use and its cgroup's quota",
    ),
    variable(
        "NNC_ISA",
        "the instruction set of the kernels; an error where the processor lacks it",
        "the best one the processor has",
        ("reference", "generic", "avx2", "avx512", "neon"),
    ),
    variable(
        "NNC_DEBUG",
        "1: phases and times, and tracebacks of internal errors; 2: also a line for each step: "
        "time, share of the measured peak, algorithm, and what it was expected to take",
        "0",
        ("0", "1", "2", "3", "4"),
    ),
    variable(
        "NNC_VERIFY",
        "1: check the graph between passes and every memory plan",
        "0",
        ("0", "1", "2", "3"),
    ),
    variable(
        "NNC_GUARD",
        "1: the engine's memory ends at pages that fault, which finds a kernel that leaves its own "
        "memory (no memory is used again)",
        "0",
        ("0", "1"),
    ),
    variable(
        "NNC_FUSE",
        "fusions to leave out when a program is bound, so that a fault can be narrowed down, as in "
        "`-chains,-sums`: `-chains` (steps that take turns by rows), `-sums` (sums taken by the "
        "producer), `-columns` (concat and slice stored by the producer), `-held` (a result that "
        "only its own epilogue reads), `-in_place` (a result in the memory of an operand)",
        "none",
    ),
    variable(
        "NNC_CHECK_PASSES",
        "1: compare the graph before and after each pass with the interpreter (slow)",
        "0",
        ("0", "1"),
    ),
    variable("NNC_PASS_LIMIT", "stop after so many passes, to find the one at fault", "all"),
    variable("NO_COLOR", "anything: no colours in error messages", "colours on a terminal"),
)

# What the train section of a file sets, and `--set` overrides.
TRAINING_KEYS = (
    *("data", "validation", "loss", "regularizer", "optimizer", "learning_rate"),
    *("clip", "batch", "epochs", "seed", "shuffle"),
)


def of_command(command: str) -> tuple[Option, ...]:
    return tuple(option for option in OPTIONS if command in option.commands)


def variables() -> tuple[Option, ...]:
    return tuple(option for option in OPTIONS if option.kind == "variable")


class OptionError(Exception):
    """A variable of the environment, or an argument, with a value that it cannot have."""


def read(name: str, environment: Mapping[str, str] | None = None) -> str | None:
    """The value of a variable of the table, or None where it is not set. Others cannot be read."""
    row = next(option for option in variables() if option.names == (name,))
    value = (os.environ if environment is None else environment).get(name) or None
    if value is not None and row.choices and value not in row.choices:
        raise OptionError(f"{name}={value}: expected one of {', '.join(row.choices)}.")
    return value


def debug_level() -> int:
    return int(read("NNC_DEBUG") or 0)


def verify_level() -> int:
    return int(read("NNC_VERIFY") or 0)


def markdown() -> str:
    """The documentation of all options, as a page."""
    lines = [
        "# Options of nnc",
        "",
        "Made from the table in `nnc/options.py` by `python -m nnc.options`.",
        "",
        "## Commands",
        "",
        *table(("command", "what it does"), ((f"`{c}`", text) for c, text in COMMANDS.items())),
        "",
        "## Arguments",
        "",
        *table(
            ("argument", "commands", "default", "in Python", "meaning"),
            (
                (
                    f"`{option.usage}`",
                    ", ".join(option.commands),
                    option.default,
                    f"`{option.python}`" if option.python else "",
                    meaning(option),
                )
                for option in OPTIONS
                if option.kind != "variable"
            ),
        ),
        "",
        "## Environment",
        "",
        *table(
            ("variable", "default", "meaning"),
            ((f"`{o.names[0]}`", o.default, meaning(o)) for o in variables()),
        ),
        "",
    ]
    return "\n".join(lines)


def meaning(option: Option) -> str:
    choices = f" ({', '.join(option.choices)})" if option.choices else ""
    return option.help + choices


def table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    lines = [header, ("---",) * len(header), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]


if __name__ == "__main__":
    print(markdown(), end="")
