"""UploadTracker and netrc, compared with aiohttp."""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from yarl import URL

from tests.compat.comparison import compared, different, failure, headers_seen

NETRC = "machine 127.0.0.1 login user password pass\nmachine localhost login l password p\n"


@pytest.fixture
def netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that ``$NETRC`` names."""
    path = tmp_path / "netrc"
    path.write_text(NETRC)
    monkeypatch.setenv("NETRC", str(path))
    return path


def replace(path: Path, content: str) -> None:
    """Write something else into the file."""
    path.write_text(content)


def elsewhere(base: URL) -> URL:
    """Return the URL of a redirect to another host."""
    return (base / "redirect-to").with_query(url=str((base / "echo").with_host("localhost")))


def authorization(headers: list[list[str]]) -> list[str]:
    """Return the credentials among *headers*."""
    return [value for name, value in headers if name == "Authorization"]


@compared
async def test_uploads_that_are_tracked(client: ModuleType, base: URL) -> object:
    """Attempts, bytes and the end of it, also after a redirect."""

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"piece"

    url = (base / "redirect-to").with_query(url="/upload")
    results: list[object] = []
    async with client.ClientSession() as session:
        for target, data, options in (
            (base / "upload", b"body", {}),
            (base / "upload", pieces(), {}),
            (base / "upload", b"body" * 100, {"compress": True}),
            (base / "json", None, {}),
            (url.update_query(status=307), b"body", {}),
            (url.update_query(status=303), b"body", {}),
        ):
            tracker = client.UploadTracker()
            results.append((tracker.attempts, tracker.bytes_written))
            async with session.post(target, data=data, upload_tracker=tracker, **options) as resp:
                await resp.read()
                await tracker.upload_complete
            done = tracker.upload_complete.done(), tracker.upload_complete.exception()
            results.append((tracker.attempts, tracker.bytes_written, done))
    return results


@compared
async def test_uploads_that_fail(client: ModuleType, base: URL) -> object:
    """One tracker for each request; what was not sent was aborted."""
    tracker = client.UploadTracker()
    other = client.UploadTracker()
    async with client.ClientSession() as session:
        async with session.post(base / "upload", data=b"x", upload_tracker=tracker):
            pass
        again = await failure(session.post(base / "upload", data=b"x", upload_tracker=tracker))
        await failure(session.post("http://127.0.0.1:1/", data=b"x", upload_tracker=other))
        return [again, await failure(other.upload_complete), other.attempts, other.bytes_written]


@compared
async def test_a_tracker_of_a_request_that_was_refused(client: ModuleType, base: URL) -> object:
    """Nothing will be sent: whoever waits is told so."""
    results: list[object] = []
    closed = client.ClientSession()
    await closed.close()
    async with client.ClientSession() as session:
        for target, url, options in (
            (session, base, {"json": {}}),
            (session, "ftp://host/", {}),
            (session, base, {"proxy": "http://[invalid"}),
            (closed, base, {}),
        ):
            tracker = client.UploadTracker()
            await failure(target.post(url, data=b"", upload_tracker=tracker, **options))
            error = tracker.upload_complete.exception()
            results.append((tracker.attempts, isinstance(error, client.UploadAbortedError)))
    return results


@compared
async def test_a_tracker_of_a_body_that_fails(client: ModuleType, base: URL) -> object:
    """It gets the very exception that the request raises."""

    async def body() -> AsyncIterator[bytes]:
        yield b"piece"
        raise LookupError

    tracker = client.UploadTracker()
    async with client.ClientSession() as session:
        with pytest.raises(client.ClientConnectionError) as caught:
            await session.post(base / "upload", data=body(), upload_tracker=tracker)
    return tracker.upload_complete.exception() is caught.value


@compared
async def test_credentials_from_netrc(client: ModuleType, base: URL, netrc: Path) -> object:
    """With trust_env, for each host its own, and after all others."""
    results: list[Any] = []
    for trust_env in (False, True):
        async with client.ClientSession(trust_env=trust_env) as session:
            results.append(session.trust_env)
            results += [
                authorization(await headers_seen(session.get(url)))
                for url in (base / "echo", base / "redirect" / "1", elsewhere(base))
            ]
            auth = client.BasicAuth("me", "mine")
            results.append(authorization(await headers_seen(session.get(base / "echo", auth=auth))))
    return results


@compared
async def test_a_default_entry(client: ModuleType, base: URL, netrc: Path) -> object:
    """It is for hosts that have none."""
    replace(netrc, "machine other login a password b\ndefault login any password body\n")
    async with client.ClientSession(trust_env=True) as session:
        return authorization(await headers_seen(session.get(base / "echo")))


@different(there=["Basic YW55OmJvZHk="], here=[])
async def test_a_default_entry_after_a_redirect(
    client: ModuleType, base: URL, netrc: Path
) -> object:
    """A server cannot choose who gets it."""
    replace(netrc, "machine 127.0.0.1 login a password b\ndefault login any password body\n")
    async with client.ClientSession(trust_env=True) as session:
        return authorization(await headers_seen(session.get(elsewhere(base))))


@different(there="ValueError", here="nothing raised")
async def test_a_header_beside_netrc(client: ModuleType, base: URL, netrc: Path) -> object:
    """The header is what the caller wants."""
    async with client.ClientSession(trust_env=True) as session:
        return (await failure(session.get(base / "echo", headers={"Authorization": "token"})))[0]


TYPES = ["Text/HTML; charset=UTF-8", "text", "text/html, text/plain", "application/json"]


@compared
async def test_media_types(client: ModuleType, base: URL) -> object:
    """What a head says, where both read it alike."""
    results: list[object] = []
    async with client.ClientSession() as session:
        for content_type in TYPES:
            headers = {"Content-Type": content_type}
            async with session.post(base / "echo-body", data=b"x", headers=headers) as response:
                results.append((response.content_type, response.charset))
    return results


@compared
async def test_what_is_put_back(client: ModuleType, base: URL) -> object:
    """unread_data() is deprecated, and works."""
    async with client.ClientSession() as session, session.get(base / "bytes" / "3") as response:
        data = await response.content.readany()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            response.content.unread_data(data)
        kinds = {each.category.__name__ for each in caught}
        return kinds, await response.content.read()
