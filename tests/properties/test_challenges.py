"""Challenges of servers: whatever they send, and what must come through."""

from __future__ import annotations

import re

from hypothesis import given, strategies as st

from anyhttp import ClientError
from anyhttp._headers import parse_challenges, parse_parameters, quoted_string
from anyhttp.client_middleware_digest_auth import authorization, digest_challenge

TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")

pieces = st.sampled_from(
    [
        *("Digest", "Basic", "realm", "nonce", "qop", "=", '"', "\\", ",", ", ", " ", "\t", "é"),
        *('realm="r"', "nonce=n", 'qop="auth, auth-int"', "algorithm=MD5", "YWJj==", '""', "@"),
        *("Digest realm=", "stale=TRUE", "userhash=true", "charset=UTF-8", "\udce9"),
    ]
)
lines = st.one_of(st.text(max_size=60), st.lists(pieces, max_size=12).map("".join))
texts = st.text(max_size=30)
# Without a colon, which no login has, and without surrogates, which no str from outside has.
words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=":"), max_size=20)


@given(values=st.lists(lines, max_size=5))
def test_any_lines_are_read(values: list[str]) -> None:
    """Nothing that a server sends is an error of the parser, and what it finds is well formed."""
    for challenge in parse_challenges(values):
        assert TOKEN.fullmatch(challenge.scheme)
        for name in challenge.parameters:
            assert TOKEN.fullmatch(name)
            assert name == name.lower()
        try:
            digest_challenge(challenge)
        except ClientError:
            pass


@given(before=st.lists(lines, max_size=4), after=st.lists(lines, max_size=4), realm=texts)
def test_a_good_line_survives_any_neighbours(
    before: list[str], after: list[str], realm: str
) -> None:
    """A malformed line costs nothing beside it."""
    line = f"Digest realm={quoted_string(realm)}, nonce=good"
    found = parse_challenges([*before, line, *after])
    assert any(
        challenge.scheme == "Digest"
        and challenge.parameters.get("realm") == realm
        and challenge.parameters.get("nonce") == "good"
        for challenge in found
    )


@given(values=st.lists(texts, min_size=1, max_size=5))
def test_quoted_strings_come_back(values: list[str]) -> None:
    """RFC 9110 §5.6.4: what was put in quotes is what is read, whatever it is."""
    line = ", ".join(f"p{number}={quoted_string(value)}" for number, value in enumerate(values))
    assert list(parse_parameters(line).values()) == values
    (challenge,) = parse_challenges([f"Scheme {line}"])
    assert list(challenge.parameters.values()) == values


@given(line=lines, login=words, password=words, uri=words)
def test_a_signature_has_its_parameters_and_no_more(
    line: str, login: str, password: str, uri: str
) -> None:
    """Nothing in a challenge, a login or a URL adds a parameter to the header."""
    (first, *_) = parse_challenges([f"Digest realm=r, nonce=n, {line}"])
    try:
        challenge = digest_challenge(first)
    except ClientError:
        return
    header = authorization(
        challenge,
        login,
        password,
        method="GET",
        uri=uri,
        qop="auth",
        body_hash="",
        count="00000001",
        cnonce="c",
    )
    found = parse_parameters(header.removeprefix("Digest "))
    assert found["uri"] == uri
    assert found["realm"] == challenge.realm
    assert found.keys() <= {
        *("username", "username*", "realm", "nonce", "uri", "response", "algorithm", "opaque"),
        *("qop", "nc", "cnonce", "userhash"),
    }
