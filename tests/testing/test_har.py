"""HAR files: those that others wrote, those that are damaged, and those that are written here."""

from __future__ import annotations

import base64
import json
import tracemalloc
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from anyhttp.testing._har import (
    CassetteError,
    HarContent,
    HarEntry,
    RecordedRequest,
    RecordedResponse,
    Timings,
    entry_of,
    read_har,
    write_har,
)

URL_A = "https://api.test/a?x=1"


def entry(**changes: Any) -> dict[str, Any]:
    """The least that an entry needs; *changes* replace fields of its request or response."""
    request: dict[str, Any] = {"method": "GET", "url": URL_A}
    response: dict[str, Any] = {"status": 200, "content": {"text": "hello"}}
    for name, value in changes.items():
        part, _, field = name.partition("_")
        {"request": request, "response": response}[part][field] = value
    return {"request": request, "response": response}


def saved(path: Path, *entries: object, **log: object) -> str:
    """Write a file with these entries."""
    file = path / "some.har"
    file.write_text(json.dumps({"log": {"entries": entries, **log}}), "utf-8")
    return str(file)


def only(path: str) -> HarEntry:
    """The one entry of a file."""
    (found,) = read_har(path).entries
    return found


# -- reading ----------------------------------------------------------------------------


def test_the_least_that_makes_an_entry(tmp_path: Path) -> None:
    """Tools leave out most of what HAR demands."""
    found = only(saved(tmp_path, entry()))
    assert found.obstacle == ""
    assert found.request is not None
    assert found.response is not None
    assert (found.request.method, found.request.url) == ("GET", URL(URL_A))
    assert (found.request.body, len(found.request.headers)) == (b"", 0)
    assert (found.response.status, found.response.reason) == (200, "")
    assert found.response.content.decoded() == b"hello"
    assert found.name == f"log.entries[0] (GET {URL_A})"


def test_an_entry_of_chrome(tmp_path: Path) -> None:
    """HTTP/2 with its pseudo-headers, a field on several lines, private fields."""
    found = only(
        saved(
            tmp_path,
            {
                "_initiator": {"type": "other"},
                "_priority": "VeryHigh",
                "_resourceType": "document",
                "cache": {},
                "connection": "443",
                "pageref": "page_1",
                "request": {
                    "method": "POST",
                    "url": "https://api.test/caf%C3%A9?q=a+b#fragment",
                    "httpVersion": "http/2.0",
                    "headers": [
                        {"name": ":authority", "value": "api.test"},
                        {"name": ":method", "value": "POST"},
                        {"name": "content-type", "value": "application/x-www-form-urlencoded"},
                    ],
                    "queryString": [{"name": "q", "value": "a b"}],
                    "cookies": [],
                    "headersSize": -1,
                    "bodySize": 9,
                    "postData": {
                        "mimeType": "application/x-www-form-urlencoded",
                        "text": "a=1&b=%20",
                        "params": [{"name": "a", "value": "1"}, {"name": "b", "value": "%20"}],
                    },
                },
                "response": {
                    "status": 200,
                    "statusText": "",
                    "httpVersion": "http/2.0",
                    "headers": [
                        {"name": "content-encoding", "value": "br"},
                        {"name": "content-type", "value": "text/html; charset=utf-8"},
                        {"name": "set-cookie", "value": "a=1; path=/\nb=2"},
                    ],
                    "cookies": [],
                    "content": {"size": 7, "mimeType": "text/html", "text": "<p>é</p>"},
                    "redirectURL": "",
                    "headersSize": -1,
                    "bodySize": -1,
                    "_transferSize": 321,
                    "_error": None,
                },
                "serverIPAddress": "192.0.2.1",
                "startedDateTime": "2026-01-02T03:04:05.678Z",
                "time": 12.3,
                "timings": {"blocked": 1, "dns": -1, "wait": 2, "_blocked_queueing": 0.5},
            },
            version="1.2",
            creator={"name": "WebInspector", "version": "537.36"},
            pages=[{"id": "page_1"}],
        )
    )
    assert found.request is not None
    assert found.response is not None
    assert found.request.url == URL("https://api.test/caf%C3%A9?q=a+b")
    assert list(found.request.headers) == ["content-type"]
    assert found.request.body == b"a=1&b=%20"
    assert found.response.headers[1:] == (
        ("content-type", "text/html; charset=utf-8"),
        ("set-cookie", "a=1; path=/"),
        ("set-cookie", "b=2"),
    )
    assert found.response.content.decoded() == "<p>é</p>".encode()


