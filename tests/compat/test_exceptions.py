"""The exceptions of this package are caught as those of aiohttp, if the program has imported it."""

from __future__ import annotations

import copy
import pickle

import pytest

import anyhttp
from anyhttp import client_exceptions as ours
from tests.compat.comparison import aiohttp
from tests.support.client import client
from tests.support.errors import RAISED, by_class
from tests.support.fresh_python import output_of

pytestmark = pytest.mark.once

theirs = aiohttp.client_exceptions
CLIENT_ERRORS = [error for error in RAISED if isinstance(error, ours.ClientError)]
NAMESAKES = [error for error in CLIENT_ERRORS if hasattr(theirs, type(error).__name__)]


@pytest.mark.parametrize("error", NAMESAKES, ids=by_class)
def test_each_is_caught_by_its_namesake(error: Exception) -> None:
    """``except`` looks at the classes only, so the namesake has to be a base."""
    namesake = getattr(theirs, type(error).__name__)
    with pytest.raises(namesake):
        raise error
    with pytest.raises(aiohttp.ClientError) as caught:
        raise error
    assert caught.value is error


# What aiohttp does not have, or has in another module: each is derived from one that it has.
WITHOUT_NAMESAKE = {
    *("BodyTooLargeError", "DigestMismatchError", "DownloadError", "LineTooLong", "OAuth2Error")
}


def test_every_namesake_is_a_base() -> None:
    """Only what aiohttp does not know is missing, and is caught by what it is derived from."""
    names = {type(error).__name__ for error in CLIENT_ERRORS}
    assert names - {type(error).__name__ for error in NAMESAKES} == WITHOUT_NAMESAKE
    for error in CLIENT_ERRORS:
        assert isinstance(error, aiohttp.ClientError)


@pytest.mark.parametrize("error", CLIENT_ERRORS, ids=by_class)
def test_the_classes_here_come_first(error: Exception) -> None:
    """So attributes, texts and constructors are those of this package."""
    public = [base for base in type(error).__mro__ if base.__name__[0] != "_"]
    packages = [base.__module__.partition(".")[0] for base in public]
    assert "anyhttp" not in packages[packages.index("aiohttp") :]


@pytest.mark.parametrize("error", CLIENT_ERRORS, ids=by_class)
def test_copies_and_pickles(error: Exception) -> None:
    """They are what they are without aiohttp."""
    for again in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert repr(again) == repr(error)


def test_groups_are_split_by_it() -> None:
    """``except*`` does the same."""
    found: list[Exception] = []
    try:
        raise ExceptionGroup("two", [ours.ServerTimeoutError("late"), ValueError("other")])
    except* theirs.ServerTimeoutError as group:
        found += group.exceptions
    except* ValueError:
        pass
    assert [str(error) for error in found] == ["late"]


async def test_a_request_that_fails(free_tcp_port: int) -> None:
    """A library that imports aiohttp can handle what a session here raises."""
    async with client("auto") as session:
        with pytest.raises(aiohttp.ClientConnectorError) as caught:
            await session.get(f"http://127.0.0.1:{free_tcp_port}/")
    assert isinstance(caught.value, anyhttp.ClientConnectorError)
    assert caught.value.port == free_tcp_port
    assert caught.value.os_error.errno == caught.value.errno


@pytest.mark.parametrize(
    "imports",
    [("import aiohttp", "import anyhttp"), ("import anyhttp", "import aiohttp")],
    ids=["aiohttp first", "anyhttp first"],
)
def test_either_may_be_imported_first(imports: tuple[str, str]) -> None:
    """What a class has is not changed by its new bases."""
    printed = output_of(
        imports[0],
        imports[1],
        "from anyhttp import client_exceptions as ours",
        "classes = [getattr(ours, name) for name in ours.__all__]",
        "classes = [cls for cls in classes if issubclass(cls, ours.ClientError)]",
        "def seen():",
        "    names = ('__init__', '__new__', '__str__', '__repr__', '__reduce__',",
        "             '__eq__', '__hash__', '__getattribute__', '__setattr__', '__setstate__')",
        "    return {(cls, name): getattr(cls, name) for cls in classes for name in",
        "            {*names, *(name for name in dir(cls) if name[0] != '_')}}",
        "before = seen()",
        "assert not issubclass(ours.ClientError, aiohttp.ClientError)",
        "try:",
        "    raise ours.SocketTimeoutError('late')",
        "except aiohttp.SocketTimeoutError:",
        "    print('caught')",
        "assert issubclass(ours.ClientError, aiohttp.ClientError)",
        "assert seen() == before",
    )
    assert printed == "caught"


