"""Drive packages, say which work, and write the table of ``docs/explanation/libraries.md``.

``python -m tests.downstream --folder FOLDER [NAME …]``; ``nox -s downstream`` does it.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.downstream.environments import ROOT, Environment
from tests.downstream.examples import EXAMPLES
from tests.downstream.package import BACKENDS, Backend, Package
from tests.downstream.page import ExampleRow, Row, write_tables

SECONDS_PER_DRIVER: Final = 120
DRIVE: Final = ROOT / "tests" / "downstream" / "drive.py"


@dataclass(frozen=True)
class Driver:
    """A package, and the module that drives it."""

    module: str
    package: Package


def all_drivers() -> list[Driver]:
    """Return every driver, in the order of the packages' names."""
    found = [
        Driver(module.name, package)
        for module in pkgutil.iter_modules([str(ROOT / "tests" / "downstream" / "drivers")])
        for package in importlib.import_module(f"tests.downstream.drivers.{module.name}").PACKAGES
    ]
    return sorted(found, key=lambda driver: driver.package.name.lower())


def command(environment: Environment, client: str) -> list[str | Path]:
    """Return how Python is started: with anyhttp in aiohttp's place, or with aiohttp itself."""
    if client == "aiohttp":
        return [environment.python, DRIVE]
    return [environment.python, "-m", "anyhttp.as_aiohttp", DRIVE]


def variables() -> dict[str, str]:
    """Return the environment of a driver: no proxy, no token, no settings of a service."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**kept, "PYTHONPATH": str(ROOT)}


def succeeds(what: str, command: list[str | Path], environment: Mapping[str, str]) -> bool:
    """Run *command*, say whether it succeeded, and show what it printed if it did not."""
    started = time.monotonic()
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        output, _ = process.communicate(timeout=SECONDS_PER_DRIVER)
    except subprocess.TimeoutExpired:
        process.kill()
        output = process.communicate()[0] + f"\nnot done after {SECONDS_PER_DRIVER} seconds"
    works = process.returncode == 0
    seconds = time.monotonic() - started
    print(f"{'ok  ' if works else 'FAIL'} {what} ({seconds:.1f} s)")
    if not works:
        print("\n".join(f"     {line}" for line in output.splitlines()[-40:]))
    sys.stdout.flush()
    return works


def drive(driver: Driver, backend: Backend, environment: Environment, client: str) -> bool:
    """Run a driver in a process of its own."""
    package = driver.package
    start = command(environment, client)
    return succeeds(
        f"{package.requirement} on {backend}",
        [*start, driver.module, package.name, backend],
        {**variables(), "DOWNSTREAM_CLIENT": client},
    )


def run_example(number: int, backend: Backend, environment: Environment) -> bool:
    """Run an example of a package in a process of its own."""
    example = EXAMPLES[number]
    module = ["-m", "tests.downstream.examples", str(number), backend]
    what = f"the example of {example.package} on {backend}"
    return succeeds(what, [environment.python, *module], variables())


def run_examples(chosen: list[Driver], environments: Mapping[str, Environment]) -> list[ExampleRow]:
    """Run the examples of the packages that were chosen."""
    rows = []
    for number, example in enumerate(EXAMPLES):
        for driver in chosen:
            if driver.package.name == example.package:
                environment = environments[driver.package.environment]
                works: dict[Backend, bool] = {
                    backend: run_example(number, backend, environment)
                    for backend in example.backends
                }
                rows.append(ExampleRow(example, works))
    return rows


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.downstream", description=__doc__)
    parser.add_argument("names", nargs="*", help="packages or modules of drivers; all if none")
    parser.add_argument("--folder", type=Path, required=True, help="where environments are kept")
    parser.add_argument("--client", choices=("anyhttp", "aiohttp"), default="anyhttp")
    parser.add_argument("--try-trio", action="store_true", help="also where it is said not to run")
    return parser.parse_args()


def select(names: list[str]) -> list[Driver]:
    """Return the drivers of the packages or modules that are named, or all.

    :raises SystemExit: nothing has that name
    """
    known = all_drivers()
    unknown = set(names) - {one for driver in known for one in (driver.module, driver.package.name)}
    if unknown:
        raise SystemExit(f"no driver for {', '.join(sorted(unknown))}")
    return [one for one in known if not names or {one.module, one.package.name} & set(names)]


def backends_of(package: Package, options: argparse.Namespace) -> tuple[Backend, ...]:
    """Return what the package is driven on in this run."""
    if options.client == "aiohttp":
        return ("asyncio",)
    return BACKENDS if options.try_trio else package.backends


def main() -> int:
    """Drive what was asked for, and return the status to exit with."""
    options = arguments()
    chosen = select(options.names)
    members: dict[str, list[Package]] = defaultdict(list)
    for driver in all_drivers():
        members[driver.package.environment].append(driver.package)
    environments = {name: Environment(options.folder / name, it) for name, it in members.items()}
    rows, failed = [], []
    for driver in chosen:
        package = driver.package
        environment = environments[package.environment]
        environment.prepare()
        works: dict[Backend, bool] = {
            backend: drive(driver, backend, environment, options.client)
            for backend in backends_of(package, options)
        }
        rows.append(Row(package, works))
        failed += [f"{package.name} on {backend}" for backend, done in works.items() if not done]
    examples = [] if options.client == "aiohttp" else run_examples(chosen, environments)
    for row in examples:
        failed += [f"the example of {row.example.package}"] * (not all(row.works.values()))
    print(f"{len(rows)} packages driven; failed: {', '.join(failed) or 'none'}")
    if options.client == "anyhttp":
        write_tables(rows, examples, [driver.package for driver in all_drivers()])
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