def test_an_entry_of_firefox(tmp_path: Path) -> None:
    """Parameters without a text, a picture in base64, comments."""
    found = only(
        saved(
            tmp_path,
            {
                "request": {
                    "method": "post",
                    "url": URL_A,
                    "headers": [{"name": "Host", "value": "api.test", "comment": "x"}],
                    "postData": {
                        "mimeType": "application/x-www-form-urlencoded",
                        "text": "",
                        "params": [{"name": "ä", "value": "1&2"}, {"name": "b"}],
                    },
                },
                "response": {
                    "status": 200,
                    "content": {"mimeType": "image/png", "encoding": "base64", "text": "iVBOR/8="},
                },
                "comment": "first",
            },
            comment="made by hand",
        )
    )
    assert found.request is not None
    assert found.response is not None
    assert found.request.method == "POST"
    assert found.request.body == b"%C3%A4=1%262&b="
    assert found.response.content.decoded() == base64.b64decode("iVBOR/8=")


@pytest.mark.parametrize(
    ("changes", "obstacle"),
    [
        ({"request_url": "data:text/plain,hello"}, "none of http or https"),
        ({"request_url": "blob:https://a.test/1"}, "none of http or https"),
        ({"request_url": "https://a.test/" + "x" * 70_000}, "longer than"),
        ({"request_method": "GE T"}, "its method 'GE T' is not a valid one"),
        ({"response_status": 0}, "it has no response, but the status 0"),
        ({"response_status": 1000}, "it has no response"),
        ({"response_status": "200"}, "it has no response"),
        ({"response_status": True}, "it has no response"),
        ({"response_status": 101}, "its messages after the status 101 were not saved"),
    ],
)
def test_what_browsers_save_and_nobody_can_replay_is_passed_over(
    tmp_path: Path, changes: dict[str, Any], obstacle: str
) -> None:
    """It is no damage, so that the other entries can be used."""
    found = only(saved(tmp_path, entry(**changes)))
    assert obstacle in found.obstacle
    assert found.request is None


