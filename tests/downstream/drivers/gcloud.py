"""The gcloud-aio packages, each with its service's address given."""

from __future__ import annotations

import base64
import json
import tempfile
from pathlib import Path
from urllib.parse import quote

from tests.downstream.expect import raises
from tests.downstream.package import Package
from tests.downstream.stub import Answer, Request, Stub, json_answer


def service_account(token_url: str) -> str:
    """Return the path of a key file, made for this run."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    values = {
        "type": "service_account",
        "project_id": "project",
        "private_key_id": "1",
        "private_key": key.decode(),
        "client_email": "one@project.example",
        "token_uri": token_url,
    }
    path = Path(tempfile.mkdtemp()) / "key.json"
    path.write_text(json.dumps(values), "utf-8")
    return str(path)


async def drive_auth(stub: Stub) -> None:
    """Exchange a signed claim for a token, once."""
    from gcloud.aio.auth import Token

    stub.on("POST /token", _token)
    async with Token(service_file=service_account(f"{stub.url}/token"), scopes=["s"]) as token:
        assert [await token.get(), await token.get()] == ["t1", "t1"]
    assert len(stub.seen("POST /token")) == 1


def _token(request: Request) -> object:
    assert request.form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    assert request.form["assertion"].count(".") == 2
    return {"access_token": "t1", "expires_in": 3600}


async def drive_storage(stub: Stub) -> None:
    """Upload, list, download whole and as a stream, delete, and miss."""
    import aiohttp
    from gcloud.aio.storage import Storage

    held: dict[str, bytes] = {}

    def upload(request: Request) -> object:
        held[request.query["name"]] = request.body
        return {"name": request.query["name"], "size": str(len(request.body))}

    def download(request: Request) -> object:
        if request.parts["name"] not in held:
            return json_answer({"error": {"message": "no"}}, 404)
        assert request.query["alt"] == "media"
        return Answer(held[request.parts["name"]])

    stub.on("POST /upload/storage/v1/b/bucket/o", upload)
    stub.on("GET /storage/v1/b/bucket/o", lambda _: {"items": [{"name": name} for name in held]})
    stub.on("GET /storage/v1/b/bucket/o/{name}", download)
    stub.on("DELETE /storage/v1/b/bucket/o/{name}", lambda _: Answer(status=204))
    async with Storage(api_root=stub.url) as storage:
        done = await storage.upload("bucket", "a/b.txt", b"some text")
        assert done["name"] == "a/b.txt"
        assert [one["name"] for one in (await storage.list_objects("bucket"))["items"]] == list(
            held
        )
        assert await storage.download("bucket", "a/b.txt") == b"some text"
        stream = await storage.download_stream("bucket", "a/b.txt")
        assert [await stream.read(4), await stream.read(100)] == [b"some", b" text"]
        assert await stream.read() == b""
        await storage.delete("bucket", "a/b.txt")
        with raises(aiohttp.ClientResponseError) as caught:
            await storage.download("bucket", "none")
        assert caught.error.status == 404
    assert stub.seen("DELETE /storage/v1/b/bucket/o/{name}")[0].path.endswith(quote("a/b.txt", ""))


async def drive_pubsub(stub: Stub) -> None:
    """Publish, pull, acknowledge."""
    from gcloud.aio.pubsub import PublisherClient, PubsubMessage, SubscriberClient

    topic = "/v1/projects/p/topics/t"
    subscription = "/v1/projects/p/subscriptions/s"
    held: list[object] = []

    def publish(request: Request) -> object:
        held.extend(request.json["messages"])
        return {"messageIds": ["1"]}

    def pull(_: Request) -> object:
        message = {**dict(held[0]), "messageId": "1", "publishTime": "2026-01-01T00:00:00.0Z"}
        return {"receivedMessages": [{"ackId": "a", "message": message}]}

    stub.on(f"PUT {topic}", {"name": topic[4:]})
    stub.on(f"POST {topic}:publish", publish)
    stub.on(f"POST {subscription}:pull", pull)
    stub.on(f"POST {subscription}:acknowledge", {})
    async with PublisherClient(api_root=f"{stub.url}/v1") as publisher:
        await publisher.create_topic(topic[4:])
        sent = await publisher.publish(topic[4:], [PubsubMessage(b"payload", attribute="value")])
        assert sent == {"messageIds": ["1"]}
    async with SubscriberClient(api_root=f"{stub.url}/v1") as subscriber:
        (message,) = await subscriber.pull(subscription[4:], max_messages=1)
        assert message.data == b"payload", message.data
        await subscriber.acknowledge(subscription[4:], [message.ack_id])
    assert stub.seen(f"POST {subscription}:acknowledge")[0].json == {"ackIds": ["a"]}


async def drive_datastore(stub: Stub) -> None:
    """Insert in a transaction, and look up."""
    from gcloud.aio.datastore import Datastore, Key, PathElement

    key = Key("p", [PathElement("Book", name="one")])
    entity = {
        "key": key.to_repr(),
        "properties": {"title": {"stringValue": "x", "excludeFromIndexes": False}},
    }
    result = {"found": [{"entity": entity, "version": "1"}], "missing": [], "deferred": []}
    stub.on("POST /projects/p:beginTransaction", {"transaction": "t"})
    stub.on("POST /projects/p:commit", {"mutationResults": [{"version": "1"}], "indexUpdates": 1})
    stub.on("POST /projects/p:lookup", result)
    async with Datastore(project="p", api_root=stub.url) as store:
        await store.insert(key, {"title": "x"})
        found = (await store.lookup([key]))["found"][0].entity
        assert found.properties == {"title": "x"}
    sent = stub.seen("POST /projects/p:commit")[0].json
    assert sent["mutations"][0]["insert"]["properties"]["title"]["stringValue"] == "x"


async def drive_bigquery(stub: Stub) -> None:
    """Insert rows, and query."""
    from gcloud.aio.bigquery import Job, Table

    table = "/projects/p/datasets/d/tables/t"
    stub.on(f"POST {table}/insertAll", {"kind": "bigquery#tableDataInsertAllResponse"})
    stub.on("POST /projects/p/queries", {"jobComplete": True, "rows": [{"f": [{"v": "1"}]}]})
    async with Table("d", "t", project="p", api_root=stub.url) as rows:
        await rows.insert([{"a": 1}])
    async with Job(project="p", api_root=stub.url) as job:
        answer = await job.query({"query": "SELECT 1", "useLegacySql": False})
        assert answer["rows"] == [{"f": [{"v": "1"}]}]
    assert stub.seen(f"POST {table}/insertAll")[0].json["rows"][0]["json"] == {"a": 1}


async def drive_taskqueue(stub: Stub) -> None:
    """Create a task, list, delete."""
    from gcloud.aio.taskqueue import PushQueue

    queue = "/v2beta3/projects/p/locations/here/queues/q"
    made: list[object] = []

    def create(request: Request) -> object:
        made.append(request.json["task"])
        return {"name": f"{queue[9:]}/tasks/1"}

    stub.on(f"POST {queue}/tasks", create)
    stub.on(f"GET {queue}/tasks", lambda _: {"tasks": made})
    stub.on(f"DELETE {queue}/tasks/1", {})
    async with PushQueue("p", "q", "here", api_root=f"{stub.url}/v2beta3") as tasks:
        body = base64.b64encode(b"payload").decode()
        task = {"httpRequest": {"url": "https://example.com/", "body": body}}
        name = (await tasks.create(task))["name"]
        assert (await tasks.list())["tasks"] == [task]
        await tasks.delete(name)


PACKAGES = (
    Package(
        name="gcloud-aio-auth",
        version="5.6.0",
        drive=drive_auth,
        driven="a token for a service account",
        asyncio_only="calls asyncio.create_task() to fetch a token",
    ),
    Package(
        name="gcloud-aio-storage",
        version="9.6.5",
        drive=drive_storage,
        driven="upload, download whole and as a stream, listing, deleting, an error",
        differs="on trio only where gcloud-aio-auth has no token to fetch",
    ),
    Package(
        name="gcloud-aio-pubsub",
        version="8.0.0",
        drive=drive_pubsub,
        driven="publishing, pulling, acknowledging",
        differs="on trio only where gcloud-aio-auth has no token to fetch",
    ),
    Package(
        name="gcloud-aio-datastore",
        version="9.2.2",
        drive=drive_datastore,
        driven="an insertion in a transaction, a lookup",
        differs="on trio only where gcloud-aio-auth has no token to fetch",
    ),
    Package(
        name="gcloud-aio-bigquery",
        version="7.3.0",
        drive=drive_bigquery,
        driven="inserting rows, a query",
        differs="on trio only where gcloud-aio-auth has no token to fetch",
    ),
    Package(
        name="gcloud-aio-taskqueue",
        version="7.1.0",
        drive=drive_taskqueue,
        driven="creating, listing and deleting tasks",
        differs="on trio only where gcloud-aio-auth has no token to fetch",
    ),
)