def test_an_error_that_was_made_before_aiohttp_was_imported() -> None:
    """Its class is changed by the next one."""
    printed = output_of(
        "import anyhttp",
        "error = anyhttp.ClientOSError(5, 'text')",
        "import aiohttp",
        "anyhttp.ClientError()",
        "try:",
        "    raise error",
        "except aiohttp.ClientOSError as caught:",
        "    print(caught.errno, caught.strerror, caught.args, caught)",
    )
    assert printed == "5 text (5, 'text') [Errno 5] text"


def test_without_aiohttp() -> None:
    """Nothing imports it, and an error from a process that has it is read."""
    pickled = pickle.dumps(CLIENT_ERRORS)
    printed = output_of(
        "import pickle, sys",
        f"errors = pickle.loads({pickled!r})",
        "assert not [name for name in sys.modules if name.startswith('aiohttp')]",
        "print(len(errors), {base.__module__ for e in errors for base in type(e).__mro__} & {''})",
    )
    assert printed == f"{len(CLIENT_ERRORS)} set()"


def test_another_aiohttp_in_the_place_of_the_first() -> None:
    """Its classes take the place of those of the first; with none, all stays."""
    printed = output_of(
        "import sys, anyhttp, aiohttp",
        "anyhttp.ClientError()",
        "first = aiohttp.ClientPayloadError",
        "for name in [name for name in sys.modules if name.startswith('aiohttp')]:",
        "    del sys.modules[name]",
        "anyhttp.ClientError()",
        "print(issubclass(anyhttp.ClientPayloadError, first))",
        "import aiohttp",
        "anyhttp.ClientError()",
        "print(issubclass(anyhttp.ClientPayloadError, aiohttp.ClientPayloadError))",
        "print(issubclass(anyhttp.ClientPayloadError, first))",
    )
    assert printed.split() == ["True", "True", "False"]


@pytest.mark.parametrize(
    ("first", "second", "caught"),
    [
        ("anyhttp.ClientPayloadError", "aiohttp.ClientPayloadError", "True"),
        # Python finds no order for the bases if these two got a common child and were related.
        ("aiohttp.ClientPayloadError", "anyhttp.ClientPayloadError", "False"),
    ],
)
def test_a_class_that_is_derived_from_both(first: str, second: str, caught: str) -> None:
    """One that names aiohttp's first leaves the class here without its namesake, and no error."""
    printed = output_of(
        "import anyhttp, aiohttp",
        f"class Both({first}, {second}): pass",
        "error = Both('text')",
        "print(error, isinstance(error, aiohttp.ClientError))",
        "print(issubclass(anyhttp.ClientPayloadError, aiohttp.ClientPayloadError))",
        "print(issubclass(anyhttp.ClientOSError, aiohttp.ClientOSError))",
    )
    assert printed.split() == ["text", "True", caught, "True"]


def test_many_threads_at_once() -> None:
    """Each of them catches its own, whichever changes the classes."""
    printed = output_of(
        "import threading, anyhttp, aiohttp",
        "barrier, caught = threading.Barrier(8), []",
        "def fail():",
        "    barrier.wait()",
        "    try:",
        "        raise anyhttp.ClientConnectionResetError(104, 'reset')",
        "    except aiohttp.ClientConnectionResetError as error:",
        "        caught.append(error.errno)",
        "threads = [threading.Thread(target=fail) for _ in range(8)]",
        "for thread in threads: thread.start()",
        "for thread in threads: thread.join()",
        "print(*caught)",
    )
    assert printed.split() == ["104"] * 8
