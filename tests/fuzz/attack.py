"""Attacks one target by atheris in this process: ``python -m tests.fuzz.attack NAME OPTION…``.

The options are those of libFuzzer.  ``python -m tests.fuzz`` starts this.
"""

from __future__ import annotations

import importlib
import sys
import zlib
from collections.abc import Callable
from typing import Any, Final

from tests.fuzz.target import Target, all_targets

#: One of so many inputs is run with its cost counted, which takes several times as long.
COUNTED: Final = 32

# Only the session that runs this has it installed.
atheris: Any = importlib.import_module("atheris")

# What is imported here tells the fuzzer which of its lines an input has reached.
with atheris.instrument_imports(include=["anyhttp"]):
    TARGETS = all_targets()


def checked(target: Target) -> Callable[[bytes], None]:
    """Return what is called with each input."""

    def check(data: bytes) -> None:
        target.check_quickly(data)
        if zlib.crc32(data) % COUNTED == 0:  # so that each input is treated alike in each run
            target.check_cost(data)

    return check


def main() -> None:
    """Run until an input fails, or until the options say so."""
    name = sys.argv.pop(1)
    atheris.Setup(sys.argv, checked(TARGETS[name]))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
