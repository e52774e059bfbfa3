from __future__ import annotations

import pytest

from anyhttp._headers.disposition import (
    BadContentDispositionHeader,
    BadContentDispositionParam,
    content_disposition,
    content_disposition_filename,
    parse_content_disposition,
)

WELL_FORMED = [
    ("inline", "inline", {}),
    ("ATTACHMENT", "attachment", {}),
    ("foobar", "foobar", {}),
    ('attachment; filename="foo.html"', "attachment", {"filename": "foo.html"}),
    ("attachment; filename=foo.html", "attachment", {"filename": "foo.html"}),
    ("attachment; FILENAME=foo.html", "attachment", {"filename": "foo.html"}),
    ('attachment; filename ="foo.html"', "attachment", {"filename": "foo.html"}),
    ('attachment;filename= "foo.html" ;a=b', "attachment", {"filename": "foo.html", "a": "b"}),
    ("attachment; filename='foo.html'", "attachment", {"filename": "'foo.html'"}),
    (r'attachment; filename="f\oo.html"', "attachment", {"filename": "foo.html"}),
    (r'attachment; filename="\"q\" \\.html"', "attachment", {"filename": '"q" \\.html'}),
    ('attachment; filename="a;b=c.html"', "attachment", {"filename": "a;b=c.html"}),
    ('attachment; filename="foo-ä.html"', "attachment", {"filename": "foo-ä.html"}),
    ('attachment; filename="foo-%41.html"', "attachment", {"filename": "foo-%41.html"}),
    ('attachment; filename=""', "attachment", {"filename": ""}),
    ("attachment; xfilename=foo.html", "attachment", {"xfilename": "foo.html"}),
    ('form-data; name="/n"', "form-data", {"name": "/n"}),
    ("attachment; filename*=UTF-8''foo-%c3%a4", "attachment", {"filename*": "foo-ä"}),
    ("attachment; filename*=iso-8859-1'en'foo-%E4", "attachment", {"filename*": "foo-ä"}),
    ("attachment; filename*=''foo-%c3%a4", "attachment", {"filename*": "foo-ä"}),
    ("attachment; filename* = UTF-8''f%oo", "attachment", {"filename*": "f%oo"}),
    ("attachment; filename*=UTF-8''A-%2541", "attachment", {"filename*": "A-%41"}),
    ('attachment; f*0="a."; f*1="b"', "attachment", {"f*0": "a.", "f*1": "b"}),
    ("attachment; f*0*=UTF-8''%c3; f*1=b", "attachment", {"f*0*": "UTF-8''%c3", "f*1": "b"}),
]


@pytest.mark.parametrize(("header", "kind", "params"), WELL_FORMED)
def test_a_header_is_parsed(header: str, kind: str, params: dict[str, str]) -> None:
    """RFC 6266 §4.1: a type and parameters, as tokens or quoted; RFC 8187: extended ones."""
    assert parse_content_disposition(header) == (kind, params)


MALFORMED = [
    '"inline"',
    "attachment; filename=foo,bar.html",
    "attachment; filename=foo.html ;",
    "attachment; ;filename=foo",
    "attachment; filename=foo bar.html",
    "attachment; filename=foo[1](2).html",
    "attachment; filename=foo-ä.html",
    'attachment; filename="a"; filename="b"',
    "filename=foo.html",
    '"foo; filename=bar;baz"; filename=qux',
    "; filename=foo.html",
    ": inline; attachment; filename=foo.html",
    "inline; attachment; filename=foo.html",
    'attachment; filename="foo.html".txt',
    'attachment; filename="bar',
    'attachment; filename=foo"bar;baz"qux',
    "attachment; filename=foo.html, attachment; filename=bar.html",
    "attachment; foo=foo filename=bar",
    "attachment filename=bar",
    "attachment; filename",
    "attachment; filename=",
    "attachment; filename==?ISO-8859-1?Q?foo-=E4.html?=",
]


@pytest.mark.parametrize("header", MALFORMED)
def test_a_malformed_header_counts_as_none(header: str) -> None:
    """What breaks the grammar of RFC 6266 §4.1 is told by a warning and not guessed at."""
    with pytest.warns(BadContentDispositionHeader):
        assert parse_content_disposition(header) == (None, {})


@pytest.mark.parametrize("header", [None, ""])
def test_no_header_is_not_malformed(header: str | None) -> None:
    """A part without the header is nothing to warn of."""
    assert parse_content_disposition(header) == (None, {})


@pytest.mark.parametrize(
    "header",
    [
        "attachment;filename=x;",
        "attachment;;filename=x",
        "attachment;;;;;filename=x",
        "attachment;filename=x;;;;;",
    ],
)
def test_a_needless_semicolon_loses_nothing(header: str) -> None:
    """Many senders put a semicolon at the end; the parameters are kept, with one warning.

    A warning takes long, so there is none for each of the thousands that a peer may send.
    """
    with pytest.warns(BadContentDispositionHeader) as warned:
        assert parse_content_disposition(header) == ("attachment", {"filename": "x"})
    assert len(warned) == 1


