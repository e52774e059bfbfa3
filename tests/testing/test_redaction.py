"""Secrets stay out of what is written."""

from __future__ import annotations

import json
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from anyhttp.testing._har import RecordedRequest
from anyhttp.testing._redaction import Filters


@pytest.mark.parametrize(
    ("name", "value", "written"),
    [
        ("Authorization", "Bearer secret", "REDACTED"),
        ("proxy-authorization", "Basic secret", "REDACTED"),
        ("X-API-Key", "secret", "REDACTED"),
        ("Cookie", "a=secret; b=secret;c=", "a=REDACTED; b=REDACTED;c="),
        ("Cookie", "secret", "REDACTED"),
        ("Set-Cookie", "a=secret; Path=/; HttpOnly", "a=REDACTED; Path=/; HttpOnly"),
        ("Set-Cookie", "a=; Max-Age=0", "a=; Max-Age=0"),
        ("Location", "/b?Access_Token=secret&x=1", "/b?Access_Token=REDACTED&x=1"),
        ("Location", "/b#id_token=secret", "/b#id_token=REDACTED"),
        ("Referer", "https://me:secret@a.test/", "https://a.test/"),
        (
            "Link",
            '<https://a.test/?page=2&access_token=secret>; rel="next", <b>',
            '<https://a.test/?page=2&access_token=REDACTED>; rel="next", <b>',
        ),
        ("Link", "<https://me:s@a.test/?n=2&token=s>", "<https://a.test/?n=2&token=REDACTED>"),
        ("Refresh", "0; url=/?access_token=s", "0; url=/?access_token=REDACTED"),
        ("PRIVATE-TOKEN", "secret", "REDACTED"),
        ("Accept", "text/html", "text/html"),
        ("Authorization", "", ""),
    ],
)  # fmt: skip
def test_headers_that_hold_secrets(name: str, value: str, written: str) -> None:
    """Attributes of cookies are none: the jar needs them at replay."""
    assert Filters().fields(((name, value),)) == ((name, written),)


@pytest.mark.parametrize(
    ("url", "written"),
    [
        ("https://me:secret@a.test/x#y", "https://a.test/x"),
        ("https://a.test/?b=1&api_key=secret&b=%20", "https://a.test/?b=1&api_key=REDACTED&b=%20"),
        ("https://a.test/?API%5FKEY=secret", "https://a.test/?API_KEY=REDACTED"),
        ("https://a.test/?api_key=&api_key", "https://a.test/?api_key=&api_key"),
    ],
)
def test_urls_that_hold_secrets(url: str, written: str) -> None:
    """The rest of a query stays as it is."""
    assert Filters().url(URL(url)) == URL(written)
    assert str(Filters().url(URL(url))) == str(URL(written))


def test_names_are_added_to_the_defaults_and_some_can_be_kept() -> None:
    """A list of one's own must not switch off the others by mistake."""
    filters = Filters(headers=["X-Mine"], query=["mine"], keep=["Cookie", "password"])
    fields = (("x-mine", "1"), ("Cookie", "a=1"), ("Authorization", "x"))
    assert [value for _, value in filters.fields(fields)] == ["REDACTED", "a=1", "REDACTED"]
    url = filters.url(URL("https://a.test/?mine=1&password=2&api_key=3"))
    assert url.query_string == "mine=REDACTED&password=2&api_key=REDACTED"


FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("body", "written"),
    [
        (b"user=me&password=secret&x", b"user=me&password=REDACTED&x"),
        (b"pass%77ord=secret&\xff=1", b"pass%77ord=REDACTED&\xff=1"),
        (b"mine=secret&user=me", b"mine=REDACTED&user=me"),
        (b"", b""),
    ],
)
def test_forms(body: bytes, written: bytes) -> None:
    """Fields are known by their names, however these are encoded."""
    assert Filters(form=["Mine"]).body(body, f"{FORM}; charset=utf-8", is_sent=True) == written


