"""The pages are true: the README's net is the example's; links and names of files exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = [
    str(path.relative_to(ROOT))
    for room in ("dsl", "compiler", "runtime")
    for path in sorted((ROOT / room).rglob("README.md"))
]


def test_the_net_is_the_example() -> None:
    shown = re.search(r"```nn\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert shown is not None
    assert shown.group(1).strip() in (ROOT / "examples" / "digits.nn").read_text()


def test_links_lead_somewhere() -> None:
    pages = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "dsl/REFERENCE.md", *ROOMS]
    for page in pages:
        text = (ROOT / page).read_text()
        for target in re.findall(r"\]\(([^)#]+)\)", text):
            if "://" not in target:
                assert (ROOT / page).parent.joinpath(target).exists(), f"{page}: {target}"


@pytest.mark.parametrize("page", ROOMS)
def test_the_page_of_a_room_names_its_files(page: str) -> None:
    room = (ROOT / page).parent
    for name in re.findall(r"`([\w/]+\.(?:py|h|cpp|lark|def|nn))`", (ROOT / page).read_text()):
        places = (room / name, ROOT / "runtime" / name, ROOT / name, *room.rglob(Path(name).name))
        assert any(place.exists() for place in places), name


def test_a_page_is_at_most_a_page() -> None:
    for page in ("ARCHITECTURE.md", *ROOMS):
        assert len((ROOT / page).read_text().splitlines()) <= 60, page
