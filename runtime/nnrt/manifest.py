"""What a manifest must be before anything of it is used: every key by type, and in agreement with
the plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnrt import course
from nnrt._engine import evaluate_dimension
from nnrt.dtypes import TYPES
from nnrt.errors import Error
from nnrt.numbers import LARGEST, MOST_EPOCHS, shown
from nnrt.programs import data_inputs, numbers, rest_of

FORMAT = 1
PRECISIONS = ("default", "strict", "double")


def require(condition: bool, key: str, value: Any, wanted: str) -> None:
    if not condition:
        raise Error(
            f"the compiled model is damaged: `{key}` of its manifest must be {wanted}, and is "
            f"{shown(value)}.",
            "N0710",
        )


def check_manifest(manifest: Mapping[str, Any]) -> None:
    version = manifest.get("format")
    if is_whole(version) and version > FORMAT:  # type: ignore[operator]
        raise Error(
            f"this compiled model has format {shown(version)}, and this nnrt reads up to {FORMAT}: "
            "install a newer one.",
            "N0712",
        )
    require(is_whole(version) and version == FORMAT, "format", version, str(FORMAT))
    require(isinstance(manifest.get("net"), str), "net", manifest.get("net"), "a name")
    for key in ("nnc", "recipe"):
        check_optional(manifest, key, str, "a text", key)
    check_optional(manifest, "settings", dict, "an object", "settings")
    precision = manifest.get("precision", "default")
    known = isinstance(precision, str) and precision in PRECISIONS
    require(known, "precision", precision, f"one of {', '.join(PRECISIONS)}")
    check_interface(manifest.get("inputs"), "inputs")
    check_interface(manifest.get("outputs"), "outputs")
    require(bool(manifest["outputs"]), "outputs", manifest["outputs"], "a list of one or more")
    rows = manifest.get("summary", [])
    require(is_list_of(rows, dict), "summary", rows, "a list of objects")
    step = manifest.get("step", 0)
    require(is_whole(step, 0, LARGEST), "step", step, "a whole number of at least 0")
    training = manifest.get("training")
    require(training is None or isinstance(training, dict), "training", training, "an object")
    if training is not None:
        check_training(training)


def check_training(section: Mapping[str, Any]) -> None:
    def named(key: str) -> str:
        return f"training.{key}"

    check_interface(section.get("inputs"), named("inputs"))
    metrics = section.get("metrics")
    require(is_list_of(metrics, str), named("metrics"), metrics, "a list of names")
    names = ["loss", *section["metrics"]]
    require(len(set(names)) == len(names), named("metrics"), metrics, "different names")
    for key, low, high in (
        ("batch", 1, LARGEST),
        ("epochs", 0, MOST_EPOCHS),
        ("seed", None, None),
    ):
        value = section.get(key)
        wanted = "a whole number" + ("" if low is None else f" between {low} and {high}")
        require(is_whole(value, low, high), named(key), value, wanted)
    check_optional(section, "shuffle", bool, "true or false", named("shuffle"))
    for key in ("data", "directory"):
        check_optional(section, key, str, "a path", named(key))
    held = section.get("validation")
    require(
        held is None or isinstance(held, str) or (is_number(held) and 0 <= held < 1),
        named("validation"),
        held,
        "a path, or a number of at least 0 and below 1",
    )
    places = section.get("statistics", [])
    sound = is_list_of(places, dict) and all(
        isinstance(place.get(key), str) for place in places for key in ("values", "path", "source")
    )
    require(sound, named("statistics"), places, "a list of objects with three texts")
    check_course(section.get(course.KEY), named(course.KEY))


def check_course(kept: Any, key: str) -> None:
    if kept is None:
        return
    require(
        isinstance(kept, dict) and set(kept) == {"epochs", "done", "split"},
        key,
        kept,
        "an object with `epochs`, `done` and `split`",
    )
    for name in ("epochs", "done"):
        value = kept[name]
        wanted = f"a whole number between 0 and {MOST_EPOCHS}"
        require(is_whole(value, 0, MOST_EPOCHS), f"{key}.{name}", value, wanted)
    split = kept["split"]
    require(
        split is None
        or (
            isinstance(split, dict)
            and set(split) == {"fraction", "seed", "rows"}
            and is_number(split["fraction"])
            and 0 < split["fraction"] < 1
            and is_whole(split["seed"], None, None)
            and is_whole(split["rows"], 0, LARGEST)
        ),
        f"{key}.split",
        split,
        "an object with `fraction`, `seed` and `rows`",
    )


def check_optional(values: Mapping[str, Any], name: str, kind: type, wanted: str, key: str) -> None:
    value = values.get(name)
    require(value is None or isinstance(value, kind), key, value, wanted)


def check_interface(items: Any, key: str) -> None:
    """A list of names with types and shapes."""
    require(is_list_of(items, dict), key, items, "a list of objects")
    names = set()
    for index, item in enumerate(items):
        place = f"{key}[{index}]"
        name, dtype, shape = (item.get(part) for part in ("name", "dtype", "shape"))
        require(isinstance(name, str) and name not in names, f"{place}.name", name, "a new name")
        names.add(name)
        known = isinstance(dtype, str) and dtype in TYPES
        require(known, f"{place}.dtype", dtype, f"one of {', '.join(TYPES)}")
        sound = isinstance(shape, list) and all(
            isinstance(size, str) or is_whole(size, 0, LARGEST) for size in shape
        )
        require(sound, f"{place}.shape", shape, "a list of sizes and symbols")


def check_agreement(manifest: Mapping[str, Any], plan: Mapping[str, Any]) -> None:
    """What the manifest says of the programs, against the plan, which has passed the engine's
    check.
    """
    precision, strict = manifest.get("precision", "default"), bool(plan["strict"])
    wanted = "strict, as its plan is" if strict else "default or double: its plan is not strict"
    require((precision == "strict") == strict, "precision", precision, wanted)
    programs = plan["programs"]
    if "predict" in programs:
        found = inputs_of(plan, "predict")
        require(interface(manifest["inputs"]) == found, "inputs", manifest["inputs"], told(found))
        found = outputs_of(plan, "predict")
        require(
            interface(manifest["outputs"]) == found, "outputs", manifest["outputs"], told(found)
        )
    section = manifest.get("training")
    if section is None:
        return
    sizes = dict.fromkeys(plan["symbols"], 2)
    for place in section.get("statistics", []):
        wanted = "a size in the symbols of the plan"
        known = is_size(place["values"], sizes)
        require(known, "training.statistics.values", place["values"], wanted)
    given = interface(section["inputs"])
    for program in ("evaluate", "train"):
        if program not in programs:
            continue
        found = inputs_of(plan, program)
        missing = [item for item in found if item not in given]
        key = "training.inputs"
        require(not missing, key, section["inputs"], f"a list with {told(missing)}")
        names = numbers(plan, program)
        if program == "train":
            wanted = "a list that begins with `loss`"
            require(names[:1] == ["loss"], "train.outputs", names, wanted)
        if rest_of(program) in programs:
            names += numbers(plan, rest_of(program))
        metrics = section["metrics"]
        wanted = f"names among what the program `{program}` gives: {', '.join(names)}"
        require(set(names) >= {"loss", *metrics}, "training.metrics", metrics, wanted)


Described = tuple[str, str, tuple[Any, ...]]


def interface(items: list[dict[str, Any]]) -> list[Described]:
    return [(item["name"], item["dtype"], tuple(item["shape"])) for item in items]


def inputs_of(plan: Mapping[str, Any], program: str) -> list[Described]:
    return [(item.name, item.dtype, item.shape) for item in data_inputs(plan, program)]


def outputs_of(plan: Mapping[str, Any], program: str) -> list[Described]:
    source = plan["programs"][program]
    buffers = [source["buffers"][item["buffer"]] for item in source["outputs"]]
    return [
        (item["name"], buffer["dtype"], tuple(buffer["shape"]))
        for item, buffer in zip(source["outputs"], buffers, strict=True)
    ]


def told(items: list[Described]) -> str:
    return ", ".join(f"{name}: {dtype}[{', '.join(map(str, s))}]" for name, dtype, s in items)


def is_whole(value: Any, low: int | None = None, high: int | None = None) -> bool:
    return (
        isinstance(value, int)
        and not isinstance(value, bool)
        and (low is None or low <= value)
        and (high is None or value <= high)
    )


def is_size(text: str, sizes: Mapping[str, int]) -> bool:
    try:
        evaluate_dimension(text, sizes)
    except Error:
        return False
    return True


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_list_of(value: Any, kind: type) -> bool:
    return isinstance(value, list) and all(isinstance(item, kind) for item in value)
