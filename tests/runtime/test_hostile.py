"""Damaged and hostile plans and files: an error or a correct result, never a crash."""

from __future__ import annotations

import copy
import json
import random
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nnrt
import numpy as np
import pytest
from nnc.dtypes import TYPES
from nnrt import Error, _engine, artifact
from nnrt.model import Model

from .plans import make_model, regression_plan, regression_weights

NUMBERS = (-(2**63), -(2**31), -7, -1, 0, 1, 2, 3, 5, 8, 64, 1000, 2**31, 2**40, 2**62, 2**64)
VALUES: tuple[Any, ...] = (
    None,
    "",
    "N",
    "N*N*N*N*N*N*N",
    "(((N",
    "max(N,0)",
    "N-5",
    "f64",
    "i64",
    "bool",
    "variable",
    "temporary",
    "output",
    "prepared",
    "tile",
    "reduce",
    "softmax",
    "transpose",
    "load",
    "store",
    "uniform",
    "exp",
    [],
    {},
    [0],
    [[0]],
    0.5,
    float("nan"),
    True,
    "\udc80",
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in nested dicts and lists."""
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, item in items:
        yield (*path, key)
        yield from places(item, (*path, key))


def mutated(plan: dict[str, Any], choose: random.Random) -> dict[str, Any]:
    changed = copy.deepcopy(plan)
    for _ in range(choose.choice((1, 1, 1, 2, 3))):
        every = list(places(changed))
        path = choose.choice(every)
        holder: Any = changed
        for key in path[:-1]:
            holder = holder[key]
        action = choose.randrange(6)
        if action == 0:
            holder[path[-1]] = choose.choice(NUMBERS)
        elif action == 1:
            holder[path[-1]] = choose.choice(VALUES)
        elif action == 2:
            del holder[path[-1]]
        elif action == 3 and isinstance(holder, list):
            holder.insert(path[-1], copy.deepcopy(choose.choice(holder)))
        elif action == 4 and isinstance(holder, list):
            choose.shuffle(holder)
        else:  # something of the same kind from elsewhere in the plan
            other: Any = changed
            for key in choose.choice(every):
                other = other[key]
            holder[path[-1]] = copy.deepcopy(other)
    return changed


def run_everything(plan: dict[str, Any], inputs: dict[str, Any]) -> int:
    """The number of programs that ran; whatever cannot run must say so with an Error."""
    try:
        engine = _engine.Engine(artifact.encoded(plan), 2)
    except Error:
        return 0
    ran = 0
    for info in engine.variables:
        try:
            value = regression_weights().get(info["name"])
            if value is not None:
                engine.set_variable(info["name"], value)
        except Error:
            pass
    for program in plan["programs"]:
        for rows in (3, 0):
            given = {
                name: array if array.ndim == 0 else array[:rows] for name, array in inputs.items()
            }
            try:
                engine.run(program, given)
                ran += 1
            except Error:
                pass
    return ran


@pytest.mark.parametrize("part", range(8))
def test_mutated_plans_give_an_error_or_run(part: int, data: dict[str, Any]) -> None:
    plan = regression_plan()
    inputs = {**data, "step": np.zeros((), np.float32)}
    choose = random.Random(part)
    ran = sum(run_everything(mutated(plan, choose), inputs) > 0 for _ in range(500))
    assert 0 < ran < 500


def with_hostile_steps(program: dict[str, Any], choose: random.Random) -> dict[str, Any]:
    """A program whose form is sound, but whose kernels get what does not fit together."""
    changed = copy.deepcopy(program)
    for _ in range(choose.choice((1, 1, 2))):
        step = choose.choice(changed["steps"])
        buffer = choose.choice(changed["buffers"])
        action = choose.randrange(4)
        if action == 0 and step["attributes"]:
            name = choose.choice(list(step["attributes"]))
            value = step["attributes"][name]
            if isinstance(value, list) and value:
                value[choose.randrange(len(value))] = choose.choice((*NUMBERS, "N"))
            elif isinstance(value, (int, float)):
                step["attributes"][name] = choose.choice((*NUMBERS, 0.5))
        elif action == 1 and buffer["shape"] and buffer["kind"] == "temporary":
            sizes = (0, 1, 2, 3, 5, 7, 31, 64, "N", "N*2", "N+1")
            buffer["shape"][choose.randrange(len(buffer["shape"]))] = choose.choice(sizes)
        elif action == 2:
            indices = step[choose.choice(("operands", "results"))]
            if indices:
                indices[choose.randrange(len(indices))] = choose.randrange(len(changed["buffers"]))
        elif action == 3:
            buffer["dtype"] = choose.choice(tuple(TYPES))
    return changed


@pytest.mark.parametrize("program", ["predict", "train"])
def test_kernels_face_hostile_steps(program: str) -> None:
    import nnc

    source = Path(__file__).parents[2] / "examples" / "fashion.nn"
    plan = json.loads(json.dumps(nnc.compile(source).plan))
    generator = np.random.default_rng(0)
    inputs: dict[str, Any] = {
        "image": generator.integers(0, 256, (3, 28, 28, 1), np.uint8),
        "label": generator.integers(0, 10, 3),
    }
    clocks = ("step", "steps", "epoch", "epoch_steps")
    inputs.update({name: np.ones((), np.float32) for name in clocks})
    choose = random.Random(1)
    ran = 0
    for _ in range(200):
        hostile = with_hostile_steps(plan["programs"][program], choose)
        ran += run_everything({**plan, "programs": {program: hostile}}, inputs) > 0
    assert 0 < ran < 200


def test_what_is_no_plan_is_refused() -> None:
    for plan in (
        {},
        {"version": 3},
        {"version": "3"},
        {"version": 3},
        {"version": 3, "symbols": 3},
    ):
        with pytest.raises(Error, match=r"plan|version"):
            _engine.Engine(artifact.encoded(plan))
    sound = artifact.encoded(regression_plan())
    deep = sound.replace(b'["N"]', b"[" * 100_000 + b"]" * 100_000, 1)
    with pytest.raises(Error, match="nested more than 64 deep"):
        _engine.Engine(deep)


def small_file(tmp_path: Path) -> bytes:
    make_model().save(tmp_path / "line.nnc")
    return (tmp_path / "line.nnc").read_bytes()


def check_damaged(content: bytes, x: Any, expected: Any) -> bool:
    """Whether the damage was found; if not, the result must be right."""
    try:
        found = artifact.parse(content)
        model = Model(found.manifest, found.plan, found.weights, found.sources)
    except Error as error:
        assert error.code.startswith("N07")
        return True
    np.testing.assert_array_equal(model(x), expected)
    return False


def test_every_flipped_byte_is_found_or_harmless(tmp_path: Path, data: dict[str, Any]) -> None:
    content = small_file(tmp_path)
    expected = make_model()(data["x"])
    assert not check_damaged(content, data["x"], expected)
    choose = random.Random(0)
    found = 0
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= choose.randrange(1, 256)
        found += check_damaged(bytes(damaged), data["x"], expected)
    assert found > 0.8 * len(content)


def test_every_truncation_is_found(tmp_path: Path, data: dict[str, Any]) -> None:
    content = small_file(tmp_path)
    expected = make_model()(data["x"])
    for length in range(len(content)):
        assert check_damaged(content[:length], data["x"], expected)


def rewritten(content: bytes, name: str, text: bytes, path: Path) -> Path:
    """The file with another content for one part, and sound checksums."""
    members = artifact.unzip(content)
    members[name] = text
    with zipfile.ZipFile(path, "w") as archive:
        for member, value in members.items():
            archive.writestr(member, value)
    return path


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("manifest.json", b"{", "manifest.json cannot be read"),
        ("manifest.json", b"[]", "holds no object"),
        ("manifest.json", b'{"format": 9}', "format 9"),
        ("manifest.json", b'{"format": 1}', "`net`"),
        ("plan.json", b"{}", "version"),
        ("plan.json", b"[" * 100_000, "plan.json cannot be read"),
        ("weights.safetensors", b"", "weights.safetensors"),
        ("weights.safetensors", b"\xff" * 8, "weights.safetensors"),
        ("weights.safetensors", (2).to_bytes(8, "little") + b"{}", "no value for `line.weight`"),
        (
            "weights.safetensors",
            (62).to_bytes(8, "little")
            + b'{"line.weight":{"dtype":"F32","shape":[9],"data_offsets":0}}  ',
            "weights.safetensors",
        ),
    ],
)
def test_sound_files_with_wrong_parts_are_refused(
    name: str, text: bytes, expected: str, tmp_path: Path
) -> None:
    path = rewritten(small_file(tmp_path), name, text, tmp_path / "bad.nnc")
    with pytest.raises(Error, match=expected) as caught:
        nnrt.load(path)
    assert str(path) in str(caught.value)


def test_files_that_are_no_models_are_named(tmp_path: Path) -> None:
    with pytest.raises(Error, match=r"missing.nnc cannot be read: No such file"):
        nnrt.load(tmp_path / "missing.nnc")
    with pytest.raises(Error, match="cannot be read: Is a directory"):
        nnrt.load(tmp_path)
    (tmp_path / "text.nnc").write_text("net Digits {}")
    with pytest.raises(Error, match="not a compiled model"):
        nnrt.load(tmp_path / "text.nnc")
    with pytest.raises(Error, match="cannot be written"):
        make_model().save(tmp_path / "nowhere" / "line.nnc")


def test_saving_replaces_the_file_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "line.nnc"
    path.touch()
    path.chmod(0o640)
    make_model().save(path)
    assert nnrt.load(path).net == "Line"
    assert path.stat().st_mode & 0o777 == 0o640
    first = path.read_bytes()
    make_model().save(path)
    assert path.read_bytes() == first
    assert list(tmp_path.iterdir()) == [path]
