"""The everyday jobs of ``docs/howto/recipes.md``, and the examples that do them."""

from __future__ import annotations

from typing import Final

#: what a program does, and the files that show it
JOBS: Final = {
    "JSON with errors": ["json_with_errors"],
    "tests without a network": ["test_without_network"],
    "FastAPI lifespan": ["fastapi_lifespan"],
    "a chat that reconnects": ["reconnecting_chat"],
    "a company's proxy": ["company_proxy"],
    "a library for both backends": ["library"],
    "ports from aiohttp and httpx": ["ported_from_aiohttp", "ported_from_httpx"],
}
FILES: Final = [file for files in JOBS.values() for file in files]
