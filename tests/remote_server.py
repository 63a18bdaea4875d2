"""An OpenAI-compatible server on loopback that behaves, or misbehaves, as a test tells it."""

import contextlib
import json
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

WORDS = ["one", " two", " three", " four"]


class RemoteServer:
    """Serves from construction until stop(). `mode` may change at any time:

    ok              answers
    hang            reads a request and never answers it
    head            the head of an answer, as vLLM sends it before it computes, then the end of the connection
    head-hang       the same, and then nothing
    cut             half an answer, then the end of the connection
    cut-plain       the same of a stream whose end only the end of the connection tells
    slow            a stream that stops in the middle and stays open
    STATUS          answers generations with this number; `headers` come along
    too-long        answers generations with OpenAI's error for more than the context holds
    flaky           two of three are answered with 500
    garbage         bytes that are not HTTP

    Health checks (GET /v1/models) are answered unless `dead` is set. Paths in `lacks` are 404, with no word of JSON.
    A request waits for `delay` seconds before the head of its answer, and for `pause` seconds after it.
    """

    def __init__(self, models=("upstream-model",), port=0, tls: ssl.SSLContext | None = None):
        self.models = list(models)
        self.mode = "ok"
        self.dead = False
        self.headers: list[str] = []
        self.delay = 0.0
        self.pause = 0.0
        self.lacks: set[str] = set()
        self.requests: list[dict] = []  # generations, as they came
        self.lists = 0  # health checks that came
        self.left = threading.Event()  # a client broke off
        self.tls = tls
        self.connections: set[socket.socket] = set()
        self.listener = socket.create_server(("127.0.0.1", port), backlog=128)
        self.port = self.listener.getsockname()[1]
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self):
        """As kill -9 would: every connection breaks, and nobody listens any more."""
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for one in list(self.connections):
            with contextlib.suppress(OSError):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                one.shutdown(socket.SHUT_RDWR)

    def bodies(self) -> list[dict]:
        return [one["body"] for one in self.requests]

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket):
        self.connections.add(connection)
        try:
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
                self.connections.add(connection)
            while self._one(connection):
                pass
        except OSError:
            self.left.set()
        finally:
            self.connections.discard(connection)
            connection.close()

    def _one(self, connection) -> bool:
        head = b""
        while b"\r\n\r\n" not in head:
            piece = connection.recv(65536)
            if not piece:
                return False
            head += piece
        head, body = head.split(b"\r\n\r\n", 1)
        lines = head.decode().split("\r\n")
        method, path, _ = lines[0].split(" ")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:])}
        while len(body) < int(headers.get("content-length", 0)):
            body += connection.recv(65536)
        if method == "GET":
            return self._list(connection)
        document = read_form(body) if headers["content-type"].startswith("multipart/") else json.loads(body)
        self.requests.append({"path": path, "headers": headers, "body": document})
        return self._answer(connection, path, document)

    def _list(self, connection) -> bool:
        self.lists += 1
        if self.dead:
            return False
        data = [{"id": name, "object": "model"} for name in self.models]
        send(connection, 200, json.dumps({"object": "list", "data": data}))
        return True

    def _answer(self, connection, path: str, body: dict) -> bool:
        mode = self.mode
        time.sleep(self.delay)
        if mode == "hang":
            return self._hang(connection)
        if path in self.lacks:
            send(connection, 404, "<html>Not Found</html>")
            return True
        if mode == "garbage":
            connection.sendall(b"\0\1\2 nothing\r\n\r\n")
            return False
        if mode == "flaky":
            mode = "ok" if len(self.requests) % 3 == 0 else "500"
        if mode == "too-long":
            error = {"message": "This model's maximum context length is 8 tokens.", "code": "context_length_exceeded"}
            send(connection, 400, json.dumps({"error": {"type": "invalid_request_error", **error}}))
            return True
        if mode.isdigit():
            error = {"error": {"message": f"mode {mode}", "type": "server_error", "code": None}}
            send(connection, int(mode), json.dumps(error), self.headers)
            return True
        if body["model"] not in self.models:
            error = {"error": {"message": f"The model `{body['model']}` does not exist.", "type": "invalid_request_error"}}
            send(connection, 404, json.dumps(error))
            return True
        if path.endswith("/embeddings"):
            send(connection, 200, json.dumps({"object": "list", "data": [{"index": 0, "embedding": [0.5, 0.25]}]}))
            return True
        return self._stream(connection, mode) if body.get("stream") else self._whole(connection, mode)

    def _hang(self, connection) -> bool:
        connection.recv(1)
        self.left.set()
        return False

    def _head(self, connection, mode: str, lines: str) -> bool:
        """False: that was all."""
        connection.sendall(f"HTTP/1.1 200 OK\r\n{lines}\r\n\r\n".encode())
        if mode == "head-hang":
            self._hang(connection)
        time.sleep(self.pause)
        return mode not in ("head", "head-hang")

    def _whole(self, connection, mode: str) -> bool:
        message = {"role": "assistant", "content": "".join(WORDS)}
        answer = json.dumps(
            {
                "object": "chat.completion",
                "model": "upstream-model",
                "choices": [{"index": 0, "message": message, "text": "".join(WORDS), "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
            }
        )
        if not self._head(connection, mode, f"Content-Type: application/json\r\nContent-Length: {len(answer)}"):
            return False
        connection.sendall(answer[: 20 if mode == "cut" else None].encode())
        return mode != "cut"

    def _stream(self, connection, mode: str) -> bool:
        plain = mode == "cut-plain"
        framing = "Connection: close" if plain else "Transfer-Encoding: chunked"
        if not self._head(connection, mode, f"Content-Type: text/event-stream\r\n{framing}"):
            return False
        for i, word in enumerate(WORDS):
            if mode != "ok" and i == 2:
                return self._hang(connection) if mode == "slow" else False
            choice = {"index": 0, "delta": {"content": word}, "text": word, "finish_reason": None}
            event(connection, json.dumps({"object": "chat.completion.chunk", "choices": [choice]}), plain)
        choice = {"index": 0, "delta": {}, "finish_reason": "stop"}
        event(connection, json.dumps({"object": "chat.completion.chunk", "choices": [choice]}), plain)
        event(connection, "[DONE]", plain)
        if not plain:
            connection.sendall(b"0\r\n\r\n")
        return not plain


def read_form(body: bytes) -> dict:
    """The fields of a multipart form, and the bytes of its files."""
    delimiter = body[: body.index(b"\r\n")]
    fields = {}
    for part in body.split(delimiter)[1:-1]:
        head, value = part.removeprefix(b"\r\n").split(b"\r\n\r\n", 1)
        name = head.split(b'name="', 1)[1].split(b'"', 1)[0].decode()
        value = value.removesuffix(b"\r\n")
        fields[name] = value if b"filename=" in head else value.decode()
    return fields


def send(connection, status: int, body: str, headers=()):
    lines = [f"HTTP/1.1 {status} Status", "Content-Type: application/json", f"Content-Length: {len(body)}", *headers]
    connection.sendall(("\r\n".join(lines) + "\r\n\r\n" + body).encode())


def event(connection, data: str, plain: bool):
    text = f"data: {data}\n\n".encode()
    connection.sendall(text if plain else b"%x\r\n%b\r\n" % (len(text), text))


class Swallow:
    """A port whose connections never come about: its accept queue is full, and nobody accepts."""

    def __init__(self):
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(0)
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        self.fill = []
        for _ in range(4):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(self.listener.getsockname())
            self.fill.append(one)

    def stop(self):
        for one in [*self.fill, self.listener]:
            one.close()


def certificate(directory: Path, name: str = "127.0.0.1") -> tuple[Path, ssl.SSLContext]:
    """A self-signed certificate for `name`, and the context of a server that shows it."""
    key, cert = directory / f"{name}.key", directory / f"{name}.pem"
    kind = "IP" if name[0].isdigit() else "DNS"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
        + ["-subj", f"/CN={name}", "-addext", f"subjectAltName={kind}:{name}", "-keyout", str(key), "-out", str(cert)],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return cert, context
