"""The data that `train` and `evaluate` work on: as the options say, else the train section."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from nnc.options import OptionError

if TYPE_CHECKING:
    from nnrt.course import Split
    from nnrt.data import Arrays

Data = Mapping[str, np.ndarray[Any, Any]]


@dataclass(frozen=True)
class Place:
    """A source, the folder that a relative one starts at, and where it was given, for messages."""

    source: str
    directory: str = ""
    given: str = field(default="", compare=False)


@dataclass(frozen=True)
class Plan:
    """Where data comes from, and what is held out of it: another source, a fraction, or nothing."""

    data: Place
    validation: Place | float | None
    seed: int
    held_given: str = field(default="--validation", compare=False)


@dataclass(frozen=True)
class Parts:
    """The arrays, sentences about them for the user, what the artifact keeps of them, and what was
    held out.
    """

    data: Data
    validation: Data | None
    notes: tuple[str, ...]
    learned: dict[str, Any]
    split: Split | None = None


def choose(
    training: Mapping[str, Any], data: str | None, validation: str | None, seed: int | None
) -> Plan:
    """Paths of options start at the working directory, those of the train section at its file.

    The section's `validation` serves data of an option, too. What a training before held out, with
    its seed, stays held out.
    """
    from nnrt.course import Course
    from nnrt.fitting import SECTION

    course = Course.of(training)
    directory = training.get("directory") or ""
    if data is not None:
        place = Place(data, given="--data")
    elif training.get("data"):
        place = Place(training["data"], directory, SECTION[0])
    else:
        raise OptionError(
            "there is no data: name it with `--data PATH`, or in the train section with "
            '`data = "PATH"`.'
        )
    held: Place | float | None
    held_given = "--validation"
    if validation is not None:
        held = fraction(validation)
        held = Place(validation, given="--validation") if held is None else held
    else:
        written = course.split.fraction if course.split else training.get("validation")
        held_given = f"{SECTION[1]} (`--validation` replaces it, 0 for none)"
        held = Place(written, directory, held_given) if isinstance(written, str) else written
    start = seed if seed is not None else int(training.get("seed") or 0)
    return Plan(place, held or None, course.split_seed(start), held_given)


def fraction(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def load(plan: Plan, training: Mapping[str, Any], *, closed: bool, skip_bad: bool = False) -> Parts:
    """Read all, and hold out the part that the plan says. `closed`: the model has been trained."""
    from nnrt import data, errors
    from nnrt.course import Split

    arrays = read(plan.data, training, closed, skip_bad)
    learned = data.learned(training, arrays)
    if isinstance(plan.validation, Place):
        more = read(plan.validation, {**training, **learned}, True, skip_bad)
        return Parts(arrays, more, arrays.notes + more.notes, learned)
    if plan.validation is not None:
        with errors.of(plan.held_given):
            kept, held = data.split(arrays, plan.validation, plan.seed)
        split = Split(plan.validation, plan.seed, rows(arrays))
        return Parts(kept, held, arrays.notes, learned, split)
    return Parts(arrays, None, arrays.notes, learned)


def read(place: Place, training: Mapping[str, Any], closed: bool, skip_bad: bool) -> Arrays:
    """A source, read as the training data was, as far as the train section knows it."""
    from nnrt import data, errors

    with errors.of(place.given):
        return data.open(
            place.source,
            training["inputs"],
            directory=place.directory,
            classes=data.known_classes(training),
            columns=data.known_columns(training),
            closed=closed,
            skip_bad=skip_bad,
        )


def kept_with_model(plan: Plan, parts: Parts) -> dict[str, Any]:
    """What the artifact keeps of its data, so that `evaluate` finds what was held out."""
    held = plan.validation
    folders = [place.directory for place in places(plan) if place.directory]
    directory = folders[0] if folders else os.getcwd()
    return {
        "directory": directory,
        "data": kept(plan.data, directory),
        "validation": kept(held, directory) if isinstance(held, Place) else held,
        "seed": plan.seed,
        **parts.learned,
    }


def kept(place: Place, directory: str) -> str:
    """The source as it starts at `directory`; what is a whole path stays as the user wrote it."""
    if place.directory or os.path.isabs(os.path.expanduser(place.source)):
        return place.source
    return os.path.relpath(place.source, directory)


def places(plan: Plan) -> list[Place]:
    return [place for place in (plan.data, plan.validation) if isinstance(place, Place)]


def files(sources: list[Place]) -> list[str]:
    """The files and folders that the data comes from. What does not exist, reading will say."""
    from nnrt.data.sources import find
    from nnrt.errors import Error

    found = []
    for place in sources:
        with contextlib.suppress(Error):
            found.append(str(find(place.source, place.directory)[0]))
    return found


def rows(data: Data) -> int:
    return max((len(array) for array in data.values() if array.ndim), default=0)
