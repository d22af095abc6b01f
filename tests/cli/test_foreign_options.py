"""Options of other tools are answered with options that exist: each is typed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from nnc import options
from nnc.cli import entry, foreign_options, main

ARGUMENTS = {"predict": ["m.nnc", "d.npz"], "evaluate": ["m.nnc"]}


def said(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and "Traceback" not in captured.err
    return captured.err.splitlines()[0]


def accepted(command: str, typed: str) -> None:
    """The parser takes what the answer says."""
    arguments = [command, *ARGUMENTS.get(command, ["x.nn"]), *shlex.split(typed)]
    parsed = entry.parser().parse_args(arguments)
    assert parsed.command == command


COMMANDS = [command for command in options.COMMANDS if command != "doctor"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_habit_is_answered_with_an_option_of_the_command(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    own = {name for row in options.of_command(command) for name in row.names}
    renamed = 0
    for name in {*foreign_options.NAMES, *foreign_options.OTHERS} - own:
        text = said([command, *ARGUMENTS.get(command, ["x.nn"]), name, "3"], capsys)
        assert f"`{name}`" in text
        here = re.search(r"is `([^`]+)` here\.$", text)
        if here:
            accepted(command, here[1])
            renamed += 1
        elif "belongs to" in text:
            option, *commands = re.findall(r"`(?:nnc )?([^`]+)`", text.split("argument", 1)[1])[1:]
            assert option not in own and commands
            for other in commands:
                assert option in {n for row in options.of_command(other) for n in row.names}
        elif "Here it is a key" in text:
            accepted(command, text.split("`")[3].replace("...", "3"))
        else:
            assert name in foreign_options.OTHERS or command in foreign_options.PLACES
    assert renamed or command in ("fmt", "dump", "check", "summary")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("train x.nn --lr 0.1", "`--lr` is `--set learning_rate=0.1` here."),
        ("train x.nn --learning-rate=0.1", "is `--set learning_rate=0.1` here."),
        ("train x.nn -b 32", "`-b` is `--batch 32` here."),
        ("train -b 32 x.nn", "`-b` is `--batch 32` here."),
        ("train x.nn --batch-size 8", "is `--batch 8` here."),
        ("train x.nn --optimizer 'sgd(momentum = 0.9)'", '--set optimizer="sgd(momentum = 0.9)"'),
        ("train x.nn --gpu", "Nets run on the processor"),
        ("train x.nn --gpus 2 --lr 3", "`--device auto` takes the fastest device"),
        ("compile x.nn --epochs 3", "Here it is a key: `--set epochs=...`."),
        ("compile x.nn --batch 3", "Here it is a key: `--set batch=...`."),
        ("evaluate m.nnc --epoch 3", "`--epochs` belongs to `nnc train`."),
        ("predict m.nnc d.csv --epohcs 3", "there is no argument `--epohcs`."),
        ("predict m.nnc d.csv --data e.csv", "`nnc predict MODEL.nnc DATA` takes"),
        ("predict --model m.nnc d.csv x", "`nnc predict MODEL.nnc DATA` takes"),
        ("predict m.nnc d.csv --out p.csv", "is `--output p.csv` here."),
        ("train x.nn --threads 4", "`NNC_THREADS=4 nnc ...`"),
        ("fit x.nn", "`fit` is `nnc train` here."),
        ("eval m.nnc", "`eval` is `nnc evaluate` here."),
        ("trian x.nn", "Did you mean `train`?"),
    ],
)
def test_answers(arguments: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = said(shlex.split(arguments), capsys)
    assert text in found
    # No option is advised that the command lacks.
    assert "Did you mean `--epochs`" not in found


def test_commands_of_other_tools_exist_here() -> None:
    for name, here in foreign_options.COMMANDS.items():
        assert name not in options.COMMANDS and here in options.COMMANDS


def test_the_environment_that_is_named_exists() -> None:
    texts = " ".join([*foreign_options.OTHERS.values(), *foreign_options.PLACES.values()])
    named = set(re.findall(r"\b(NNC_\w+)=", texts))
    assert named and named <= {row.names[0] for row in options.variables()}


def test_settings_that_are_advised_train(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("n.nn").write_text(
        "net A {\n    input x: f32[N, 2]\n    output y = x -> dense(1)\n}\n"
        "train A {\n    input t: f32[N, 1]\n    loss = mean_squared_error(y, t)\n}\n"
    )
    Path("d.csv").write_text("x.0,x.1,t\n1,2,3\n2,3,4\n3,4,5\n4,5,6\n")
    for typed in (
        "--lr 0.1",
        "--optimizer adam",
        "--optimizer 'sgd(momentum = 0.5)'",
        "--loss 'mean(square(y - t))'",
        "--epoch 2",
        "--bs 2",
        "--val-split 0.5",
        "--weight-decay 1",
    ):
        text = said(["train", "n.nn", *shlex.split(typed)], capsys)
        option = re.findall(r"`(--[^`]+)`", text)[1]
        assert main(["train", "n.nn", "--data", "d.csv", "--quiet", *shlex.split(option)]) == 0
        capsys.readouterr()
