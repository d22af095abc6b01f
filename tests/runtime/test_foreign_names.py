"""Names of other tools in Python are answered with what works here: each answer is typed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nnc
import nnrt
import numpy as np
import pytest
from nnlang import DiagnosticError
from nnrt import Error, Model, foreign_names

TEXT = """\
net Small {
    input image: f32[N, 2]
    logits = image -> dense(3)
    output p = softmax(logits)
}
train Small {
    input label: i64[N]
    loss = cross_entropy(logits, label)
    epochs = 1
}
"""
X = np.random.default_rng(0).random((6, 2), np.float32)
Y = np.array([0, 1, 2, 0, 1, 2])

VALUES: dict[str, Any] = {
    "batch_size": 3,
    "bs": 3,
    "random_state": 4,
    "random_seed": 4,
    **dict.fromkeys(("epoch", "n_epochs", "num_epochs", "nb_epoch", "max_epochs"), 2),
    **dict.fromkeys(("n_iter", "max_iter"), 2),
    **dict.fromkeys(("validation_split", "validation_fraction", "val_split", "test_size"), 0.25),
    "verbose": 0,
    "lr": 0.01,
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.nn").write_text(TEXT)


def scope(model: Model) -> dict[str, Any]:
    """What the advice may use."""
    methods = {name: getattr(model, name) for name in ("fit", "evaluate", "predict", "save")}
    names = {"x": X, "y": Y, "data": {"image": X, "label": Y}, "file": "net.nn"}
    others = {"weights": model.weights(), "path": "model.nnc", "function": lambda record: True}
    return {**methods, **names, **others, "model": model, "nnc": nnc, "nnrt": nnrt, "sum": sum}


def typed(text: str, model: Model) -> list[Any]:
    """The results of every expression in a text that is a call or names a part of the model."""
    results = []
    for part in re.findall(r"`([^`]+)`", text):
        if "(" in part or part.startswith("model."):
            part = part.removeprefix("history = ")
            if part.startswith("fit("):
                part = part[:-1] + ("" if "progress" in part else ", progress=False") + ")"
            results.append(eval(part, scope(model) | {"load": nnrt.load}))
    return results


CASES = [
    (method, name)
    for method, tables in foreign_names.METHODS.items()
    for table in tables
    for name in table
]


@pytest.mark.parametrize(("method", "name"), CASES)
def test_arguments_of_other_tools(method: str, name: str) -> None:
    model = nnc.compile("net.nn")
    model.save("model.nnc", training=True)
    call = nnrt.load if method == "load" else getattr(model, method)
    first = "model.nnc" if method in ("load", "save") else {"image": X, "label": Y}
    with pytest.raises(Error) as caught:
        call(first, **{name: VALUES.get(name, "x")})
    text = str(caught.value)
    assert text.startswith(f"`{name}` is ") or text.startswith(
        f"`{method}` has no argument `{name}`"
    )
    assert text.count("`") > 3 or "." in text.split("`.", 1)[-1]
    if name in foreign_names.METHODS[method][0]:
        assert typed(text, model)
    elif name in VALUES or "(" in text:
        typed(text, model)


def test_values_are_repeated() -> None:
    model = nnc.compile("net.nn")
    for call, text in [
        (
            lambda: model.fit((X, Y), batch_size=32),
            "`batch_size` is `batch` here: `fit(data, batch=32)`",
        ),
        (lambda: model.fit((X, Y), verbose=0), "`fit(data, progress=False)`"),
        (lambda: model.fit((X, Y), verbose=2), "`fit(data, progress=True)`"),
        (lambda: model.fit((X, Y), lr=0.5), 'overrides={"learning_rate": 0.5})`'),
        (
            lambda: model.fit((X, Y), validation_data=(X, Y)),
            'validation={"image": x, "label": y})`',
        ),
        (lambda: model.fit((X, Y), epoch=3), "`fit(data, epochs=3)`"),
        (lambda: model.fit((X, Y), epohcs=3), "Did you mean `epochs`?"),
        (lambda: model.predict(X, batch_size=X), "`predict(data, batch=…)`"),
    ]:
        with pytest.raises(Error, match=re.escape(text)):
            call()


def test_arrays_apart() -> None:
    model = nnc.compile("net.nn")
    calls: list[Any] = [
        lambda: model.fit(X, Y),
        lambda: model.fit(x=X, y=Y),
        lambda: model.evaluate(X, Y),
        lambda: model.evaluate(x=X, y=Y),
        lambda: model.predict(X, X),
        lambda: model.predict(x=X),
    ]
    for call in calls:
        with pytest.raises(Error) as caught:
            call()
        assert typed(str(caught.value), model), caught.value
        assert "reshape" not in str(caught.value)


def test_calls_with_too_little_or_twice() -> None:
    model: Any = nnc.compile("net.nn")
    for call, text in [
        (lambda: model.evaluate(), "missing a required argument: `data`"),
        (lambda: model.predict(), "missing a required argument: `data`"),
        (lambda: model.save(), "missing a required argument: `path`"),
        (lambda: nnrt.load(), "missing a required argument: `path`"),
        (lambda: model.fit((X, Y), data=(X, Y)), "multiple values for argument `data`"),
        (lambda: model.save("a.nnc", True, False), "no more by position than `path`, `training`"),
    ]:
        with pytest.raises(Error, match=text):
            call()


@pytest.mark.parametrize("name", list(foreign_names.ATTRIBUTES))
def test_attributes_of_other_tools(name: str) -> None:
    model = nnc.compile("net.nn")
    model.save("model.nnc")
    assert not hasattr(model, name) and getattr(model, name, 3) == 3
    with pytest.raises(Error, match=f"a model has no attribute `{name}`") as caught:
        getattr(model, name)
    assert isinstance(caught.value, AttributeError)
    text = str(caught.value).split("`.", 1)[1]
    typed(text.replace("model(x)", "model(x)"), model)


def test_other_attributes() -> None:
    model: Any = nnc.compile("net.nn")
    with pytest.raises(AttributeError, match="Did you mean `parameters`"):
        model.parametres  # noqa: B018
    for name in ("parameters", "states"):
        with pytest.raises(Error, match=rf"`model\.{name}\.items\(\)`"):
            getattr(model, name)()


def test_arguments_of_a_call() -> None:
    model = nnc.compile("net.nn")
    model.save("model.nnc")
    for name in foreign_names.CALL:
        with pytest.raises(Error, match=f"a call has no argument `{name}`") as caught:
            model(X, **{name: 2})
        typed(str(caught.value), model)
    own = nnc.compile("net A {\n    input batch: f32[N, 2]\n    output y = batch * 2\n}\n")
    np.testing.assert_array_equal(own(batch=X), X * 2)


@pytest.mark.parametrize("name", list(foreign_names.MODULES))
def test_names_of_other_packages(name: str) -> None:
    model = nnc.compile("net.nn")
    model.save("model.nnc")
    for module in (nnc, nnrt):
        if name in module.__all__:
            continue
        with pytest.raises(AttributeError, match=f"has no `{name}`") as caught:
            getattr(module, name)
        text = str(caught.value)
        if "data.open" not in text:
            typed(text, model)


def test_settings_that_are_keys() -> None:
    keys: list[dict[str, Any]] = [
        {"lr": 0.5},
        {"batch_size": 3},
        {"epochs": 2},
        {"optimizer": "adam"},
        {"optimizer": nnc.Text("sgd(momentum = 0.5)")},
        {"random_state": 3},
        {"validation_split": 0.5},
    ]
    for given in keys:
        with pytest.raises(DiagnosticError) as caught:
            nnc.compile("net.nn", **given)
        check_help(str(caught.value))
    with pytest.raises(DiagnosticError, match="`--device` chooses the device"):
        nnc.compile("net.nn", gpu="cuda")
    for key in ("optimizer", "learning_rate", "clip", "regularizer", "loss"):
        for value in (
            ("adam", 5) if key == "optimizer" else ([1], "mse") if key == "loss" else ([1],)
        ):
            with pytest.raises(DiagnosticError) as caught:
                nnc.compile("net.nn", overrides={key: value})
            check_help(str(caught.value))


def check_help(text: str) -> None:
    """Both ways to write it work: in Python and in the shell."""
    import shlex

    from nnc.cli import main

    python, shell = re.findall(r"`([^`]+)`", text.split("help: ")[1])
    model = eval(f"nnc.compile('net.nn', {python})", {"nnc": nnc})
    assert model.trainable
    assert main(["compile", "net.nn", *shlex.split(shell)]) == 0
