"""A relay before a server, which may be killed, paused and slow while the server lives on."""

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from threading import Event, Lock, Thread

Connect = Callable[[], socket.socket]


class Relay:
    """Passes connections to its port on to the server, with ``delay`` seconds for what the server sends."""

    def __init__(self, connect: Connect, delay: float = 0.0) -> None:
        """``connect`` returns a new connection to the server."""
        self.port = 0
        self.connections = 0
        """How many connections were accepted."""
        self._connect = connect
        self.delay = delay
        self._goes_on = Event()
        self._goes_on.set()
        self._lock = Lock()
        self._open: list[socket.socket] = []
        self._threads: list[Thread] = []

    def start(self) -> None:
        """Listen; again after ``kill()``, on the same port."""
        self._goes_on.set()
        listener = socket.create_server(("127.0.0.1", self.port))
        self.port = listener.getsockname()[1]
        self._open.append(listener)
        self._run(partial(self._accept, listener))

    def kill(self) -> None:
        """Close every connection, and listen no more."""
        self.resume()
        with self._lock:
            opened, self._open = self._open, []
        for each in opened:
            # Closing alone would leave the thread that reads from it where it is.
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join()
        self._threads = []

    def pause(self) -> None:
        """Pass nothing on, with the connections open."""
        self._goes_on.clear()

    def resume(self) -> None:
        """Go on, with what was held back."""
        self._goes_on.set()

    def _run(self, work: Callable[[], None]) -> None:
        thread = Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):  # It was killed.
            while True:
                client, _address = listener.accept()
                server = self._connect()
                with self._lock:
                    is_killed = listener not in self._open
                    self._open += [client, server]
                if is_killed:
                    client.close()
                    server.close()
                    return
                self.connections += 1
                for each in (client, server):
                    if each.family != socket.AF_UNIX:
                        each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._pass(client, server)
                self._pass(server, client, is_delayed=True)

    def _pass(self, source: socket.socket, sink: socket.socket, *, is_delayed: bool = False) -> None:
        """Pass on what comes from ``source``, each part after ``delay`` seconds if ``is_delayed``."""
        parts: SimpleQueue[tuple[float, bytes]] = SimpleQueue()

        def read() -> None:
            data = b"-"
            while data:
                try:
                    data = source.recv(65536)
                except OSError:
                    data = b""
                parts.put((time.monotonic() + self.delay * is_delayed, data))

        def write() -> None:
            with suppress(OSError):  # It hung up.
                while True:
                    due, data = parts.get()
                    time.sleep(max(0, due - time.monotonic()))
                    self._goes_on.wait()
                    if not data:
                        sink.shutdown(socket.SHUT_WR)
                        return
                    sink.sendall(data)

        self._run(read)
        self._run(write)
