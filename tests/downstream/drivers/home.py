"""Packages for devices at home, as Home Assistant uses them."""

from __future__ import annotations

import json
from typing import Any

from tests.downstream.expect import wait_until
from tests.downstream.package import Package
from tests.downstream.stub import Peer, Stub

LIGHT = {
    "name": "lamp",
    "uniqueid": "1",
    "modelid": "m",
    "manufacturername": "x",
    "productname": "p",
    "swversion": "1",
    "type": "Dimmable light",
    "state": {"on": False, "bri": 1, "reachable": True},
}


async def drive_hue(stub: Stub) -> None:
    """Take in what a bridge has, and switch a lamp."""
    import aiohttp
    from aiohue import HueBridgeV1

    whole = {
        "config": {"bridgeid": "b", "name": "bridge", "mac": "m", "modelid": "m", "swversion": "1"},
        "lights": {"1": LIGHT},
    }
    stub.on("GET /api/key/", {**whole, "groups": {}, "scenes": {}, "sensors": {}})
    stub.on("GET /api/key", {**whole, "groups": {}, "scenes": {}, "sensors": {}})
    stub.on("PUT /api/key/lights/1/state", [{"success": {"/lights/1/state/on": True}}])
    async with aiohttp.ClientSession() as session:
        bridge = HueBridgeV1(f"{stub.host}:{stub.port}", "key", session)
        await bridge.initialize()
        assert bridge.bridge_id == "b"
        await bridge.lights["1"].set_state(on=True)
        await bridge.close()
    assert stub.seen("PUT /api/key/lights/1/state")[0].json == {"on": True}


async def drive_shelly(stub: Stub) -> None:
    """Connect to a device by a WebSocket, switch it, and be told of a change."""
    import aiohttp
    from aioshelly.common import ConnectionOptions
    from aioshelly.rpc_device import RpcDevice, WsServer

    stub.on("GET /shelly", SHELLY)
    stub.on_websocket("/rpc", _shelly)
    async with aiohttp.ClientSession() as session:
        options = ConnectionOptions(stub.host, port=stub.port)
        device = await RpcDevice.create(session, WsServer(), options)
        told: list[Any] = []
        device.subscribe_updates(lambda _, kind: told.append(kind))
        await device.initialize()
        assert device.model == "SNSW-001X16EU"
        assert await device.call_rpc("Switch.Set", {"id": 0, "on": True}) == {"was_on": False}
        await wait_until(lambda: told)
        await device.shutdown()


SHELLY = {
    "name": "one",
    "id": "shelly1-1",
    "mac": "AABBCCDDEEFF",
    "model": "SNSW-001X16EU",
    "gen": 2,
    "fw_id": "20240101-000000/1.4.0-g1",
    "ver": "1.4.0",
    "app": "Plus1",
    "auth_en": False,
    "auth_domain": None,
}


def _shelly(peer: Peer) -> None:
    config = {"sys": {"device": {"name": "one"}}, "wifi": {}, "switch:0": {}}
    results: dict[str, object] = {
        "Shelly.GetDeviceInfo": SHELLY,
        "Shelly.GetConfig": config,
        "Shelly.GetStatus": {"sys": {"mac": "AABBCCDDEEFF"}, "switch:0": {"output": False}},
        "Shelly.GetComponents": {"components": [], "cfg_rev": 1, "offset": 0, "total": 0},
        "Script.List": {"scripts": []},
        "Switch.Set": {"was_on": False},
    }
    while (text := peer.receive()) is not None:
        asked = json.loads(text)
        result = results.get(asked["method"], {})
        reply = {"id": asked["id"], "src": "shelly1-1", "dst": asked["src"], "result": result}
        peer.send_json(reply)
        if asked["method"] == "Switch.Set":
            changed = {"ts": 1.0, "switch:0": {"id": 0, "output": True}}
            notice = {"src": "shelly1-1", "dst": asked["src"], "method": "NotifyStatus"}
            peer.send_json({**notice, "params": changed})


PACKAGES = (
    Package(
        name="aiohue",
        version="4.9.0",
        drive=drive_hue,
        driven="a bridge of version 1: reading it, switching a lamp",
        asyncio_only="its throttle calls asyncio.sleep()",
    ),
    Package(
        name="aioshelly",
        version="14.0.1",
        drive=drive_shelly,
        driven="a device by its WebSocket: reading it, switching, being told",
        asyncio_only="calls asyncio's tasks, futures and locks",
    ),
)
