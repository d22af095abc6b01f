"""What Python sees of the compiler: `compile` and `check`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nnlang.diagnostics import Diagnostic, DiagnosticError

from . import driver
from .elaborate import PathOrText, elaborate, read_source

if TYPE_CHECKING:
    from nnrt import Model


def compile(
    path_or_text: PathOrText,
    *,
    net: str | None = None,
    recipe: str | None = None,
    seed: int | None = None,
    precision: str = "default",
    store: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    device: str | None = None,
    **settings: Any,
) -> Model:
    """Compile a `.nn` file, or its text, to a model that runs and (with a `train` section) trains.

    Args:
        path_or_text: a path that ends in `.nn`, or the text itself.
        net: which net, where the file has several.
        recipe: which training section, where the net has several (`train Digits as finetune`).
        seed: of first values, shuffling and dropout; replaces the section's.
        precision: `default`, `strict` or `double` (float64 on the reference kernels).
        store: `bf16` to store weights in 16 bits: half the file. They are computed with in f32, and
            training keeps them in f32, too.
        overrides: keys of the training section by name, such as `{"batch": 64, "learning_rate":
            0.05}`.
        device: where the model runs, as in `nnrt.load`.
        settings: the net's settings by name, such as `hidden=128`.

    Returns:
        An nnrt.Model with the first values of its parameters.

    Raises:
        nnlang.DiagnosticError: for mistakes in the text, all of a phase at once.
        OSError: where the file cannot be read.
        ValueError: for an unknown precision or `store`.
        nnrt.Error: for a device that is not there, and for `store` without the package `ml_dtypes`.
    """
    from nnrt import Model
    from nnrt.numbers import whole

    seed = None if seed is None else whole(seed, "seed", None, None)
    options = driver.Options(net, recipe, settings, overrides or {}, seed, precision, store)
    compiled = driver.compile_source(read_source(path_or_text), options)
    model = Model(compiled.manifest, compiled.plan, compiled.weights, compiled.sources, device)
    model.files = compiled.files
    return model


def check(
    path_or_text: PathOrText,
    settings: Mapping[str, Any] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> list[Diagnostic]:
    """The mistakes in a `.nn` file, for each of its nets; none: an empty list. Raises OSError."""
    try:
        elaborate(
            read_source(path_or_text),
            settings=settings or {},
            overrides=overrides or {},
            draw=False,
        )
    except DiagnosticError as error:
        return list(error.diagnostics)
    return []
