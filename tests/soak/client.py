"""One long run of the client, on one event loop: ``python -m tests.soak.client``.

``python -m tests.soak`` starts it, in a process of its own, and reads what it writes: lines of
JSON, each of which names what it is.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import anyio

from tests.support.census import Census, Leak, assert_no_tokens, running_tasks

from .kinds import KINDS, Kind
from .load import Failure, Load, Tally, make_requests
from .samples import Sample, descriptors, take_samples
from .servers import Ports
from .sites import opened

#: Event loops, and how anyio starts them.
BACKENDS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "asyncio": ("asyncio", {"use_uvloop": False}),
    "uvloop": ("asyncio", {"use_uvloop": True}),
    "trio": ("trio", {}),
}


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What is known at the end of a run.

    :param left: what it has left behind
    :param before: descriptors and tasks before the first session was opened
    :param after: the same after the last one was closed
    """

    right: Mapping[str, Mapping[str, int]]
    cancelled: int
    timed_out: int
    failed: int
    left: Sequence[str]
    before: tuple[int, int]
    after: tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Place:
    """Where the servers are, and where files may be written."""

    ports: Ports
    certificate: Path
    folder: Path


async def run(
    load: Load,
    place: Place,
    keep: Callable[[Sample | Failure], None],
    kinds: Sequence[Kind] = KINDS,
) -> Outcome:
    """Make requests.

    :param keep: called with each sample and each failure
    """
    # An event loop opens some things when they are needed for the first time.
    async with opened(place.ports, place.certificate) as sites:
        for site in sites.sites.values():
            async with site.session.get(f"{site.url}small?id=0") as response:
                await response.read()
    census, tally, left = Census(), Tally(keep), list[str]()
    before = descriptors(), len(running_tasks())
    async with opened(place.ports, place.certificate) as sites:
        async with anyio.create_task_group() as group:
            group.start_soon(take_samples, load, sites.connectors, tally, keep)
            await make_requests(load, sites.sites, tally, place.folder, kinds)
            group.cancel_scope.cancel()
        for connector in sites.connectors:
            try:
                assert_no_tokens(connector)
            except AssertionError as exc:
                left.append(f"after the last request: {exc}")
    try:
        await census.settle_and_check()
    except Leak as exc:
        left.append(str(exc))
    right: dict[str, dict[str, int]] = {}
    for (kind, name), count in sorted(tally.right.items()):
        right.setdefault(kind, {})[name] = count
    after = descriptors(), len(running_tasks())
    return Outcome(right, tally.cancelled, tally.timed_out, tally.failed, left, before, after)


def main() -> None:
    """Run as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("backend", choices=BACKENDS)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--in-flight", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--ports", type=json.loads, required=True)
    parser.add_argument("--certificate", type=Path, required=True)
    parser.add_argument("--into", type=Path, required=True)
    given = parser.parse_args()
    name, options = BACKENDS[given.backend]
    end = time.monotonic() + given.seconds
    load = Load(given.in_flight, given.seed, lambda _: time.monotonic() < end)
    with (
        tempfile.TemporaryDirectory(prefix="anyhttp-soak-") as folder,
        given.into.open("w", encoding="utf-8", buffering=1) as file,
    ):

        def write(found: Sample | Failure | Outcome) -> None:
            file.write(json.dumps({type(found).__name__: dataclasses.asdict(found)}) + "\n")

        gc.freeze()  # what was imported is no garbage, and need not be looked at once a second
        place = Place(Ports(**given.ports), given.certificate, Path(folder))
        write(anyio.run(run, load, place, write, backend=name, backend_options=options))


if __name__ == "__main__":
    main()
