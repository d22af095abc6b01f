"""A course of training: how many epochs are planned and done, and which rows are held out.

It may take several calls of `fit`, and a saved model keeps it: training that goes on goes on in its
schedule, and does not learn from the rows that it is measured on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

KEY = "course"  # in the training section of a manifest


@dataclass(frozen=True)
class Split:
    """What was held out: this part of so many rows, drawn with this seed."""

    fraction: float
    seed: int
    rows: int


@dataclass(frozen=True)
class Course:
    epochs: int = 0
    done: int = 0
    split: Split | None = None

    @staticmethod
    def of(section: Mapping[str, Any]) -> Course:
        """The course that a training section keeps; a new one where it keeps none."""
        kept = section.get(KEY)
        if kept is None:
            return Course()
        split = kept.get("split")
        return Course(kept["epochs"], kept["done"], None if split is None else Split(**split))

    def plain(self) -> dict[str, Any]:
        return asdict(self)

    def next_epochs(self, asked: int | None, usual: int) -> int:
        """How many epochs a call trains: those asked for, else those that are left of the plan."""
        if asked is not None:
            return asked
        return self.epochs - self.done if self.epochs > self.done else usual

    def begun(self, epochs: int, split: Split | None) -> Course:
        """At the start of a call that trains `epochs`: more than were planned extend the plan."""
        return replace(self, epochs=max(self.epochs, self.done + epochs), split=split)

    def split_seed(self, seed: int) -> int:
        """The seed that draws the held-out rows: the first one stays."""
        return seed if self.split is None else self.split.seed

    def doubts(self, split: Split | None) -> list[str]:
        """Why numbers measured on `split` flatter a model that has had this course."""
        if split is None or self.done == 0:
            return []
        told = "so `validation_…` may measure on rows that were trained on."
        if self.split is None:
            return [f"no rows were held out in the {self.done} epochs before, {told}"]
        if split.rows != self.split.rows:
            return [
                f"rows were held out of {self.split.rows:,} before and are held out of "
                f"{split.rows:,} now, {told}"
            ]
        if split.fraction > self.split.fraction:
            return [
                f"the part held out was {self.split.fraction:g} before and is {split.fraction:g} "
                f"now, {told}"
            ]
        return []
