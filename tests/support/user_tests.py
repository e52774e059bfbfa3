"""Tests as users write them, run by a pytest of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.support.fresh_python import ROOT


def run_user_tests(
    folder: Path, *arguments: str, in_place_of_aiohttp: bool = False
) -> dict[str, list[str]]:
    """Run the tests of *folder*, which all have to pass; a warning is an error.

    No plugins are loaded but those of anyio and of this package, whatever is installed.

    :param arguments: of pytest, such as a file
    :param in_place_of_aiohttp: let this client be what the tests import as aiohttp
    :return: for each test, the backends on which it has passed; none for a plain function
    """
    environment = {name: text for name, text in os.environ.items() if "PYTEST" not in name}
    environment |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, *(["-m", "anyhttp.as_aiohttp"] if in_place_of_aiohttp else [])]
    command += ["-m", "pytest", "-p", "no:cacheprovider", "-W", "error", "-o", "anyio_mode=auto"]
    if in_place_of_aiohttp:  # what it imports is there before pytest is
        command += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
    for plugin in ("anyio", "pytest_anyhttp"):
        command += ["-p", plugin]
    done = subprocess.run(
        [*command, "-vv", "--no-header", "--color=no", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        passed = re.match(r"[\w.]+\.py::(\w+)(?:\[([\w-]+)\])? PASSED", line)
        if passed is not None:
            backends = found.setdefault(passed[1], [])
            if passed[2]:
                backends.append(passed[2])
    return found
