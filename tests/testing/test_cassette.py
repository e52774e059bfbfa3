"""Which entry answers a request, and which entries are written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from anyhttp.testing._cassette import Cassette, CassetteOptions, UnrecordedRequest
from anyhttp.testing._har import (
    CassetteError,
    HarContent,
    HarEntry,
    RecordedRequest,
    RecordedResponse,
    entry_of,
    read_har,
    write_har,
)

RESPONSE = RecordedResponse(
    status=200, reason="OK", http_version="HTTP/1.1", headers=(), content=HarContent.of(b"", "")
)


def request(
    url: str = "https://api.test/a",
    body: bytes = b"",
    *,
    method: str = "GET",
    headers: dict[str, str] | None = None,
) -> RecordedRequest:
    """A request to be recorded or answered."""
    fields = CIMultiDictProxy(CIMultiDict(headers or {}))
    return RecordedRequest(method=method, url=URL(url), headers=fields, body=body)


def entry(of: RecordedRequest) -> HarEntry:
    """An entry for *of*."""
    return entry_of(of, RESPONSE, name="new", started=0)


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Where the cassette is."""
    return str(tmp_path / "some.har")


def recorded(path: str, *requests: RecordedRequest, **options: Any) -> Cassette:
    """A cassette whose file has entries for *requests*."""
    write_har(path, {}, list(map(entry, requests)))
    return Cassette(path, CassetteOptions(**options))


def urls(path: str) -> list[str]:
    """The URLs in a file."""
    log = json.loads(Path(path).read_text("utf-8"))["log"]
    return [entry["request"]["url"] for entry in log["entries"]]


# -- matching ---------------------------------------------------------------------------

A = request("https://api.test/a?x=1&y=2")
FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("match_on", "now"),
    [
        (("method", "url"), request("https://api.test/a?y=2&x=1")),
        (("method", "url"), request("https://api.test:443/a?x=1&y=2", b"other")),
        (("method", "path"), request("http://other.test:81/a?z")),
        (("scheme", "host", "port"), request("https://api.test/b", method="PUT")),
        (("query",), request("https://other.test/b?x=1&y=2")),
        ((), request("http://other.test/b", method="PUT")),
        (("header:X-Missing",), request()),
    ],
)
def test_a_request_that_is_like_the_recorded_one(
    path: str, match_on: tuple[str, ...], now: RecordedRequest
) -> None:
    """Only what is named has to be alike."""
    cassette = recorded(path, A, match_on=match_on)
    assert len(cassette.candidates(now)) == 1
    found = cassette.take(now)
    assert found is not None
    assert found.request == A
    assert cassette.unplayed == []


def yes(recorded: RecordedRequest, now: RecordedRequest) -> bool:
    """A rule of a program's own."""
    return recorded.body != now.body


def no(recorded: RecordedRequest, now: RecordedRequest) -> None:
    """The same, as an assertion."""
    assert recorded.body == now.body, "these are not alike"


@pytest.mark.parametrize(
    ("match_on", "now", "reason"),
    [
        (("method",), {"method": "PUT"}, "method: recorded POST, now PUT"),
        (("url",), {"url": "http://a.test:443/?b=1"}, "scheme: recorded https, now http"),
        (("url",), {"url": "https://b.test/?b=1"}, "host: recorded a.test, now b.test"),
        (("url",), {"url": "https://a.test:1/?b=1"}, "port: recorded 443, now 1"),
        (("url",), {"url": "https://a.test/c?b=1"}, "path: recorded /, now /c"),
        (("url",), {"url": "https://a.test/?b=2"}, "query: recorded b=1, now b=2"),
        (("url",), {"url": "https://a.test/"}, "query: recorded b=1, now ''"),
        (("query",), {"url": "https://a.test/?b=1&b=1"}, "comes more often"),
        (("header:x-tenant",), {"headers": {}}, "x-tenant: recorded 1, now None"),
        (("header:X-Tenant",), {"headers": {"X-Tenant": "2"}}, "x-tenant: recorded 1, now 2"),
        (("body",), {"body": b"\xff"}, """body: recorded {"a": [1, {"b": 2}]}, now b'\\xff'"""),
        (("json",), {"body": b"[]"}, "json: $: recorded {'a': [1, {'b': 2}]}, now []"),
        (("json",), {"body": b'{"a": [1]}'}, "json: $.a: recorded 2 values, now 1 values"),
        (("json",), {"body": b'{"a": [1, {"b": 3}]}'}, "json: $.a[1].b: recorded 2, now 3"),
        (("json",), {"body": b'{"a": [1, {}]}'}, "json: $.a[1].b: recorded 2, now nothing"),
        (("json",), {"body": b'{"a": [1, {"b": 2}], "c d": 1}'}, "$['c d']: recorded nothing"),
        (("json",), {"body": b"x"}, "body: recorded"),
        ((yes,), {}, "yes: it says no"),
        ((no,), {"body": b""}, "no: these are not alike"),
    ],
)
def test_the_error_says_why_an_entry_does_not_answer(
    path: str, match_on: tuple[Any, ...], now: dict[str, Any], reason: str
) -> None:
    """For each rule that the request does not fulfil."""
    same: dict[str, Any] = {
        "url": "https://a.test/?b=1",
        "method": "POST",
        "body": b'{"a": [1, {"b": 2}]}',
        "headers": {"X-Tenant": "1"},
    }
    cassette = recorded(path, request(**same), match_on=match_on, mode="none")
    asked = request(**{**same, **now})
    assert cassette.take(asked) is None
    message = str(cassette.refusal(asked))
    assert message.startswith(f"{path} has no entry for {asked.method} {asked.url} (mode 'none')\n")
    assert reason.lower() in message.lower()
    assert "log.entries[0] (POST https://a.test/?b=1): " in message
    assert isinstance(cassette.refusal(asked), AssertionError)
    assert len(cassette.unplayed) == 1


