"""Mutate parts of the package, and say which mutants no test notices.

``python -m tests.mutation --folder FOLDER [TARGET …]``; ``nox -s mutation`` does it.  It fails
for a target of which less than 85 % of the mutants are killed, and for a survivor that is not
named in ``tests/mutation/survivors/``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.mutation.mutants import Mutant, make_mutants
from tests.mutation.page import write_rows
from tests.mutation.plugin import TIME, Plugin, Verdict
from tests.mutation.survivors import Survivor, as_table, read_survivors
from tests.mutation.targets import ROOT, TARGETS, Target

LEAST_KILLED: Final = 0.85
EACH: Final = 50


@dataclass(frozen=True)
class Outcome:
    """The mutants of a target, and which survivors are known."""

    target: Target
    verdicts: Sequence[Verdict]
    known: Sequence[Survivor]
    seconds: float

    @property
    def killed(self) -> int:
        """How many mutants a test has noticed."""
        return sum(bool(verdict.killer) for verdict in self.verdicts)

    @property
    def survivors(self) -> list[Mutant]:
        """Those that no test has noticed."""
        return [verdict.mutant for verdict in self.verdicts if not verdict.killer]

    @property
    def unnamed(self) -> list[Mutant]:
        """Survivors without a reason."""
        return [it for it in self.survivors if not any(one.is_of(it) for one in self.known)]

    @property
    def outdated(self) -> list[Survivor]:
        """Reasons of which no mutant has survived."""
        return [one for one in self.known if not any(one.is_of(it) for it in self.survivors)]

    @property
    def is_enough(self) -> bool:
        """Whether the tests have noticed what they are meant to."""
        return self.killed >= LEAST_KILLED * len(self.verdicts) and not self.unnamed

    @property
    def cells(self) -> list[str]:
        """What the page says of it."""
        timed_out = sum(verdict.killer == TIME for verdict in self.verdicts)
        noticed = f"{self.killed} ({self.killed / len(self.verdicts):.1%})"
        of_all = (len(self.verdicts), noticed, timed_out, len(self.survivors))
        return [self.target.name, *map(str, of_all)]

    @property
    def summary(self) -> str:
        """The figures, in one line."""
        timed_out = sum(verdict.killer == TIME for verdict in self.verdicts)
        named = len(self.survivors) - len(self.unnamed)
        return (
            f"{self.target.name}: {self.killed} of {len(self.verdicts)} mutants killed"
            f" ({self.killed / len(self.verdicts):.1%}), {timed_out} of them by time;"
            f" {named} survivors named, {len(self.unnamed)} unnamed; {self.seconds:.0f} s"
        )


def mutate(target: Target, options: argparse.Namespace) -> Outcome:
    """Try the mutants of *target*.

    :raises SystemExit: the tests fail without any mutant
    """
    started = time.monotonic()
    mutants = [mutant for file in target.files for mutant in make_mutants(file)]
    record = Record(options.folder / f"{target.name}.json")
    done = record.killed(mutants) if options.again else []
    known = {id(verdict.mutant) for verdict in done}
    verdicts = list(done)

    def note(verdict: Verdict) -> None:
        verdicts.append(verdict)
        if len(verdicts) % EACH == 0:  # so that a run that was ended can be gone on with
            record.write(verdicts)
            print(f"{target.name}: {len(verdicts)} of {len(mutants)}", file=sys.stderr, flush=True)

    plugin = Plugin([it for it in mutants if id(it) not in known], options.processes, note)
    # The seed: hypothesis shows each mutant the same examples.
    command = ["-qq", "-s", "-pno:cacheprovider", "-pno:randomly", "--hypothesis-seed=0"]
    status = pytest.main([*command, *(f"tests/{test}" for test in target.tests)], [plugin])
    if status != 0 or plugin.failed:
        raise SystemExit(f"{target.name}: {plugin.failed or 'pytest has failed'}")
    record.write(verdicts)
    for reason in plugin.left_out:
        print(f"left out: {reason}")
    return Outcome(target, verdicts, read_survivors(target.name), time.monotonic() - started)


class Record:
    """What a run has found, in a file for the next one."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def killed(self, mutants: Sequence[Mutant]) -> list[Verdict]:
        """Return the verdicts about those *mutants* that were killed in the run before."""
        if not self._path.exists():
            return []
        entries = json.loads(self._path.read_text("utf-8"))
        killers = {tuple(key): killer for key, killer, _ in entries}
        # Several mutants of a function may look the same.  All of them have to have been killed.
        survived = {tuple(key) for key, killer, _ in entries if not killer}
        same = Counter(tuple(key) for key, _, _ in entries)
        now = Counter(mutant.key for mutant in mutants)
        return [
            Verdict(mutant, killers[mutant.key], 0)
            for mutant in mutants
            if mutant.key not in survived and 0 < now[mutant.key] == same[mutant.key]
        ]

    def write(self, verdicts: Sequence[Verdict]) -> None:
        """Keep *verdicts*."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        entries = [[verdict.mutant.key, verdict.killer, verdict.tests] for verdict in verdicts]
        self._path.write_text(json.dumps(entries, indent=0), "utf-8")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="target", help="all if none is given")
    parser.add_argument("--folder", type=Path, required=True, help="for what a run has found")
    parser.add_argument("--processes", type=int, default=3, help="tests run at the same time")
    parser.add_argument(
        "--again",
        action="store_true",
        help="only mutants that were not killed the last time, after tests were added",
    )
    return parser.parse_args()


def select(names: Sequence[str]) -> list[Target]:
    """Return the targets of these names, or all.

    :raises SystemExit: nothing has that name
    """
    unknown = set(names) - {target.name for target in TARGETS}
    if unknown:
        known = ", ".join(target.name for target in TARGETS)
        raise SystemExit(f"no target {', '.join(sorted(unknown))}; there are {known}")
    return [target for target in TARGETS if not names or target.name in names]


def main() -> int:
    """Mutate what was asked for, write the figures, and return the status to exit with."""
    options = arguments()
    os.chdir(ROOT)
    os.environ["PYTEST_DEBUG_TEMPROOT"] = str(options.folder)  # else /tmp, whose folders it shares
    options.folder.mkdir(parents=True, exist_ok=True)
    outcomes = []
    for target in select(options.names):
        outcome = mutate(target, options)
        outcomes.append(outcome)
        print(outcome.summary, flush=True)
        if outcome.unnamed:
            print(f"\nWithout a reason in survivors/{target.name}.toml:\n")
            print(as_table(outcome.unnamed), flush=True)
        for one in outcome.outdated:
            print(f"no longer survives: {one.function}: {one.was!r} to {one.now!r}")
    write_rows((outcome.cells for outcome in outcomes), [target.name for target in TARGETS])
    return 0 if all(outcome.is_enough for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
