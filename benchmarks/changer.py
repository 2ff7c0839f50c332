"""A process of the site that changes keys: each input line is a change, each output line its result."""

import json
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import django


def main() -> None:
    """Make the changes until the input ends."""
    django.setup()
    from allowlist.models import APIKey

    def create(name: str) -> tuple[Any, str]:
        key, token = APIKey.objects.create_key(name=name, creator=None)
        return key.pk, token

    def change(pk: Any, method: str, *arguments: Any) -> Any:
        return getattr(APIKey.objects.get(pk=pk), method)(*arguments)

    def rotate(pk: Any, hours: int) -> Any:
        return change(pk, "rotate", timedelta(hours=hours))

    does: dict[str, Callable[..., Any]] = {"create": create, "rotate": rotate}
    for line in sys.stdin:
        method, *arguments = json.loads(line)
        result = does[method](*arguments) if method in does else change(arguments[0], method, *arguments[1:])
        print(json.dumps(result, default=str), flush=True)


main()
