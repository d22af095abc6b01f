"""Models whose weights are stored as bf16: files, predictions, training and NumPy."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import ml_dtypes
import nnc
import nnrt
import numpy as np
import pytest
from nnc.cli import main
from nnrt import Error, Model, artifact
from safetensors.numpy import save_file

BF16 = np.dtype(ml_dtypes.bfloat16)
Array = np.ndarray[Any, Any]

NET = """
net Digits {
    input image: f32[N, 8, 8, 1]
    h = image -> conv(16) -> batch_norm -> relu -> flatten -> dense(128) -> relu
    output probability = h -> dense(10) -> softmax
}

train Digits {
    input label: i64[N]

    loss          = -mean(log(probability) * one_hot(label, 10)) * 10
    optimizer     = adam
    learning_rate = constant(0.003)
    batch         = 32
    epochs        = 2
    metric accuracy = mean(f32(argmax(probability) == label))
}
"""
LARGEST_ERROR = 2**-8  # of a number rounded to bf16, relative


@pytest.fixture(scope="module")
def data() -> dict[str, Array]:
    rng = np.random.default_rng(0)
    label = rng.integers(0, 10, 256)
    image = rng.standard_normal((256, 8, 8, 1)).astype(np.float32)
    image[np.arange(256), label % 8, label // 8] += 4
    return {"image": image, "label": label}


def rounded(array: Array) -> Array:
    return np.asarray(array).astype(BF16)


def masters(model: Model) -> dict[str, Array]:
    """The full values of the weights by the weights' names."""
    weights = model.weights()
    return {
        info["master_of"]: weights[info["name"]]
        for info in model.engine.variables
        if info["master_of"]
    }


def same_bits(one: Array, other: Array) -> bool:
    return one.dtype == other.dtype and one.tobytes() == other.tobytes()


def test_the_file_is_half_as_large_and_predicts_the_same(
    data: dict[str, Array], tmp_path: Path
) -> None:
    wide, narrow = nnc.compile(NET, seed=1), nnc.compile(NET, seed=1, store="bf16")
    for model, name in ((wide, "wide"), (narrow, "narrow")):
        model.fit(data, progress=False)
        model.save(tmp_path / f"{name}.nnc")
    small, large = ((tmp_path / f"{name}.nnc").stat().st_size for name in ("narrow", "wide"))
    assert small < 0.53 * large
    loaded = nnrt.load(tmp_path / "narrow.nnc")
    found = loaded(data["image"])
    assert found.dtype == np.float32
    assert np.abs(found - wide(data["image"])).max() < 1e-2
    assert same_bits(found, narrow(data["image"]))
    assert loaded.saved_bytes() >= small
    assert not masters(loaded)
    assert loaded.evaluate(data)["accuracy"] > 0.9


def test_training_learns_what_it_would_learn_without(data: dict[str, Array]) -> None:
    """The masters have the bits of a training in f32; the weights are those, rounded."""
    wide, narrow = nnc.compile(NET, seed=2), nnc.compile(NET, seed=2, store="bf16")
    for model in (wide, narrow):
        model.fit(data, progress=False)
    full = masters(narrow)
    assert len(full) == 3
    for name, array in wide.parameters.items():
        if name in full:
            assert same_bits(full[name], np.asarray(array)), name
            assert same_bits(narrow.parameters[name], rounded(array)), name
        else:
            assert same_bits(narrow.parameters[name], array), name


def test_frozen_weights_count_in_full(data: dict[str, Array], tmp_path: Path) -> None:
    text = NET.replace("train Digits {", 'train Digits {\n    freeze "h.*"\n')
    wide, narrow = nnc.compile(text, seed=2), nnc.compile(text, seed=2, store="bf16")
    for model in (wide, narrow):
        model.fit(data, progress=False)
    full = masters(narrow)
    assert len(full) == 3
    for name, array in full.items():
        assert same_bits(array, np.asarray(wide.parameters[name])), name
    narrow.save(tmp_path / "m.nnc", training=True)
    assert masters(nnrt.load(tmp_path / "m.nnc")).keys() == full.keys()


