"""The table of packages that run on anyhttp lists what is driven, and nothing else."""

from __future__ import annotations

import re

from tests.downstream.__main__ import all_drivers
from tests.downstream.examples import EXAMPLES
from tests.downstream.page import read_tables


def test_the_table_lists_every_driver_and_its_version() -> None:
    """A package or a pin that changes asks for a new run, which writes the table."""
    driven = [f"`{one.package.name}` {one.package.version}" for one in all_drivers()]
    assert [row[0] for row in read_tables()[0].values()] == driven


def test_the_table_promises_no_more_than_was_driven() -> None:
    """Where a driver does not run on trio, or the package is refused, the table says so."""
    for row, driver in zip(read_tables()[0].values(), all_drivers(), strict=True):
        assert row[2].startswith("no") or not driver.package.asyncio_only, row
        for cell in row[1:3]:
            assert (cell == "refused") is bool(driver.package.refused), row


def test_the_table_lists_every_example() -> None:
    """With the event loops that it runs on; each is of a package that is driven."""
    shown = read_tables()[1]
    assert list(shown) == [example.package for example in EXAMPLES]
    assert shown.keys() <= read_tables()[0].keys()
    for example in EXAMPLES:
        assert shown[example.package][2].startswith("no") or not example.asyncio_only


def test_every_package_is_pinned_to_one_release() -> None:
    """A run next year installs what was driven today."""
    for driver in all_drivers():
        for requirement in (driver.package.requirement, *driver.package.beside):
            assert re.fullmatch(r"[\w.\-]+(\[[\w,.\-]+\])?==\d[\w.*]*", requirement), requirement
