"""The functions that expressions are handed: expressions call blocks, blocks run statements, and
statements evaluate expressions, so the three modules cannot import each other.
"""

from __future__ import annotations

from .calls import call, keep
from .context import Evaluator
from .statements import execute

EVALUATOR = Evaluator(call, keep, execute)
