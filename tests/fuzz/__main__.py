"""Attack the targets, each for some seconds, and say what was found.

``python -m tests.fuzz [SECONDS] [TARGET …]``; ``nox -s fuzz`` does it.
"""

from __future__ import annotations

import argparse
import ast
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.fuzz.corpus import read_corpus, read_folder, write_corpus, write_folder
from tests.fuzz.target import FOLDER, Target, all_targets

ROOT: Final = FOLDER.parent.parent

#: Seconds after which an input counts as endless.
MAX_SECONDS: Final = 20

_DONE: Final = re.compile(r"cov: (\d+) ft: (\d+) corp: (\d+)")
_RUNS: Final = re.compile(r"stat::number_of_executed_units: (\d+)")


@dataclass(frozen=True)
class Report:
    """The outcome of an attack."""

    name: str
    #: what libFuzzer said last: runs, covered branches, inputs that are worth keeping
    runs: str
    covered: str
    kept: str
    #: what the attack has said, if it has failed
    failure: str
    #: the input at which that was, if it was at one
    data: bytes | None

    def __str__(self) -> str:
        state = "FAILED" if self.failure else "ok"
        return f"{self.name:24} {self.runs:>9} {self.covered:>7} {self.kept:>6}  {state}"


def attack(target: Target, seconds: int, seed: int, *, keep: bool) -> Report:
    """Attack one target.

    :param keep: add inputs that have reached something new to the corpus
    """
    with tempfile.TemporaryDirectory(prefix=f"fuzz-{target.name}-") as name:
        folder = Path(name)
        inputs = folder / "inputs"
        write_folder(inputs, read_corpus(target.corpus))
        options = [
            f"-max_total_time={seconds}",
            f"-max_len={target.max_size}",
            f"-seed={seed}",
            f"-timeout={MAX_SECONDS}",
            f"-dict={target.dictionary}",
            f"-artifact_prefix={folder / 'found-'}",
            "-print_final_stats=1",
        ]
        command = [sys.executable, "-m", "tests.fuzz.attack", target.name, *options, str(inputs)]
        process = subprocess.run(
            command, cwd=ROOT, text=True, errors="replace", check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        output = process.stdout
        found = sorted(folder.glob("found-*"))
        if keep and process.returncode == 0:
            write_corpus(target.corpus, read_folder(inputs))
        seen = _DONE.findall(output) or [("?", "?", "?")]
        runs = _RUNS.findall(output) or ["?"]
        begin = output.find("=== Uncaught Python exception")
        return Report(
            target.name, runs[0], seen[-1][0], seen[-1][2],
            output[max(begin, 0) :] if process.returncode else "",
            found[0].read_bytes() if found else None,
        )  # fmt: skip


def main(arguments: Sequence[str]) -> int:
    """Attack targets one after the other; return 1 if one has failed."""
    targets = all_targets()
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("seconds", type=int, nargs="?", default=60, help="for each target")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(targets))
    parser.add_argument("--seed", type=int, help="repeats a run, as far as its time goes")
    parser.add_argument("--input", metavar="BYTES", help="check this input alone: b'...'")
    parser.add_argument(
        "--keep", action="store_true", help="add to the corpora what has reached something new"
    )
    options = parser.parse_args(arguments)
    if unknown := set(options.targets) - set(targets):
        parser.error(f"there is no target {', '.join(sorted(unknown))}")
    chosen = [targets[name] for name in options.targets or targets]
    if options.input is not None:
        for target in chosen:
            target.run(ast.literal_eval(options.input))
        return 0
    seed = options.seed or random.randrange(1, 2**31)
    print(f"{options.seconds} seconds for each of {len(chosen)} targets, seed {seed}")
    print(f"{'target':24} {'runs':>9} {'covered':>7} {'corpus':>6}")
    failed = 0
    for target in chosen:
        report = attack(target, options.seconds, seed, keep=options.keep)
        print(report, flush=True)
        if report.failure:
            failed += 1
            print(report.failure)
        if report.data is not None:
            print(f"python -m tests.fuzz --input={str(report.data)!r} 1 {target.name}")
    print(f"{len(chosen) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
