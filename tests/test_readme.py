"""The README says what is so: its net is the example's, and its commands name files that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_net_is_the_example() -> None:
    shown = re.search(r"```nn\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert shown is not None
    assert shown.group(1).strip() in (ROOT / "examples" / "digits.nn").read_text()


def test_links_lead_somewhere() -> None:
    for page in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "dsl/REFERENCE.md"):
        text = (ROOT / page).read_text()
        for target in re.findall(r"\]\(([^)#]+)\)", text):
            if "://" not in target:
                assert (ROOT / page).parent.joinpath(target).exists(), f"{page}: {target}"
