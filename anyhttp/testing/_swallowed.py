"""Errors that a program got in a test, and caught: the test hears of them in the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

__all__ = ("note_swallowed", "reported")


@contextmanager
def reported(errors: Sequence[AssertionError]) -> Iterator[None]:
    """Raise the first of *errors* when the block ends, if there is one.

    If the block raises an exception of its own, that is what is raised, with those of *errors*
    that have nothing to do with it as notes.

    :param errors: may grow until the block ends
    """
    try:
        yield
    except Exception as exc:
        note_swallowed(exc, errors)
        raise
    if errors:
        first = errors[0]
        first.add_note("\nThe program has caught this, so it is raised again at the end.")
        note_swallowed(first, errors)
        raise first


def note_swallowed(exc: BaseException, errors: Sequence[AssertionError]) -> None:
    """Add to *exc*, as notes, those of *errors* that it does not consist of or come from."""
    known = {id(each) for each in _related(exc)}
    for error in errors:
        if id(error) not in known:
            exc.add_note(f"\nBesides, the program has caught this:\n{error}")


def _related(exc: BaseException) -> Iterator[BaseException]:
    """Return *exc*, what it was caused by, and if it is a group, what is in it."""
    waiting, seen = [exc], set[int]()
    while waiting:
        found = waiting.pop()
        if id(found) in seen:
            continue
        seen.add(id(found))
        yield found
        waiting += [each for each in (found.__cause__, found.__context__) if each is not None]
        if isinstance(found, BaseExceptionGroup):
            waiting += found.exceptions
