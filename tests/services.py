"""The services that some tests need, and whether this machine has them.

``absent("node")`` is None, or the reason that a skipped test gives.
"""

import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import psycopg
import pymysql

from tests import databases

NO_AXE_CORE = "axe-core not installed (npm install axe-core, or name its folder in NODE_PATH)"


@cache
def absent(name: str) -> str | None:
    """Return why the service ``name`` can't be used here, or None if it can."""
    return SERVICES[name]()


def _postgres() -> str | None:
    at = databases.postgres()
    try:
        psycopg.connect(
            host=at["HOST"],
            port=at["PORT"],
            user=at["USER"],
            password=at["PASSWORD"],
            dbname=at["NAME"],
            connect_timeout=3,
        ).close()
    except psycopg.OperationalError as error:
        return f"PostgreSQL is not reachable on {at['HOST']}:{at['PORT']} ({_first_line(error)})"
    return None


def _mariadb() -> str | None:
    at = databases.mariadb()
    try:
        pymysql.connect(
            host=at["HOST"],
            port=int(at["PORT"]),
            user=at["USER"],
            password=at["PASSWORD"],
            connect_timeout=3,
        ).close()
    # Not pymysql.err's: once Django has imported MySQLdb's submodules, that is another class.
    except pymysql.OperationalError as error:
        return f"MariaDB is not reachable on {at['HOST']}:{at['PORT']} ({_first_line(error)})"
    return None


def _program(*names: str) -> Callable[[], str | None]:
    def missing() -> str | None:
        gone = [name for name in names if shutil.which(name) is None]
        return f"{' and '.join(gone)} not installed" if gone else None

    return missing


def axe_core() -> Path:
    """Return the script of axe-core that Node.js finds from here or in NODE_PATH."""
    command = ["node", "-p", "require.resolve('axe-core/axe.min.js')"]
    run = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    return Path(run.stdout.strip())


def _axe_core() -> str | None:
    try:
        axe_core()
    except (OSError, subprocess.CalledProcessError):
        return NO_AXE_CORE
    return None


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


SERVICES: dict[str, Callable[[], str | None]] = {
    "postgres": _postgres,
    "mariadb": _mariadb,
    "chromium": _program("chromium", "chromedriver"),
    "curl": _program("bash", "curl"),
    "node": _program("node"),
    "axe-core": _axe_core,
    "redis-server": _program("redis-server"),
    "openssl": _program("openssl"),
    "nginx": _program("nginx"),
    "java": _program("java"),
    "xgettext": _program("xgettext", "msgmerge"),
}