@pytest.mark.parametrize(
    ("damaged", "reason"),
    [
        ([], "log.entries[0]: it is not an object"),
        ({}, 'log.entries[0]: it has no object "request"'),
        ({"request": {}, "response": []}, 'it has no object "response"'),
        ({"request": {"url": "x"}, "response": {}}, '"request" has no "method"'),
        ({"request": {"method": "GET"}, "response": {}}, '"request" has no "url"'),
        ({"request": {"method": 1, "url": "x"}, "response": {}}, '"method" is not text'),
        (entry(request_url="http://"), "(GET http://): its URL is not valid"),
        (entry(request_url="http://a.test:99999/"), "its URL is not valid"),
        (entry(request_headers={}), '"headers" is not an array of objects'),
        (entry(request_headers=["x"]), '"headers" is not an array of objects'),
        (entry(request_headers=[{"name": 1}]), '"name" is not text'),
        (entry(request_headers=[{"name": "a b"}]), "'a b' is not a valid header name"),
        (entry(request_postData="x"), '"postData" is not an object'),
        (entry(request_postData={"text": 1}), '"text" is not text'),
        (
            entry(request_postData={"text": "!", "_encoding": "base64"}),
            '"postData": its body is not base64',
        ),
        (entry(response_content=1), '"content" is not an object'),
        (entry(response_content={"text": 1}), '"text" is not text'),
        (entry(response_statusText="a\r\nb"), '"statusText" holds a character that cannot be sent'),
        (
            entry(response_headers=[{"name": "X", "value": "a\rb"}]),
            "the value of X holds a character that cannot be sent",
        ),
        (
            entry(response_headers=[{"name": "X", "value": "\ud800"}]),
            "the value of X holds a character that cannot be sent",
        ),
    ],
)
def test_a_damaged_entry_is_named_with_its_file_and_the_reason(
    tmp_path: Path, damaged: object, reason: str
) -> None:
    """Nothing that a file holds can split a response or reach the URL parser unchecked."""
    path = saved(tmp_path, damaged)
    with pytest.raises(CassetteError) as caught:
        read_har(path)
    assert str(caught.value).startswith(f"{path}: log.entries[0]")
    assert reason in str(caught.value)
    assert (caught.value.path, caught.value.entry[:14]) == (path, "log.entries[0]")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b" \n", "the file is empty"),
        (b"\xff\xfe", "it is not a HAR, which is UTF-8"),
        (b"{", "it is not a HAR, which is JSON"),
        (b"# by hand\ninteractions:\n- request:\n", "it is a cassette in YAML"),
        (b"---\ninteractions: []\nversion: 1\n", "it is a cassette in YAML"),
        (b'{"version": 1, "interactions": []}', "it is a cassette of another format"),
        (b"[]", 'it is not a HAR: it has no object "log"'),
        (b"{}", 'it is not a HAR: it has no object "log"'),
        (b'{"log": {}}', '"log" has no array "entries"'),
        (b'{"log": {"version": "2.0", "entries": []}}', "it is a HAR of version 2.0, and not 1.2"),
        (b'{"log": {"version": 2, "entries": []}}', "it is a HAR of version 2, and not 1.2"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"log": ' + b"9" * 5000 + b"}", "it is not a HAR"),
    ],
)
def test_what_is_no_har_is_refused_with_the_reason(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    """The file may be anything."""
    path = tmp_path / "some.har"
    path.write_bytes(content)
    with pytest.raises(CassetteError) as caught:
        read_har(str(path))
    assert str(caught.value).startswith(f"{path}: ")
    assert reason in str(caught.value)


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    """Tools of Windows write one."""
    path = tmp_path / "some.har"
    path.write_bytes(b"\xef\xbb\xbf" + b'{"log": {"entries": []}}')
    assert read_har(str(path)).entries == ()


def test_a_file_has_a_largest_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole of it is held in memory."""
    monkeypatch.setattr("anyhttp.testing._har.MAX_FILE", 10)
    with pytest.raises(CassetteError, match="larger than 10 bytes"):
        read_har(saved(tmp_path))


def test_a_small_file_takes_little_memory(tmp_path: Path) -> None:
    """No room is made for the largest file that there may be: a process may not get it."""
    path = saved(tmp_path)
    tracemalloc.start()
    try:
        read_har(path)
        _, memory = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert memory < 4 * 2**20


def test_a_file_is_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Together they are the file."""
    path = saved(tmp_path, entry())
    whole = read_har(path)
    monkeypatch.setattr("anyhttp.testing._har.READ_SIZE", 7)
    assert read_har(path) == whole


def test_a_url_is_shown_without_its_password(tmp_path: Path) -> None:
    """Messages end up in logs."""
    with pytest.raises(CassetteError) as caught:
        read_har(saved(tmp_path, entry(request_url="http://me:secret@a.test:x/")))
    assert "secret" not in str(caught.value)


# -- bodies -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "mime_type", "text"),
    [
        (b"", "", ""),
        ("grüße\r\n\t".encode(), "text/plain", "grüße\r\n\t"),
        ("grüße".encode("latin-1"), "text/plain; charset=iso-8859-1", "grüße"),
        ("\ufeffa".encode(), "", "\ufeffa"),
        (b"plain", "application/octet-stream", "plain"),
        ("a".encode("utf-16-le"), "text/plain; charset=utf-16-le", "a"),
        (b"a", "text/plain; charset=unheard-of", "a"),
        (b"\xff", "text/plain", None),
        (b"a\0b", "text/plain", None),
        (b"\x1b[1m", "text/plain", None),
    ],
)
def test_a_body_is_text_if_it_can_be(body: bytes, mime_type: str, text: str | None) -> None:
    """Else it is base64; both give the same bytes again."""
    content = HarContent.of(body, mime_type)
    assert content.decoded() == body
    assert content.is_base64 == (text is None)
    assert content.text == (base64.b64encode(body).decode() if text is None else text)