def test_a_parameter_that_training_alone_reads(data: dict[str, Array], tmp_path: Path) -> None:
    """Its file keeps the parameter, too: its master is nothing without."""
    text = NET.replace("output probability", "aside = h -> dense(10)\n    output probability", 1)
    text = text.replace("* 10\n", "* 10 + mean(aside) * 0.001\n", 1)
    text = text.replace("train Digits {", 'train Digits {\n    freeze "aside.*"\n')
    model = nnc.compile(text, store="bf16")
    assert len(masters(model)) == 4
    model.save(tmp_path / "m.nnc", training=True)
    loaded = nnrt.load(tmp_path / "m.nnc")
    assert len(masters(loaded)) == 4
    loaded.fit(data, epochs=1, progress=False)


def test_a_loaded_model_trains_on(data: dict[str, Array], tmp_path: Path) -> None:
    wide, narrow = nnc.compile(NET, seed=3), nnc.compile(NET, seed=3, store="bf16")
    wide.fit(data, epochs=1, progress=False)
    narrow.fit(data, epochs=1, progress=False)
    narrow.save(tmp_path / "model.nnc", training=True)
    loaded = nnrt.load(tmp_path / "model.nnc")
    for name, array in masters(narrow).items():
        assert same_bits(masters(loaded)[name], array)
    wide.fit(data, epochs=1, progress=False)
    loaded.fit(data, epochs=1, progress=False)
    for name, array in masters(loaded).items():
        assert same_bits(array, np.asarray(wide.parameters[name])), name


def test_a_small_step_is_not_lost(data: dict[str, Array]) -> None:
    """A step too small for bf16 counts in the master, and many of them in the weight."""
    text = NET.replace("constant(0.003)", "constant(0.00002)").replace("= adam", "= sgd")
    model = nnc.compile(text, seed=4, store="bf16")
    before = {name: np.array(array) for name, array in masters(model).items()}
    model.fit(data, epochs=1, progress=False)
    assert all((array != before[name]).any() for name, array in masters(model).items())


def test_a_weight_that_is_assigned_reaches_its_master(data: dict[str, Array]) -> None:
    model = nnc.compile(NET, seed=5, store="bf16")
    name = model.parameters.full_name("h.dense.weight")
    shape = model.parameters[name].shape
    value = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    model.parameters[name] = value
    assert same_bits(model.parameters[name], rounded(value))
    assert same_bits(masters(model)[name], value)
    model.parameters[name] = rounded(value)
    assert same_bits(masters(model)[name], rounded(value).astype(np.float32))
    with pytest.raises(Error, match="has the shape"):
        model.parameters[name] = value[:1]
    with pytest.raises(ValueError, match="read-only"):
        model.parameters[name][0] = 0


def test_copies_and_all_weights(data: dict[str, Array]) -> None:
    model = nnc.compile(NET, seed=6, store="bf16")
    model.fit(data, epochs=1, progress=False)
    for made in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        for name, array in model.weights().items():
            assert same_bits(made.weights()[name], array)
        assert same_bits(made(data["image"]), model(data["image"]))
    other = nnc.compile(NET, seed=7, store="bf16")
    other.set_weights(model.weights())
    assert same_bits(other(data["image"]), model(data["image"]))
    with pytest.raises(Error, match=r"should be bf16\["):
        weights = model.weights()
        other.set_weights({n: np.asarray(a, np.float32) for n, a in weights.items()})


def test_weights_go_out_and_in_as_safetensors(data: dict[str, Array], tmp_path: Path) -> None:
    model = nnc.compile(NET, seed=8, store="bf16")
    save_file({n: np.array(a) for n, a in model.parameters.items()}, tmp_path / "w.safetensors")
    (tmp_path / "net.nn").write_text(
        NET.replace("train Digits {", 'train Digits {\n    load "w.safetensors"\n'),
        encoding="utf-8",
    )
    for store in ("bf16", None):
        made = nnc.compile(str(tmp_path / "net.nn"), seed=9, store=store)
        for name, array in model.parameters.items():
            wanted = array if store else array.astype(np.float32)
            assert same_bits(made.parameters[name], wanted), name


