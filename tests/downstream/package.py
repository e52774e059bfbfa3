"""What a driver says of the package that it drives."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from tests.downstream.stub import Stub

Backend = Literal["asyncio", "trio"]
BACKENDS: tuple[Backend, ...] = ("asyncio", "trio")


@dataclass(frozen=True, kw_only=True)
class Package:
    """One package of the index, and a program that uses it against a server on loopback.

    :param name: as the index has it
    :param version: the release that is installed
    :param drive: the program.  It tells the stub what to answer, uses the package as its
        documentation does, and asserts on what comes back.  A plain function is called without
        an event loop, for packages that start one themselves.
    :param driven: what the program does, in a few words, for the table
    :param extras: of the package, as ``aiohttp`` in ``openai[aiohttp]``
    :param beside: further requirements, pinned, that the program needs
    :param environment: packages of one name are installed together; another name is for one
        whose requirements contradict those of the rest
    :param asyncio_only: why it is not driven on trio as well, as "calls asyncio.wait_for()"
    :param differs: what is different from the same package on aiohttp, if anything is
    :param refused: for a package that cannot work: what anyhttp's refusal says.  The program
        asserts that it is refused, and the table does not count it as working.
    :param own_warnings: patterns of warnings that the package causes on aiohttp too, where
        they would otherwise fail the run
    :param other_clients: why connections that anyhttp did not open are in order
    """

    name: str
    version: str
    drive: Callable[[Stub], Awaitable[None]] | Callable[[Stub], None]
    driven: str
    extras: str = ""
    beside: tuple[str, ...] = ()
    environment: str = "general"
    asyncio_only: str = ""
    differs: str = ""
    refused: str = ""
    own_warnings: tuple[str, ...] = ()
    other_clients: str = ""

    @property
    def requirement(self) -> str:
        """What pip is told."""
        extras = f"[{self.extras}]" if self.extras else ""
        return f"{self.name}{extras}=={self.version}"

    @property
    def backends(self) -> tuple[Backend, ...]:
        """On which event loops it is driven."""
        return ("asyncio",) if self.asyncio_only else BACKENDS
