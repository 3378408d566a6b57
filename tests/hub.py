"""A Hugging Face Hub on the loopback: as much of it as an upload asks for, with small files."""

import base64
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_COMMIT = "0" * 40


@dataclass
class Repository:
    """A dataset's repository, and whether its owner alone sees it."""

    private: bool = False
    files: dict[str, bytes] = field(default_factory=dict)


class Hub:
    """Repositories by ``owner/name``; new ones are public if nothing else is asked.

    Attributes
    ----------
    requests
        Paths that were asked for.
    refuse
        The status with which every request is refused, or 0.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.repositories: dict[str, Repository] = {}
        self.requests: list[str] = []
        self.refuse = 0

    @property
    def environment(self) -> dict[str, str]:
        """What leads the Hub's own client here; with Xet it would look for a second server."""
        return {
            "HF_ENDPOINT": self.address,
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_XET": "1",
            "HF_TOKEN": "hf_of_a_test",
        }

    def answer(self, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """Return the status and the content of an answer."""
        self.requests.append(path)
        match = re.fullmatch(r"/api/datasets/([^/]+/[^/]+)(/.*)?", path)
        if self.refuse:
            return self.refuse, {"error": "refused"}
        if path == "/api/validate-yaml":
            return 200, {"errors": [], "warnings": []}
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}"
            known = name in self.repositories
            private = asked.get("visibility") == "private" or asked.get("private", False)
            self.repositories.setdefault(name, Repository(private))
            return 409 if known else 200, {"url": f"{self.address}/datasets/{name}"}
        if match is None or match[1] not in self.repositories:
            return 404, {"error": "not found"}
        return 200, self._answer_of(match[1], match[2], body)

    def _answer_of(self, name: str, verb: str | None, body: bytes) -> dict[str, Any]:
        repository = self.repositories[name]
        if verb == "/preupload/main":
            usual = {"uploadMode": "regular", "shouldIgnore": False}
            return {"files": [{"path": file["path"]} | usual for file in json.loads(body)["files"]]}
        if verb == "/commit/main":
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    content = base64.b64decode(line["value"]["content"])
                    repository.files[line["value"]["path"]] = content
            url = f"{self.address}/datasets/{name}/commit/{_COMMIT}"
            return {"commitUrl": url, "commitOid": _COMMIT}
        return {"id": name, "private": repository.private, "sha": _COMMIT}


@contextmanager
def hub() -> Iterator[Hub]:
    """Run a Hub without repositories."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            status, content = running.answer(self.path, self._body())
            body = json.dumps(content).encode()
            self.send_response_only(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        do_GET = do_POST = _answer  # noqa: N815

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        running = Hub(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield running
        finally:
            server.shutdown()
            thread.join()
