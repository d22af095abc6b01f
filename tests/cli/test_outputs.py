"""No output of a command destroys an input: every option that writes, on every kind of file that a
command can read, by its own name, by symbolic links and by hard links; and on what is no regular
file.
"""

from __future__ import annotations

import json
import os
import socket
import stat
import struct
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from nnc import options
from nnc.cli import main
from safetensors.numpy import save_file

LIBRARY = "block Half(x) {\n    return x / 2\n}\n"
NET = """\
use "lib.nn"

net Small {
    input x: f32[N, 4, 4, 1]

    logits = lib.Half(x) -> flatten -> dense(2)

    output p = softmax(logits)
}

train Small {
    input label: i64[N]

    data       = "data.npz"
    validation = "validation.npz"
    loss       = cross_entropy(logits, label)
    epochs     = 1
    load "weights.safetensors"
}
"""

# How each command is given an output. `{}` is its place; the data is replaced by other kinds.
WRITERS: dict[tuple[str, str], list[str]] = {
    ("compile", "--output"): ["compile", "net.nn", "-o", "{}"],
    ("train", "--output"): ["train", "net.nn", "--quiet", "-o", "{}"],
    ("train", "--log"): ["train", "net.nn", "--quiet", "--log", "{}"],
    ("predict", "--output"): ["predict", "model.nnc", "data.npz", "-o", "{}"],
}
MORE = {
    "from a model": ["train", "trained.nnc", "--quiet", "-o", "{}"],
    "log from a model": ["train", "trained.nnc", "--quiet", "--log", "{}"],
    "other data": [
        *["train", "net.nn", "--quiet", "--data", "pictures", "--validation", "idx", "-o", "{}"],
    ],
    "log of other data": [
        *["train", "net.nn", "--quiet", "--data", "idx", "--validation", "table.csv"],
        *["--log", "{}"],
    ],
    "of a table": ["predict", "model.nnc", "table.csv", "-o", "{}"],
    "of images": ["predict", "model.nnc", "pictures", "-o", "{}"],
    "of IDX files": ["predict", "model.nnc", "idx#train", "-o", "{}"],
}
COMMANDS = [*WRITERS.values(), *MORE.values()]
INPUTS = [
    *["net.nn", "lib.nn", "weights.safetensors", "data.npz", "validation.npz", "table.csv"],
    *["model.nnc", "trained.nnc", "pictures/a/0.png", "idx/train-images-idx3-ubyte"],
]
SUFFIXES = ("", ".nnc", ".npz", ".csv", ".jsonl")


def idx_bytes(array: np.ndarray) -> bytes:
    header = struct.pack(">BBBB", 0, 0, 8, array.ndim)
    return header + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a file of each kind, copied for each test."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("made")
    x = np.random.default_rng(0).normal(size=(6, 4, 4, 1)).astype(np.float32)
    label = np.arange(6) % 2
    (folder / "lib.nn").write_text(LIBRARY)
    (folder / "net.nn").write_text(NET)
    for name in ("data.npz", "validation.npz"):
        np.savez(folder / name, x=x, label=label)
    names = ",".join(f"x.{index}" for index in range(16))
    rows = [",".join(map(str, row)) for row in x.reshape(6, 16)]
    lines = [f"{names},label", *(f"{row},{code}" for row, code in zip(rows, label, strict=True))]
    (folder / "table.csv").write_text("\n".join(lines) + "\n")
    weight = np.zeros((16, 2), np.float32)
    save_file({"logits.dense.weight": weight}, folder / "weights.safetensors")
    for index, name in enumerate("ab"):
        (folder / "pictures" / name).mkdir(parents=True)
        Image.new("L", (4, 4), 50 * index).save(folder / "pictures" / name / "0.png")
    (folder / "idx").mkdir()
    pixels = np.zeros((6, 4, 4), np.uint8)
    (folder / "idx" / "train-images-idx3-ubyte").write_bytes(idx_bytes(pixels))
    (folder / "idx" / "train-labels-idx1-ubyte").write_bytes(idx_bytes(label.astype(np.uint8)))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["compile", "net.nn", "-o", "model.nnc"]) == 0
        training = ["train", "net.nn", "--quiet", "--training", "-o", "trained.nnc"]
        assert main([*training, "--log", "run.jsonl"]) == 0
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    import shutil

    place = tmp_path / "work"
    shutil.copytree(made, place)
    monkeypatch.chdir(place)
    return place


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def given(command: list[str], output: str) -> list[str]:
    return [output if word == "{}" else word for word in command]


