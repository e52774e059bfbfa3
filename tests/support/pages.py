"""Programs on the pages of the documentation."""

from __future__ import annotations

import re
from types import ModuleType
from typing import Any, Final

#: What starts a program, as its last line.
_START: Final = re.compile(r"\n(?:(?:anyio|asyncio|trio)\.run\(main(?:\(\))?\)|main\(\))\n\Z")


def blocks(text: str, language: str) -> list[str]:
    """Return the content of each block of *language* in *text*."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def file_of(source: str) -> str:
    """Return the name that a file has in its first line; empty if it has none."""
    named = re.match(r"# (\w+\.py)\n", source)
    return named[1] if named else ""


def without_start(source: str) -> str:
    """Return a program without its last line, which runs ``main()``."""
    stopped, count = _START.subn("\n", source)
    assert count == 1, source
    return stopped


def names_of(source: str, module: str = "of_a_page") -> dict[str, Any]:
    """Run the code of a file, and return its names."""
    namespace = ModuleType(module)
    exec(compile(source, module, "exec"), vars(namespace))
    return vars(namespace)