def test_multipart_forms() -> None:
    """The content of a part is replaced, and its head stays."""
    body = (
        b'--x\r\nContent-Disposition: form-data; name="password"\r\n\r\nse\r\n\r\ncret\r\n'
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="password"\r\n\r\nopen\r\n'
        b"--x--\r\n"
    )
    written = body.replace(b"se\r\n\r\ncret", b"REDACTED")
    assert Filters().body(body, "multipart/form-data; boundary=x", is_sent=True) == written
    unquoted, written = (text.replace(b'"password"\r', b"password\r") for text in (body, written))
    assert Filters().body(unquoted, "multipart/form-data; boundary=x", is_sent=True) == written
    assert Filters().body(body, "multipart/form-data", is_sent=True) == body


VALUE: Any = {
    "token": "s",
    "users": [{"key": "s", "name": "a"}, {"key": 5, "more": {"key": ["s"]}}, None],
    "a.b": {"c d": "s"},
    "none": None,
}


@pytest.mark.parametrize(
    ("path", "places"),
    [
        ("token", ["token"]),
        ("$.token", ["token"]),
        ("$['token']", ["token"]),
        ("users[0].key", ["users", 0, "key"]),
        ("users[*].key", ["users", 0, "key"]),
        ("users.*.key", ["users", 1, "key"]),
        ("$..key", ["users", 1, "more", "key"]),
        ("..key", ["users", 0, "key"]),
        ("users[1]..key", ["users", 1, "more", "key"]),
        ('$["a.b"]["c d"]', ["a.b", "c d"]),
        ("users", ["users"]),
    ],
)
def test_paths_in_json(path: str, places: list[str | int]) -> None:
    """Whatever is there is replaced, of whatever type."""
    changed: Any = json.loads(
        Filters(json=[path]).body(json.dumps(VALUE).encode(), "", is_sent=False)
    )
    for step in places:
        changed = changed[step]
    assert changed == "REDACTED"


@pytest.mark.parametrize("path", ["missing", "token.deeper", "users[7].key", "users.key", "none"])
def test_a_path_to_nothing_leaves_the_bytes_as_they_are(path: str) -> None:
    """JSON is formatted anew only where something is replaced."""
    body = b'{ "token":"s", "users":[{"key":1}], "none": null }'
    assert Filters(json=[path]).body(body, "application/json", is_sent=False) == body


def test_json_in_a_part_of_a_form() -> None:
    """The paths are those of the part."""
    body = (
        b'--x\r\nContent-Disposition: form-data; name="a"\r\n'
        b'Content-Type: application/json\r\n\r\n{"token": "secret"}\r\n--x--\r\n'
    )
    written = Filters(json=["token"]).body(body, "multipart/form-data; boundary=x", is_sent=False)
    assert written == body.replace(b"secret", b"REDACTED")


@pytest.mark.parametrize(
    ("body", "kind", "written"),
    [
        (b'{"a": "s"}\n{"a": "s"}\n', "application/x-ndjson", b'{"a": "R"}\n{"a": "R"}\n'),
        (b'data: {"a": "s"}\n\n: x\n', "text/event-stream", b'data: {"a": "R"}\n\n: x\n'),
        (b'\x1e{"a": "s"}\n', "application/json-seq", b'\x1e{"a": "R"}\n'),
        (b')]}\',\n{"a":\n"s"}', "application/json", b')]}\',\n{"a": "R"}'),
        (b'{"a": "s", "b": ' + b"9" * 5000 + b"}", "application/json", b'"R"'),
        (b'{"a": "s", "b": "\xe9"}', "a/json; charset=latin-1", b'{"a": "R", "b": "\xe9"}'),
        (b'{"a": "s", "b": "\xe9"}', "application/json", b'{"a": "R", "b": "\xe9"}'),
        (b'{"a": "s", "b": "\\ud83d"}', "application/json", b'{"a": "R", "b": "\\ud83d"}'),
        (b'{"a": "s", "b": "\\u20ac"}', "a/json; charset=latin-1", b'{"a": "R", "b": "\\u20ac"}'),
        (b'\xef\xbb\xbf{"a": "s"}', "application/json", b'\xef\xbb\xbf{"a": "R"}'),
        ('{"a": "s"}'.encode("utf-16-le"), "application/json", '{"a": "R"}'.encode("utf-16-le")),
        (b"Internal Server Error", "application/json", b"Internal Server Error"),
        (b'[info] x\n{"a": "s"}\n', "text/plain", b'[info] x\n{"a": "R"}\n'),
        (b'[info] x\n{"b": "s"}\n', "text/plain", b'[info] x\n{"b": "s"}\n'),
    ],
)  # fmt: skip
def test_json_of_many_kinds(body: bytes, kind: str, written: bytes) -> None:
    """One for each line, in any encoding; what is said to be JSON and is none is not written."""
    assert Filters(json=["a"], replacement="R").body(body, kind, is_sent=False) == written


