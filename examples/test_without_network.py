"""Tests of ``json_with_errors.py``: no socket is opened, and each runs on asyncio and on trio."""

import pytest

from anyhttp.testing import RequestMock
from examples import json_with_errors

pytestmark = pytest.mark.anyio

API = "https://api.test/"


async def test_what_is_printed(
    anyhttp_mock: RequestMock, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each route answers in the place of the server."""
    anyhttp_mock.get(f"{API}users/1", json={"name": "Ada"})
    missing = anyhttp_mock.get(f"{API}users/2", status=404, text="nobody")
    await json_with_errors.main(API)
    assert capsys.readouterr().out == "Ada\n404 Not Found: b'nobody'\n"
    assert missing.call_count == 1


@pytest.mark.parametrize(
    ("failure", "said"),
    [(ConnectionRefusedError, "ClientConnectorError"), (TimeoutError, "TimeoutError")],
)
async def test_failures(
    anyhttp_mock: RequestMock, capsys: pytest.CaptureFixture[str], failure: type[OSError], said: str
) -> None:
    """The program gets the exceptions that a real network would bring about."""
    anyhttp_mock.get(f"{API}users/1", exception=failure)
    anyhttp_mock.get(f"{API}users/2", exception=failure)
    await json_with_errors.main(API)
    assert capsys.readouterr().out.count(said) == 2
