"""What `make setup` installs."""

from importlib.metadata import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

PINNED = Path(__file__).parents[1] / "requirements.txt"
DEBIANS = "3.11.2"
"""The Python of Debian 12, the oldest that the README promises to work with."""


def test_every_pinned_package_can_be_installed_on_debian():
    """A release that asks for a later 3.11 would end the first command that a reader runs."""
    lines = (line.partition("#")[0].strip() for line in PINNED.read_text().splitlines())
    pinned = [Requirement(line) for line in lines if line]
    assert len(pinned) > 100
    for one in pinned:
        if one.marker is None or one.marker.evaluate():
            wanted = metadata(one.name).get("Requires-Python", "")
            assert DEBIANS in SpecifierSet(wanted), one
