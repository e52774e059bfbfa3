"""Objects in a store: fsspec over HTTP, and Amazon's, Google's and Microsoft's stores."""

from __future__ import annotations

import base64
import os
import tempfile
from pathlib import Path

from tests.downstream.expect import raises
from tests.downstream.package import Package
from tests.downstream.stub import Answer, Request, Stub, json_answer
from tests.downstream.wire_of_stores import ranged, serve_blobs, serve_s3

TEXT = b"0123456789" * 100


def drive_fsspec(stub: Stub) -> None:
    """Read a part, the whole, and the links of a page; fsspec's thread has the event loop."""
    import fsspec

    links = b'<a href="/files/a.txt">a</a> <a href="/files/b.txt">b</a>'
    stub.on("* /files/a.txt", lambda request: ranged(request, TEXT))
    stub.on("GET /files/", Answer(links, headers={"Content-Type": "text/html"}))
    stub.on("* /files/none", json_answer({}, 404))
    files = fsspec.filesystem("http")
    assert files.cat(f"{stub.url}/files/a.txt") == TEXT
    with files.open(f"{stub.url}/files/a.txt", block_size=100) as file:
        file.seek(500)
        assert file.read(20) == TEXT[500:520]
    found = files.ls(f"{stub.url}/files/", detail=False)
    assert found == [f"{stub.url}/files/{name}.txt" for name in "ab"], found
    with raises(FileNotFoundError):
        files.cat(f"{stub.url}/files/none")
    close(files)


def close(files: object) -> None:
    """Close a session that was made in fsspec's thread."""
    from fsspec.asyn import get_loop, sync

    session = files._session
    sync(get_loop(), session.close)


KEYS = {"aws_access_key_id": "key", "aws_secret_access_key": "secret"}


async def drive_aiobotocore(stub: Stub) -> None:
    """Put, get whole and in pieces, list by pages, delete, and miss."""
    from aiobotocore.session import get_session
    from botocore.exceptions import ClientError

    serve_s3(stub)
    session = get_session()
    async with session.create_client(
        "s3", region_name="us-east-1", endpoint_url=stub.url, **KEYS
    ) as client:
        await client.put_object(Bucket="bucket", Key="a.txt", Body=TEXT)
        answer = await client.get_object(Bucket="bucket", Key="a.txt")
        async with answer["Body"] as stream:
            assert await stream.read() == TEXT
        answer = await client.get_object(Bucket="bucket", Key="a.txt")
        assert b"".join([piece async for piece in answer["Body"].iter_chunks(64)]) == TEXT
        pages = client.get_paginator("list_objects_v2").paginate(Bucket="bucket")
        keys = [one["Key"] async for page in pages for one in page["Contents"]]
        assert keys == ["a.txt"]
        await client.delete_object(Bucket="bucket", Key="a.txt")
        with raises(ClientError) as caught:
            await client.get_object(Bucket="bucket", Key="none")
        assert caught.error.response["Error"]["Code"] == "NoSuchKey"
    assert "AWS4-HMAC-SHA256" in stub.requests[0].headers["Authorization"]


def drive_s3fs(stub: Stub) -> None:
    """Write, read a part, list and remove; fsspec's thread has the event loop."""
    import s3fs

    held = serve_s3(stub)
    client = {"region_name": "us-east-1"}
    files = s3fs.S3FileSystem(
        key="key", secret="secret", endpoint_url=stub.url, client_kwargs=client
    )
    with files.open("bucket/a.txt", "wb") as file:
        file.write(TEXT)
    assert held == {"a.txt": TEXT}
    with files.open("bucket/a.txt", "rb", block_size=100) as file:
        file.seek(500)
        assert file.read(20) == TEXT[500:520]
    assert files.ls("bucket") == ["bucket/a.txt"]
    stub.on("POST /bucket", _delete_some)
    files.rm("bucket/a.txt")
    with raises(FileNotFoundError):
        files.cat("bucket/none")
    from fsspec.asyn import get_loop

    files.close_session(get_loop(), files._s3creator)


def _delete_some(request: Request) -> Answer:
    assert b"<Key>a.txt</Key>" in request.body
    return Answer(b"<DeleteResult/>", headers={"Content-Type": "application/xml"})


def drive_gcsfs(stub: Stub) -> None:
    """Write, read a part and list; fsspec's thread has the event loop."""
    os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"  # or else it asks by gRPC too
    import gcsfs

    held: dict[str, bytes] = {}

    def about(name: str) -> dict[str, object]:
        size = str(len(held[name]))
        return {"name": name, "bucket": "bucket", "size": size, "updated": "2026-01-01T00:00:00Z"}

    def begin(request: Request) -> Answer:
        name = request.json["name"]
        return json_answer({}, Location=f"{stub.url}/session?upload_id=1&name={name}")

    def put(request: Request) -> object:
        name = request.query["name"]
        held[name] = request.body
        return about(name)

    def upload(request: Request) -> object:
        if request.query.get("uploadType") == "resumable":
            return begin(request)
        held["a.txt"] = TEXT if TEXT in request.body else b""
        return about("a.txt")

    def metadata(request: Request) -> object:
        known = request.parts["name"] in held
        return about(request.parts["name"]) if known else json_answer({"error": {}}, 404)

    stub.on("POST /upload/storage/v1/b/bucket/o", upload)
    stub.on("POST /session", put)
    stub.on("PUT /session", put)
    stub.on("GET /storage/v1/b/bucket/o/{name}", metadata)
    stub.on("GET /storage/v1/b/bucket/o", lambda _: {"items": [about(name) for name in held]})
    stub.on("GET /storage/v1/b/bucket", {"name": "bucket"})
    stub.on(
        "GET /download/storage/v1/b/bucket/o/{name}",
        lambda request: ranged(request, held[request.parts["name"]]),
    )
    files = gcsfs.GCSFileSystem(project="p", token="anon", endpoint_url=stub.url)
    with files.open("bucket/a.txt", "wb") as file:
        file.write(TEXT)
    assert held == {"a.txt": TEXT}
    with files.open("bucket/a.txt", "rb", block_size=100) as file:
        file.seek(500)
        assert file.read(20) == TEXT[500:520]
    assert files.ls("bucket") == ["bucket/a.txt"]
    with raises(FileNotFoundError):
        files.info("bucket/none")
    close(files)