def test_hostile_texts_take_little_time() -> None:
    """Neither many beginnings nor long texts without what is searched for."""
    filters = Filters(json=["..a"])
    filters.body(b"[\n" * 100_000, "text/event-stream", is_sent=False)
    filters.body(b"[1,\n" * 100_000, "application/json", is_sent=False)
    filters.body(b"[x 1,\n" * 100_000, "text/plain", is_sent=False)
    filters.body(b"[1],\n" * 20_000, "application/json", is_sent=False)
    for text in (
        "a" * 1_000_000,
        "a=" * 500_000,
        "://" * 300_000,
        "://@" * 300_000,
        "<" * 1_000_000,
    ):
        filters.fields((("Link", text),))


@pytest.mark.parametrize("data", ['{"a": "secret"}', b'{"a": "secret"}'])
def test_messages_of_a_websocket(data: str | bytes) -> None:
    """JSON may be sent as bytes."""
    written = Filters(json=["a"]).message(data, is_sent=False)
    assert type(written) is type(data)
    assert "REDACTED" in str(written)
    assert "secret" not in str(written)


def test_bodies_that_are_no_json_are_not_changed() -> None:
    """What looks like it may be something else."""
    filters = Filters(json=["a"])
    assert filters.body(b"{a: 1}", "text/plain", is_sent=False) == b"{a: 1}"
    assert filters.body(b'"a"', "text/plain", is_sent=False) == b'"a"'


DEEP = b"[" * 200_000 + b"]" * 200_000


@pytest.mark.parametrize(
    ("body", "kind", "options", "written"),
    [
        (DEEP, "application/json", {}, b'"REDACTED"'),
        (DEEP, "text/plain", {}, DEEP),
        (b'{"a": 1' + b"0" * 5000 + b"}", "application/json", {}, b'"REDACTED"'),
        (b'["\xe9"', "application/json", {}, b'"REDACTED"'),
        (b'{"a": "secr', "application/json", {"is_cut": True}, b""),
        (b'{"password": "secr', "", {"is_cut": True, "is_sent": True}, b""),
        (b'{"x": "secr', "", {"is_cut": True, "is_sent": True}, b'{"x": "secr'),
    ],
)
def test_json_that_cannot_be_searched_is_not_written(
    body: bytes, kind: str, options: dict[str, bool], written: bytes
) -> None:
    """Deeply nested, in a wrong encoding, or with its end missing."""
    filters = Filters() if "is_sent" in options else Filters(json=["..a"])
    assert filters.body(body, kind, **{"is_sent": False, **options}) == written
    assert Filters().body(body, kind, is_sent=False, is_cut=True) == body


@pytest.mark.parametrize(
    ("body", "kind", "written"),
    [
        ('{"a": "x", "é": "ü"}'.encode(), "", '{"a": "REDACTED", "é": "ü"}'.encode()),
        (b'\xef\xbb\xbf{"a": "x"}', "application/json", b'\xef\xbb\xbf{"a": "REDACTED"}'),
        (
            '{"a": "x", "é": 1}'.encode("latin-1"),
            "application/json; charset=latin-1",
            '{"a": "REDACTED", "é": 1}'.encode("latin-1"),
        ),
        (b'{"a": "x", "b": "\\ud800"}', "", b'{"a": "REDACTED", "b": "\\ud800"}'),
    ],
)
def test_json_stays_in_its_encoding(body: bytes, kind: str, written: bytes) -> None:
    """What is replaced never keeps the rest from being written."""
    assert Filters(json=["a"]).body(body, kind, is_sent=False) == written


