"""The corpora: inputs that are worth keeping, in files that people can read and change.

A line is one input, as Python writes bytes.  libFuzzer wants a folder with a file for each.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable
from pathlib import Path

__all__ = ("read_corpus", "read_folder", "write_corpus", "write_folder")


def read_corpus(path: Path) -> list[bytes]:
    """Return the inputs in a file."""
    inputs: list[bytes] = []
    for line in path.read_text("ascii").splitlines():
        value = ast.literal_eval(line)
        assert isinstance(value, bytes), line
        inputs.append(value)
    return inputs


def write_corpus(path: Path, inputs: Iterable[bytes]) -> None:
    """Write a file: each input once, short ones first."""
    ordered = sorted(set(inputs), key=lambda data: (len(data), data))
    path.write_text("".join(f"{data!r}\n" for data in ordered), "ascii")


def write_folder(folder: Path, inputs: Iterable[bytes]) -> None:
    """Write a file for each input, whose name comes from its content."""
    folder.mkdir(parents=True, exist_ok=True)
    for data in inputs:
        (folder / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)


def read_folder(folder: Path) -> list[bytes]:
    """Return the content of all files."""
    return [path.read_bytes() for path in sorted(folder.iterdir())]
