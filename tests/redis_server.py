"""A test's own Redis, which it may kill, pause and start again."""

import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from tests.demo_server import PATIENCE, free_port


class RedisServer:
    """A ``redis-server`` that listens at ``url``; ``arguments`` must say the same."""

    server = "Redis"

    def __init__(self, url: str, *arguments: str) -> None:
        self.url = self.freshness = url
        self.client = redis.Redis.from_url(self.url, retry=Retry(ConstantBackoff(0.02), PATIENCE * 50))
        self._command = ["redis-server", "--port", "0", "--save", "", *arguments]
        self._process: subprocess.Popen[bytes] | None = None

    def announce(self, names: list[str]) -> None:
        """Announce keys with these locators."""
        from allowlist.models.announcements import Announcement

        Announcement(self.url, names)()

    def start(self) -> None:
        """Start it, and return when it responds."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        self.client.ping()

    def kill(self) -> None:
        """Kill it."""
        self._send(signal.SIGKILL)
        self.process.wait()

    def pause(self) -> None:
        """Stop it, with its connections open."""
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it continue."""
        self._send(signal.SIGCONT)

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        """Return its process."""
        assert self._process, "not started"
        return self._process

    def _send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)


def on_socket(folder: Path) -> RedisServer:
    """Return a Redis on a socket in ``folder``."""
    path = folder / "redis.sock"
    return RedisServer(f"unix://{path}", "--unixsocket", str(path))


def encrypted(folder: Path) -> RedisServer:
    """Return a Redis with TLS, whose certificate only its own URL trusts."""
    port, key, certificate = str(free_port()), folder / "key.pem", folder / "certificate.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1"]
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*made, *names], check=True, capture_output=True)
    files = ["--tls-key-file", str(key), "--tls-cert-file", str(certificate)]
    return RedisServer(
        f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={certificate}",
        *("--tls-port", port, *files, "--tls-ca-cert-file", str(certificate), "--tls-auth-clients", "no"),
    )


@contextmanager
def running_redis(made: Callable[[Path], RedisServer] = on_socket) -> Iterator[RedisServer]:
    """Run a Redis while the block runs."""
    # Not pytest's folder: a socket's path may have about 100 characters only.
    with tempfile.TemporaryDirectory(prefix="redis") as folder:
        server = made(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.kill()
            server.client.close()
