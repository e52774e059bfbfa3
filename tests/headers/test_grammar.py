"""Tokens, quoted strings and control characters."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

import anyhttp
from anyhttp._headers import CONTROL, CONTROL_BUT_TAB, TOKEN, is_token, quoted_string
from anyhttp._headers.grammar import QUOTED_STRING, unescaped

PACKAGE: Final = Path(anyhttp.__file__).parent

#: A possessive repetition of a group; what stands in brackets is removed before.
POSSESSIVE_GROUP: Final = re.compile(r"(?<!\\)\)(?:[?*+]|\{[\d,]*\})\+")
BRACKETS: Final = re.compile(r"(?<!\\)\[\^?\]?(?:[^\\\]]|\\.)*\]", re.DOTALL)


def repeats_a_group_possessively(expression: str) -> bool:
    """Whether Python before 3.11.5 may misread *expression*."""
    return POSSESSIVE_GROUP.search(BRACKETS.sub("[]", expression)) is not None


def expressions() -> Iterator[tuple[str, str]]:
    """Each regular expression of the package, after the name of its module."""
    for path in PACKAGE.rglob("*.py"):
        if "re.compile(" not in path.read_text("utf-8"):
            continue
        name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        try:
            module = importlib.import_module(name.removesuffix(".__init__"))
        except ImportError:
            continue  # it needs an extra that is not installed
        for value in vars(module).values():
            if isinstance(value, re.Pattern):
                text = value.pattern
                yield name, text if isinstance(text, str) else text.decode("latin-1")


def test_no_expression_repeats_a_group_possessively() -> None:
    """Python before 3.11.5 misreads that: it accepted malformed chunk extensions (gh-106052)."""
    found = list(expressions())
    assert {"anyhttp._headers.links", "anyhttp._http1.response_grammar"} <= dict(found).keys()
    assert not [each for each in found if repeats_a_group_possessively(each[1])]


@pytest.mark.parametrize(
    ("expression", "repeats"),
    [
        ("a(?:b|c)*+", True),
        ("a(b)?+", True),
        ("(?:a[)*+]){2,3}+", True),
        ("(?>(?:a|b)*)", False),
        ("[a(b)*+]", False),
        (r"\)*+", False),
        ("(?:ab)+", False),
        ("[ab]++", False),
    ],
)
def test_possessive_repetitions_are_found(expression: str, repeats: bool) -> None:
    """Of groups, and not of characters, which every Python reads well."""
    assert repeats_a_group_possessively(expression) is repeats


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
