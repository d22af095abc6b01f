"""The table of options: it is the only one, and all that is made from it is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from nnc import options
from nnc.cli import main

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = [ROOT / "dsl" / "nnlang", ROOT / "compiler" / "nnc", ROOT / "runtime" / "nnrt"]


def test_only_the_table_reads_the_environment() -> None:
    readers = [
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in package.rglob("*.py")
        if re.search(
            r"environ\b|getenv", path.read_text(encoding="utf-8").replace("environment", "")
        )
    ]
    assert readers == ["compiler/nnc/options.py"]


def test_the_engine_reads_the_environment_in_one_place() -> None:
    sources = [*(ROOT / "runtime").rglob("*.cpp"), *(ROOT / "runtime").rglob("*.h")]
    readers = [path for path in sources if "getenv" in path.read_text(encoding="utf-8")]
    assert readers == [ROOT / "runtime" / "core" / "options.cpp"]
    read = set(re.findall(r'variable\("(\w+)"\)', readers[0].read_text(encoding="utf-8")))
    assert read and read <= {option.names[0] for option in options.variables()}


def test_the_page_is_made_from_the_table() -> None:
    page = (ROOT / "compiler" / "OPTIONS.md").read_text(encoding="utf-8")
    assert page == options.markdown(), "run `python -m nnc.options > compiler/OPTIONS.md`"


def test_stages_and_precisions_are_those_of_the_driver() -> None:
    from nnc import driver

    assert options.STAGES == driver.STAGES
    assert options.PRECISIONS == driver.PRECISIONS


def test_training_keys_are_those_of_the_compiler() -> None:
    from nnc.elaborate.training import KEYS

    assert set(options.TRAINING_KEYS) == set(KEYS)


def test_help_tells_every_command_and_variable(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for command, help in options.COMMANDS.items():
        assert f"{command} " in text and help in text
    for variable in options.variables():
        assert variable.names[0] in text and variable.help in text


@pytest.mark.parametrize("command", list(options.COMMANDS))
def test_help_of_a_command_tells_every_argument(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for option in options.of_command(command):
        assert option.names[-1] in text
        assert option.help.split()[0] in text
        assert not option.default or option.default.split()[0] in text


def test_every_option_belongs_somewhere() -> None:
    for option in options.OPTIONS:
        assert option.kind == "variable" or set(option.commands) <= set(options.COMMANDS)
        assert option.kind == "variable" or option.commands


def test_variables_are_read_from_the_table_only() -> None:
    assert options.read("NNC_ISA", {"NNC_ISA": "avx2"}) == "avx2"
    assert options.read("NNC_ISA", {"NNC_ISA": ""}) is None
    assert options.read("NNC_ISA", {}) is None
    with pytest.raises(options.OptionError, match=r"NNC_ISA=sse: expected one of reference,"):
        options.read("NNC_ISA", {"NNC_ISA": "sse"})
    with pytest.raises(StopIteration):
        options.read("HOME", {"HOME": "/"})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "there is no command `trian`. Did you mean `train`?"),
        (["train", "x.nn", "--quite"], "there is no argument `--quite`. Did you mean `--quiet`?"),
        (["train", "x.nn", "--epohcs=3"], "Did you mean `--epochs`?"),
        (["train"], "required: FILE"),
        (["train", "x.nn", "--seed", "-1"], "`-1` is not a whole number"),
        (["predict", "x.nnc", "y.npz", "--top", "two"], "`two` is not a whole number"),
        (["dump", "x.nn", "--stage", "tokens"], "invalid choice: 'tokens'"),
        ([], "required: COMMAND"),
    ],
)
def test_wrong_arguments_exit_with_two(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err and captured.out == ""
    assert "Traceback" not in captured.err
