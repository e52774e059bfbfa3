"""``Content-Type``: whatever a server sends, and what must come through."""

from __future__ import annotations

from hypothesis import given, strategies as st

from anyhttp._headers import TOKEN, is_token, parse_content_type, quoted_string

pieces = st.sampled_from(
    [
        *("text/plain", "charset", "charset=", "utf-8", "hex", "idna", "boundary=x", "=", "*", "/"),
        *(";", "; ", '"', "\\", " ", "\t", "\0", "\r\n", "é", "\udcff", "x" * 70),
    ]
)
headers = st.one_of(st.text(max_size=80), st.lists(pieces, max_size=14).map("".join))
values = st.text(min_size=1, max_size=30)


@given(header=headers)
def test_any_header_is_read(header: str) -> None:
    """Nothing that a server sends is an error, and what is found is well formed."""
    read = parse_content_type(header)
    kind, slash, subtype = read.media_type.partition("/")
    assert not read.media_type or (slash and is_token(kind) and is_token(subtype))
    for name, value in read.parameters.items():
        assert is_token(name)
        assert name == name.lower()
        assert value
    assert read.encoding is None or "".encode(read.encoding) is not None
    assert read.is_json in {True, False}


@given(before=st.lists(headers.map(lambda text: text.replace('"', "")), max_size=4), value=values)
def test_a_good_parameter_survives_any_neighbours(before: list[str], value: str) -> None:
    """What is malformed costs nothing beside it, unless it opens quotes."""
    header = ";".join(["text/plain", *before, f"good={quoted_string(value)}"])
    assert parse_content_type(header).parameters["good"] == value


@given(value=values, name=st.from_regex(TOKEN.replace("++", "+"), fullmatch=True))
def test_quoted_values_come_back(name: str, value: str) -> None:
    """RFC 9110 §5.6.4: what was put in quotes is what is read, whatever it is."""
    read = parse_content_type(f"a/b;{name}={quoted_string(value)}")
    assert read.parameters == {name.lower(): value}
