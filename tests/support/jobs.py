"""The everyday jobs of ``docs/howto/recipes.md``, and the examples that do them."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Final, cast

from tests.support.fresh_python import ROOT
from tests.support.pages import names_of

#: what a program does, and the files that show it
JOBS: Final = {
    "JSON with errors": ["json_with_errors"],
    "many downloads": ["many_downloads"],
    "a resumed download": ["resumed_download"],
    "an LLM's stream": ["llm_stream"],
    "events that go on": ["events"],
    "a large form": ["form_upload"],
    "OAuth2 with refresh": ["oauth2"],
    "tests without a network": ["test_without_network"],
    "retries with Retry-After": ["retries"],
    "FastAPI lifespan": ["fastapi_lifespan"],
    "a chat that reconnects": ["reconnecting_chat"],
    "a company's proxy": ["company_proxy"],
    "a library for both backends": ["library"],
    "requests traced with OpenTelemetry": ["traced"],
    "ports from aiohttp and httpx": ["ported_from_aiohttp", "ported_from_httpx"],
}
FILES: Final = [file for files in JOBS.values() for file in files]


def before(library: str) -> str:
    """Return the program on the page of recipes that was written for *library*."""
    page = (ROOT / "docs" / "howto" / "recipes.md").read_text("utf-8")
    (program,) = re.findall(
        rf"^```python\n([^`]*^import {library}\n[^`]*)^```$", page, re.MULTILINE
    )
    return str(program)


def program(source: str, name: str) -> Callable[[str], Awaitable[None]]:
    """Return the function ``main()`` of a program that is given as text."""
    return cast("Callable[[str], Awaitable[None]]", names_of(source, name)["main"])
