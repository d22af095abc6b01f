"""`python -m nnc` is `nnc`."""

from __future__ import annotations

from nnc.cli import main

raise SystemExit(main())