def test_text_that_its_charset_cannot_encode_is_utf8() -> None:
    """Browsers decode pages by charsets that only the pages name."""
    content = HarContent(mime_type="text/html; charset=ascii", text="é", is_base64=False, size=1)
    assert content.decoded() == "é".encode()


def test_a_body_that_was_not_saved_cannot_be_replayed() -> None:
    """Browsers save without content, too."""
    content = HarContent(mime_type="", text=None, is_base64=False, size=5)
    with pytest.raises(ValueError, match="save it together with its content"):
        content.decoded()
    assert HarContent(mime_type="", text=None, is_base64=False, size=0).decoded() == b""


def test_base64_has_to_be_valid() -> None:
    """Python would pass over characters that are none of base64."""
    content = HarContent(mime_type="", text="YQ=!=", is_base64=True, size=1)
    with pytest.raises(ValueError, match="not base64"):
        content.decoded()


@hypothesis.given(
    st.binary() | st.text().map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.sampled_from(["", "text/html", "text/plain; charset=latin-1", "text/x; charset=utf-16",
                     "application/json", "text/x; charset=shift_jis", "text/x; charset=utf-7"]),
)  # fmt: skip
def test_any_body_comes_back_as_it_was(body: bytes, mime_type: str) -> None:
    """In whatever charset, valid or not."""
    content = HarContent.of(body, mime_type)
    assert content.decoded() == body
    json.dumps(content.text)


def test_a_recorded_request_shows_its_body_as_text_and_json() -> None:
    """For rules of a program's own."""
    request = RecordedRequest(
        method="POST",
        url=URL(URL_A),
        headers=CIMultiDictProxy(CIMultiDict({"Content-Type": "text/plain; charset=latin-1"})),
        body=b'{"a": "\xe9"}',
    )
    assert request.text == '{"a": "é"}'
    with pytest.raises(ValueError, match="utf-8"):
        request.json()
    headers = CIMultiDictProxy(CIMultiDict[str]())
    same: dict[str, Any] = {"method": "POST", "url": URL(URL_A), "headers": headers}
    assert RecordedRequest(**same, body=b'{"a": 1}').json() == {"a": 1}
    assert RecordedRequest(**same, body=b"\xff").text == "\ufffd"
    with pytest.raises(ValueError, match="nested too deeply"):
        RecordedRequest(**same, body=b"[" * 200_000).json()


# -- writing ----------------------------------------------------------------------------


def made(
    body: bytes = b"", response: RecordedResponse | None = None, timings: Timings | None = None
) -> HarEntry:
    """An entry of an exchange."""
    request = RecordedRequest(
        method="POST",
        url=URL("https://api.test/ä?b=2&a=1&b=3"),
        headers=CIMultiDictProxy(
            CIMultiDict([("Cookie", "a=1; b;"), ("Content-Type", "text/plain"), ("X", "\udcff")])
        ),
        body=body,
    )
    if response is None:
        response = RecordedResponse(
            status=201,
            reason="Created",
            http_version="HTTP/1.1",
            headers=(("Set-Cookie", "c = 3 ; Path=/"), ("Location", "/b")),
            content=HarContent.of("grün ".encode() + b"\xff", ""),
        )
    return entry_of(request, response, name="new", started=1.5, timings=timings)


