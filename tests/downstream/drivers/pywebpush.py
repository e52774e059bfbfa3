"""pywebpush: messages to browsers."""

from __future__ import annotations

import base64
import os

from tests.downstream.expect import raises
from tests.downstream.package import Package
from tests.downstream.stub import Answer, Stub


async def drive(stub: Stub) -> None:
    """Send an encrypted message, and be refused."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from pywebpush import WebPushException, webpush_async

    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    point = public.public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    keys = {"p256dh": _text(point), "auth": _text(os.urandom(16))}
    vapid = _text(
        ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value.to_bytes(32)
    )
    stub.on("POST /push/one", Answer(status=201))
    stub.on("POST /push/gone", Answer(b"gone", 410))
    for name in ("one", "gone"):
        subscription = {"endpoint": f"{stub.url}/push/{name}", "keys": keys}
        claims = {"sub": "mailto:a@example.com"}
        if name == "one":
            response = await webpush_async(subscription, "Hello", vapid, claims)
            assert response.status == 201
        else:
            with raises(WebPushException) as caught:
                await webpush_async(subscription, "Hello", vapid, claims)
            assert caught.error.response.status == 410
    sent = stub.requests[0]
    assert sent.headers["Content-Encoding"] == "aes128gcm"
    assert b"Hello" not in sent.body


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


PACKAGES = (
    Package(
        name="pywebpush",
        version="2.5.0",
        drive=drive,
        driven="an encrypted message, an error",
    ),
)