def test_secrets_by_name_are_replaced_in_json_that_is_sent() -> None:
    """At any depth; responses are left alone, so that the program sees what was sent to it."""
    body = b'{"Password": "s", "list": [{"mine": {"x": 1}, "api_key": null}], "user": "me"}'
    filters = Filters(form=["Mine"])
    assert json.loads(filters.body(body, "application/json", is_sent=True)) == {
        "Password": "REDACTED",
        "list": [{"mine": "REDACTED", "api_key": None}],
        "user": "me",
    }
    assert filters.body(body, "application/json", is_sent=False) == body
    assert filters.body(b'{"user":"password"}', "", is_sent=True) == b'{"user":"password"}'
    assert filters.message('{"password": "s"}', is_sent=True) == '{"password": "REDACTED"}'
    assert filters.message('{"password": "s"}', is_sent=False) == '{"password": "s"}'
    assert filters.message(b'{"password": "s"}', is_sent=True) == b'{"password": "REDACTED"}'


@pytest.mark.parametrize("path", ["", "$", "a..", "[", "a[b]", "a[-1]", "a b.", "$..", "a]", "[']"])
def test_a_path_that_is_not_understood(path: str) -> None:
    """It is refused when it is given, and not passed over."""
    with pytest.raises(ValueError, match=r"the path .* is not understood"):
        Filters(json=[path])


@pytest.mark.parametrize("argument", ["headers", "query", "form", "json", "keep"])
def test_arguments_that_are_no_collections_of_names(argument: str) -> None:
    """A str would be taken for its letters."""
    wrong: dict[str, Any] = {argument: "authorization"}
    with pytest.raises(TypeError, match=f"{argument} must be a collection of names, not str"):
        Filters(**wrong)
    wrong = {argument: [1]}
    with pytest.raises(TypeError, match=argument):
        Filters(**wrong)


@pytest.mark.parametrize("replacement", ["", "a b", "a;b", "é", "a\r\n"])
def test_a_replacement_that_could_not_be_sent(replacement: str) -> None:
    """It stands in headers and URLs."""
    with pytest.raises(ValueError, match="replacement"):
        Filters(replacement=replacement)


def test_another_replacement() -> None:
    """It stands in the place of each secret."""
    assert Filters(replacement="xxx").fields((("Authorization", "a"),)) == (
        ("Authorization", "xxx"),
    )


def test_a_request_without_secrets_stays_as_it_is_when_it_is_filtered_again() -> None:
    """So a request matches what has been written of it."""
    filters = Filters(json=["a"])
    request = RecordedRequest(
        method="POST",
        url=URL("https://me:x@a.test/?password=secret"),
        headers=CIMultiDictProxy(CIMultiDict({"Cookie": "a=secret", "Authorization": "secret"})),
        body=b'{"a":"secret"}',
    )
    once = filters.request(request)
    assert "secret" not in repr(once)
    assert filters.request(once) == once


@hypothesis.given(st.text(), st.sampled_from(["Cookie", "Set-Cookie", "Location", "Link"]))
def test_filtering_twice_changes_nothing(text: str, name: str) -> None:
    """Whatever stands in a header."""
    filters = Filters()
    once = filters.fields(((name, text),))
    assert filters.fields(once) == once


@hypothesis.given(st.text("$.*[]'\"ab0 ", max_size=12))
def test_any_path_is_understood_or_refused(path: str) -> None:
    """In limited time, with nothing but a ValueError."""
    try:
        filters = Filters(json=[path])
    except ValueError:
        return
    filters.body(json.dumps(VALUE).encode(), "", is_sent=False)