def connection_string(stub: Stub) -> str:
    """Return what says where the account is, and its key."""
    key = base64.b64encode(b"k" * 64).decode()
    return (
        "DefaultEndpointsProtocol=http;AccountName=account;"
        f"AccountKey={key};BlobEndpoint={stub.url}/account;"
    )


async def drive_azure(stub: Stub) -> None:
    """Upload, download whole and in pieces, list, delete, and miss."""
    from azure.core.exceptions import ResourceNotFoundError
    from azure.storage.blob.aio import BlobServiceClient

    held = serve_blobs(stub)
    async with BlobServiceClient.from_connection_string(connection_string(stub)) as service:
        box = service.get_container_client("box")
        await box.upload_blob("a.txt", TEXT)
        assert held == {"a.txt": TEXT}
        assert await (await box.download_blob("a.txt")).readall() == TEXT
        stream = await box.download_blob("a.txt", offset=100, length=50)
        assert b"".join([piece async for piece in stream.chunks()]) == TEXT[100:150]
        assert [one.name async for one in box.list_blobs()] == ["a.txt"]
        await box.delete_blob("a.txt")
        with raises(ResourceNotFoundError):
            await box.download_blob("none")
    assert stub.requests[0].headers["Authorization"].startswith("SharedKey account:")


async def drive_azure_core(stub: Stub) -> None:
    """Send by a pipeline that asks again, and read in pieces."""
    from azure.core import AsyncPipelineClient
    from azure.core.pipeline.policies import AsyncRetryPolicy
    from azure.core.rest import HttpRequest

    asked: list[Request] = []

    def second_time(request: Request) -> Answer:
        asked.append(request)
        return Answer(TEXT) if len(asked) > 1 else json_answer({}, 503)

    stub.on("GET /later", second_time)
    policies = [AsyncRetryPolicy(retry_backoff_factor=0)]
    async with AsyncPipelineClient(stub.url, policies=policies) as client:
        response = await client.send_request(HttpRequest("GET", f"{stub.url}/later"), stream=True)
        assert response.status_code == 200
        assert b"".join([piece async for piece in response.iter_bytes()]) == TEXT
    assert len(asked) == 2


def drive_adlfs(stub: Stub) -> None:
    """Write, read a part and list; fsspec's thread has the event loop."""
    import adlfs
    from fsspec.asyn import get_loop, sync

    held = serve_blobs(stub)
    files = adlfs.AzureBlobFileSystem(connection_string=connection_string(stub))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.txt"
        path.write_bytes(TEXT)
        files.put_file(str(path), "box/a.txt")
    assert held == {"a.txt": TEXT}
    assert files.cat_file("box/a.txt", start=500, end=520) == TEXT[500:520]
    assert files.info("box/a.txt")["size"] == len(TEXT)
    with raises(FileNotFoundError):
        files.cat_file("box/none")
    sync(get_loop(), files.service_client.close)


FSSPEC_THREAD = "fsspec runs asyncio in a thread of its own"

PACKAGES = (
    Package(
        name="fsspec",
        version="2026.9.0",
        extras="http",
        drive=drive_fsspec,
        driven="its HTTP files: a part, the whole, a listing, an error",
        asyncio_only=FSSPEC_THREAD,
    ),
    Package(
        name="aiobotocore",
        version="3.10.0",
        drive=drive_aiobotocore,
        driven="S3: upload, download whole and in pieces, listing by pages, an error",
        asyncio_only="asks for asyncio's running loop",
    ),
    Package(
        name="s3fs",
        version="2026.9.0",
        drive=drive_s3fs,
        driven="writing, reading a part, listing, removing, an error",
        asyncio_only=FSSPEC_THREAD,
    ),
    Package(
        name="gcsfs",
        version="2026.10.1",
        drive=drive_gcsfs,
        driven="writing, reading a part, listing, an error",
        asyncio_only=FSSPEC_THREAD,
    ),
    Package(
        name="azure-core",
        version="1.41.0",
        extras="aio",
        drive=drive_azure_core,
        driven="a pipeline that asks again, a body in pieces",
        asyncio_only="calls asyncio.sleep()",
    ),
    Package(
        name="azure-storage-blob",
        version="12.31.1",
        extras="aio",
        drive=drive_azure,
        driven="upload, download whole and in pieces, listing, an error",
        asyncio_only="azure-core calls asyncio.sleep()",
    ),
    Package(
        name="adlfs",
        version="2026.8.0",
        drive=drive_adlfs,
        driven="writing, reading a part, listing, an error",
        asyncio_only=FSSPEC_THREAD,
    ),
)
