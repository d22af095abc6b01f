"""Saving: what is durable, what is kept of the old file, what a killed process leaves behind."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import nnrt
import pytest
from nnrt import kinds, writing
from nnrt.errors import Error

from .plans import make_model

SAVER = """
import sys
sys.path[:0] = {paths!r}
from nnrt import kinds, writing
{setup}
content = b"PK\\x03\\x04" + bytes(26) + b"manifest.json" + bytes([int(sys.argv[2])]) * 4_000_000
print("ready", flush=True)
while True:
    writing.target(sys.argv[1], kinds.MODEL).write(lambda file: file.write(content))
"""
NAMED = "import os; del os.O_TMPFILE"


def save(path: Path, content: bytes) -> None:
    writing.target(path, kinds.SOURCE).write(lambda file: file.write(content))


@pytest.mark.parametrize("setup", ["", NAMED], ids=["unnamed drafts", "named drafts"])
def test_killed_processes_leave_a_whole_file_and_nothing_else(tmp_path: Path, setup: str) -> None:
    path = tmp_path / "model.nnc"
    script = SAVER.format(paths=sys.path, setup=setup)
    choose = random.Random(0)
    for number in range(40):
        command = [sys.executable, "-c", script, str(path), str(number)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None and process.stdout.readline()
            time.sleep(choose.uniform(0, 0.02))
            process.send_signal(signal.SIGKILL)
        if path.exists():
            content = path.read_bytes()
            assert len(content) == 4_000_043 and len(set(content[43:])) == 1
        left = [item for item in tmp_path.iterdir() if item != path]
        assert len(left) <= 1  # the next process removes it
    make_model().save(path)
    assert [item.name for item in tmp_path.iterdir()] == ["model.nnc"]
    assert nnrt.load(path).net == "Line"


def test_drafts_in_use_stay(tmp_path: Path) -> None:
    with writing.draft(str(tmp_path)) as (file, _):
        name = writing.draft_name(str(tmp_path))
        writing.link(file, name)
        save(tmp_path / "a", b"new")
        assert os.path.exists(name)
    save(tmp_path / "a", b"newer")
    assert [item.name for item in tmp_path.iterdir()] == ["a"]


def test_a_users_file_that_looks_like_a_draft_stays(tmp_path: Path) -> None:
    names = [".nnc-notes.draft", "nnc-0123456789abcdef.draft", ".nnc-0123456789abcdef.draft.txt"]
    for name in names:
        (tmp_path / name).touch()
    (tmp_path / ".nnc-0123456789abcdef.draft").mkdir()
    os.symlink(names[0], tmp_path / ".nnc-fedcba9876543210.draft")
    save(tmp_path / "a", b"new")
    assert len(list(tmp_path.iterdir())) == 6


@pytest.mark.parametrize("named", [False, True])
def test_file_and_folder_are_synced_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    if named:
        monkeypatch.delattr(os, "O_TMPFILE")
    calls: list[str] = []
    fsync, replace, link = os.fsync, os.replace, os.link

    def note_sync(handle: int) -> None:
        calls.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        fsync(handle)

    def note_replace(source: str, target: str) -> None:
        calls.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(os, "replace", note_replace)
    monkeypatch.setattr(os, "link", lambda *a, **b: (calls.append("link"), link(*a, **b)))
    save(tmp_path / "a", b"one")
    assert calls == ["file", "rename" if named else "link", "folder"]
    calls.clear()
    save(tmp_path / "a", b"two")
    assert calls == ["file", *([] if named else ["link"]), "rename", "folder"]
    assert (tmp_path / "a").read_bytes() == b"two"


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("hard", [False, True])
def test_without_space_the_old_file_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: bool, hard: bool
) -> None:
    if named:
        monkeypatch.delattr(os, "O_TMPFILE")
    path = tmp_path / "a.nnc"
    make_model().save(path)
    old = path.read_bytes()
    if hard:
        os.link(path, tmp_path / "b.nnc")
    names = sorted(item.name for item in tmp_path.iterdir())
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(Error, match=r"a\.nnc cannot be written: File too large"):
            make_model().save(path)
        with pytest.raises(Error, match="File too large"):
            make_model().save(tmp_path / "new.nnc")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == old
    assert sorted(item.name for item in tmp_path.iterdir()) == names


def test_a_file_with_two_names_that_grows_too_large_stays(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    os.link(path, tmp_path / "b")
    status = path.stat()

    def fail(handle: int, offset: int, size: int) -> None:
        os.pwrite(handle, b"\0", size - 1)  # as much as a real one may have reserved
        raise OSError(28, "No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "posix_fallocate", fail)
        with pytest.raises(Error, match="No space left"):
            save(path, b"a new and longer text")
    assert (tmp_path / "b").read_bytes() == b"old" and path.stat().st_ino == status.st_ino


def test_a_failure_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def fail(file: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        writing.target(path, kinds.SOURCE).write(fail)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_mode_owner_and_attributes_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "a"
    save(path, b"one")
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask
    path.chmod(0o604)
    with contextlib.suppress(PermissionError):
        os.chown(path, 1234, 4321)
    kept = hasattr(os, "setxattr")
    if kept:
        try:
            os.setxattr(path, "user.note", b"mine")
        except OSError:
            kept = False  # this file system has none
    before = path.stat()
    save(path, b"two")
    after = path.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (
        before.st_mode,
        before.st_uid,
        before.st_gid,
    )
    assert path.read_bytes() == b"two" and after.st_ino != before.st_ino
    assert not kept or os.getxattr(path, "user.note") == b"mine"


def test_links_are_followed(tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    real = store / "real.nnc"
    make_model().save(real)
    os.symlink("store/real.nnc", tmp_path / "first.nnc")
    os.symlink("first.nnc", tmp_path / "second.nnc")
    os.symlink("store/later.nnc", tmp_path / "dangling.nnc")
    os.link(real, tmp_path / "hard.nnc")
    for name in ("second.nnc", "hard.nnc", "dangling.nnc"):
        model = make_model()
        model.parameters["line.offset"] = model.parameters["line.offset"] + len(name)
        model.save(tmp_path / name)
        found = nnrt.load(tmp_path / name).parameters["line.offset"]
        assert (found == model.parameters["line.offset"]).all()
        assert os.path.islink(tmp_path / "first.nnc") and os.path.islink(tmp_path / "second.nnc")
        assert os.path.samefile(real, tmp_path / "hard.nnc")
    assert (store / "later.nnc").is_file()
    assert sorted(os.listdir(store)) == ["later.nnc", "real.nnc"]


def test_dots_behind_a_link_mean_what_the_system_means(tmp_path: Path) -> None:
    (tmp_path / "deep" / "inner").mkdir(parents=True)
    os.symlink("deep/inner", tmp_path / "link")
    save(tmp_path / "link" / ".." / "a", b"here")
    assert (tmp_path / "deep" / "a").read_bytes() == b"here"
    assert not (tmp_path / "a").exists()


def test_places_that_cannot_be_written_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    os.symlink("loop", "loop2")
    os.symlink("loop2", "loop")
    os.symlink("nowhere/a", "lost")
    Path("kept").write_bytes(b"old")
    with pytest.raises(Error, match="loop cannot be written: Too many levels"):
        save(Path("loop"), b"")
    with pytest.raises(Error, match=r"lost cannot be written: there is no folder .*nowhere"):
        save(Path("lost"), b"")
    with pytest.raises(Error, match="File name too long"):
        save(Path("a" * 300), b"")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(Error, match="kept cannot be written: Permission denied"):
        save(Path("kept"), b"new")
    assert Path("kept").read_bytes() == b"old"


def test_two_threads_that_save_to_one_place_leave_one_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    errors: list[BaseException] = []

    def work(byte: int) -> None:
        try:
            for _ in range(50):
                save(path, bytes([byte]) * 100_000)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(byte,)) for byte in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    content = path.read_bytes()
    assert not errors and len(content) == 100_000 and len(set(content)) == 1
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("path", [None, 5, b"", "", "a\0.nnc", ["m.nnc"], object()])
def test_what_is_no_path_is_named(path: object) -> None:
    for use in (make_model().save, nnrt.load):
        with pytest.raises(Error, match="must be"):
            use(path)  # type: ignore[arg-type]


def test_bytes_are_paths(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/m\xff.nnc"
    make_model().save(path)
    assert os.listdir(os.fsencode(tmp_path)) == [b"m\xff.nnc"]
    assert nnrt.load(path).net == "Line"


def test_python_saves_over_models_only(tmp_path: Path) -> None:
    model = make_model()
    for name, content in (("a.nnc", b"my notes"), ("b.nnc", b"PK\x03\x04" + bytes(100))):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(Error, match="not a compiled model") as caught:
            model.save(tmp_path / name)
        assert caught.value.code == "N0713" and (tmp_path / name).read_bytes() == content
    for name in ("a.onnx", "a", "a.nn", "a.nnc.bak"):
        with pytest.raises(Error, match=r"ends in \.nnc"):
            model.save(tmp_path / name)
    assert sorted(os.listdir(tmp_path)) == ["a.nnc", "b.nnc"]


def test_the_log_of_fit_replaces_logs_only(tmp_path: Path) -> None:
    data = {"x": [[0.0, 0, 0]] * 4, "target": [[0.0, 0]] * 4}
    for name in ("notes.txt", "data.csv", "m.nnc"):
        path = tmp_path / name
        path.write_text("something else\n")
        with pytest.raises(Error, match="cannot be written"):
            make_model().fit(data, epochs=1, progress=False, log=path)
        assert path.read_text() == "something else\n"
    log = tmp_path / "run.jsonl"
    for epochs in (3, 1):
        make_model().fit(data, epochs=epochs, progress=False, log=log)
        assert len(log.read_text().splitlines()) == epochs