def test_json_is_compared_as_a_value(path: str) -> None:
    """White space and the order of keys do not count."""
    cassette = recorded(path, request(body=b'{"a": 1, "b": 2}'), match_on=["json"])
    assert cassette.take(request(body=b'{"b":2,"a":1}')) is not None


def test_json_that_is_nested_too_deeply_answers_nothing(path: str) -> None:
    """It is no error of the test."""
    deep = b"[" * 900 + b"]" * 900
    cassette = recorded(path, request(body=deep), match_on=["json"])
    assert cassette.take(request(body=b"[" * 200_000)) is None
    assert cassette.take(request(body=deep)) is not None


def test_the_boundary_of_a_multipart_does_not_count(path: str) -> None:
    """It is another one in each request."""
    kind = "multipart/form-data; boundary="
    before = request(body=b"--b1\r\n\r\nx\r\n--b1--", headers={"Content-Type": f"{kind}b1"})
    now = request(body=b"--b2\r\n\r\nx\r\n--b2--", headers={"Content-Type": f"{kind}b2"})
    assert recorded(path, before, match_on=["body"]).take(now) is not None


def test_same_requests_are_answered_in_order_and_then_no_more(path: str) -> None:
    """A sequence, such as 500 and then 200, is replayed as it was."""
    cassette = recorded(path, request(body=b"1"), request(body=b"2"))
    found = [cassette.take(request()) for _ in range(3)]
    assert [each and each.request and each.request.body for each in found] == [b"1", b"2", None]
    assert "it has been played already (allow_repeats=True" in str(cassette.refusal(request()))


def test_the_last_of_same_requests_is_repeated_if_that_is_allowed(path: str) -> None:
    """For programs that poll."""
    cassette = recorded(path, request(body=b"1"), request(body=b"2"), allow_repeats=True)
    found = [cassette.take(request()) for _ in range(4)]
    assert [each and each.request and each.request.body for each in found] == [
        b"1", b"2", b"2", b"2",
    ]  # fmt: skip


def test_the_error_shows_the_nearest_entries_first(path: str) -> None:
    """And not all of a large file."""
    others = [request(f"https://other{number}.test/b") for number in range(7)]
    cassette = recorded(path, *others, request("https://api.test/b"), mode="once")
    lines = str(cassette.refusal(request())).split("\n")
    assert lines[1] == ("  log.entries[7] (GET https://api.test/b): path: recorded /b, now /a")
    assert lines[2].startswith("  log.entries[0] (GET https://other0.test/b): host: ")
    assert lines[6] == "  and 3 entries that are less like it"
    assert lines[7].startswith('Mode "once" records nothing where there is a file')


def test_the_error_of_an_empty_cassette(path: str) -> None:
    """There is nothing to compare."""
    cassette = recorded(path, mode="none")
    assert "it has no entries at all" in str(cassette.refusal(request()))


def test_entries_that_cannot_be_replayed_are_passed_over_and_named(path: str) -> None:
    """Such as those without a response, which browsers save."""
    record = {**entry(request()).record, "response": {"status": 0}}
    Path(path).write_text(json.dumps({"log": {"entries": [record]}}), "utf-8")
    cassette = Cassette(path, CassetteOptions())
    assert cassette.take(request()) is None
    assert cassette.unplayed == []
    refusal = cassette.refusal(request())
    assert isinstance(refusal, UnrecordedRequest)
    assert "it has no response, but the status 0" in str(refusal)
    assert refusal.request == request()


def test_the_error_shows_no_password_of_the_url(path: str) -> None:
    """Messages end up in logs."""
    refusal = recorded(path).refusal(request("https://me:secret@a.test/"))
    assert "secret" not in str(refusal)


