"""An S3 server on the loopback, and a door before it that notes requests and can refuse them."""

import http.client
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import PurePosixPath

import pyarrow.fs

BUCKET = "stars"
# Moto's standalone server, on a port that is free; it says which one when it answers.
_MOTO = """
import logging
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server
logging.getLogger("werkzeug").setLevel(logging.ERROR)
application = DomainDispatcherApplication(create_backend_app)
server = make_server("127.0.0.1", 0, application, threaded=True)
print(server.port, flush=True)
server.serve_forever()
"""
_ERROR = "<Error><Code>{code}</Code><Message>{message}</Message></Error>"
_REFUSALS = {403: ("AccessDenied", "Access Denied"), 500: ("InternalError", "Try again.")}


class ObjectStore:
    """One bucket.

    Attributes
    ----------
    address
        Of the door; what is asked for there is handed on to moto.
    requests
        What was asked for: a method and a path each.
    sent
        Bytes of each answer's body.
    refuse
        Returns the status with which a request is refused, or 0.
    hold
        Returns whether a request shall have no answer.
    held
        Set when a request has none.
    """

    def __init__(self, door: ThreadingHTTPServer, port: int) -> None:
        self.address = f"http://127.0.0.1:{door.server_address[1]}"
        self._moto = f"127.0.0.1:{port}"
        self._files = pyarrow.fs.S3FileSystem(
            endpoint_override=self._moto, scheme="http", allow_bucket_creation=True
        )
        self._files.create_dir(BUCKET)
        self.requests: list[str] = []
        self.sent: list[int] = []
        self.be_sound()

    def be_sound(self) -> None:
        """Answer everything from now on, and forget what was asked for."""
        self.refuse: Callable[[str], int] = lambda _: 0
        self.hold: Callable[[str], bool] = lambda _: False
        self.held = threading.Event()
        self.requests.clear()
        self.sent.clear()

    def objects(self, url: str) -> dict[str, bytes]:
        """Return the bytes of all objects below a URL, as pyarrow finds them."""
        return {name: self.read(f"{url}/{name}") for name in self.names(url)}

    def names(self, url: str) -> list[str]:
        """Return the names of all objects below a URL, as pyarrow finds them."""
        below = _name(url)
        where = pyarrow.fs.FileSelector(below, recursive=True, allow_not_found=True)
        return [
            PurePosixPath(info.path).relative_to(below).as_posix()
            for info in self._files.get_file_info(where)
            if info.type == pyarrow.fs.FileType.File
        ]

    def read(self, url: str) -> bytes:
        """Return the bytes of an object."""
        with self._files.open_input_stream(_name(url)) as file:
            return bytes(file.read())

    def write(self, url: str, body: bytes) -> None:
        """Put an object."""
        with self._files.open_output_stream(_name(url)) as file:
            file.write(body)

    def unfinished_uploads(self) -> int:
        """Return how many multipart uploads are neither complete nor aborted."""
        with urllib.request.urlopen(f"http://{self._moto}/{BUCKET}?uploads") as answer:
            return bytes(answer.read()).count(b"<Upload>")

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Hand on a request and its answer, or do with it what the test wants."""
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        line = f"{request.command} {request.path}"
        self.requests.append(line)
        if self.hold(line):
            self.held.set()
            request.rfile.read(1)  # until the client is gone
            request.close_connection = True
            return
        if status := self.refuse(line):
            code, message = _REFUSALS[status]
            body = _ERROR.format(code=code, message=message).encode()
            self._send(request, status, Message(), body)
            return
        connection = http.client.HTTPConnection(self._moto)
        try:
            connection.request(request.command, request.path, body, dict(request.headers))
            answer = connection.getresponse()
            body = answer.read()
            self.sent.append(len(body))
            self._send(request, answer.status, answer.headers, body)
        finally:
            connection.close()

    @staticmethod
    def _send(request: BaseHTTPRequestHandler, status: int, headers: Message, body: bytes) -> None:
        request.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in {"connection", "content-length", "transfer-encoding"}:
                request.send_header(name, value)
        length = headers.get("Content-Length", "0") if request.command == "HEAD" else len(body)
        request.send_header("Content-Length", str(length))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(body)


def _name(url: str) -> str:
    return url.removeprefix("s3://")


@contextmanager
def object_store() -> Iterator[ObjectStore]:
    """Run an S3 server with one empty bucket."""
    with subprocess.Popen([sys.executable, "-c", _MOTO], stdout=subprocess.PIPE, text=True) as moto:
        assert moto.stdout
        port = int(moto.stdout.readline())

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _pass_on(self) -> None:
                store.answer(self)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _pass_on  # noqa: N815

        class Door(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """Say nothing: a client was killed."""

        with Door(("127.0.0.1", 0), Handler) as door:
            thread = threading.Thread(target=door.serve_forever)
            thread.start()
            store = ObjectStore(door, port)
            try:
                yield store
            finally:
                door.shutdown()
                thread.join()
                moto.kill()
