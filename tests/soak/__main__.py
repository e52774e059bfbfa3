"""Long runs on each event loop, and the page about them: ``python -m tests.soak [MINUTES] [SEED]``.

``nox -s soak`` does it.  It fails unless everything stays flat and each answer is right.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from tests.support.programs import ROOT

from .client import BACKENDS, Outcome
from .load import Failure
from .page import write_page
from .samples import Sample
from .servers import Servers, started
from .verdict import Restart, Run

MINUTES: Final = 5.0
IN_FLIGHT: Final = 200

#: Beyond its time, a client may need so long for its last requests, in seconds.
GRACE: Final = 300.0

#: So many flaws are shown of each run; the first ones tell most.
SHOWN: Final = 50


def restart_sometimes(
    servers: Servers, client: subprocess.Popen[bytes], given: argparse.Namespace, into: Path
) -> list[Restart]:
    """Restart a server now and then, at random times, until *client* is over.

    The first one after the client has begun to write *into* its file.
    """
    chance = random.Random(given.seed)
    restarts: list[Restart] = []
    end = time.monotonic() + given.minutes * 60 + GRACE
    while time.monotonic() < end:
        try:
            client.wait(timeout=chance.uniform(10, 30))
            return restarts
        except subprocess.TimeoutExpired:
            if not (into.exists() and into.stat().st_size):
                continue
        name = chance.choice(servers.names)
        stopped = time.monotonic()
        servers.stop(name)
        time.sleep(chance.uniform(0, 0.5))
        servers.start(name)
        restarts.append(Restart(name, stopped, time.monotonic()))
    client.kill()
    return restarts


def run(servers: Servers, backend: str, given: argparse.Namespace, into: Path) -> Run:
    """Run the client on one event loop, and read what it has written."""
    command: list[str | Path] = [
        sys.executable, "-m", "tests.soak.client", backend,
        "--seconds", str(given.minutes * 60),
        "--in-flight", str(given.in_flight),
        "--seed", str(given.seed),
        "--ports", json.dumps(dataclasses.asdict(servers.ports)),
        "--certificate", servers.certificate,
        "--into", into,
    ]  # fmt: skip
    with subprocess.Popen(command, cwd=ROOT) as client:
        try:
            restarts = restart_sometimes(servers, client, given, into)
        finally:
            client.kill()
    return read(backend, into, restarts)


def read(backend: str, path: Path, restarts: list[Restart]) -> Run:
    """Read what a client has written.

    :raises ValueError: it has not come to its end
    """
    found: dict[str, list[dict[str, Any]]] = {"Sample": [], "Failure": [], "Outcome": []}
    for line in path.read_text("utf-8").splitlines():
        for name, values in json.loads(line).items():
            found[name].append(values)
    if not found["Outcome"]:
        raise ValueError(f"the client on {backend} has not come to its end")
    outcome = found["Outcome"][0]
    pairs = {name: tuple(outcome[name]) for name in ("before", "after")}
    return Run(
        backend,
        [Sample(**values) for values in found["Sample"]],
        [Failure(**values) for values in found["Failure"]],
        Outcome(**{**outcome, **pairs}),
        restarts,
    )


def main() -> int:
    """Run, judge, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "minutes", nargs="?", type=float, default=MINUTES, help="on each event loop"
    )
    parser.add_argument("seed", nargs="?", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--backend", choices=BACKENDS, help="this one alone; no page is written")
    parser.add_argument("--in-flight", type=int, default=IN_FLIGHT, help="requests at a time")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # and end the servers
    print(f"seed {given.seed}", flush=True)
    runs, flaws = list[Run](), list[str]()
    with (
        tempfile.TemporaryDirectory(prefix="anyhttp-soak-") as folder,
        started(Path(folder)) as servers,
    ):
        for name in servers.missing:
            print(f"{name} is not installed: what it would serve is left out")
        for backend in [given.backend] if given.backend else BACKENDS:
            runs.append(run(servers, backend, given, Path(folder) / f"{backend}.jsonl"))
            found = [f"{backend}: {flaw}" for flaw in runs[-1].flaws()]
            print(f"{backend}: {runs[-1].summary}; {len(found)} flaws")
            print(*found[:SHOWN], sep="\n", flush=True)
            flaws += found
        flaws += servers.complaints()
        print(*servers.complaints()[:SHOWN], sep="\n")
    if not given.backend and all(each.growths() for each in runs):
        write_page(runs, minutes=given.minutes, seed=given.seed, in_flight=given.in_flight)
    elif not all(each.growths() for each in runs):
        print("too short to say anything about growth")
    return bool(flaws)


if __name__ == "__main__":
    sys.exit(main())
