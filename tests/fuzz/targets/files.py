"""Files that others wrote: cassettes, cookies, and the credentials of ``.netrc``."""

from __future__ import annotations

import logging
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final
from unittest import mock

from yarl import URL

from anyhttp import CookieJar
from anyhttp._targets.auth import _from_netrc
from anyhttp.cookiejar import cookie_header
from anyhttp.testing._cassette import Cassette, CassetteOptions, UnrecordedRequest
from anyhttp.testing._har import CassetteError, HarEntry, HarFile, read_har, write_har
from anyhttp.testing._redaction import Filters
from anyhttp.testing._replay import response_bytes
from tests.fuzz.target import target
from tests.support.engines import Answer, receive

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_SITES: Final = tuple(
    map(URL, ("https://www.example.com/a/b", "http://localhost/", "http://127.0.0.1/a"))
)


@contextmanager
def _file(data: bytes) -> Iterator[Path]:
    """Write *data* to a file in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="fuzz-file-") as folder:
        path = Path(folder) / "file"
        path.write_bytes(data)
        yield path


# -- HAR


def _same(one: HarFile, other: HarFile) -> bool:
    return [replace(entry, record={}) for entry in one.entries] == [
        replace(entry, record={}) for entry in other.entries
    ]


@target(calls=200, memory=2000)
def har(data: bytes) -> None:
    """A file is refused as a whole, or means the same when it has been written again."""
    with _file(data) as path:
        try:
            read = read_har(str(path))
        except CassetteError:
            return
        again = path.with_name("again")
        write_har(str(again), read.log, read.entries)
        assert _same(read_har(str(again)), read)
    for entry in read.entries:
        assert (entry.request is None) == bool(entry.obstacle)
        if not entry.obstacle:
            _replayed(entry)


def _replayed(entry: HarEntry) -> None:
    """What is sent for an entry is a response that the client reads to its end."""
    assert entry.request is not None
    assert entry.response is not None
    method = entry.request.method
    try:
        raw = response_bytes(entry.response, method)
    except ValueError:
        return
    answers = [receive(name, [raw], method=method, upgrade=True) for name in ("auto", "h11")]
    assert bool(answers[0]) == bool(answers[1])
    for answer in answers:
        if isinstance(answer, Answer):
            assert answer.status == entry.response.status
            assert answer == answers[0]


@target(calls=400, memory=2000)
def cassette(data: bytes) -> None:
    """Each request of a cassette is answered by it, and secrets are replaced once and for all."""
    filters = Filters()
    with _file(data) as path:
        rules = ("method", "url", "body", "json")
        options = CassetteOptions(mode="none", match_on=rules, allow_repeats=True)
        try:
            played = Cassette(str(path), options)
        except CassetteError:
            return
        entries = read_har(str(path)).entries
    for entry in entries:
        if entry.request is None:
            continue
        request = filters.request(entry.request)
        assert filters.request(request) == request
        assert played.candidates(request)
        assert played.take(request) is not None
        other = replace(request, method="OTHER", body=b"[1]")
        assert isinstance(played.refusal(other), UnrecordedRequest)


# -- cookies


def _sent(jar: CookieJar) -> list[str | None]:
    return [cookie_header(jar, site) for site in _SITES]


@target(calls=200, memory=2000)
def cookie_files(data: bytes) -> None:
    """Either format is read or refused, and what was read is written and read again."""
    jar = CookieJar(unsafe=True)
    with _file(data) as path:
        try:
            jar.load(path)
        except ValueError:
            assert len(jar) == 0
            return
        sent = _sent(jar)
        assert not _CONTROL.search("".join(filter(None, sent)))
        jar.save(path)
        again = CookieJar(unsafe=True)
        again.load(path)
        assert list(again) == list(jar)
        assert _sent(again) == sent
        jar.save(path, format="netscape")
        again.load(path)
        assert len(again) <= len(jar)


# -- credentials


@target(calls=200, memory=2000)
def netrc(data: bytes) -> None:
    """A file that cannot be used is skipped, and what is logged of it holds none of its words."""
    logger = logging.getLogger("anyhttp.client")
    with _file(data) as path, mock.patch.dict(os.environ, {"NETRC": str(path)}):
        with mock.patch.object(logger, "warning") as warned:
            for default in (True, False):
                auth = _from_netrc({"www.example.com"}, default)
                if auth is not None:
                    assert auth.encode().isascii()
                    text = data.decode("utf-8", "surrogateescape")  # "\\" quotes what follows it
                    assert auth.password.replace("\\", "") in text.replace("\\", "")
    for call in warned.call_args_list:
        text = str(call.args[0] % call.args[1:])
        assert text.startswith("cannot ")
        assert "SECRET" not in text.replace(str(path), "")
