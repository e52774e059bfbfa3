"""aiogram, for Telegram's bots."""

from __future__ import annotations

from tests.downstream.expect import raises
from tests.downstream.package import Package
from tests.downstream.stub import Answer, Request, Stub, json_answer

CHAT = {"id": 7, "type": "private"}
TOKEN = "1:secret"


async def drive(stub: Stub) -> None:
    """Poll for a message and answer it, upload a file, download one, and be refused."""
    from aiogram import Bot, Dispatcher
    from aiogram.client.session.aiohttp import AiohttpSession
    from aiogram.client.telegram import TelegramAPIServer
    from aiogram.exceptions import TelegramBadRequest
    from aiogram.types import BufferedInputFile, Message

    told: list[Request] = []
    said: list[str] = []

    def updates(request: Request) -> object:
        if told:
            return {"ok": True, "result": []}
        told.append(request)
        incoming = {"message_id": 1, "date": 1, "chat": CHAT, "text": "ping"}
        return {"ok": True, "result": [{"update_id": 1, "message": incoming}]}

    def send(request: Request) -> object:
        assert request.headers["Content-Type"].startswith("multipart/form-data") or request.form
        said.append(request.body.decode())
        return {"ok": True, "result": {"message_id": 2, "date": 1, "chat": CHAT, "text": "pong"}}

    me = {"id": 1, "is_bot": True, "first_name": "bot", "username": "bot"}
    refused = {"ok": False, "error_code": 400, "description": "Bad Request: chat not found"}
    stub.on(f"POST /bot{TOKEN}/getMe", {"ok": True, "result": me})
    stub.on(f"POST /bot{TOKEN}/getUpdates", updates)
    stub.on(f"POST /bot{TOKEN}/sendMessage", send)
    stub.on(f"POST /bot{TOKEN}/sendDocument", send)
    stub.on(f"POST /bot{TOKEN}/sendDice", json_answer(refused, 400))
    stub.on(f"GET /file/bot{TOKEN}/a.txt", Answer(b"some text"))
    session = AiohttpSession(api=TelegramAPIServer.from_base(stub.url))
    bot = Bot(TOKEN, session=session)
    dispatcher = Dispatcher()

    @dispatcher.message()
    async def answer(message: Message) -> None:
        await message.answer("pong")
        await message.answer_document(BufferedInputFile(b"text of a file", "b.txt"))
        await dispatcher.stop_polling()

    answer.__annotations__["message"] = Message
    await dispatcher.start_polling(bot, handle_signals=False, close_bot_session=False)
    assert "pong" in said[0]
    assert "text of a file" in said[1]
    downloaded = await bot.download_file("a.txt")
    assert downloaded is not None
    assert downloaded.read() == b"some text"
    with raises(TelegramBadRequest):
        await bot.send_dice(chat_id=8)
    await bot.session.close()


PACKAGES = (
    Package(
        name="aiogram",
        version="3.31.0",
        drive=drive,
        driven="long polling, messages, upload and download of files, an error",
        asyncio_only="calls asyncio's tasks, events and signals",
    ),
)
