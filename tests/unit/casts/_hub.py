"""A stand-in for the Hugging Face hub's HTTP interface, on this machine, for models that hold a few files."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

__all__ = ["Hub", "hub"]

TOKEN = "hf_right"
COMMIT = "c" * 40


class Hub(BaseHTTPRequestHandler):
    """Creates repositories, takes commits, gives files; wants a token for what changes anything."""

    repos: dict[str, dict[str, bytes]]
    broken: bool
    closing: Event
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Quietly."""

    def answer(self, status: int, body: bytes = b"{}", **headers: str) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body)), "Content-Type": "application/json"} | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_POST(self) -> Any:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/api/validate-yaml":
            return self.answer(200, json.dumps({"errors": [], "warnings": []}).encode())
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.answer(401, json.dumps({"error": "Invalid credentials"}).encode())
        if self.path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}" if asked.get("organization") else asked["name"]
            self.repos.setdefault(name, {})
            return self.answer(200, json.dumps({"url": f"http://{self.headers['Host']}/{name}", "name": name}).encode())
        name = "/".join(self.path.split("/")[3:5])
        if "/preupload/" in self.path:
            files = [
                {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                for file in json.loads(body)["files"]
            ]
            return self.answer(200, json.dumps({"files": files}).encode())
        if "/commit/" in self.path:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    self.repos[name][line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            told = {
                "success": True,
                "commitOid": COMMIT,
                "commitUrl": f"http://{self.headers['Host']}/{name}/commit/{COMMIT}",
            }
            return self.answer(200, json.dumps(told).encode())
        return self.answer(404)

    def do_GET(self) -> Any:
        if self.broken:
            self.close_connection = True
            return None
        parts = self.path.split("?")[0].strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            name = "/".join(parts[2:4])
            if name not in self.repos:
                return self.answer(404, X_Error_Code="RepoNotFound")
            if parts[4:5] == ["tree"]:
                return self.answer(200, json.dumps(_tree(self.repos[name])).encode())
            siblings = [{"rfilename": file} for file in self.repos[name]]
            return self.answer(200, json.dumps({"id": name, "sha": COMMIT, "siblings": siblings}).encode())
        name, file = "/".join(parts[:2]), "/".join(parts[4:])
        content = self.repos.get(name, {}).get(file)
        if content is None:
            return self.answer(404, X_Error_Code="EntryNotFound")
        etag = hashlib.sha256(content).hexdigest()
        return self.answer(
            200, content, ETag=f'"{etag}"', X_Repo_Commit=COMMIT, Content_Type="application/octet-stream"
        )

    do_HEAD = do_GET  # noqa: N815 - the name that http.server looks for


def _tree(files: dict[str, bytes]) -> list[dict[str, Any]]:
    found = (
        (path, content, hashlib.sha1(content, usedforsecurity=False).hexdigest()) for path, content in files.items()
    )
    return [{"type": "file", "path": path, "size": len(content), "oid": oid} for path, content, oid in found]


@contextmanager
def hub(
    kind: type[Hub] = Hub, *, broken: bool = False, **state: Any
) -> Iterator[tuple[str, dict[str, dict[str, bytes]]]]:
    """Its address, and what it holds: repository → file → content. A broken one drops every connection."""
    repos: dict[str, dict[str, bytes]] = {}
    handler = type("Served", (kind,), {"repos": repos, "broken": broken, "closing": Event(), **state})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", repos
    handler.closing.set()
    server.shutdown()
    server.server_close()
    thread.join()
