"""What several commands share: the files they take and write, and `--set`."""

from __future__ import annotations

import contextlib
import difflib
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from nnrt.reading import kind_text
from nnrt.text import bytes_text, visible

from nnc.options import TRAINING_KEYS, OptionError

if TYPE_CHECKING:
    from nnrt import Model
    from nnrt.kinds import Kind

    from nnc.driver import Options

PATHS = ("data", "validation")
KEY = re.compile(r"^(?:(?P<of>net|train)\.)?(?P<key>[A-Za-z_]\w*)$")


def say(text: str, file: TextIO | None = None) -> None:
    """Print a text that may hold names from a file: control characters are shown as escapes."""
    print(visible(text, keep="\n"), file=file, flush=True)


def existing(text: str) -> Path:
    """The file a user named; a mistake names what lies there instead."""
    path = Path(text)
    if path.is_file():
        return path
    if path.is_dir():
        raise OptionError(f"{path} is a folder, and a file is needed.")
    if path.exists():
        raise OptionError(f"{path} is {kind_text(path.stat().st_mode)}, and a file is needed.")
    folder = path.parent
    names = [item.name for item in folder.iterdir()] if folder.is_dir() else []
    close = difflib.get_close_matches(path.name, names, n=1, cutoff=0.6)
    meant = f" Did you mean `{folder / close[0]}`?" if close else ""
    raise OptionError(f"{path} does not exist.{meant}")


def check_writable(text: str, kind: Kind, inputs: Iterable[str | Path] = ()) -> Path:
    """The path of an output, made sure before the work whose result goes there: it can be written,
    and writing it destroys neither an input nor a file of another kind.
    """
    from nnrt.writing import target

    target(text, kind, inputs).probe()
    return Path(text)


@contextlib.contextmanager
def messages_aside(outputs: Iterable[str | None]) -> Iterator[None]:
    """Where an output goes to standard output, all messages go to standard error."""
    named = [name for name in outputs if name]
    with contextlib.ExitStack() as stack:
        if named:
            from nnrt.writing import is_standard_output

            if any(is_standard_output(name) for name in named):
                stack.enter_context(contextlib.redirect_stdout(sys.stderr))
        yield


@dataclass(frozen=True)
class Given:
    """What `--set` gives: settings of the net, and keys of the train section, as expressions."""

    settings: dict[str, Any] = field(default_factory=dict)
    overrides: dict[str, Any] = field(default_factory=dict)


def given(pairs: Iterable[str]) -> Given:
    """Sort `KEY=VALUE` by whose key it is: `train.KEY`, `net.KEY`, or as the bare key says."""
    from nnc.elaborate import Text

    result = Given()
    for pair in pairs:
        name, equals, value = pair.partition("=")
        match = KEY.match(name.strip())
        if not equals or not value.strip() or match is None:
            raise OptionError(f"--set {pair}: expected KEY=VALUE, such as `--set hidden=128`.")
        key = match["key"]
        of_training = match["of"] == "train" or (match["of"] is None and key in TRAINING_KEYS)
        target = result.overrides if of_training else result.settings
        if key in target:
            raise OptionError(f"--set {pair}: `{key}` is set twice.")
        plain_path = of_training and key in PATHS and not is_expression(value)
        target[key] = value.strip() if plain_path else Text(value.strip())
    return result


def is_expression(value: str) -> bool:
    """Whether the value of a key that takes a path is a number or quoted, as in a .nn file."""
    try:
        float(value)
    except ValueError:
        return value.strip().startswith('"')
    return True


def is_artifact(path: Path) -> bool:
    """Whether a file is a compiled model, by its name or by its first bytes (a zip)."""
    if path.suffix in (".nn", ".nnc"):
        return path.suffix == ".nnc"
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def artifact(text: str) -> Path:
    """The .nnc file a user named."""
    path = existing(text)
    if not is_artifact(path):
        raise OptionError(
            f"{path} is not a compiled model. `nnc train {path} -o {path.stem}.nnc` makes one."
        )
    return path


def compile_options(arguments: Any, overrides: Mapping[str, Any] | None = None) -> Options:
    """The compiler's options from the arguments that the command has."""
    from nnc.driver import Options

    chosen = given(arguments.set)
    return Options(
        net=arguments.net,
        recipe=arguments.recipe,
        settings=chosen.settings,
        overrides={**chosen.overrides, **(overrides or {})},
        seed=getattr(arguments, "seed", None),
        precision=getattr(arguments, "precision", None) or "default",
        store=getattr(arguments, "store", None),
    )


def compiled(path: Path, arguments: Any, overrides: Mapping[str, Any] | None = None) -> Model:
    """Compile the .nn file with the options that the command has."""
    from nnc.collector import uncollected

    with uncollected():
        from nnrt import Model

        from nnc.driver import compile_source
        from nnc.elaborate import read_source

    result = compile_source(read_source(path), compile_options(arguments, overrides))
    model = Model(
        result.manifest,
        result.plan,
        result.weights,
        result.sources,
        getattr(arguments, "device", None),
    )
    model.files = result.files
    return model


def size_text(path: Path) -> str:
    if not path.is_file():
        return "written"
    return bytes_text(path.stat().st_size)
