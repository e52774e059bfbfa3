"""What stores of objects answer: ranges of bytes, Amazon's S3, Azure's blobs."""

from __future__ import annotations

from tests.downstream.stub import Answer, Request, Stub

DATE = "Thu, 01 Jan 2026 00:00:00 GMT"


def ranged(request: Request, data: bytes, **headers: str) -> Answer:
    """Answer with what the request asks of *data*."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    fields |= {"Accept-Ranges": "bytes", "Last-Modified": DATE, "ETag": '"e"'}
    asked = request.headers.get("Range") or request.headers.get("x-ms-range")
    if not asked:
        return Answer(data, headers={**fields, "Content-Length": str(len(data))})
    first, _, last = asked.removeprefix("bytes=").partition("-")
    part = data[int(first) : int(last or len(data)) + 1]
    fields["Content-Range"] = f"bytes {first}-{int(first) + len(part) - 1}/{len(data)}"
    return Answer(part, 206, {**fields, "Content-Length": str(len(part))})


def serve_s3(stub: Stub, bucket: str = "bucket") -> dict[str, bytes]:
    """Answer as S3 does, for one bucket; return what is held."""
    held: dict[str, bytes] = {}

    def put(request: Request) -> Answer:
        body = request.body
        if request.headers.get("Content-Encoding") == "aws-chunked":
            size, _, rest = body.partition(b"\r\n")
            body = rest[: int(size.partition(b";")[0], 16)]
        held[request.parts["key"]] = body
        return Answer(headers={"ETag": '"e"'})

    def get(request: Request) -> Answer:
        if "acl" in request.query:
            text = b"<AccessControlPolicy><Owner><ID>one</ID></Owner></AccessControlPolicy>"
            return Answer(text, headers={"Content-Type": "application/xml"})
        if request.parts["key"] not in held:
            text = b"<Error><Code>NoSuchKey</Code><Message>no</Message></Error>"
            return Answer(text, 404, {"Content-Type": "application/xml"})
        return ranged(request, held[request.parts["key"]])

    def listing(_: Request) -> Answer:
        entry = "<Contents><Key>{}</Key><Size>{}</Size><ETag>e</ETag>"
        entry += "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
        entries = "".join(entry.format(key, len(data)) for key, data in held.items())
        text = f"<ListBucketResult><IsTruncated>false</IsTruncated>{entries}</ListBucketResult>"
        return Answer(text.encode(), headers={"Content-Type": "application/xml"})

    stub.on(f"PUT /{bucket}/{{key...}}", put)
    stub.on(f"GET /{bucket}/{{key...}}", get)
    stub.on(f"HEAD /{bucket}/{{key...}}", get)
    stub.on(f"DELETE /{bucket}/{{key...}}", lambda request: _delete(held, request))
    stub.on(f"GET /{bucket}", listing)
    return held


def _delete(held: dict[str, bytes], request: Request) -> Answer:
    del held[request.parts["key"]]
    return Answer(status=204)


def serve_blobs(stub: Stub) -> dict[str, bytes]:
    """Answer as Azure's blob storage does; return what is held."""
    held: dict[str, bytes] = {}
    blocks: dict[str, bytes] = {}
    fields = {"ETag": '"e"', "Last-Modified": DATE}

    def put(request: Request) -> Answer:
        if request.query.get("comp") == "block":
            blocks[request.query["blockid"]] = request.body
        elif request.query.get("comp") == "blocklist":
            held[request.parts["name"]] = b"".join(blocks.values())
        else:
            held[request.parts["name"]] = request.body
        return Answer(status=201, headers=fields)

    def get(request: Request) -> Answer:
        if request.parts["name"] not in held:
            text = b"<Error><Code>BlobNotFound</Code><Message>no</Message></Error>"
            missing = {"Content-Type": "application/xml", "x-ms-error-code": "BlobNotFound"}
            return Answer(text, 404, missing)
        kind = {"x_ms_blob_type": "BlockBlob", "Content_Type": "application/octet-stream"}
        return ranged(request, held[request.parts["name"]], **kind)

    def listing(_: Request) -> Answer:
        entry = (
            "<Blob><Name>{}</Name><Properties><Content-Length>{}</Content-Length>"
            f"<Last-Modified>{DATE}</Last-Modified><BlobType>BlockBlob</BlobType>"
            "</Properties></Blob>"
        )
        blobs = "".join(entry.format(name, len(data)) for name, data in held.items())
        text = f"<EnumerationResults><Blobs>{blobs}</Blobs><NextMarker/></EnumerationResults>"
        return Answer(text.encode(), headers={"Content-Type": "application/xml"})

    stub.on("PUT /account/box/{name...}", put)
    stub.on("GET /account/box/{name...}", get)
    stub.on("HEAD /account/box/{name...}", get)
    stub.on("DELETE /account/box/{name...}", Answer(status=202))
    stub.on("GET /account/box", listing)
    return held
