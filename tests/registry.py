"""A model registry, a Hugging Face hub and a plain file server in one, which misbehaves when told to."""

import hashlib
import json
import re
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

OLLAMA = "application/vnd.ollama.image."


def digest_of(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


class Faults:
    """What goes wrong. Everything is off at first."""

    def __init__(self):
        self.statuses: list[tuple[str, int, dict]] = []  # (part of the path, status, headers): the next ones
        self.cut_after: int | None = None  # bytes of a blob's answer, then the connection ends
        self.cuts_left = 10**9
        self.hold_after: int | None = None  # bytes of each blob's answer, then it waits for `gate`
        self.gate = threading.Event()
        self.no_ranges = False
        self.damage = False  # the last byte of every blob is wrong
        self.token: str | None = None  # asked for by a Bearer challenge
        self.hub_token: str | None = None
        self.tokens_last: int | None = None  # requests that one token is good for
        self.redirect_to: str | None = None  # where blobs really are
        self.upload_cuts: list[int] = []  # bytes of a large piece, then the connection ends: the next ones
        self.forget_uploads = 0  # so many sessions are lost after their first piece
        self.damage_uploads = False  # the last byte of what is uploaded is lost
        self.needs_account = False  # nobody may push


class Registry:
    def __init__(self, tls=None):
        self.faults = Faults()
        self.manifests: dict[str, bytes] = {}
        self.blobs: dict[str, bytes] = {}
        self.repositories: dict[str, dict[str, bytes]] = {}  # of a revision: "org/repo@revision"
        self.files: dict[str, bytes] = {}
        self.uploads: dict[str, bytearray] = {}
        self.requests: list[dict] = []
        self.uses = 0
        self.lock = threading.Lock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self):
        self.faults.gate.set()
        self.server.shutdown()
        self.server.server_close()

    def add(self, name: str, layers: list[tuple[str, bytes]]) -> dict:
        """A model as `library/tiny:latest` with layers (kind, content)."""
        repository, tag = name.rsplit(":", 1)
        described = []
        for kind, content in [("config", b'{"model_format":"gguf"}'), *layers]:
            self.blobs[digest_of(content)] = content
            described.append({"mediaType": OLLAMA + kind, "digest": digest_of(content), "size": len(content)})
        manifest = {"schemaVersion": 2, "config": described[0], "layers": described[1:]}
        self.manifests[f"/v2/{repository}/manifests/{tag}"] = json.dumps(manifest).encode()
        return manifest

    def sent(self, part: str) -> list[dict]:
        """The requests whose path contains `part`."""
        with self.lock:
            return [one for one in self.requests if part in one["path"]]

    def bytes_sent(self, part: str) -> int:
        return sum(one["sent"] for one in self.sent(part))

    def handler(registry):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_HEAD(self):
                self.do_GET()

            def do_POST(self):
                self.do_GET()

            def do_PATCH(self):
                self.do_GET()

            def do_PUT(self):
                self.do_GET()

            def do_GET(self):
                path = urlparse(self.path).path
                self.entry = {
                    "method": self.command,
                    "path": path,
                    "range": self.headers.get("Range"),
                    "authorization": self.headers.get("Authorization"),
                    "sent": 0,
                }
                with registry.lock:
                    registry.requests.append(self.entry)
                    for fault in registry.faults.statuses:
                        if fault[0] in path:
                            registry.faults.statuses.remove(fault)
                            self.close_connection = self.command in ("PATCH", "PUT")
                            return self.reply(fault[1], b'{"errors":[{"message":"as told"}]}', fault[2])
                if path == "/token":
                    scope = parse_qs(urlparse(self.path).query).get("scope", [""])[0]
                    registry.uses = 0
                    return self.json({"token": registry.faults.token if scope.startswith("repository:") else "wrong"})
                if path.startswith("/v2/") and not self.may_enter():
                    realm = f'Bearer realm="{registry.url}/token",service="test",scope="repository:x:pull"'
                    return self.reply(401, b"", {"WWW-Authenticate": realm})
                if path.startswith("/v2/") and (self.command in ("POST", "PATCH", "PUT") or "/uploads/" in path):
                    return self.push(path)
                if path in registry.manifests:
                    return self.reply(200, registry.manifests[path])
                if match := re.fullmatch(r"/(?:v2/.+/blobs|cdn)/(sha256:[0-9a-f]{64})", path):
                    if registry.faults.redirect_to and path.startswith("/v2/"):
                        return self.reply(307, b"", {"Location": f"{registry.faults.redirect_to}/cdn/{match[1]}"})
                    return self.content(registry.blobs.get(match[1]))
                if path.startswith("/api/models/"):
                    return self.tree(path)
                if match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
                    files = registry.repositories.get(self.at_revision(match), {})
                    if registry.faults.redirect_to:
                        content = files[match[3]]
                        registry_elsewhere = f"{registry.faults.redirect_to}/cdn/{digest_of(content)}"
                        return self.reply(302, b"", {"Location": registry_elsewhere})
                    return self.content(files.get(match[3]))
                return self.content(registry.files.get(path))

            def may_enter(self):
                if registry.faults.token is None:
                    return True
                registry.uses += 1
                fresh = registry.faults.tokens_last is None or registry.uses <= registry.faults.tokens_last
                return fresh and self.headers.get("Authorization") == f"Bearer {registry.faults.token}"

            def push(self, path):
                """Uploads by session, as a container registry takes them."""
                if registry.faults.needs_account:
                    return self.reply(403, b'{"errors":[{"code":"DENIED"}]}')
                if self.command == "POST":
                    registry.uploads[session := str(len(registry.uploads))] = bytearray()
                    return self.reply(202, b"", {"Location": f"{path}{session}?state=first"})
                if re.fullmatch(r"/v2/.+/manifests/[^/]+", path):
                    registry.manifests[path] = self.rfile.read(int(self.headers["Content-Length"]))
                    return self.reply(201, b"")
                session = path.rsplit("/", 1)[1]
                content = registry.uploads.get(session)
                if content is None:
                    return self.reply(404, b'{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}')
                if self.command == "GET":
                    return self.reply(204, b"", self.progress(path, content))
                if self.command == "PATCH":
                    return self.take_piece(path, session, content)
                digest = parse_qs(urlparse(self.path).query)["digest"][0]
                del registry.uploads[session]
                if registry.faults.damage_uploads:
                    del content[-1]
                if digest_of(bytes(content)) != digest:
                    return self.reply(400, b'{"errors":[{"code":"DIGEST_INVALID"}]}')
                registry.blobs[digest] = bytes(content)
                self.reply(201, b"", {"Docker-Content-Digest": digest})

            def progress(self, path, content):
                return {"Location": f"{path}?state={len(content)}", "Range": f"0-{max(len(content) - 1, 0)}"}

            def take_piece(self, path, session, content):
                faults = registry.faults
                begin, end = map(int, self.headers["Content-Range"].split("-"))
                if begin != len(content):
                    self.close_connection = True
                    return self.reply(416, b"", self.progress(path, content))
                size = end + 1 - begin
                cut = faults.upload_cuts.pop(0) if faults.upload_cuts and size > max(faults.upload_cuts) else None
                wanted = size if cut is None else cut
                while wanted > 0 and (piece := self.rfile.read(min(wanted, 1 << 16))):
                    content += piece
                    self.entry["sent"] += len(piece)
                    wanted -= len(piece)
                if cut is not None:
                    self.close_connection = True
                    return self.connection.shutdown(socket.SHUT_RDWR)
                if faults.forget_uploads > 0:
                    faults.forget_uploads -= 1
                    del registry.uploads[session]
                self.reply(202, b"", self.progress(path, content))

            def at_revision(self, match):
                return match[1] if match[2] == "main" else f"{match[1]}@{match[2]}"

            def tree(self, path):
                match = re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/([^/]+)", path)
                wanted = registry.faults.hub_token
                if wanted and self.headers.get("Authorization") != f"Bearer {wanted}":
                    return self.reply(401, b'{"error":"Invalid username or password."}')
                if not match or self.at_revision(match) not in registry.repositories:
                    return self.reply(404, b'{"error":"Repository not found"}')
                files = [
                    {"type": "file", "path": name, "size": 130,
                     "lfs": {"oid": digest_of(content)[7:], "size": len(content)}}
                    for name, content in registry.repositories[self.at_revision(match)].items()
                ]
                return self.json(files)

            def json(self, value):
                self.reply(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

            def reply(self, status, body, headers=None):
                self.send_response(status)
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def content(self, content):
                faults = registry.faults
                if content is None:
                    return self.reply(404, b'{"error":"not found"}')
                if faults.damage:
                    content = content[:-1] + bytes([content[-1] ^ 1])
                begin, end, status = 0, len(content), 200
                asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
                if asked and not faults.no_ranges:
                    begin, end, status = int(asked[1]), min(int(asked[2]) + 1, end), 206
                self.send_response(status)
                self.send_header("Content-Length", str(end - begin))
                self.send_header("ETag", f'"{digest_of(content)[7:23]}"')
                if status == 206:
                    self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{len(content)}")
                self.end_headers()
                self.send(content[begin:end])

            def send(self, body):
                """In pieces, so that a fault strikes where it was told to."""
                faults, step = registry.faults, 64 * 1024
                for at in range(0, len(body), step):
                    if faults.hold_after is not None and at >= faults.hold_after:
                        faults.gate.wait()
                    if faults.cut_after is not None and at >= faults.cut_after:
                        with registry.lock:
                            faults.cuts_left -= 1
                            cut = faults.cuts_left >= 0
                        if cut:
                            self.close_connection = True
                            self.connection.shutdown(socket.SHUT_RDWR)
                            return
                    try:
                        self.wfile.write(body[at : at + step])
                    except OSError:
                        self.close_connection = True
                        return
                    self.entry["sent"] += len(body[at : at + step])

        return Handler
