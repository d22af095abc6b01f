"""`Model`: a compiled network with its parameters, to call, train, look at and save; and `load`."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nnrt import artifact as files
from nnrt import foreign_names, numbers, validate
from nnrt._engine import Engine
from nnrt.arrays import plain
from nnrt.course import KEY, Course
from nnrt.dtypes import numpy_type
from nnrt.errors import Error, IndexOutside, Notice
from nnrt.manifest import check_agreement, check_manifest
from nnrt.outputs import Outputs
from nnrt.parameters import Variables
from nnrt.programs import data_inputs, pruned, rest_of
from nnrt.text import visible

if TYPE_CHECKING:
    from nnrt._engine import BindingInfo
    from nnrt.history import History
    from nnrt.progress import Progress
    from nnrt.reading import Path

Array = np.ndarray[Any, np.dtype[Any]]


class Model:
    """Runs on any number of threads at once; training excludes other calls only while a step runs.

    Other threads see the state between two steps: one call, one `predict` or `evaluate` over a data
    set, one copy of the weights and one saved file each hold a single state.

    Args:
        manifest: names, interface and training section, as the artifact stores them.
        plan: what the engine runs, as the artifact stores it: JSON, or the object it describes.
        weights: a value for each variable of the plan.
        sources: the `.nn` texts the model was compiled from, by name.
        device: `cpu`, `cuda` or `auto` (the fastest one of the machine); without it what
            NNC_DEVICE says, else `cpu`. A device that is not there is an error.
    """

    files: tuple[str, ...] = ()  # what it was compiled from in this process: never saved over

    def __init__(
        self,
        manifest: Mapping[str, Any],
        plan: Mapping[str, Any] | bytes,
        weights: Mapping[str, Array],
        sources: Mapping[str, str],
        device: str | None = None,
    ) -> None:
        check_manifest(manifest)
        self.manifest = dict(manifest)
        self.sources = dict(sources)
        text = plan if isinstance(plan, bytes) else files.encoded(plan)
        self.engine = Engine(text, device=device or "")
        # The engine has checked the text, so each key in it is unique.
        self.plan = json.loads(text) if isinstance(plan, bytes) else dict(plan)
        check_agreement(self.manifest, self.plan)
        self._set_weights(weights, fresh=True)
        self.engine.step = self.manifest.get("step", 0)
        self.parameters = Variables(self.engine, "parameter")
        self.states = Variables(self.engine, "state")
        self._predict_inputs = self.program_inputs("predict") if self.has_program("predict") else []
        self._outputs = tuple(item["name"] for item in self.manifest["outputs"])

    # ------------------------------------------------------------ what it is

    @property
    def net(self) -> str:
        return str(self.manifest["net"])

    @property
    def settings(self) -> dict[str, Any]:
        return dict(self.manifest.get("settings") or {})

    @property
    def inputs(self) -> list[dict[str, Any]]:
        return list(self.manifest["inputs"])

    @property
    def outputs(self) -> list[dict[str, Any]]:
        return list(self.manifest["outputs"])

    @property
    def training(self) -> dict[str, Any] | None:
        """The training section: inputs, metrics, batch, epochs, seed; None without one."""
        section: dict[str, Any] | None = self.manifest.get("training")
        return section

    @property
    def device(self) -> str:
        """Where it runs: `cpu`."""
        return self.engine.device

    @property
    def step(self) -> int:
        """Steps of training that the weights have behind them."""
        return self.engine.step

    def remember(self, course: Course, learned: Mapping[str, Any] | None = None) -> None:
        """Keep how far the training has come, and what it learned about its data. The section is
        replaced, and not changed: another thread may save it.
        """
        section = {**(self.training or {}), **(learned or {}), KEY: course.plain()}
        self.manifest = {**self.manifest, "training": section}

    @property
    def trainable(self) -> bool:
        return self.training is not None and self.has_program("train")

    def has_program(self, name: str) -> bool:
        return name in self.plan["programs"]

    def program_inputs(self, program: str) -> list[validate.Input]:
        return data_inputs(self.plan, program)

    def __repr__(self) -> str:
        def listed(items: Sequence[Mapping[str, Any]]) -> str:
            return ", ".join(
                f"{item['name']}: {item['dtype']}[{', '.join(map(str, item['shape']))}]"
                for item in items
            )

        return visible(f"<Model {self.net}({listed(self.inputs)}) -> {listed(self.outputs)}>")

    # ------------------------------------------------------------ copies

    def __reduce__(self) -> tuple[Any, ...]:
        """For `pickle`, and so for other processes: everything but the engine, made anew."""
        parts = (self.manifest, self.plan, self.weights(), self.sources)
        return rebuilt, (*parts, self.step, self.device)

    def __copy__(self) -> Model:
        """A model of its own: weights, the training step and the section are not shared."""
        parts = (copy.deepcopy(self.manifest), self.plan, self.weights(), self.sources)
        made = rebuilt(*parts, self.step, self.device)
        made.files = self.files
        return made

    def __deepcopy__(self, memo: dict[int, Any]) -> Model:
        return self.__copy__()

    if not TYPE_CHECKING:  # a type checker knows the attributes

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_"):
                raise AttributeError(f"a model has no attribute `{name}`")
            raise foreign_names.no_attribute(name, [*dir(type(self)), *vars(self)])

    def summary(self) -> str:
        """A table of layers: shapes, parameters, costs, places in the text."""
        from nnrt.summary import summary

        return summary(self)

    def describe(self, program: str = "predict", /, **symbols: int) -> BindingInfo:
        """What the engine makes of a program at these sizes: memory, threads, algorithms."""
        return self.engine.describe(program, symbols)

    # ------------------------------------------------------------ weights

    def set_weights(self, weights: Mapping[str, Array]) -> None:
        """Every variable by its full name: all are set at once, or none where one does not fit."""
        self._set_weights(weights)

    def _set_weights(self, weights: Mapping[str, Array], fresh: bool = False) -> None:
        """`fresh`: the engine's memory is new, so all zeros, and zeros need no copy."""
        changed = {}
        for info in self.engine.variables:
            name = info["name"]
            if name not in weights:
                raise Error(f"the compiled model has no value for `{name}`.", "N0710")
            array = plain(weights[name], f"the value of `{name}`", "value", info["dtype"])
            if array.dtype != numpy_type(info["dtype"]) or array.shape != info["shape"]:
                raise Error(
                    f"the value of `{name}` is {validate.type_text(array)} and should be "
                    f"{info['dtype']}{list(info['shape'])}.",
                    "N0710",
                )
            if not (fresh and _is_repeated_zero(array)):
                changed[name] = array
        self.engine.set_variables(changed)

    def weights(self) -> dict[str, Array]:
        """A copy of every variable by its full name: one state, also while a training runs."""
        return self.engine.state()[0]

    @foreign_names.explained("save")
    def save(
        self,
        path: Path,
        training: bool = False,
        *,
        allow_not_finite: bool = False,
    ) -> None:
        """Write the model to one file (`.nnc`), as a whole or not at all; with `training`, also
        what is needed to train it further. A file there that is no compiled model stays.

        Parameters that are infinite or no numbers, and states that training made so, are refused
        unless `allow_not_finite` is true.
        """
        plan = self._saved_plan(training)
        kept = {variable["name"] for variable in plan["variables"]}
        manifest = dict(self.manifest)
        state, step = self.engine.state()
        if training:
            manifest["step"] = step
        weights = {name: array for name, array in state.items() if name in kept}
        if not allow_not_finite:
            self._check_finite(weights)
        parts = files.Artifact(manifest, files.encoded(plan), weights, self.sources)
        files.write(path, parts, self.files)

    def _saved_plan(self, training: bool) -> dict[str, Any]:
        programs = ["predict"]
        for program in ["evaluate", *(["train"] if training else [])]:
            programs += [program, rest_of(program)]
        return pruned(self.plan, [name for name in programs if self.has_program(name)])

    def saved_bytes(self, training: bool = False) -> int:
        """How large the file of `save` gets, a little more rather than less."""
        return files.bytes_of(self._saved_plan(training), self.manifest, self.sources)

    def _check_finite(self, weights: Mapping[str, Array]) -> None:
        changing = set(self.engine.written("train")) if self.has_program("train") else set()
        for name in validate.not_finite(weights.items()):
            if name in self.parameters or name in changing:
                raise Error(
                    f"`{name}` holds values that are infinite or no numbers, so the model is not "
                    "saved. Set it to finite values, or save with `allow_not_finite=True` (nnc: "
                    "`--allow-not-finite`).",
                    "N0714",
                )

    # ------------------------------------------------------------ running

    def __call__(self, /, *positional: Any, **named: Any) -> Any:
        """The outputs for arrays by position or by name: one array, or several as `Outputs`."""
        inputs = self._predict_inputs
        if named or len(positional) != len(inputs):
            foreign_names.check_call(named, [item.name for item in inputs])
            given = validate.by_name(positional, named, inputs)
            positional = tuple(validate.match(given, inputs))
        arrays = validate.checked(positional, inputs)
        return self.packed(self.engine.call("predict", arrays))

    @foreign_names.explained("predict")
    def predict(self, data: Any, batch: int = 256) -> Any:
        """Like a call, for data of any length: runs in batches and joins the outputs."""
        from nnrt.fitting import resolve

        batch = numbers.whole(batch, "batch")
        section = self.training or {}
        aside = section.get("inputs", [])
        extra = [item["name"] for item in aside]
        given = resolve(data, self.inputs, section, aside=aside)
        inputs = self._predict_inputs
        arrays = validate.checked(validate.match(given, inputs, extra), inputs, finite=True)
        symbol = next((item.batch_symbol for item in inputs if item.batch_symbol), None)
        whole = any(not item["shape"] or item["shape"][0] != symbol for item in self.outputs)
        if symbol is None or whole:
            return self.packed(self.engine.call("predict", arrays))
        rows = validate.row_count(arrays, inputs)
        batched = [item.batch_symbol == symbol for item in inputs]
        parts = []
        with self.engine.unchanged("predict"):
            for start in range(0, max(rows, 1), batch):
                chunk = [
                    array[start : start + batch] if cut else array
                    for array, cut in zip(arrays, batched, strict=True)
                ]
                try:
                    parts.append(self.engine.call("predict", chunk))
                except IndexOutside as error:
                    raise error.after(start) from None
        joined = parts[0]
        if len(parts) > 1:
            joined = tuple(np.concatenate(pieces) for pieces in zip(*parts, strict=True))
        return self.packed(joined)

    def packed(self, outputs: tuple[Array, ...]) -> Any:
        return outputs[0] if len(self._outputs) < 2 else Outputs(self._outputs, outputs)

    # ------------------------------------------------------------ training

    @foreign_names.explained("fit")
    def fit(
        self,
        data: Any = None,
        *,
        epochs: int | None = None,
        batch: int | None = None,
        validation: Any = None,
        seed: int | None = None,
        shuffle: bool | None = None,
        restart: bool = False,
        progress: Progress | bool | None = None,
        log: str | os.PathLike[str] | None = None,
        callback: Any = None,
    ) -> History:
        """Train on `data` and give the records of the epochs.

        Args:
            data: arrays by input name, a tuple of arrays in the order of `training["inputs"]`, a
                path that `nnrt.data.open` reads, or None for the data that the train section names.
            epochs, batch, seed, shuffle: replace those of the train section.
            validation: a fraction to hold out (`0.2`, 0 for none), or data in any of the forms
                above. Without it, that of the train section: its fraction is held out of the data
                given, its path is read from the section's folder.
            restart: begin a new course of training, see below.
            progress: None or True shows progress, False is quiet, an object is reported to.
            log: a file for one line of JSON an epoch. It is opened before the training begins; a
                line that cannot be written later is a warning, and `history.log_error` says so.
            callback: called with the record of each epoch; True ends the training.

        Ctrl-C ends the training between two steps: `fit` returns, with `history.interrupted` true.

        A loss, a parameter or a state that is not finite ends the training with an error that names
        the epoch and the step. The model is then as it was before that step.

        Calls of `fit` are one course of training, also after saving with `training=True` and
        loading. Without `epochs`, a call trains the epochs that are left of those planned (all of
        the section's where none are left). The schedule goes on after the whole epochs that are
        done, out of those planned; more epochs than planned extend the plan. The rows held out at
        first stay held out, whatever `seed` is. `restart=True` begins anew: the schedule at its
        start, and other rows held out; weights and the optimizer's state stay.
        """
        from nnrt.fitting import fit

        history = fit(
            self,
            data,
            epochs=epochs,
            batch=batch,
            validation=validation,
            seed=seed,
            shuffle=shuffle,
            restart=restart,
            progress=progress,
            log=log,
            callback=callback,
            notify=warn,
        )
        if history.log_error is not None:
            warn(history.log_error)
        return history

    @foreign_names.explained("evaluate")
    def evaluate(self, data: Any, batch: int = 256) -> dict[str, float]:
        """Loss and metrics of all rows of `data`, which takes the forms that `fit` takes.

        `batch` changes memory and time, no number.
        """
        from nnrt.fitting import evaluate

        return evaluate(self, data, batch)


def _is_repeated_zero(array: Array) -> bool:
    """Whether an array is one zero (not -0.0) broadcast, as the compiler starts optimizer slots."""
    one = array[(slice(1),) * array.ndim]
    return not any(array.strides) and not any(one.tobytes())


def rebuilt(
    manifest: Mapping[str, Any],
    plan: Mapping[str, Any],
    weights: Mapping[str, Array],
    sources: Mapping[str, str],
    step: int,
    device: str,
) -> Model:
    """A model from what a copy of it keeps."""
    return Model({**manifest, "step": step}, plan, weights, sources, device)


def warn(text: str) -> None:
    import warnings

    warnings.warn(text, Notice, stacklevel=5)


@foreign_names.explained("load")
def load(path: Path, device: str | None = None) -> Model:
    """The model in a compiled file, on a device as `Model` takes it. Raises `nnrt.Error` for a file
    that is missing or damaged, and for a device that is not there.
    """
    found = files.read(path)
    try:
        return Model(found.manifest, found.plan, found.weights, found.sources, device)
    except Error as error:
        raise Error(f"{os.fsdecode(path)}: {error}", error.code) from error
