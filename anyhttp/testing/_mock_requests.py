"""A mock in the place of the network, for sessions that the program makes by itself."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import wraps
from inspect import Parameter
from typing import TYPE_CHECKING, Any, Final, TypeVar

from .._common import check_flag
from ..connector import replaced_network
from ._mock import RequestMock
from ._swallowed import reported

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ("MockedRequests", "mock_requests")

T = TypeVar("T")

#: name of the parameter by which a decorated function gets the mock
MOCK: Final = "mock"


def mock_requests(*, assert_all_called: bool = True, whole_process: bool = False) -> MockedRequests:
    """Let a mock answer the requests that the program makes, in a block or in a function.

    As a context manager, with ``with`` or ``async with``, it returns the mock.  As a decorator of a
    function, plain or async, it passes the mock as the argument ``mock`` if the function has a
    parameter with that name.

    It replaces the network for :class:`~anyhttp.TCPConnector`, :class:`~anyhttp.UnixConnector` and
    the transports for httpx, in every session.  A request that no route answers raises
    :exc:`UnansweredRequest`, and again at the end of the block if the program has caught it.
    Blocks may be nested: the outer one answers only requests to the hosts of the inner one's
    :meth:`RequestMock.pass_through`.

    It applies to the block and to the tasks that are started in it, so tests that run side by side
    do not affect each other.  It also applies to threads that get the context, as those of
    :func:`asyncio.to_thread`, anyio and trio do; by default, a ``threading.Thread`` does not.  A
    task that outlives the block uses the network again.

    ``async with`` waits until the functions that answer have ended; ``with`` only cancels them.

    :param assert_all_called: raise an error at the end if a route was never called; on by default
    :param whole_process: apply to all tasks and threads of the process; off by default
    :raises AssertionError: at the end, if nothing else was raised: a route was never called
    :raises UnansweredRequest: at the end, if nothing else was raised: no route has answered a
        request
    """
    check_flag("assert_all_called", assert_all_called)
    check_flag("whole_process", whole_process)
    return MockedRequests(
        _Options(assert_all_called=assert_all_called, whole_process=whole_process)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Options:
    """The options of :func:`mock_requests`."""

    assert_all_called: bool
    whole_process: bool


class MockedRequests:
    """What :func:`mock_requests` returns: a context manager for one block, and a decorator."""

    def __init__(self, options: _Options) -> None:
        self._options = options
        self._mock: RequestMock | None = None
        self._block = ExitStack()

    # -- as a context manager

    def __enter__(self) -> RequestMock:
        if self._mock is not None:
            raise RuntimeError("this block was entered before: call mock_requests() for each")
        self._mock = mock = RequestMock()
        options = self._options
        self._block.enter_context(_checked(mock, options.assert_all_called))
        self._block.enter_context(replaced_network(mock, whole_process=options.whole_process))
        return mock

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._block.__exit__(exc_type, exc, traceback)

    async def __aenter__(self) -> RequestMock:
        return self.__enter__()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._mock is not None
        try:
            if exc is None:
                await self._mock.aclose()
        except BaseException as failure:
            self._block.__exit__(type(failure), failure, failure.__traceback__)
            raise
        self._block.__exit__(exc_type, exc, traceback)

    # -- as a decorator

    def __call__(self, function: Callable[..., T]) -> Callable[..., T]:
        """Return *function*, with a block of its own around each call.

        :raises TypeError: it is nothing that a block can be around
        """
        name = getattr(function, "__qualname__", repr(function))
        _check_function(function, name)
        signature = inspect.signature(function)
        parameter = signature.parameters.get(MOCK)
        takes_mock = parameter is not None and parameter.kind in _BY_NAME

        def arguments(mock: RequestMock) -> dict[str, RequestMock]:
            return {MOCK: mock} if takes_mock else {}

        decorated: Any  # the same function but for the mock, which no type can say
        if inspect.iscoroutinefunction(function):

            @wraps(function)
            async def run_async(*args: Any, **kwargs: Any) -> Any:
                async with MockedRequests(self._options) as mock:
                    return await function(*args, **arguments(mock), **kwargs)

            decorated = run_async
        else:

            @wraps(function)
            def run(*args: Any, **kwargs: Any) -> Any:
                with MockedRequests(self._options) as mock:
                    result = function(*args, **arguments(mock), **kwargs)
                    _check_result(result, name)
                    return result

            decorated = run
        if takes_mock:
            # so that pytest looks for no fixture of this name
            others = [each for each in signature.parameters.values() if each is not parameter]
            decorated.__signature__ = signature.replace(parameters=others)
        made: Callable[..., T] = decorated
        return made


@contextmanager
def _checked(mock: RequestMock, assert_all_called: bool) -> Iterator[None]:
    """End *mock* at the end of the block; unless that raises, raise what the mock has found."""
    with reported(mock.unanswered):
        try:
            yield
        finally:
            mock.end()
    if assert_all_called:
        mock.assert_all_called()


_BY_NAME: Final = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)


def _check_function(function: object, name: str) -> None:
    """Refuse what returns before its work is done.

    :raises TypeError: *function* is a generator function, a class, or no function at all
    """
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(
            f"mock_requests() cannot decorate the generator function {name}: "
            "write `with mock_requests() as mock:` inside of it"
        )
    if inspect.isclass(function) or not callable(function):
        raise TypeError(f"mock_requests() decorates functions, which {name} is not")


def _check_result(result: object, name: str) -> None:
    if inspect.isawaitable(result):
        if inspect.iscoroutine(result):
            result.close()
        raise TypeError(
            f"mock_requests() cannot decorate {name}, which returns an awaitable and is not an "
            "`async def` function: the block would end before it is awaited"
        )
