"""Names that other tools use in Python, answered with what they are here.

`explained` wraps a method: a call that does not fit raises an `nnrt.Error` that says what to write;
a right call passes through. `no_attribute` says the same of attributes.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn, ParamSpec, TypeVar

from nnrt.errors import Error

P = ParamSpec("P")
R = TypeVar("R")

Table = dict[str, str]

# Longer values are not repeated in an example.
LONGEST = 30


def each(names: str, text: str) -> Table:
    return dict.fromkeys(names.split(), text)


# Arguments that have another name here, with a call that works. `{value}` is the value given,
# `{truth}` whether it is not 0, `{names}` the arrays by their names, `{inputs}` those of a call.
FIT_NAMES: Table = {
    **each("batch_size bs", "`batch` here: `fit(data, batch={value})`"),
    **each(
        "n_epochs num_epochs nb_epoch epoch max_epochs n_iter max_iter",
        "`epochs` here: `fit(data, epochs={value})`",
    ),
    **each(
        "validation_data val_data valid_data eval_set eval_data val",
        "`validation` here: `fit(data, validation={names})`",
    ),
    **each(
        "validation_split validation_fraction val_split test_size",
        "`validation` here: `fit(data, validation={value})` holds out that part",
    ),
    **each("verbose verbosity", "`progress` here: `fit(data, progress={truth})`"),
    **each("quiet silent", "`progress` here: `fit(data, progress=False)`"),
    **each(
        "callbacks on_epoch_end",
        "`callback` here, one function of the record of each epoch, which ends the training by "
        "returning True: `fit(data, callback=function)`",
    ),
    **each("random_state random_seed", "`seed` here: `fit(data, seed={value})`"),
    **each("log_dir logdir", '`log` here, a file: `fit(data, log="run.jsonl")`'),
    **each("x X y Y inputs labels targets x_train y_train X_train", "in `data`: `fit({names})`"),
}
EVALUATE_NAMES: Table = {
    "batch_size": "`batch` here: `evaluate(data, batch={value})`",
    **each("x X y Y inputs labels targets x_test y_test X_test", "in `data`: `evaluate({names})`"),
}
PREDICT_NAMES: Table = {
    "batch_size": "`batch` here: `predict(data, batch={value})`",
    **each("x X inputs x_test X_test", "`data` here: `predict({inputs})`"),
}

DEVICE = 'The device is chosen with the model: `nnrt.load("model.nnc", device="auto")`.'

# Arguments that have no counterpart.
ANYWHERE: Table = {
    **each("device gpu gpus cuda accelerator map_location", DEVICE),
    **each(
        "num_workers workers n_jobs num_threads nthread use_multiprocessing",
        "The number of threads is set before the start: `NNC_THREADS=4`.",
    ),
}
FIT_OTHERS: Table = {
    **ANYWHERE,
    **each(
        "lr learning_rate eta learning_rate_init",
        "The train section has the learning rate; "
        '`nnc.compile(file, overrides={{"learning_rate": {number}}})` sets it.',
    ),
    **each(
        "optimizer loss loss_fn criterion metrics clip regularizer weight_decay momentum",
        "The train section of the .nn file says how to learn.",
    ),
    **each(
        "sample_weight class_weight sample_weights",
        "Declare weights as an input of the train section, and multiply with them in its loss.",
    ),
    **each(
        "early_stopping patience",
        "A function given as `callback` ends the training by returning True.",
    ),
    **each(
        "steps_per_epoch validation_steps initial_epoch validation_freq",
        "An epoch goes over all rows, and `epochs` counts those of this call.",
    ),
    **each("fp16 bf16 amp dtype", "The .nn file says the types."),
}
EVALUATE_OTHERS: Table = {
    **ANYWHERE,
    **each("verbose callbacks progress", "Nothing is shown, so there is nothing to silence."),
    **each("metrics loss", "The train section of the .nn file names loss and metrics."),
    "return_dict": "The result is a dict.",
    "sample_weight": FIT_OTHERS["sample_weight"],
}
PREDICT_OTHERS: Table = {
    **ANYWHERE,
    **each("verbose callbacks progress", "Nothing is shown, so there is nothing to silence."),
}
SAVE_OTHERS: Table = {
    **each(
        "save_format format overwrite weights_only safe_serialization",
        'One format holds the whole model: `save("model.nnc")`.',
    ),
    "include_optimizer": "`save(path, training=True)` keeps what `fit` needs to go on.",
}
LOAD_OTHERS: Table = {
    **{name: text for name, text in ANYWHERE.items() if name != "device"},
    **each(
        "weights_only custom_objects compile safe_mode strict",
        'The file has the whole model, and no code: `load("model.nnc")`.',
    ),
}
METHODS: dict[str, tuple[Table, Table]] = {
    "fit": (FIT_NAMES, FIT_OTHERS),
    "evaluate": (EVALUATE_NAMES, EVALUATE_OTHERS),
    "predict": (PREDICT_NAMES, PREDICT_OTHERS),
    "save": ({}, SAVE_OTHERS),
    "load": ({}, LOAD_OTHERS),
}
CALL: Table = {
    **ANYWHERE,
    **each("training train is_training", "A call never trains: `fit` does."),
    "batch_size": "`predict(data, batch={value})` takes data of any length in batches.",
    "batch": "`predict(data, batch={value})` takes data of any length in batches.",
}

ATTRIBUTES: Table = {
    **each("train train_on_batch train_step training_step", "`fit(data)` trains."),
    "eval": "It is not needed: a call and `predict` never train.",
    **each("forward apply infer run", "A call does it: `model(x)`."),
    **each("state_dict get_weights", "`model.weights()` gives the arrays by name."),
    **each("load_state_dict", "`model.set_weights(weights)` takes the arrays by name."),
    **each(
        "save_weights save_pretrained save_model export to_onnx dump",
        '`model.save("model.nnc")` writes the whole model.',
    ),
    **each(
        "load_weights load load_model from_pretrained", '`nnrt.load("model.nnc")` gives a model.'
    ),
    "compile": "`nnc.compile(file)` made it: the .nn file has the loss and the optimizer.",
    **each(
        "layers modules children get_layer named_modules",
        "`model.summary()` lists the layers, `model.parameters` has their arrays.",
    ),
    **each(
        "named_parameters trainable_variables trainable_weights variables",
        "`model.parameters.items()` gives names and arrays.",
    ),
    "buffers": "`model.states` has them.",
    "count_params": "`sum(array.size for array in model.parameters.values())` counts them.",
    **each(
        "predict_proba predict_classes predict_on_batch decision_function transform",
        "`predict(data)` gives the outputs that the net declares.",
    ),
    **each("score test_on_batch test", "`evaluate(data)` gives loss and metrics."),
    "partial_fit": "`fit(data, epochs=1)` goes on from the present weights.",
    "fit_generator": "`fit(data)` takes arrays or a path.",
    **each("to cuda cpu", DEVICE),
    **each("half float double bfloat16", "The .nn file has the types."),
    **each("zero_grad backward optimizer grad", "`fit(data)` does all of a step."),
    "requires_grad_": "`freeze` in the train section keeps parameters as they are.",
    "history": "`fit` returns it: `history = model.fit(data)`.",
}


# Names that `nnc` and `nnrt` do not have.
MODULES: Table = {
    **each("load_model load restore from_file", '`nnrt.load("model.nnc")` reads a model.'),
    **each("compile build", '`nnc.compile("net.nn")` makes a model.'),
    **each("save save_model", '`model.save("model.nnc")` writes a model.'),
    **each("train fit", "`model.fit(data)` trains."),
    **each("predict infer", "`model.predict(data)` runs it."),
    "evaluate": "`model.evaluate(data)` measures it.",
    **each(
        "nn Module Sequential layers Net Network functional",
        'A net is written in a .nn file, and `nnc.compile("net.nn")` makes a model of it.',
    ),
    **each(
        "optim optimizers losses metrics callbacks lr_scheduler",
        "The train section of a .nn file names these.",
    ),
    **each("tensor Tensor array from_numpy", "Arrays are NumPy's."),
    **each("device cuda set_device", DEVICE),
    **each("Dataset DataLoader datasets", "`nnrt.data.open(path, model.inputs)` reads data."),
    **each("manual_seed seed set_seed", "`nnc.compile(file, seed=1)` and `fit(data, seed=1)`."),
    **each("no_grad inference_mode", "A call never computes gradients."),
}


def no_module_attribute(module: str, name: str) -> AttributeError:
    text = f"`{module}` has no `{name}`."
    return AttributeError(f"{text} {MODULES[name]}" if name in MODULES else text)


class NoAttribute(Error, AttributeError):
    """An attribute that a model does not have."""


def no_attribute(name: str, known: Iterable[str]) -> NoAttribute:
    text = f"a model has no attribute `{name}`."
    if name in ATTRIBUTES:
        return NoAttribute(f"{text} {ATTRIBUTES[name]}")
    close = difflib.get_close_matches(name, list(known), n=1)
    return NoAttribute(text + (f" Did you mean `{close[0]}`?" if close else ""))


def explained(method: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator of functions in `METHODS`."""

    def wrap(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                bound = signature.bind(*args, **kwargs).arguments
            except TypeError as error:
                raise misuse(method, signature, args, kwargs, error) from None
            batch = None if "batch" in kwargs else bound.get("batch")
            is_array = isinstance(batch, Iterable) and getattr(batch, "ndim", 1) > 0
            if is_array and not isinstance(batch, str):  # a second array
                arrays = filled("{names}" if method != "predict" else "{inputs}", args, batch)
                raise Error(f"all arrays come in `data`: `{method}({arrays})`.", "N0700")
            return function(*args, **kwargs)

        return checked

    return wrap


def misuse(
    method: str,
    signature: inspect.Signature,
    args: tuple[Any, ...],
    named: Mapping[str, Any],
    error: TypeError,
) -> Error:
    """What is wrong with a call, from the arguments that it has."""
    known = [name for name in signature.parameters if name != "self"]
    renamed, others = METHODS[method]
    for name, value in named.items():
        if name in known:
            continue
        if name in renamed:
            return Error(f"`{name}` is {filled(renamed[name], args, value)}.", "N0700")
        text = f"`{method}` has no argument `{name}`."
        if name in others:
            return Error(f"{text} {filled(others[name], args, value)}", "N0700")
        close = difflib.get_close_matches(name, known, n=1)
        listed = ", ".join(f"`{item}`" for item in known)
        return Error(
            f"{text} " + (f"Did you mean `{close[0]}`?" if close else f"It has {listed}."), "N0700"
        )
    positions = [
        parameter.name
        for parameter in signature.parameters.values()
        if parameter.kind is not parameter.KEYWORD_ONLY
    ]
    if len(args) > len(positions):
        if method in ("fit", "evaluate", "predict"):
            form = "{inputs}" if method == "predict" else "{names}"
            arrays = filled(form, args, None)
            return Error(f"all arrays come in `data`: `{method}({arrays})`.", "N0700")
        shown = ", ".join(f"`{name}`" for name in positions if name != "self")
        return Error(f"`{method}` takes no more by position than {shown}.", "N0700")
    missing = re.sub(r"'(\w+)'", r"`\1`", str(error))
    return Error(f"`{method}`: {missing}.", "N0700")


def filled(text: str, args: tuple[Any, ...], value: Any) -> str:
    """A text of the tables with the value that was given, and the model's inputs."""
    model = args[0] if args else None
    inputs = [item["name"] for item in getattr(model, "inputs", [])]
    section = getattr(model, "training", None) or {}
    shown = repr(value)
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return text.format(
        value=shown if number or len(shown) <= LONGEST else "…",
        number=shown if number else "0.01",
        truth=bool(value) if number or isinstance(value, bool) else True,
        names=by_name([item["name"] for item in section.get("inputs", [])] or inputs),
        inputs=by_name(inputs),
    )


def by_name(names: list[str]) -> str:
    """A dict of arrays, as code; of two the variables have the usual names."""
    variables = ["x", "y"] if len(names) == 2 else ["x"] if len(names) == 1 else names
    pairs = zip(names, variables, strict=True)
    return "{" + ", ".join(f'"{name}": {variable}' for name, variable in pairs) + "}"


def check_call(names: Iterable[str], inputs: Iterable[str]) -> None:
    """Refuse named arguments of a call that belong to other tools and are no inputs."""
    known = set(inputs)
    for name in names:
        if name in CALL and name not in known:
            text = CALL[name].format(value=256)
            raise Error(f"a call has no argument `{name}`, only inputs. {text}", "N0701")


def refuse_call(what: str) -> NoReturn:
    raise Error(
        f"`{what}` is a mapping from names to arrays, and no function: `model.{what}.items()` "
        "gives both.",
        "N0700",
    )
