"""Another process of the same project: it answers requests that it reads from its standard input.

Run as ``python -m tests.other_process NAMES``, where NAMES are the databases' names by alias, as
JSON. Each line of the input is the arguments of ``probes.ask``, each of the output its answer.
"""

import json
import sys

import django
from django.conf import settings


def main(names: dict[str, str]) -> None:
    """Answer until the input ends."""
    for alias, name in names.items():
        settings.DATABASES[alias]["NAME"] = name
    django.setup()
    from tests.probes import ask

    for line in sys.stdin:
        print(json.dumps(ask(**json.loads(line))), flush=True)


main(json.loads(sys.argv[1]))
