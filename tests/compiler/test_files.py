"""Files and names around the compiler: what a compiled file keeps of its place, names that Python
uses itself, and how messages name files.
"""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import nnc
import nnlang
import nnrt
import numpy as np
import pytest
from nnc.cli import main
from nnlang import DiagnosticError
from safetensors.numpy import save_file

NET = """\
use "parts/half.nn"

net Small {
    input x: f32[N, 2]

    logits = half.Half(x) -> dense(2)

    output p = softmax(logits)
}

train Small {
    input label: i64[N]

    data       = "data/all.npz"
    validation = "data/held.npz"
    loss       = cross_entropy(logits, label)
    epochs     = 1
}
"""


def lay_out(folder: Path) -> Path:
    (folder / "parts").mkdir(parents=True)
    (folder / "data").mkdir()
    (folder / "parts" / "half.nn").write_text("block Half(x) {\n    return x / 2\n}\n")
    (folder / "net.nn").write_text(NET)
    x = np.arange(12, dtype=np.float32).reshape(6, 2)
    for name in ("all", "held"):
        np.savez(folder / "data" / f"{name}.npz", x=x, label=np.arange(6) % 2)
    return folder


def run(*arguments: str) -> None:
    assert main(list(arguments)) == 0


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def texts(path: Path) -> str:
    with zipfile.ZipFile(path) as archive:
        return "".join(archive.read(name).decode(errors="replace") for name in archive.namelist())


def test_two_folders_give_the_same_bytes(home: Path) -> None:
    a, b = lay_out(home / "a"), lay_out(home / "deeper" / "and" / "b")
    run("compile", "a/net.nn", "-o", "a/out.nnc", "--training")
    os.chdir(b)
    run("compile", "net.nn", "-o", "out.nnc", "--training")
    nnc.compile(str(a / "net.nn")).save(a / "python.nnc", training=True)
    content = (a / "out.nnc").read_bytes()
    assert content == (b / "out.nnc").read_bytes() == (a / "python.nnc").read_bytes()
    assert str(home) not in texts(a / "out.nnc")


def test_without_data_the_place_does_not_matter(home: Path) -> None:
    for name in ("a", "deeper/b"):
        lay_out(home / name)
        text = NET.replace('data       = "data/all.npz"', "")
        (home / name / "net.nn").write_text(text.replace('validation = "data/held.npz"', ""))
    nnc.compile("a/net.nn").save("first.nnc")
    nnc.compile(home / "deeper" / "b" / "net.nn").save("second.nnc")
    assert Path("first.nnc").read_bytes() == Path("second.nnc").read_bytes()


