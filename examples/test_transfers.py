"""Tests of the examples that move files.

No socket is opened, and each test runs on asyncio and on trio.
"""

from __future__ import annotations

import re

import pytest

from anyhttp import ClientResponseError
from anyhttp.testing import Answer, ReceivedRequest, mock_requests
from examples import download, form_upload, many_downloads, resumed_download
from examples.test_examples import JUMPING_CLOCKS

pytestmark = pytest.mark.anyio

API = "https://api.test/"
CONTENT = bytes(1_000_000)


def file(request: ReceivedRequest) -> Answer:
    """Answer as servers of files do: with the part that is asked for."""
    found = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
    if found is None:
        return Answer(headers={"ETag": '"1"', "Content-Length": "1000000"}, body=CONTENT)
    assert request.headers["If-Range"] == '"1"'
    start = int(found[1])
    return Answer(
        206,
        headers={"ETag": '"1"', "Content-Range": f"bytes {start}-999999/1000000"},
        body=CONTENT[start:],
    )


async def test_download(capsys: pytest.CaptureFixture[str]) -> None:
    """A large body is written to its end."""
    with mock_requests() as mock:
        mock.get(f"{API}file", answer=file)
        await download.main(API)
    assert capsys.readouterr().out == "1000000 bytes\n"


async def test_download_of_nothing() -> None:
    """An error page is no file."""
    with mock_requests() as mock:
        mock.get(f"{API}file", status=404, text="nothing here")
        with pytest.raises(ClientResponseError, match="404"):
            await download.main(API)


@pytest.mark.parametrize("anyio_backend", JUMPING_CLOCKS)
async def test_download_over_a_poor_line(capsys: pytest.CaptureFixture[str]) -> None:
    """What has come is not asked for again."""
    half = Answer(
        headers={"ETag": '"1"', "Content-Length": "1000000"},
        body=CONTENT[:500_000],
        exception=ConnectionResetError,
    )
    with mock_requests() as mock:
        mock.get(f"{API}file", match_headers={"Range": "bytes=500000-"}, answer=file)
        mock.get(f"{API}file", answers=[half])
        await download.main(API)
    assert capsys.readouterr().out == "1000000 bytes\n"


async def test_resumed_download(capsys: pytest.CaptureFixture[str]) -> None:
    """The second request asks for the rest."""
    with mock_requests() as mock:
        served = mock.get(f"{API}file", answer=file)
        await resumed_download.main(API)
        first, second = served.calls
    assert ("Range" in first.headers, "Range" in second.headers) == (False, True)
    assert capsys.readouterr().out == ("interrupted\n1000000 bytes, not all of them anew: True\n")


async def test_many_downloads(capsys: pytest.CaptureFixture[str]) -> None:
    """All of them come."""
    with mock_requests() as mock:
        for number in range(200):
            mock.get(f"{API}files/{number}.bin", body=bytes(1000 + number))
        await many_downloads.main(API)
        assert len(mock.calls) == 200
    assert capsys.readouterr().out == ("50 files\n100 files\n150 files\n200 files\n219900 bytes\n")


@pytest.mark.parametrize("anyio_backend", JUMPING_CLOCKS)
async def test_form_upload(capsys: pytest.CaptureFixture[str]) -> None:
    """The form says beforehand how long it is."""
    with mock_requests() as mock:
        uploaded = mock.post(f"{API}upload", status=201, text="large.bin" * 1000)
        await form_upload.main(API)
        (call,) = uploaded.calls
    assert int(call.headers["Content-Length"]) == len(call.body) > 10_000_000
    assert capsys.readouterr().out == f"201 {'large.bin' * 1000}\nsent all: True\n"
