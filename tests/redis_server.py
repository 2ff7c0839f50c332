"""A Redis of a test's own, which it may kill, pause and start again."""

import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry


class RedisServer:
    """``redis-server`` on a socket in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "redis.sock"
        self.url = f"unix://{self.socket}"
        self.client = redis.Redis.from_url(self.url, retry=Retry(ConstantBackoff(0.02), 500))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and return when it answers."""
        command = ["redis-server", "--port", "0", "--unixsocket", str(self.socket), "--save", ""]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        self.client.ping()

    def kill(self) -> None:
        """End it without a word."""
        self._send(signal.SIGKILL)
        self.process.wait()

    def pause(self) -> None:
        """Let it hear and say nothing, with its connections open."""
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._send(signal.SIGCONT)

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        """Return its process."""
        assert self._process, "not started"
        return self._process

    def _send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)


@contextmanager
def running_redis() -> Iterator[RedisServer]:
    """Run a Redis for as long as the block does."""
    # Not pytest's folder: a socket's path may have some 100 characters only.
    with tempfile.TemporaryDirectory(prefix="redis") as folder:
        server = RedisServer(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.kill()
            server.client.close()