@pytest.mark.parametrize("training", [[], ["--data", "mine/all.npz"]])
def test_a_model_finds_its_data_after_both_have_moved(
    home: Path, training: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    lay_out(home / "one" / "nets")
    os.chdir("one")
    shutil.copytree("nets/data", "mine")
    run("train", "nets/net.nn", "-o", "net.nnc", "--quiet", *training)
    run("evaluate", "net.nnc")
    found = capsys.readouterr().out.splitlines()[-1]
    os.chdir(home)
    os.rename("one", "two")
    os.mkdir("elsewhere")
    os.chdir("elsewhere")
    run("evaluate", "../two/net.nnc")
    assert capsys.readouterr().out.splitlines()[-1] == found
    os.symlink("../two/net.nnc", "link.nnc")
    run("evaluate", "link.nnc")
    assert str(home) not in texts(Path("link.nnc"))
    nnrt.load("link.nnc").save(home / "moved.nnc")
    run("evaluate", str(home / "moved.nnc"))


def test_python_finds_the_data_of_the_section(home: Path) -> None:
    lay_out(home / "nets")
    nnc.compile("nets/net.nn").save("nets/net.nnc", training=True)
    os.rename("nets", "moved")
    history = nnrt.load("moved/net.nnc").fit(progress=False)
    assert "validation_loss" in history[-1]


def test_a_whole_path_stays_as_it_was_written(home: Path) -> None:
    lay_out(home / "nets")
    whole = str(home / "nets" / "data" / "all.npz")
    (home / "nets" / "net.nn").write_text(NET.replace("data/all.npz", whole))
    run("train", "nets/net.nn", "-o", "net.nnc", "--quiet")
    section = nnrt.load("net.nnc").training
    assert section is not None and section["data"] == whole
    os.rename("net.nnc", "nets/net.nnc")


NAMES = """\
net Names {
    input self: f32[N, 2]
    input positional: f32[N, 2]
    input program: f32[N, 2]

    output class = self + positional
    output count = self - program
    output file = self
    output _x = program
}
"""


def test_inputs_and_outputs_may_have_names_that_python_uses(home: Path) -> None:
    x, y, z = (np.full((3, 2), value, np.float32) for value in (1, 2, 3))
    model = nnc.compile(NAMES)
    for found in (
        model(self=x, positional=y, program=z),
        model(x, y, program=z),
        model.predict({"self": x, "positional": y, "program": z}),
    ):
        assert (found["class"] == 3).all() and (found.class_ == 3).all()
        assert (found["count"] == -2).all() and (found.count_ == -2).all()
        assert (found.file == 1).all() and (found._x == 3).all()
        assert list(found.keys()) == ["class", "count", "file", "_x"]
    model.save("names.nnc")
    np.savez("in.npz", **{"self": x, "positional": y, "program": z})
    run("predict", "names.nnc", "in.npz", "-o", "out.npz")
    with np.load("out.npz") as arrays:
        assert sorted(arrays.files) == ["_x", "class", "count", "file"]
        assert (arrays["file"] == x).all()


def test_a_symbol_may_have_any_name() -> None:
    model = nnc.compile("net X {\n    input x: f32[self, program]\n    output y = x * 2\n}\n")
    info: dict[str, Any] = dict(model.describe("predict", **{"self": 3, "program": 4}))
    assert info["arena_bytes"] >= 0


@pytest.mark.parametrize("given", [None, 5, ["net.nn"], object()])
def test_what_is_no_path_and_no_text_is_named(given: Any) -> None:
    for use in (nnc.compile, nnc.check):
        with pytest.raises(nnrt.Error, match=r"path that ends in `\.nn` is needed, or the text"):
            use(given)


def test_bytes_are_a_path_or_a_text(home: Path) -> None:
    lay_out(home / "nets")
    assert nnc.compile(b"nets/net.nn").net == "Small"
    assert nnc.compile(b"net X {\n    input x: f32[N]\n    output y = x\n}\n").net == "X"
    assert nnc.check(b"nets/net.nn") == []


def test_names_of_modules_are_listed() -> None:
    assert {"compile", "check", "DiagnosticError"} <= set(dir(nnc))
    assert {"parse", "render_all", "Diagnostic"} <= set(dir(nnlang))


def first_place(text: str) -> str:
    return text.split("--> ")[1].splitlines()[0]


def test_messages_name_files_by_their_path(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = lay_out(home / "nets")
    (folder / "net.nn").write_text(NET.replace("dense(2)", "dense(zwei)"))
    for given in ("nets/net.nn", str(folder / "net.nn"), "./nets/../nets/net.nn"):
        assert main(["check", given]) == 1
        assert first_place(capsys.readouterr().err) == "nets/net.nn:6:36"
    os.chdir(home / "nets" / "parts")
    with pytest.raises(DiagnosticError) as caught:
        nnc.compile("../net.nn")
    assert first_place(str(caught.value)) == "../net.nn:6:36"
    os.chdir(home)
    (folder / "net.nn").write_text(NET)
    (folder / "parts" / "half.nn").write_text("block Half(x) {\n    return x / zwei\n}\n")
    assert main(["compile", "nets/net.nn"]) == 1
    assert first_place(capsys.readouterr().err) == "nets/parts/half.nn:2:16"
    assert main(["check", "--json", "nets/net.nn"]) == 1
    labels = json.loads(capsys.readouterr().out)[0]["labels"]
    assert labels[0]["file"] == "nets/parts/half.nn"
    os.makedirs("far/away/from/here/and/deeper")
    os.chdir("far/away/from/here/and/deeper")
    far = str(folder / "parts" / "half.nn")
    shown = min(far, os.path.relpath(far), key=len)
    assert main(["check", str(folder / "net.nn")]) == 1
    assert first_place(capsys.readouterr().err).startswith(shown)


def test_loaded_weights_are_named_by_their_path(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = lay_out(home / "nets")
    (folder / "net.nn").write_text(NET.replace("epochs     = 1", 'load "data/w.safetensors"'))
    assert main(["compile", "nets/net.nn"]) == 1
    assert "there is no file nets/data/w.safetensors" in capsys.readouterr().err
    save_file({"none": np.zeros(2, np.float32)}, folder / "data" / "w.safetensors")
    assert main(["compile", "nets/net.nn"]) == 1
    assert "which nets/data/w.safetensors holds" in capsys.readouterr().err
    (folder / "data" / "w.safetensors").write_bytes(b"nothing")
    assert main(["compile", "nets/net.nn"]) == 1
    assert "nets/data/w.safetensors is no safetensors file" in capsys.readouterr().err


def test_python_saves_over_nothing_that_it_compiled(home: Path) -> None:
    folder = lay_out(home / "nets")
    model = nnc.compile("nets/net.nn")
    for source in ("nets/net.nn", "nets/parts/half.nn"):
        os.link(source, "link.nnc")
        before = Path(source).read_bytes()
        with pytest.raises(
            nnrt.Error, match=rf"link\.nnc cannot be written: .*{Path(source).name}"
        ):
            model.save("link.nnc")
        assert Path(source).read_bytes() == before
        os.unlink("link.nnc")
    assert (folder / "net.nn").read_text() == NET


def test_doctor_as_json(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.setenv("NNC_THREADS", "1")
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["versions"]["nnc"] == nnc.__version__ and found["problem"] is None
    assert set(found) > {"versions", "processor", "engine", "threads", "memory", "environment"}
    monkeypatch.setenv("NNC_THREADS", "many")
    assert main(["doctor", "--json"]) == 1
    assert "NNC_THREADS=many" in json.loads(capsys.readouterr().out)["problem"]


def renamed(model: Any, names: dict[str, str]) -> None:
    """Other names of inputs, outputs and metrics, in the manifest and in the plan alike."""
    model.manifest = json.loads(json.dumps(model.manifest))
    model.plan = json.loads(json.dumps(model.plan))
    items = [*model.manifest["inputs"], *model.manifest["outputs"]]
    items += model.manifest["training"]["inputs"]
    for program in model.plan["programs"].values():
        items += [*program["inputs"], *program["outputs"]]
    for item in items:
        item["name"] = names.get(item["name"], item["name"])
    metrics = model.manifest["training"]["metrics"]
    model.manifest["training"]["metrics"] = [names.get(name, name) for name in metrics]


def test_the_shell_shows_control_characters(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lay_out(home / "nets")
    evil = "\x1b]0;owned\x07"
    run("train", "nets/net.nn", "-o", "net.nnc", "--quiet", "--training")
    model = nnrt.load("net.nnc")
    assert model.training is not None
    metrics = {name: f"{evil}{place}" for place, name in enumerate(model.training["metrics"])}
    renamed(model, {model.outputs[0]["name"]: evil, **metrics})
    section = model.training
    assert section is not None
    section["classes"] = {"label": [evil, "b"]}
    model.manifest.update(net=evil, summary=[{"path": evil, "source": evil}])
    model.save("evil.nnc", training=True)
    section["data"] = f"{evil}.npz"
    section["validation"] = f"{evil}.npz"
    model.save("lost.nnc", training=True)
    os.rename("nets", f"nets{evil}")
    shutil.copytree(f"nets{evil}/data", f"data{evil}")
    capsys.readouterr()
    for arguments, code in (
        (["summary", "evil.nnc"], 0),
        (["evaluate", "evil.nnc", "--data", f"data{evil}/all.npz"], 0),
        (["predict", "evil.nnc", f"data{evil}/all.npz", "--top", "1"], 0),
        (["train", "evil.nnc", "--data", f"data{evil}/all.npz", "--validation", "0.5"], 0),
        (["evaluate", "lost.nnc"], 1),
        (["train", "lost.nnc"], 1),
        (["check", f"nets{evil}/net.nn"], 0),
        (["fmt", "--check", f"nets{evil}/net.nn"], 0),
        (["compile", f"nets{evil}/net.nn", "-o", f"{evil}.nnc"], 0),
        (["dump", f"nets{evil}/net.nn"], 0),
        (["compile", f"{evil}.nn"], 1),
        (["summary", f"nets{evil}"], 1),
        (["predict", "evil.nnc", f"{evil}.npz"], 1),
    ):
        assert main(arguments) == code, arguments
        shown = "".join(capsys.readouterr())
        assert not {"\x1b", "\x07"} & set(shown), arguments