def test_what_another_tool_has_written_is_compared_without_secrets(path: str) -> None:
    """Those of the request are replaced before they are compared."""
    secret = request(
        "https://api.test/a?api_key=secret&b=1",
        b"password=secret",
        headers={"Cookie": "a=secret", "Content-Type": FORM},
    )
    match_on = ("method", "url", "header:Cookie", "body")
    cassette = recorded(path, secret, match_on=match_on)
    now = cassette.filters.request(secret)
    assert "=secret" not in str(cassette.refusal(request()))
    assert cassette.take(now) is not None
    cassette.add(0, entry(request()))
    cassette.save()
    assert urls(path)[0] == str(secret.url)


# -- modes and files --------------------------------------------------------------------


def add(cassette: Cassette, *paths: str) -> None:
    """Record requests to *paths*, the last one first."""
    for number, path in reversed(list(enumerate(paths))):
        cassette.add(number, entry(request(f"https://api.test/{path}")))


def test_once_records_where_there_is_no_file(path: str) -> None:
    """Entries are written in the order in which the requests began."""
    cassette = Cassette(path, CassetteOptions())
    assert cassette.records
    add(cassette, "1", "2")
    assert not Path(path).exists()
    cassette.save()
    assert urls(path) == ["https://api.test/1", "https://api.test/2"]
    assert not Cassette(path, CassetteOptions()).records


def test_new_episodes_adds_to_the_file(path: str) -> None:
    """What is there stays."""
    cassette = recorded(path, request(), mode="new_episodes")
    assert cassette.records
    assert cassette.take(request()) is not None
    add(cassette, "1")
    cassette.save()
    assert urls(path) == ["https://api.test/a", "https://api.test/1"]


def test_all_records_anew(path: str) -> None:
    """Nothing is replayed, and what was there is replaced."""
    cassette = recorded(path, request(), mode="all")
    assert cassette.records
    assert cassette.take(request()) is None
    cassette.save()
    assert urls(path) == ["https://api.test/a"]  # nothing has been recorded
    add(cassette, "1")
    cassette.save()
    assert urls(path) == ["https://api.test/1"]


def test_all_does_not_read_a_damaged_file(path: str) -> None:
    """It is how one gets rid of it."""
    Path(path).write_text("damaged")
    cassette = Cassette(path, CassetteOptions(mode="all"))
    add(cassette, "1")
    cassette.save()
    assert urls(path) == ["https://api.test/1"]


def test_none_needs_a_file(path: str) -> None:
    """It is for machines without a network."""
    with pytest.raises(CassetteError, match='no such file, and mode "none" records nothing'):
        Cassette(path, CassetteOptions(mode="none"))
    assert not recorded(path, mode="none").records


def test_nothing_is_written_if_nothing_was_recorded(path: str) -> None:
    """A file is not touched for nothing."""
    Cassette(path, CassetteOptions()).save()
    assert not Path(path).exists()
    cassette = recorded(path, request(), mode="new_episodes")
    before = Path(path).stat().st_mtime_ns
    cassette.save()
    assert Path(path).stat().st_mtime_ns == before


def test_what_is_discarded_is_not_written(path: str) -> None:
    """A test that failed half way must not leave half a cassette."""
    cassette = Cassette(path, CassetteOptions())
    add(cassette, "1")
    cassette.discard()
    cassette.save()
    assert not Path(path).exists()


def test_two_recorders_of_one_file_keep_what_the_other_wrote(path: str) -> None:
    """Each adds its own."""
    first, second = Cassette(path, CassetteOptions()), Cassette(path, CassetteOptions())
    add(first, "1")
    add(second, "2")
    first.save()
    second.save()
    second.save()  # nothing more
    assert urls(path) == ["https://api.test/1", "https://api.test/2"]


def test_the_same_entries_give_the_same_file(path: str) -> None:
    """So that a difference is one of the traffic."""
    contents = []
    for _ in range(2):
        cassette = Cassette(path, CassetteOptions(mode="all"))
        add(cassette, "1", "2")
        cassette.save()
        contents.append(Path(path).read_bytes())
    assert contents[0] == contents[1]
    assert len(read_har(path).entries) == 2


# -- options ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"mode": "sometimes"}, ValueError, "mode must be one of once, new_episodes, none, all"),
        ({"filters": ["a"]}, TypeError, "filters"),
        ({"allow_repeats": 1}, TypeError, "allow_repeats"),
        ({"match_on": "url"}, TypeError, "match_on must be a sequence, not str"),
        ({"match_on": 1}, TypeError, "match_on must be a sequence, not int"),
        ({"match_on": [1]}, TypeError, "1 is neither a name nor a function"),
        ({"match_on": ["uri"]}, ValueError, "'uri' is none of method, url, .*, header:NAME"),
        ({"match_on": ["header:"]}, ValueError, "'header:' is none of"),
    ],
)
def test_options_that_are_not_understood(
    path: str, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    """They are refused before anything is sent."""
    with pytest.raises(error, match=message):
        Cassette(path, CassetteOptions(**options))