def test_our_own_form_of_safetensors(tmp_path: Path) -> None:
    weights = {"a": rounded(np.arange(6.0)).reshape(2, 3), "b": np.ones((), BF16)}
    found = artifact.unpack_weights(artifact.pack_weights(weights))
    for name, array in weights.items():
        assert same_bits(found[name], array) and found[name].shape == array.shape
    assert b'"dtype":"BF16"' in artifact.pack_weights(weights)


def test_a_model_that_is_not_finite_is_not_saved(tmp_path: Path) -> None:
    model = nnc.compile(NET, seed=10, store="bf16")
    name = model.parameters.full_name("h.dense.weight")
    model.parameters[name] = np.full(model.parameters[name].shape, np.inf, np.float32)
    with pytest.raises(Error, match=r"h\.dense\.weight.*infinite"):
        model.save(tmp_path / "m.nnc")


# ---------------------------------------------------------------- arrays

TYPED = """
net M {
    input x: bf16[N, 4]
    output y = x
}
"""


def test_arrays_from_users(tmp_path: Path) -> None:
    model = nnc.compile(TYPED)
    x = rounded(np.linspace(-3, 3, 8)).reshape(2, 4)
    assert same_bits(model(x), x)
    assert same_bits(model(x[:, ::-1]), x[:, ::-1].copy())
    assert same_bits(model(x.astype(np.float32)), x)
    assert same_bits(model(np.array([[1, 2, 3, 4]])), rounded([[1, 2, 3, 4]]))
    assert same_bits(model.predict(x, batch=1), x)
    with pytest.raises(Error, match=r"x.view\(ml_dtypes.bfloat16\)"):
        model(x.view("V2"))
    with pytest.raises(Error, match=r"expected bf16\[N, 4\], found bf16\[2, 3\]"):
        model(x[:, :3])
    with pytest.raises(Error, match="holds nan"):
        model.predict(np.full((1, 4), np.nan, BF16))


def test_narrow_arrays_for_other_inputs() -> None:
    model = nnc.compile(TYPED.replace("bf16", "f32"))
    x = rounded(np.linspace(-3, 3, 8)).reshape(2, 4)
    assert same_bits(model(x), x.astype(np.float32))
    whole = nnc.compile(TYPED.replace("bf16", "i64"))
    with pytest.raises(Error, match="expected i64, found bf16"):
        whole(x)


def test_the_summary_counts_its_bytes() -> None:
    wide, narrow = nnc.compile(NET), nnc.compile(NET, store="bf16")
    assert narrow.parameters.elements == wide.parameters.elements
    assert narrow.parameters.nbytes < 0.51 * wide.parameters.nbytes
    assert ": bf16[" in repr(narrow.parameters)
    weights = sum(narrow.parameters[name].size for name in masters(narrow))
    assert f"stored as bf16: {weights:,}" in narrow.summary()
    assert "stored as" not in wide.summary()


# ---------------------------------------------------------------- the command line


def test_commands(
    tmp_path: Path, data: dict[str, Array], capsys: pytest.CaptureFixture[str]
) -> None:
    source, model = tmp_path / "net.nn", tmp_path / "net.nnc"
    source.write_text(NET, encoding="utf-8")
    np.savez(tmp_path / "data.npz", **data)
    arrays = str(tmp_path / "data.npz")

    def run(*arguments: str) -> str:
        assert main([*arguments]) == 0
        return capsys.readouterr().out

    run("compile", str(source), "--store", "bf16", "--training", "-o", str(model))
    assert "stored as bf16" in run("summary", str(model))
    further = tmp_path / "further.nnc"
    run("train", str(model), "--data", arrays, "-o", str(further), "--training", "--quiet")
    assert "accuracy" in run("evaluate", str(further), "--data", arrays)
    run("predict", str(further), arrays, "-o", str(tmp_path / "out.npz"))
    assert np.load(tmp_path / "out.npz")["probability"].dtype == np.float32
    assert "bf16[" in run("dump", str(source), "--store", "bf16")
    assert main(["train", str(model), "--store", "bf16", "--data", arrays]) != 0
    assert "--store needs the .nn file" in capsys.readouterr().err
    assert main(["compile", str(source), "--bf16"]) != 0
    assert "--store bf16" in capsys.readouterr().err


