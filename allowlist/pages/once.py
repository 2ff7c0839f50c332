"""Forms that may be sent once: a second one gets what the first one did.

The key that a form creates has its locator from the form. A locator is unique, so the database refuses the
second key, also when both forms are sent at the same moment.
"""

import secrets

from django.db import router, transaction
from django.http import HttpRequest
from django.utils.crypto import salted_hmac

from ..models import APIKey
from ..policy.tokens import locator_from

FIELD = "once"


def new() -> str:
    """Return the number of a form that is shown."""
    return secrets.token_hex(8)


def locator_of(request: HttpRequest) -> str | None:
    """Return the locator of the key that the form creates; None for a form without a number."""
    number = request.POST.get(FIELD)
    if not number:
        return None
    sent = salted_hmac("allowlist.pages.once", f"{request.user.pk} {number}", algorithm="sha256")
    return locator_from(sent.digest())


def made(locator: str | None) -> APIKey | None:
    """Return the key that the form created when it was sent before; None if it wasn't."""
    alias = router.db_for_write(APIKey)
    with transaction.atomic(using=alias):
        # A locking read finds what another request has committed since this one's transaction began.
        return APIKey.objects.using(alias).select_for_update().filter(locator=locator).first()