def test_a_file_is_written_with_all_that_the_format_demands(tmp_path: Path) -> None:
    """In the order of the specification, so that the same exchange gives the same file."""
    path = tmp_path / "deep" / "er" / "some.har"
    write_har(str(path), {}, [made("grün".encode())])
    content = path.read_bytes()
    assert content.endswith(b"}\n")
    assert '"text": "grün"'.encode() in content  # readable
    assert b'"\\udcff"' in content  # a byte that is no UTF-8
    log = json.loads(content)["log"]
    assert (log["version"], log["creator"]["name"]) == ("1.2", "anyhttp")
    assert log["entries"] == [
        {
            "startedDateTime": "1970-01-01T00:00:01.500Z",
            "time": 0,
            "request": {
                "method": "POST",
                "url": "https://api.test/%C3%A4?b=2&a=1&b=3",
                "httpVersion": "HTTP/1.1",
                "cookies": [{"name": "a", "value": "1"}, {"name": "b", "value": ""}],
                "headers": [
                    {"name": "Cookie", "value": "a=1; b;"},
                    {"name": "Content-Type", "value": "text/plain"},
                    {"name": "X", "value": "\udcff"},
                ],
                "queryString": [
                    {"name": "b", "value": "2"},
                    {"name": "a", "value": "1"},
                    {"name": "b", "value": "3"},
                ],
                "postData": {"mimeType": "text/plain", "text": "grün"},
                "headersSize": -1,
                "bodySize": 5,
            },
            "response": {
                "status": 201,
                "statusText": "Created",
                "httpVersion": "HTTP/1.1",
                "cookies": [{"name": "c", "value": "3"}],
                "headers": [
                    {"name": "Set-Cookie", "value": "c = 3 ; Path=/"},
                    {"name": "Location", "value": "/b"},
                ],
                "content": {
                    "size": 7,
                    "mimeType": "",
                    "text": "Z3LDvG4g/w==",
                    "encoding": "base64",
                },
                "redirectURL": "/b",
                "headersSize": -1,
                "bodySize": -1,
            },
            "cache": {},
            "timings": {"send": 0, "wait": 0, "receive": 0},
        }
    ]


def test_timings_are_milliseconds() -> None:
    """A part that there was not is -1, and counts nothing in the sum."""
    record = made(timings=Timings(connect=0.5, send=0.25, wait=1, receive=0.0004)).record
    assert record["timings"] == {"connect": 500, "send": 250, "wait": 1000, "receive": 0.4}
    assert record["time"] == 1750.4
    record = made(timings=Timings(wait=1)).record
    assert (record["timings"]["connect"], record["time"]) == (-1, 1000)


def test_a_file_of_another_tool_keeps_what_it_holds(tmp_path: Path) -> None:
    """Fields that this package does not know, and entries that nobody can replay."""
    foreign = [{**entry(), "_x": {"y": [1]}}, entry(response_status=0)]
    path = saved(tmp_path, *foreign, creator={"name": "Other"}, pages=[], _private=1)
    file = read_har(path)
    write_har(path, file.log, [*file.entries, made()])
    log = json.loads(Path(path).read_text("utf-8"))["log"]
    assert log["entries"][:2] == foreign
    assert len(log.pop("entries")) == 3
    assert log == {"version": "1.2", "creator": {"name": "Other"}, "pages": [], "_private": 1}


def test_what_is_nested_too_deeply_is_not_written_again(tmp_path: Path) -> None:
    """Another tool may have written it; the file stays as it is."""
    path = saved(tmp_path, entry())
    before = Path(path).read_bytes()
    deep: Any = None
    for _ in range(100_000):
        deep = {"a": deep}
    with pytest.raises(CassetteError, match="too deeply to be written"):
        write_har(path, {"_x": deep}, [made()])
    assert Path(path).read_bytes() == before


tokens = st.text("abcXYZ-_09", min_size=1)
values = st.text(
    st.characters(exclude_categories=["Cc", "Cs"]) | st.sampled_from("\udc80\udcff"), max_size=20
).map(lambda text: text.strip(" \t"))


@hypothesis.given(
    status=st.integers(200, 999),
    reason=values,
    headers=st.lists(st.tuples(tokens, values), max_size=4),
    body=st.binary(),
    flags=st.tuples(st.booleans(), st.booleans(), st.booleans()),
)
def test_what_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory,
    status: int,
    reason: str,
    headers: list[tuple[str, str]],
    body: bytes,
    flags: tuple[bool, bool, bool],
) -> None:
    """Each part of an exchange, whatever it holds."""
    is_encoded, is_cut, is_early = flags
    types = [value for name, value in headers if name.lower() == "content-type"]
    response = RecordedResponse(
        status=status,
        reason=reason,
        http_version="HTTP/1.1",
        headers=tuple(headers),
        content=HarContent.of(body, types[0] if types else ""),
        is_encoded=is_encoded,
        is_cut=is_cut,
        is_early=is_early,
        trailers=(("X", "y"),),
    )
    entry = made(body, response)
    path = str(tmp_path_factory.getbasetemp() / "round.har")
    write_har(path, {}, [entry])
    found = only(path)
    assert found.request == entry.request
    assert found.response == response
    assert found.response is not None
    assert found.response.content.decoded() == body
