"""What is remembered of an interrupted download."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, strategies as st
from yarl import URL

from anyhttp._downloads.notes import LONGEST, Notes, digest_of_url

NOTES = Notes(url=digest_of_url(URL("http://a/")), validator='"1"', total=10)

validators = st.none() | st.text("abc!-~", max_size=1000).map(lambda text: f'"{text}"')


@given(validator=validators, total=st.none() | st.integers(0, 2**63))
def test_what_is_written_is_read(validator: str | None, total: int | None) -> None:
    """The longest notes have a place in the file, too."""
    notes = Notes(url=NOTES.url, validator=validator, total=total)
    assert len(notes.to_bytes()) <= LONGEST
    assert Notes.from_bytes(notes.to_bytes()) == notes


@given(data=st.binary(max_size=200))
def test_another_file_holds_no_notes(data: bytes) -> None:
    """Nothing is raised, whatever it is."""
    assert Notes.from_bytes(data) is None
    assert Notes.from_bytes(NOTES.to_bytes()[: len(data)]) is None


@pytest.mark.parametrize(
    "change",
    [
        {"format": "another"},
        {"validator": "1"},
        {"validator": 'W/"1"'},
        {"validator": '"1"\r\nX: y'},
        {"validator": 1},
        {"total": -1},
        {"total": "10"},
    ],
    ids=str,
)
def test_notes_with_a_value_that_cannot_be(change: dict[str, object]) -> None:
    """Nothing of it gets into a request."""
    data = json.dumps({**json.loads(NOTES.to_bytes()), **change}).encode()
    assert Notes.from_bytes(data) is None


def test_notes_that_are_deep() -> None:
    """Python's reader gives up."""
    assert Notes.from_bytes(b"[" * LONGEST) is None


def test_the_url_is_not_in_them() -> None:
    """It may hold a secret; user info and fragment do not make it another one."""
    assert b"secret" not in NOTES.to_bytes()
    assert digest_of_url(URL("http://u:p@a/?k=secret#x")) == digest_of_url(
        URL("http://a/?k=secret")
    )
    assert digest_of_url(URL("http://a/?k=secret")) != NOTES.url
