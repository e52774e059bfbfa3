"""Which route answers a request."""

from __future__ import annotations

from typing import NamedTuple

from yarl import URL

from ._hosts import Hosts
from ._requests import ReceivedRequest
from ._routes import Route, Source, UnansweredRequest, unanswered

__all__ = ("Decision", "RouteTable")


class Decision(NamedTuple):
    """Which route answers a request, and with what."""

    route: Route
    source: Source


class RouteTable:
    """The routes of a mock, and the requests that they have got."""

    def __init__(self) -> None:
        self.routes: list[Route] = []
        #: for requests that no other route answers
        self.fallback: Route | None = None
        #: hosts to which requests that no route answers are sent
        self.passed_hosts: Hosts = Hosts()
        self.calls: list[ReceivedRequest] = []
        self.unanswered: list[UnansweredRequest] = []

    def add(self, route: Route) -> None:
        """Ask *route* after all others.

        :raises ValueError: one of them takes all of its requests
        """
        for earlier in self.routes:
            if earlier.covers(route):
                raise ValueError(
                    f"it could never answer: the route {earlier}, which was made before, takes all "
                    "of its requests; give that one times=, or remove() it"
                )
        self.routes.append(route)

    @property
    def needs_bodies(self) -> bool:
        """Whether there is a route for which the body of a request counts."""
        return any(route.pattern.needs_body for route in self.routes if not route.is_used_up)

    def depends_on_body(self, request: ReceivedRequest) -> bool:
        """Whether it depends on the body of *request*, which is not known yet, who answers it."""
        if request.is_complete:
            return False
        for route in self.routes:
            if route.is_used_up:
                continue
            if route.pattern.match(request, but_for_body=True) is not None:
                return route.pattern.needs_body
        return False

    def route_for(self, request: ReceivedRequest) -> Route | None:
        """Return the route that takes *request*, without counting it; ``None``: none does."""
        for route in self.routes:
            if not route.is_used_up:
                params = route.pattern.match(request)
                if params is not None:
                    request.path_params = params
                    return route
        return None

    def find(self, request: ReceivedRequest) -> Decision | None:
        """Return what answers *request*, and count it as answered; ``None``: no route does."""
        route = self.route_for(request)
        return None if route is None else Decision(route, route.take())

    def passes(self, url: URL) -> bool:
        """Whether requests to *url* that no route answers go over the network."""
        return url in self.passed_hosts

    def fall_back(self, request: ReceivedRequest) -> Decision:
        """Return what answers *request*, which no route does, and count it as answered.

        :raises UnansweredRequest: there is no fallback
        """
        fallback = self.fallback_for(request)
        return Decision(fallback, fallback.take())

    def fallback_for(self, request: ReceivedRequest) -> Route:
        """Return the fallback, for *request*, which no route takes; it is not counted.

        :raises UnansweredRequest: there is no fallback
        """
        fallback = self.fallback
        if fallback is not None and not fallback.is_used_up:
            return fallback
        error = unanswered(request, self.routes)
        self.unanswered.append(error)
        raise error

    def record(self, request: ReceivedRequest, route: Route) -> None:
        """Note that *route* has got *request*."""
        self.calls.append(request)
        route.calls.append(request)
