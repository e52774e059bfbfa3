"""gidgethub's client for GitHub's API."""

from __future__ import annotations

from tests.downstream.expect import raises
from tests.downstream.package import Package
from tests.downstream.stub import Request, Stub, json_answer


async def drive(stub: Stub) -> None:
    """Get, page through a list, create, and be refused."""
    import aiohttp
    import gidgethub
    from gidgethub.aiohttp import GitHubAPI

    def page(request: Request) -> object:
        if request.query.get("page") == "2":
            return json_answer([{"number": 3}])
        link = f'<{stub.url}/repos/a/b/issues?page=2>; rel="next"'
        return json_answer([{"number": 1}, {"number": 2}], Link=link)

    stub.on("GET /users/{name}", lambda request: json_answer({"login": request.parts["name"]}))
    stub.on("GET /repos/a/b/issues", page)
    stub.on("POST /repos/a/b/issues", lambda request: json_answer(request.json, 201))
    stub.on("GET /teams", json_answer({"message": "Not Found"}, 404))
    async with aiohttp.ClientSession() as session:
        github = GitHubAPI(session, "requester", oauth_token="token", base_url=stub.url)
        assert await github.getitem("/users/gvanrossum") == {"login": "gvanrossum"}
        numbers = [one["number"] async for one in github.getiter("/repos/a/b/issues")]
        assert numbers == [1, 2, 3]
        made = await github.post("/repos/a/b/issues", data={"title": "It fails"})
        assert made == {"title": "It fails"}
        with raises(gidgethub.BadRequest) as caught:
            await github.getitem("/teams")
        assert caught.error.status_code == 404
    assert stub.requests[0].headers["Authorization"] == "token token"


PACKAGES = (
    Package(
        name="gidgethub",
        version="6.0.0",
        extras="aiohttp",
        drive=drive,
        driven="getting, paging, creating, an error",
    ),
)