def test_narrow_outputs_are_written_as_floats(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = nnc.compile(TYPED)
    model.save(tmp_path / "m.nnc")
    np.savez(tmp_path / "x.npz", x=np.array([[1.5, 2, -3, 0.1]], np.float32))
    paths = [str(tmp_path / name) for name in ("m.nnc", "x.npz", "y.npz")]
    assert main(["predict", paths[0], paths[1], "-o", paths[2]]) == 0
    found = np.load(paths[2])["y"]
    np.testing.assert_array_equal(found, rounded([[1.5, 2, -3, 0.1]]).astype(np.float32))
    assert found.dtype == np.float32
    capsys.readouterr()
    assert main(["predict", *paths[:2]]) == 0
    assert "1.5,2,-3,0.100098" in capsys.readouterr().out.replace(".0,", ",")


# ---------------------------------------------------------------- what is refused


def test_a_damaged_plan_is_refused() -> None:
    model = nnc.compile(NET, store="bf16")
    weights = model.weights()

    def changed(**fields: Any) -> dict[str, Any]:
        plan = json.loads(json.dumps(model.plan))
        next(v for v in plan["variables"] if "master_of" in v).update(fields)
        return plan

    Model(model.manifest, changed(), weights, {})
    for fields in (
        {"master_of": "nothing"},
        {"master_of": "h.batch_norm.scale"},
        {"kind": "state"},
    ):
        with pytest.raises(Error, match="cannot be the master of"):
            Model(model.manifest, changed(**fields), weights, {})


WITHOUT = """
import sys
sys.modules["ml_dtypes"] = None
import nnc, nnrt, numpy as np
print(nnrt.load(sys.argv[1]).net)
for use in (lambda: nnrt.load(sys.argv[2]), lambda: nnc.compile(sys.argv[3], store="bf16")):
    try:
        use()
    except nnrt.Error as error:
        print(error)
"""


def test_without_ml_dtypes(tmp_path: Path) -> None:
    """Other models need no such package; what is missing is said where it is needed."""
    source = tmp_path / "net.nn"
    source.write_text(NET, encoding="utf-8")
    for store in ("bf16", None):
        nnc.compile(str(source), store=store).save(tmp_path / f"{store}.nnc")
    command = [sys.executable, "-c", WITHOUT, "None.nnc", "bf16.nnc", "net.nn"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert lines[0] == "Digits" and len(lines) == 3
    assert all("pip install ml_dtypes" in line for line in lines[1:])


def test_it_is_imported_only_where_it_is_needed(tmp_path: Path) -> None:
    nnc.compile(NET).save(tmp_path / "wide.nnc")
    code = (
        "import sys, nnrt, numpy as np; m = nnrt.load('wide.nnc'); "
        "m(np.zeros((1, 8, 8, 1), np.float32)); print('ml_dtypes' in sys.modules)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_training_on_narrow_data(tmp_path: Path) -> None:
    """From arrays and from a table: as on the same numbers in f32."""
    text = """
net M {
    input x: bf16[N, 3]
    output y = f32(x) -> dense(1)
}

train M {
    input target: f32[N, 1]

    loss          = mean((y - target) ** 2)
    optimizer     = sgd
    learning_rate = constant(0.1)
    batch         = 8
    epochs        = 2
}
"""
    rng = np.random.default_rng(0)
    x = rounded(rng.standard_normal((40, 3)))
    target = rng.standard_normal((40, 1)).astype(np.float32)
    narrow, wide = nnc.compile(text), nnc.compile(text.replace("bf16", "f32"))
    narrow.fit({"x": x, "target": target}, progress=False)
    wide.fit({"x": x.astype(np.float32), "target": target}, progress=False)
    for name, array in wide.parameters.items():
        assert same_bits(narrow.parameters[name], array)
    rows = [
        ",".join(map(str, [*map(float, a), float(b[0])])) for a, b in zip(x, target, strict=True)
    ]
    table = tmp_path / "data.csv"
    table.write_text("\n".join(["x.0,x.1,x.2,target", *rows]), encoding="utf-8")
    assert narrow.evaluate(table) == narrow.evaluate({"x": x, "target": target})
