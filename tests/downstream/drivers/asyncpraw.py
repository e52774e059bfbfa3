"""Async PRAW, a client for Reddit."""

from __future__ import annotations

from tests.downstream.expect import raises
from tests.downstream.package import Package
from tests.downstream.stub import Request, Stub, json_answer


async def drive(stub: Stub) -> None:
    """Log in, page through a listing, post, and be refused."""
    import asyncpraw
    import asyncprawcore

    def listing(request: Request) -> object:
        assert request.headers["Authorization"] == "bearer t1"
        first = "after" not in request.query
        names = ["a", "b"] if first else ["c"]
        children = [{"kind": "t3", "data": {"id": one, "title": one}} for one in names]
        return {
            "kind": "Listing",
            "data": {"after": "t3_b" if first else None, "children": children},
        }

    token = {"access_token": "t1", "expires_in": 3600, "scope": "*", "token_type": "bearer"}
    stub.on("POST /api/v1/access_token", token)
    stub.on("GET /r/one/hot", listing)
    stub.on("GET /r/two/hot", json_answer({"message": "Forbidden", "error": 403}, 403))
    async with asyncpraw.Reddit(
        client_id="id",
        client_secret="secret",
        user_agent="driver",
        reddit_url=stub.url,
        oauth_url=stub.url,
        check_for_updates=False,
    ) as reddit:
        subreddit = await reddit.subreddit("one")
        assert [one.title async for one in subreddit.hot(limit=3)] == ["a", "b", "c"]
        forbidden = await reddit.subreddit("two")
        with raises(asyncprawcore.Forbidden):
            _ = [one async for one in forbidden.hot(limit=1)]
    assert stub.requests[0].headers["Authorization"].startswith("Basic ")


PACKAGES = (
    Package(
        name="asyncpraw",
        version="8.0.3",
        drive=drive,
        driven="a token, paging through a listing, an error",
    ),
)
