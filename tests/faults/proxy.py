"""A TCP proxy before an object store that spoils what passes: resets, errors, delays, cut bodies, answers that get lost after the server did its work.

`Proxy(port).rule` is asked for every request with (method, path, number) and answers None or one of KINDS, or an Event that the request waits for.
"""
import asyncio
import socket
import struct
import threading

KINDS = ["reset in the request", "reset in the answer", "500", "503 SlowDown", "slow", "silent", "cut body", "answer lost", "500 after the work"]
SLOW_SECONDS = 0.4


def error(status, code):
    body = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{code}</Message></Error>'
    return f"HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


INTERNAL, SLOW_DOWN = error("500 Internal Server Error", "InternalError"), error("503 Service Unavailable", "SlowDown")


class Proxy:
    def __init__(self, upstream):
        self.upstream, self.rule, self.seen, self.spoiled = upstream, None, 0, 0
        self.loop, self.tasks = asyncio.new_event_loop(), set()
        listening = threading.Event()
        self.thread = threading.Thread(target=self.work, args=(listening,), daemon=True)
        self.thread.start()
        listening.wait()

    def work(self, listening):
        asyncio.set_event_loop(self.loop)
        server = self.loop.run_until_complete(asyncio.start_server(self.serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        listening.set()
        self.loop.run_forever()
        for task in self.tasks:
            task.cancel()
        self.loop.run_until_complete(asyncio.gather(*self.tasks, return_exceptions=True))

    def stop(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()

    async def serve(self, reader, writer):
        # The loop alone keeps no task from being collected while it waits.
        task = asyncio.current_task()
        self.tasks.add(task)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if not await self.pass_on(head, reader, writer):
                    return
        except (asyncio.IncompleteReadError, ConnectionError, OSError):
            pass
        finally:
            self.tasks.discard(task)
            writer.close()

    async def pass_on(self, head, reader, writer):
        """One request and its answer. False if the connection ended with it."""
        method, path = head.split(b" ", 2)[:2]
        self.seen += 1
        kind = self.rule(method.decode(), path.decode(), self.seen) if self.rule else None
        self.spoiled += kind is not None
        length = int(header(head, b"content-length") or 0)
        if kind == "reset in the request":
            await reader.readexactly(length // 2)
            return reset(writer)
        body = await reader.readexactly(length)
        if isinstance(kind, threading.Event):
            await self.loop.run_in_executor(None, kind.wait)
        if kind == "silent":
            await reader.read()
            return False
        if kind in ("500", "503 SlowDown"):
            return await send(writer, INTERNAL if kind == "500" else SLOW_DOWN)
        if kind == "slow":
            await asyncio.sleep(SLOW_SECONDS)
        answer, rest = await self.ask(method, head + body)
        if kind == "answer lost":
            return reset(writer)
        if kind == "500 after the work":
            return await send(writer, INTERNAL)
        if kind in ("reset in the answer", "cut body"):
            await send(writer, answer + rest[: len(rest) // 2])
            if kind == "cut body":
                return False
            return reset(writer)
        return await send(writer, answer + rest)

    async def ask(self, method, request):
        """Head and body of the server's answer, as they came."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.upstream, limit=64 << 20)
        try:
            await send(writer, request)
            head = await reader.readuntil(b"\r\n\r\n")
            status = int(head.split(b" ", 2)[1])
            if method == b"HEAD" or status in (204, 304):
                return head, b""
            if (header(head, b"transfer-encoding") or b"").lower() == b"chunked":
                body = b""
                while not body.endswith(b"0\r\n\r\n"):
                    size = await reader.readuntil(b"\r\n")
                    body += size + await reader.readexactly(int(size, 16) + 2)
                return head, body
            return head, await reader.readexactly(int(header(head, b"content-length") or 0))
        finally:
            writer.close()


def header(head, name):
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip()
    return None


async def send(writer, data):
    writer.write(data)
    await writer.drain()
    return True


def reset(writer):
    """Ends the connection with RST, not with FIN."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    return False
