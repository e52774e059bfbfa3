"""aiodocker against a stub of Docker's engine."""

from __future__ import annotations

import json

from tests.downstream.expect import raises
from tests.downstream.package import Package
from tests.downstream.stub import Answer, Request, Stub, json_answer


async def drive(stub: Stub) -> None:
    """List, run and follow containers, pull an image line by line, watch, and be refused."""
    from aiodocker import Docker, DockerError

    stub.on("GET /version", {"ApiVersion": "1.43", "Version": "24.0"})
    stub.on("GET /v1.43/containers/json", [{"Id": "abc"}])
    stub.on("POST /v1.43/containers/create", lambda request: _created(request))
    stub.on("POST /v1.43/containers/abc/start", Answer(status=204))
    stub.on("GET /v1.43/containers/abc/json", {"Id": "abc", "Config": {"Tty": True}})
    stub.on("GET /v1.43/containers/abc/logs", Answer(iter([b"one\n", b"two\n"])))
    stub.on("POST /v1.43/images/create", Answer(_lines("Pulling", "Done"), headers=_JSON))
    stub.on("DELETE /v1.43/containers/abc", Answer(status=204))
    stub.on("GET /v1.43/containers/gone/json", json_answer({"message": "no such container"}, 404))
    async with Docker(url=stub.url) as docker:
        (listed,) = await docker.containers.list()
        assert listed.id == "abc"
        container = await docker.containers.create({"Image": "debian", "Cmd": ["ls"]}, name="one")
        await container.start()
        assert (
            "".join([part async for part in container.log(stdout=True, follow=True)])
            == "one\ntwo\n"
        )
        pulled = [one["status"] async for one in docker.images.pull("debian", stream=True)]
        assert pulled == ["Pulling", "Done"]
        await container.delete(force=True)
        with raises(DockerError) as caught:
            await docker.containers.get("gone")
        assert caught.error.status == 404


_JSON = {"Content-Type": "application/json"}


def _created(request: Request) -> Answer:
    assert (request.json["Image"], request.query["name"]) == ("debian", "one")
    return json_answer({"Id": "abc", "Warnings": []}, 201)


def _lines(*states: str) -> list[bytes]:
    return [json.dumps({"status": state}).encode() + b"\r\n" for state in states]


PACKAGES = (
    Package(
        name="aiodocker",
        version="0.27.0",
        drive=drive,
        driven="listing, creating, logs, pulling line by line, an error",
    ),
)
