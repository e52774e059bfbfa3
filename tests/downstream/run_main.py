"""Run the ``main`` of a program as it stands, on asyncio or on trio.

``python run_main.py PROGRAM BACKEND``; the program is imported, and so its last lines, which
would start asyncio, are not run.
"""

from __future__ import annotations

import runpy
import sys

import anyio

if __name__ == "__main__":
    path, backend = sys.argv[1:]
    anyio.run(runpy.run_path(path, run_name="example")["main"], backend=backend)
