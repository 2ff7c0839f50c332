"""Creates the site's database and keys. Runs as a process and prints the tokens by name, as JSON."""

import json

import django
from django.core.management import call_command


def main() -> None:
    """Create one key of each kind that the requests need."""
    django.setup()
    call_command("migrate", verbosity=0)
    from tests.testing import SERVER, SHOP, make_key

    keys = {
        "page": make_key(name="page", domains=[SHOP]),
        "server": make_key(name="server", kind="secret", ips=[SERVER]),
        "local": make_key(name="local", kind="secret", ips=["127.0.0.1"]),
    }
    print(json.dumps({name: token for name, (_key, token) in keys.items()}))


main()
