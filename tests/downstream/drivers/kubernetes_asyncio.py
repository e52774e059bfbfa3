"""kubernetes_asyncio, a client of Kubernetes."""

from __future__ import annotations

import json

from tests.downstream.expect import raises
from tests.downstream.package import Package
from tests.downstream.stub import Answer, Peer, Request, Stub, json_answer

PODS = "/api/v1/namespaces/default/pods"


async def drive(stub: Stub) -> None:
    """List, create, watch, run a command over a WebSocket, and be refused."""
    from kubernetes_asyncio import client, watch
    from kubernetes_asyncio.client import ApiException
    from kubernetes_asyncio.stream import WsApiClient

    def pods(request: Request) -> object:
        items = [{"metadata": {"name": "a"}}, {"metadata": {"name": "b"}}]
        if "watch" not in request.query:
            return {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items}
        events = ({"type": "ADDED", "object": {**item, "kind": "Pod"}} for item in items)
        return Answer(json.dumps(event).encode() + b"\n" for event in events)

    missing = {"kind": "Status", "status": "Failure", "reason": "NotFound"}
    stub.on(f"GET {PODS}", pods)
    stub.on(f"POST {PODS}", lambda request: json_answer(request.json, 201))
    stub.on(f"GET {PODS}/none", json_answer(missing, 404))
    stub.on_websocket(f"{PODS}/a/exec", _exec)
    configuration = client.Configuration(host=stub.url)
    async with client.ApiClient(configuration) as api:
        core = client.CoreV1Api(api)
        listed = await core.list_namespaced_pod("default")
        assert [one.metadata.name for one in listed.items] == ["a", "b"]
        pod = client.V1Pod(metadata=client.V1ObjectMeta(name="c"))
        assert (await core.create_namespaced_pod("default", pod)).metadata.name == "c"
        async with watch.Watch().stream(
            core.list_namespaced_pod, "default", timeout_seconds=1
        ) as events:
            seen = [event["object"].metadata.name async for event in events]
        assert seen[:2] == ["a", "b"]
        with raises(ApiException) as caught:
            await core.read_namespaced_pod("none", "default")
        assert caught.error.status == 404
    async with WsApiClient(configuration) as api:
        said = await client.CoreV1Api(api).connect_get_namespaced_pod_exec(
            "a", "default", command=["ls"], stderr=True, stdin=False, stdout=True, tty=False
        )
        assert said == "a file\n", said


def _exec(peer: Peer) -> None:
    assert peer.request.query["command"] == "ls"
    peer.send(b"\x01a file\n")
    peer.send(b'\x03{"metadata":{},"status":"Success"}')


PACKAGES = (
    Package(
        name="kubernetes_asyncio",
        version="36.1.0",
        drive=drive,
        driven="listing, creating, watching, a command over a WebSocket, an error",
    ),
)
