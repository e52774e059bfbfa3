"""Tokens, quoted strings and control characters."""

from __future__ import annotations

import re

import pytest

from anyhttp._headers import CONTROL, CONTROL_BUT_TAB, TOKEN, is_token, quoted_string
from anyhttp._headers.grammar import QUOTED_STRING, unescaped


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("X-a_b.c", True),
        ("!#$%&'*+-.^_`|~09AZaz", True),
        ("", False),
        *((f"a{character}b", False) for character in ' \t\r\n\0\x7f()<>@,;:\\"/[]?={}é'),
    ],
)
def test_tokens(text: str, fits: bool) -> None:
    """RFC 9110 §5.6.2: visible ASCII characters other than delimiters, at least one."""
    assert is_token(text) is fits
    assert (re.fullmatch(TOKEN, text) is not None) is fits
    assert (re.fullmatch(TOKEN.encode(), text.encode()) is not None) is fits


def test_control_characters() -> None:
    """RFC 5234 appendix B.1, and RFC 9110 §5.5 for the tab."""
    controls = {chr(code) for code in range(256) if CONTROL.search(chr(code))}
    assert controls == {*map(chr, range(32)), "\x7f"}
    but_tab = {chr(code) for code in range(256) if CONTROL_BUT_TAB.search(chr(code))}
    assert but_tab == controls - {"\t"}


@pytest.mark.parametrize(
    ("text", "quoted"),
    [("", '""'), ("a b", '"a b"'), ('a"b', r'"a\"b"'), ("a\\", r'"a\\"'), ("ä\n", '"ä\n"')],
)
def test_quoted_strings(text: str, quoted: str) -> None:
    """RFC 9110 §5.6.4: a backslash stands before quotes and backslashes."""
    assert quoted_string(text) == quoted
    match = re.fullmatch(QUOTED_STRING, quoted)
    assert match is not None
    assert unescaped(match[1]) == text


def test_any_character_can_be_escaped() -> None:
    """RFC 9110 §5.6.4: recipients take the character after a backslash as it is."""
    assert unescaped(r"\a\b\\") == "ab\\"
    assert unescaped("\\\n") == "\n"
