"""Help for what is given from outside a file: settings of the net, keys of the training section.

Shows how Python (`overrides={...}`) and the shell (`--set KEY=VALUE`) write it.
"""

from __future__ import annotations

import shlex
from typing import Any

from nnlang import other_tools

from .names import KEYS

# The keys that take an expression of the language.
EXAMPLES = {
    "loss": "cross_entropy(logits, label)",
    "regularizer": "l2(1e-4)",
    "optimizer": "sgd(momentum = 0.9)",
    "learning_rate": "cosine(0.1)",
    "clip": "by_global_norm(1.0)",
}
PROCESSOR = ("device", "gpu", "cuda", "accelerator", "backend", "dtype")


def as_expression(key: str, value: Any) -> str:
    """How an expression is given: text in Python is a text of the language, unless said."""
    text = value if isinstance(value, str) else EXAMPLES[key]
    if key == "loss" and text.isidentifier():  # other tools name losses
        text = EXAMPLES[key]
    such_as = ", such as" if text != value else ":"
    return (
        f"give an expression of the language{such_as} {both_ways(key, f'nnc.Text({text!r})', text)}"
    )


def both_ways(key: str, python: str, shell: str) -> str:
    return f"`overrides={{{key!r}: {python}}}`, or `--set {key}={shlex.quote(shell)}`"


def unknown_setting(key: str, value: Any, text: str | None) -> list[str]:
    """Help for a setting that the net does not have; `text`: the value as an expression, if it is
    one.
    """
    other = other_tools.KEYS.get(key, "")
    name = key if key in KEYS else other if other.isidentifier() else None
    if name == "seed":
        return [f"it is an argument of its own: `seed={value!r}`, or `--seed {text or value}`"]
    if name is not None:
        written = text if text is not None else value if isinstance(value, str) else repr(value)
        wrapped = text is not None or (name in EXAMPLES and isinstance(value, str))
        python = f"nnc.Text({written!r})" if wrapped else repr(value)
        return [f"it is a key of the training section: {both_ways(name, python, written)}"]
    if key in PROCESSOR:
        return ["remove it: the file declares the types, and `--device` chooses the device"]
    if key in ("metrics", "metric"):
        return ["name it in the training section: `metric accuracy = accuracy(logits, label)`"]
    return []
