"""What is kept beside models of it: addresses of hosts, and responses as the guide keeps them."""

from __future__ import annotations

import socket
from collections import OrderedDict
from typing import Any

import pytest
from hypothesis import given, strategies as st

from anyhttp import ClientSession
from anyhttp.abc import ResolveResult
from anyhttp.resolver import DnsCache
from anyhttp.testing import Answer, MockConnector, ReceivedRequest
from examples.cache import Cache
from tests.support.examples import examples

# -- addresses

HOSTS = ["a.test", "b.test", "c.test"]
SIZE, SECONDS = 2, 10.0

dns_events = st.one_of(
    st.tuples(st.just("ask"), st.sampled_from(HOSTS), st.integers(0, 3)),
    st.tuples(st.just("ask"), st.sampled_from(HOSTS), st.integers(0, 3)),
    st.tuples(st.just("fail"), st.sampled_from(HOSTS), st.just(0)),
    st.tuples(st.just("clear"), st.sampled_from([*HOSTS, ""]), st.just(0)),
    st.tuples(st.just("wait"), st.just(""), st.sampled_from([1, 9, 10, 10])),
)


def found(host: str, number: int, version: int) -> list[ResolveResult]:
    """Return *number* addresses of *host*; other ones in each version."""
    return [
        ResolveResult(
            hostname=host, host=f"127.0.{version}.{each}", port=80, family=socket.AF_INET, proto=0,
            flags=0,
        )
        for each in range(number)
    ]  # fmt: skip


@pytest.mark.once
@given(events=st.lists(dns_events, min_size=5, max_size=30))
async def test_addresses_are_kept_as_in_the_model(events: list[tuple[str, str, int]]) -> None:
    """Each for its time, the least used forgotten first; each use begins with another address."""
    now = 0.0
    cache = DnsCache(SECONDS, SIZE, clock=lambda: now)
    # By host: until when, the addresses, and how often they were used; the least used host first.
    model: OrderedDict[str, tuple[float, list[ResolveResult], int]] = OrderedDict()
    for version, (what, host, number) in enumerate(events):
        key = host, 80
        if what == "wait":
            now += number
            continue
        if what == "clear":
            cache.clear(key if host else None)
            if host:
                model.pop(host, None)
            else:
                model.clear()
            continue
        answer = found(host, number, version)
        asked = []

        async def ask(what: str = what, answer: list[ResolveResult] = answer) -> Any:
            asked.append(answer)  # noqa: B023  (it is called before the next round)
            if what == "fail":
                raise socket.gaierror("no such host")
            return answer

        until, addresses, uses = model.get(host, (0.0, [], 0))
        is_known = host in model and now < until
        assert cache.knows(key) is is_known
        try:
            result = await cache.resolve(key, ask)
        except OSError:
            assert what == "fail"
            assert not is_known
            model.pop(host, None)
            continue
        assert len(asked) == (not is_known)
        if is_known:
            place = uses % len(addresses)
            assert result == addresses[place:] + addresses[:place]
            model[host] = until, addresses, uses + 1
        else:
            assert result == answer
            model.pop(host, None)
            if answer:
                model[host] = now + SECONDS, answer, 1
        if host in model:
            model.move_to_end(host)
        while len(model) > SIZE:
            model.popitem(last=False)
        assert cache.answers.keys() == {(host, 80) for host in model}


# -- responses, in the middleware of the guide

cache_events = st.lists(
    st.tuples(
        st.sampled_from(
            ["get", "get", "get", "change", "lose the tag", "no-store", "fail", "grow"]
        ),
        st.sampled_from(["/a", "/b", "/c"]),
        st.sampled_from(["en", "de"]),
    ),
    max_size=25,
)


class Origin:
    """A server that gives entity tags, and answers 304 where it may."""

    def __init__(self) -> None:
        self.versions = dict.fromkeys(["/a", "/b", "/c"], 0)
        self.state = "change"
        self.bodies = 0
        """How many bodies it has sent."""

    def content(self, path: str, language: str) -> bytes:
        """The body that *path* has now."""
        size = 200 if self.state == "grow" else 1
        return f"{path} {language} {self.versions[path]} ".encode() * size

    def __call__(self, request: ReceivedRequest) -> Answer:
        """Answer *request*."""
        path, language = request.url.path, request.headers["Accept-Language"]
        if self.state == "fail":
            return Answer(503)
        content = self.content(path, language)
        tag = f'"{hash(content)}"'
        headers = {"ETag": tag, "X-Version": str(self.versions[path])}
        if self.state == "lose the tag":
            del headers["ETag"]
        if self.state == "no-store":
            headers["Cache-Control"] = "no-store"
        if request.headers.get("If-None-Match") == tag and self.state != "lose the tag":
            return Answer(304, headers=headers)
        self.bodies += 1
        return Answer(headers=headers, body=content)


@pytest.mark.once
@examples(50)
@given(events=cache_events)
async def test_responses_are_kept_as_in_the_model(events: list[tuple[str, str, str]]) -> None:
    """What a program gets is what the server has now; what it has had since is not sent again."""
    origin = Origin()
    mock = MockConnector()
    mock.fallback(answer=origin)
    # By path and language: the content; the least used first.
    model: OrderedDict[tuple[str, str], bytes] = OrderedDict()
    async with ClientSession(
        "http://host.test/", connector=mock, middlewares=[Cache(entries=2, size=500)]
    ) as session:
        for what, path, language in events:
            if what != "get":
                origin.state = what
                origin.versions[path] += what == "change"
                continue
            sent = origin.bodies
            async with session.get(path, headers={"Accept-Language": language}) as response:
                body = await response.read()
            if origin.state == "fail":
                assert response.status == 503
                if (path, language) in model:
                    model.move_to_end((path, language))
                continue
            content = origin.content(path, language)
            assert (response.status, body) == (200, content)
            assert response.headers["X-Version"] == str(origin.versions[path])
            has_tag = origin.state != "lose the tag"
            is_kept = model.get((path, language)) == content and has_tag
            assert origin.bodies - sent == (not is_kept)
            if not is_kept:
                model.pop((path, language), None)
            if is_kept or (has_tag and origin.state != "no-store" and len(content) <= 500):
                model[path, language] = content
                model.move_to_end((path, language))
            if len(model) > 2:
                model.popitem(last=False)
