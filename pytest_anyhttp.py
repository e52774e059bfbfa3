"""The plugin for pytest: fixtures for tests of programs that make requests.

It stands beside the package, and imports the package in its fixtures only: pytest loads this module
in every run, also where no test uses anyhttp.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from anyhttp.testing import NoNetwork, RequestMock

#: what a test has raised
_RAISED: Final = pytest.StashKey[BaseException]()

#: errors that the fixtures of a test raise if the program has caught them
_ERRORS: Final = pytest.StashKey[list["Sequence[AssertionError]"]]()


class _TestHasFailed(Exception):
    """Raised in the block of a fixture, so that the block ends without looking for failures."""


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers."""
    config.addinivalue_line(
        "markers",
        "anyhttp_mock(*, assert_all_called=True): "
        "whether the fixture anyhttp_mock fails a test that leaves a route without a request",
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Show with the failure of a test the errors that may be the reason, and remember it."""
    try:
        return (yield)
    except BaseException as exc:
        item.stash[_RAISED] = exc
        if _ERRORS in item.stash:
            from anyhttp.testing import note_swallowed

            for errors in item.stash[_ERRORS]:
                note_swallowed(exc, errors)
        raise


def _watch(request: pytest.FixtureRequest, errors: Sequence[AssertionError]) -> None:
    """Show *errors* with the failure of the test, if it fails."""
    request.node.stash.setdefault(_ERRORS, []).append(errors)


def _check_passed(request: pytest.FixtureRequest) -> None:
    """Raise an error unless the test has passed."""
    if _RAISED in request.node.stash:
        raise _TestHasFailed


@pytest.fixture
def anyhttp_mock(request: pytest.FixtureRequest) -> Iterator[RequestMock]:
    """Let a mock answer the requests of the test, by whatever session they are made.

    It does what :func:`~anyhttp.testing.mock_requests` does, for the whole process.  With
    ``@pytest.mark.anyhttp_mock(assert_all_called=False)``, a test may leave routes without a
    request.
    """
    from anyhttp.testing import mock_requests

    if "anyhttp_no_network" in request.fixturenames:
        request.getfixturevalue("anyhttp_no_network")  # so that it begins before the mock
    mark = request.node.get_closest_marker("anyhttp_mock")
    args, options = ((), {}) if mark is None else (mark.args, mark.kwargs)
    with suppress(_TestHasFailed), mock_requests(*args, whole_process=True, **options) as mock:
        _watch(request, mock.unanswered)
        yield mock
        _check_passed(request)


@pytest.fixture
def anyhttp_no_network(request: pytest.FixtureRequest) -> Iterator[NoNetwork]:
    """Forbid connections to anything real in this process, loopback and Unix sockets included.

    A request that would open one raises :exc:`~anyhttp.testing.ForbiddenConnection`; if the
    program catches that, the end of the test raises it.  Exceptions are made by
    ``anyhttp_no_network.allow("localhost")``.
    """
    from anyhttp.testing import no_network

    with suppress(_TestHasFailed), no_network(request.node.nodeid) as guard:
        _watch(request, guard.refused)
        yield guard
        _check_passed(request)
