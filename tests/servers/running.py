"""Real servers, started on a TCP port or a unix socket, with or without nginx before them."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

import psycopg

from tests import databases
from tests.databases import Config
from tests.demo_server import PATIENCE, ROOT

TRUSTED = ("127.0.0.1", "unix")
"""What TRUSTED_PROXIES holds where the proxy is on this machine."""

APPLICATION = "tests.servers.application"


@dataclass(frozen=True)
class Endpoint:
    """Where a server listens: a port of 127.0.0.1, or a socket's path."""

    at: int | Path

    @property
    def is_socket(self) -> bool:
        """Return whether this is a unix socket."""
        return isinstance(self.at, Path)

    def connect(self, source: str = "127.0.0.1") -> socket.socket:
        """Return a connection, over TCP from the address ``source``."""
        if isinstance(self.at, int):
            return socket.create_connection(("127.0.0.1", self.at), PATIENCE, (source, 0))
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(PATIENCE)
        try:
            connection.connect(str(self.at))
        except OSError:
            connection.close()
            raise
        return connection


@dataclass(frozen=True)
class Server:
    """A program that serves the site, and its options for where to listen."""

    name: str
    command: tuple[str, ...]
    port: tuple[str, ...]
    path: tuple[str, ...] = ()

    def listening(self, endpoint: Endpoint) -> list[str]:
        """Return the command that serves at ``endpoint``."""
        where = self.path if endpoint.is_socket else self.port
        return [sys.executable, "-m", *self.command, *(each.format(endpoint.at) for each in where)]


_GUNICORN = ("gunicorn", f"{APPLICATION}:wsgi")
_BIND = (("--bind=127.0.0.1:{}",), ("--bind=unix:{}",))
_UVICORN = ("uvicorn", f"{APPLICATION}:asgi")
_LISTEN = (("--port={}",), ("--uds={}",))
_DAPHNE = ("daphne", f"{APPLICATION}:asgi")
_OPEN = (("--port={}",), ("-u={}",))

SERVERS = {
    each.name: each
    for each in (
        Server("gunicorn", _GUNICORN, *_BIND),
        Server("gunicorn-gthread", (*_GUNICORN, "--worker-class=gthread", "--threads=4"), *_BIND),
        Server("uvicorn", (*_UVICORN, "--no-proxy-headers"), *_LISTEN),
        Server("daphne", _DAPHNE, *_OPEN),
        Server("runserver", ("django", "runserver", "--noreload", "--skip-checks"), ("127.0.0.1:{}",)),
    )
}
"""The commands of docs/how-to/deployment.md."""

REWRITING = {
    each.name: each
    for each in (
        Server("gunicorn-all", (*_GUNICORN, "--forwarded-allow-ips=*"), *_BIND),
        Server("uvicorn-default", _UVICORN, *_LISTEN),
        Server("uvicorn-all", (*_UVICORN, "--forwarded-allow-ips=*"), *_LISTEN),
        Server("daphne-proxy-headers", (*_DAPHNE, "--proxy-headers"), *_OPEN),
    )
}
"""Servers configured to trust X-Forwarded-For themselves."""


@dataclass(frozen=True)
class Site:
    """What the servers serve: a database, its keys' tokens by name, and a folder for logs."""

    folder: Path
    database: Config
    tokens: dict[str, str]


def sqlite(folder: Path) -> Config:
    """Return a database of a file."""
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(folder / "site.sqlite3"),
        "OPTIONS": {"timeout": 30},
    }


@contextmanager
def postgres() -> Iterator[Config]:
    """Return a database on PostgreSQL for as long as the block runs."""
    at, name = databases.postgres(), f"allowlist_site_{token_hex(6)}"
    reached = {"host": at["HOST"], "port": at["PORT"], "user": at["USER"], "password": at["PASSWORD"]}
    with closing(psycopg.connect(dbname=at["NAME"], autocommit=True, **reached)) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            yield {**at, "NAME": name, "CONN_MAX_AGE": None}
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def prepared(folder: Path, database: Config) -> Site:
    """Create the site's tables and keys."""
    command = [sys.executable, "-m", "tests.servers.prepare"]
    run = subprocess.run(
        command, cwd=ROOT, env=site_environment(database), capture_output=True, text=True, check=True
    )
    return Site(folder, database, json.loads(run.stdout))


def site_environment(database: Config, proxies: tuple[str, ...] = ()) -> dict[str, str]:
    """Return the environment of a process of the site."""
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.servers.settings",
        "SITE_DATABASE": json.dumps(database),
        "SITE_PROXIES": json.dumps(proxies),
    }


@contextmanager
def running(server: Server, endpoint: Endpoint, site: Site, proxies: tuple[str, ...]) -> Iterator[Path]:
    """Serve the site while the block runs; yield the path of the server's log."""
    log = site.folder / f"{server.name}.log"
    with _process(server.listening(endpoint), endpoint, log, site_environment(site.database, proxies)):
        yield log


@contextmanager
def nginx(folder: Path, front: Endpoint, upstream: Endpoint) -> Iterator[None]:
    """Let nginx pass requests from ``front`` to ``upstream``, with the page's directives."""
    log, config = folder / "nginx.log", folder / "nginx.conf"
    page = (ROOT / "docs/how-to/deployment.md").read_text()
    target = f"unix:{upstream.at}:" if upstream.is_socket else f"127.0.0.1:{upstream.at}"
    config.write_text(
        _NGINX.format(
            folder=folder,
            port=front.at,
            target=target,
            directives="\n".join(re.findall(r"^ *proxy_set_header .*;$", page, re.MULTILINE)),
        )
    )
    command = ["nginx", "-p", str(folder), "-c", str(config), "-e", str(log)]
    with _process(command, front, log, dict(os.environ)):
        yield


# One process, with the user that runs the tests: another user couldn't reach the socket.
_NGINX = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://{target};
            {directives}
        }}
    }}
}}
"""


@contextmanager
def _process(command: list[str], endpoint: Endpoint, log: Path, environ: dict[str, str]) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=output, stderr=subprocess.STDOUT)
    try:
        _wait_until_served(process, endpoint, log)
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _wait_until_served(process: subprocess.Popen[bytes], endpoint: Endpoint, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while not _is_served(endpoint):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


def _is_served(endpoint: Endpoint) -> bool:
    try:
        endpoint.connect().close()
    except OSError:
        return False
    return True