@pytest.mark.parametrize(
    "param",
    [
        "filename*=UTF-8''%E4",  # not UTF-8
        "filename*=nope''%41",  # not a charset
        "filename*=hex''%41",  # a codec of Python, but not a charset
        "filename*=punycode''%41",
        "filename *=UTF-8''x",
        "filename*=UTF-8'x",
        "filename*=\"UTF-8''x\"",
        "filename*=UTF-8''\"x\"",
        "filename*0=foo bar",
        "filename*x=foo",
    ],
)
def test_a_malformed_extended_value_is_left_out(param: str) -> None:
    """RFC 8187 §3.2: senders get these wrong, so the others count without it."""
    with pytest.warns(BadContentDispositionParam):
        kind, params = parse_content_disposition(f"attachment; {param}; filename=plain")
    assert (kind, params) == ("attachment", {"filename": "plain"})


@pytest.mark.parametrize("path", ["/foo.html", r"\\foo.html", r"/\\/foo.html"])
def test_a_file_name_is_never_an_absolute_path(path: str) -> None:
    """RFC 6266 §4.3: a name must not be able to say where on the disk it goes."""
    assert parse_content_disposition(f'attachment; filename="{path}"')[1]["filename"] == "foo.html"


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({}, None),
        ({"foo": "bar"}, None),
        ({"filename": "a"}, "a"),
        ({"filename": "a", "filename*": "b", "filename*0": "c"}, "b"),
        ({"filename*0": "a.", "filename*1": "b"}, "a.b"),
        ({"filename*0": "a", "filename*01": "b"}, "a"),  # no leading zeros
        ({"filename*0": "a", "filename*2": "b"}, "a"),  # a gap
        ({"filename*1": "a", "filename*2": "b"}, None),
        ({"filename*0*": "UTF-8''a-%c3%a4", "filename*1": "%.b", "filename*2*": "%21"}, "a-ä%.b!"),
        ({"filename*0*": "''%c3", "filename*1*": "%a4"}, "ä"),
        ({"filename*0*": "nope''%41"}, None),
        ({"filename*0": "a", "filename*1*": "%41"}, "a%41"),  # no charset at the start
    ],
)
def test_the_best_file_name_is_chosen(params: dict[str, str], name: str | None) -> None:
    """RFC 6266 §4.3: extended before plain; RFC 2231 §3: pieces in the order of their numbers."""
    assert content_disposition_filename(params) == name


def test_the_name_of_a_field_is_chosen_alike() -> None:
    """What holds for a file name holds for any other parameter."""
    assert content_disposition_filename({"name": "a", "name*": "ä"}, "name") == "ä"


@pytest.mark.parametrize(
    ("params", "quote_fields", "header"),
    [
        ({}, True, "form-data"),
        ({"name": "n"}, True, 'form-data; name="n"'),
        ({"name": 'a"\\b'}, True, r'form-data; name="a\"\\b"'),
        ({"name": "ü x"}, True, 'form-data; name="ü x"'),
        ({"filename": 'a"ü/.txt'}, True, 'form-data; filename="a%22%C3%BC%2F.txt"'),
        ({"name": "ü", "filename": 'a"b'}, False, r'form-data; name="ü"; filename="a\"b"'),
        ({"x": ""}, True, 'form-data; x=""'),
    ],
)
def test_a_header_is_built(params: dict[str, str], quote_fields: bool, header: str) -> None:
    """RFC 7578 §4.2: names are quoted strings; file names are percent-encoded if asked for."""
    assert content_disposition("form-data", params, quote_fields=quote_fields) == header


def test_other_text_is_extended() -> None:
    """RFC 8187: outside of forms, text other than ASCII is extended."""
    header = content_disposition("attachment", {"name": "ü x"}, quote_fields=True)
    assert header == "attachment; name*=utf-8''%C3%BC%20x"


@pytest.mark.parametrize("quote_fields", [True, False])
@pytest.mark.parametrize("control", [*map(chr, range(32)), "\x7f"])
@pytest.mark.parametrize("param", ["name", "filename", "x"])
def test_control_characters_are_refused(param: str, control: str, quote_fields: bool) -> None:
    """CVE-2026-34514: a line break in a name must not start another header."""
    with pytest.raises(ValueError, match="control character"):
        content_disposition("form-data", {param: f"a{control}b"}, quote_fields=quote_fields)


@pytest.mark.parametrize(("kind", "param"), [("a b", "x"), ("", "x"), ("a\n", "x"), ("a", "x\r\n")])
def test_types_and_parameters_are_named_by_tokens(kind: str, param: str) -> None:
    """RFC 6266 §4.1: neither can be quoted, so other characters cannot be sent."""
    with pytest.raises(ValueError, match="bad"):
        content_disposition(kind, {param: ""}, quote_fields=True)


def test_warnings_say_nothing_that_a_peer_sent() -> None:
    """Python keeps each text that it warned with: a peer must not make that grow."""
    with pytest.warns(RuntimeWarning) as record:
        parse_content_disposition("att; x*=peer; peer")
    assert [warning.category for warning in record] == [
        BadContentDispositionParam,
        BadContentDispositionHeader,
    ]
    assert not [warning for warning in record if "peer" in str(warning.message)]
