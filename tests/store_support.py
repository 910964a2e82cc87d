"""A store on this machine: S3's real interface, by moto, behind a door with faults."""

import contextlib
import http.client
import logging
import os
import re
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from acdref import remote

KEY = "good"  # the access key that the door lets in
BUCKET = "bucket"


class Door(ThreadingHTTPServer):
    """Hands requests on to a server, but for what `faults` say.

    Attributes
    ----------
    faults : list of (str, str)
        What to do, "busy" (503), "cut", "slow", and a pattern of ``METHOD /path``; each is done once, for the
        first request that it fits.
    seen : list of str
        ``METHOD /path`` of every request.
    """

    daemon_threads = True

    def __init__(self, behind):
        super().__init__(("127.0.0.1", 0), _Passing)
        self.behind, self.faults, self.seen = behind, [], []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def fault(self, asked):
        for one in self.faults:
            if re.match(one[1], asked):
                self.faults.remove(one)
                return one[0]
        return None


class _Passing(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _pass(self):
        asked = f"{self.command} {self.path.partition('?')[0]}"
        self.server.seen.append(asked)
        fault = self.server.fault(asked)
        length = int(self.headers.get("content-length") or 0)
        if fault == "cut" and self.command == "PUT":
            self.rfile.read(length // 2)
            return self._hang_up()
        body = self.rfile.read(length)
        signed = self.headers.get("authorization", "")
        if signed and f"Credential={KEY}/" not in signed:
            return self._answer(403, _error("InvalidAccessKeyId", "no such access key"))
        if fault == "busy":
            return self._answer(503, _error("ServiceUnavailable", "please wait"))
        if fault == "slow":
            time.sleep(0.5)
        status, headers, answer = self._ask(body)
        if fault == "cut":
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer[: len(answer) // 2])
            return self._hang_up()
        return self._answer(status, answer, headers)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _pass

    def _ask(self, body):
        behind = http.client.HTTPConnection(self.server.behind)
        with contextlib.closing(behind):
            behind.request(self.command, self.path, body, dict(self.headers))
            found = behind.getresponse()
            kept = [(name, value) for name, value in found.getheaders() if name.lower() not in _OURS]
            size = found.getheader("content-length") if self.command == "HEAD" else None
            answer = found.read()
            return found.status, [*kept, ("content-length", size or str(len(answer)))], answer

    def _answer(self, status, answer=b"", headers=None):
        self.send_response(status)
        for name, value in headers or [("content-length", str(len(answer)))]:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer)

    def _hang_up(self):
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def log_message(self, *_):
        pass


_OURS = ("connection", "transfer-encoding", "content-length", "date", "server")


def _error(code, message):
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()


@contextlib.contextmanager
def serving(server):
    """Context in which a server serves."""
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def s3_door():
    """Context with a door before an empty bucket, to which the environment leads; skips where moto or s3fs is
    missing."""
    s3fs = pytest.importorskip("s3fs")
    moto = pytest.importorskip("moto.server")
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    behind = make_server("127.0.0.1", 0, moto.DomainDispatcherApplication(moto.create_backend_app), True)
    with serving(behind), serving(Door(f"127.0.0.1:{behind.server_port}")) as door:
        made = http.client.HTTPConnection(door.behind)
        with contextlib.closing(made):
            made.request("PUT", f"/{BUCKET}", headers={"Host": "s3.amazonaws.com"})
            assert made.getresponse().status == 200
        with pytest.MonkeyPatch.context() as patch:
            for name, value in variables(door).items():
                patch.setenv(name, value)
            s3fs.S3FileSystem.clear_instance_cache()
            yield door
            s3fs.S3FileSystem.clear_instance_cache()


def variables(door):
    """The environment that leads to a door."""
    return {
        "AWS_ENDPOINT_URL": door.url,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1",  # acdref's own tries are what is tested
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


@contextlib.contextmanager
def spooling(folder):
    """Context with an empty spool and cache folder of its own, in which nobody waits long to try again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ACDREF_SPOOL_DIR", str(folder / "spool"))
        patch.setenv("ACDREF_CACHE_DIR", str(folder / "cache"))
        patch.setattr(remote, "_PAUSES", (0.01, 0.01))
        patch.setattr(remote, "_copies", {})
        patch.setattr(remote, "_unmeasured", [float("inf")])
        remote.spool.cache_clear()
        yield folder / "spool"
    remote.spool.cache_clear()


def put(store, files):
    """Write objects: (name within the bucket or the memory, content)."""
    for name, content in files.items():
        store.pipe_file(name, content)