def may_replace(command: list[str], source: str) -> bool:
    """Whether a file is of the output's own kind and of no use to the command."""
    if command[0] == "predict":
        return source == "table.csv" and source not in command
    return "-o" in command and source.endswith(".nnc") and source not in command


def test_the_table_has_every_option_that_writes() -> None:
    """A new option that takes the name of a file must be tried here, or named here."""
    reads = {("train", "--data"), ("train", "--validation"), ("evaluate", "--data")}
    named = {
        (command, option.names[-1])
        for option in options.OPTIONS
        for command in option.commands
        if "." in option.metavar or "PATH" in option.metavar
    }
    assert named - reads == set(WRITERS)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_input_is_destroyed(
    folder: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(folder)
    for source in INPUTS:
        if may_replace(command, source):
            continue
        for form in ("itself", "symbolic", "symbolic of symbolic", "hard"):
            for suffix in SUFFIXES:
                name = source if form == "itself" else f"link{suffix}"
                if form == "symbolic":
                    os.symlink(source, name)
                elif form == "symbolic of symbolic":
                    os.symlink(folder / source, "between")
                    os.symlink("between", name)
                elif form == "hard":
                    os.link(source, name)
                code = main(given(command, name))
                error = capsys.readouterr().err
                what = f"{source}, {form}, {name}"
                assert code == 1 and error.startswith("error"), what
                assert name in error and "Traceback" not in error, what
                for extra in ("link" + suffix, "between"):
                    if os.path.lexists(extra):
                        assert os.path.samefile(extra, source), what
                        os.unlink(extra)
                if form == "itself":
                    break
    assert contents(folder) == before


def test_both_names_are_in_the_message(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.symlink("table.csv", "out.csv")
    assert main(["predict", "model.nnc", "table.csv", "-o", "out.csv"]) == 1
    error = capsys.readouterr().err
    assert "out.csv" in error and "table.csv" in error
    os.link("trained.nnc", "again.nnc")
    assert main(["train", "trained.nnc", "-o", "again.nnc"]) == 1
    error = capsys.readouterr().err
    assert "again.nnc" in error and "trained.nnc" in error


REFUSED = [
    (["compile", "net.nn", "-o", "out.onnx"], "`out.nnc`"),
    (["compile", "net.nn", "-o", "out"], "`out.nnc`"),
    (["train", "net.nn", "-o", "out.npz"], "`out.nnc`"),
    (["predict", "model.nnc", "data.npz", "-o", "out.txt"], "`out.csv`"),
    (["predict", "model.nnc", "data.npz", "-o", "out.nnc"], "`out.csv`"),
    (["train", "net.nn", "--log", "new.nnc"], "new.nnc"),
    (["train", "net.nn", "--log", "new.csv"], "new.csv"),
    (["compile", "net.nn", "-o", "notes.nnc"], "not a compiled model"),
    (["train", "net.nn", "--log", "notes.txt"], "not a log"),
    (["predict", "model.nnc", "data.npz", "-o", "notes.csv"], "not a table"),
    (["predict", "model.nnc", "data.npz", "-o", "notes.npz"], "not a file of arrays"),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED)
def test_other_kinds_of_files_are_refused(
    folder: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for suffix in ("nnc", "txt", "csv", "npz"):
        Path(f"notes.{suffix}").write_text("Dear diary, today,\nI trained a net.\n")
    before = contents(folder)
    assert main(arguments) == 1
    assert message in capsys.readouterr().err
    assert contents(folder) == before


@pytest.mark.parametrize("suffix", [".nnc", ".npz", ".csv", ".jsonl"])
def test_older_outputs_are_replaced(folder: Path, suffix: str) -> None:
    command = {
        ".nnc": ["compile", "net.nn", "-o", "out.nnc"],
        ".npz": ["predict", "model.nnc", "data.npz", "-o", "out.npz"],
        ".csv": ["predict", "model.nnc", "data.npz", "-o", "out.csv"],
        ".jsonl": ["train", "net.nn", "--quiet", "--log", "out.jsonl"],
    }[suffix]
    assert main(command) == 0
    first = Path(f"out{suffix}").read_bytes()
    assert first and main(command) == 0
    if suffix != ".jsonl":  # which holds times
        assert Path(f"out{suffix}").read_bytes() == first
    assert not list(folder.glob(".nnc-*"))


def test_the_model_and_the_log_are_two_files(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.symlink("new.nnc", "run.log")
    assert main(["train", "net.nn", "-o", "new.nnc", "--log", "run.log"]) == 1
    assert "run.log" in capsys.readouterr().err
    Path("both.nnc").touch()
    os.link("both.nnc", "both.log")
    assert main(["train", "net.nn", "-o", "both.nnc", "--log", "both.log"]) == 1
    assert "both.nnc" in capsys.readouterr().err
    assert not Path("new.nnc").exists()


def read_pipe(path: str, found: list[bytes]) -> threading.Thread:
    def read() -> None:
        with open(path, "rb") as file:
            found.append(file.read())

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("command", WRITERS.values(), ids=" ".join)
def test_a_pipe_takes_the_bytes(folder: Path, command: list[str]) -> None:
    os.mkfifo("pipe")
    found: list[bytes] = []
    thread = read_pipe("pipe", found)
    assert main(given(command, "pipe")) == 0
    thread.join(30)
    assert stat.S_ISFIFO(os.stat("pipe").st_mode)
    if command[0] == "compile":
        Path("read.nnc").write_bytes(found[0])
        assert main(["summary", "read.nnc"]) == 0
    elif command[0] == "predict":
        assert found[0].splitlines()[0] == b"p.0,p.1"
    elif "--log" in command:
        assert json.loads(found[0])["epoch"] == 1
    assert found[0]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_devices_folders_and_sockets_stay(
    folder: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    null = "null"
    try:
        os.mknod(null, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    except PermissionError:
        null = os.devnull  # not root: it could not be replaced
    os.symlink(null, "link.nnc")
    for name in (null, "link.nnc"):
        assert main(given(command, name)) == 0
        assert stat.S_ISCHR(os.stat(name).st_mode)
    assert Path("link.nnc").is_symlink()
    Path("folder.nnc").mkdir()
    for name in ("folder.nnc", "pictures", ".", "idx/"):
        assert main(given(command, name)) == 1
        assert "is a folder" in capsys.readouterr().err
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.nnc")
        assert main(given(command, "socket.nnc")) == 1
    assert stat.S_ISSOCK(os.stat("socket.nnc").st_mode)
    assert "is a socket" in capsys.readouterr().err


def test_standard_output_takes_the_model_and_messages_go_aside(folder: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-m", "nnc", "compile", "net.nn", "-o", "/dev/stdout"],
        capture_output=True,
        env=environment,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout == Path("model.nnc").read_bytes()
    assert b"/dev/stdout: written" in done.stderr
    # A shell's `>>` appends: what was there before stays.
    with open("log.bin", "wb") as file:
        file.write(b"before")
        file.flush()
        command = [sys.executable, "-m", "nnc", "compile", "net.nn", "-o", "/dev/fd/1"]
        subprocess.run(command, stdout=file, stderr=subprocess.PIPE, env=environment, check=True)
    assert Path("log.bin").read_bytes() == b"before" + done.stdout


def test_fmt_writes_through_links_and_keeps_what_it_cannot_parse(folder: Path) -> None:
    path = Path("net.nn")
    formatted = path.read_text()
    path.write_text(formatted.replace(" = ", "="))
    path.chmod(0o600)
    os.symlink("net.nn", "soft.nn")
    os.link("net.nn", "hard.nn")
    assert main(["fmt", "soft.nn"]) == 0
    assert Path("soft.nn").is_symlink() and os.path.samefile("net.nn", "hard.nn")
    assert Path("hard.nn").read_text() == path.read_text() == formatted
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("net {")
    assert main(["fmt", "soft.nn"]) == 1
    assert path.read_text() == "net {"
    assert not list(folder.glob(".nnc-*"))


def test_reading_what_is_no_regular_file_ends_at_once(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo("pipe.nn")
    os.symlink("/dev/zero", "zero.nnc")
    os.symlink("/dev/zero", "zero.csv")
    os.mkfifo("idx/test-images-idx3-ubyte")
    os.mkfifo("idx/test-labels-idx1-ubyte")
    for arguments in (
        ["check", "pipe.nn"],
        ["fmt", "pipe.nn"],
        ["compile", "pipe.nn"],
        ["summary", "zero.nnc"],
        ["predict", "zero.nnc", "data.npz"],
        ["predict", "model.nnc", "zero.csv"],
        ["predict", "model.nnc", "idx#test"],
        ["train", "zero.nnc"],
    ):
        assert main(arguments) == 1, arguments
        error = capsys.readouterr().err
        assert "a pipe" in error or "a device" in error, error
