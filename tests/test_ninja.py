"""Django Ninja: ``auth=Allowlisted()``. tests/test_doors.py has what each request gets."""

from typing import Any

import pytest
from django.db import transaction
from django.test import RequestFactory
from django.urls import path
from ninja import NinjaAPI

from allowlist.contrib.ninja import Allowlisted, install
from allowlist.models import APIKey
from allowlist.permissions import IsAllowlisted, IsAllowlistedQuietly
from tests.testing import EVIL, SHOP, body, call, call_async, make_key

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


class ByName(IsAllowlisted):
    """The project's header names the key."""

    domain_message = "Not on this domain."

    def get_key(self, request: Any, view: Any) -> Any:
        """Return the key of that name."""
        assert view is None
        return APIKey.objects.get(name=request.headers["X-Project"])


stock, full = NinjaAPI(urls_namespace="stock"), NinjaAPI(urls_namespace="full")
install(full)


def nobody(request: Any) -> None:
    """Authenticate nobody."""


for api in (stock, full):

    @api.get("/sync/", auth=Allowlisted())
    @api.get("/sync/second/", auth=[nobody, Allowlisted()])
    @api.get("/sync/own/", auth=Allowlisted(permission=ByName))
    def operation(request: Any) -> Any:
        """Return the key's name."""
        return {"key": request.auth.name}

    @api.get("/async/", auth=Allowlisted())
    @api.get("/async/own/", auth=Allowlisted(permission=ByName))
    async def async_operation(request: Any) -> Any:
        """Return the key's name."""
        return {"key": request.auth.name}


urls = {"stock": stock.urls, "full": full.urls}
for each in (*urls["stock"][0], *urls["full"][0]):
    transaction.non_atomic_requests(each.callback)
urlpatterns = [path(f"{name}/", patterns) for name, patterns in urls.items()]
SENDERS = {"sync": call, "async": call_async}


@pytest.mark.parametrize("way", SENDERS)
def test_without_install_a_refusal_has_our_status_and_ninja_s_body(way: str) -> None:
    _key, token = make_key(domains=[SHOP])
    url, send = f"/stock/{way}/", SENDERS[way]
    assert body(send(url, token, origin=SHOP)) == {"key": "widget"}
    refused = send(url, token, origin=EVIL)
    assert (refused.status_code, list(body(refused))) == (403, ["detail"])
    assert "your domain is allowlisted" in body(refused)["detail"]
    assert send(url).status_code == 401


@pytest.mark.parametrize("way", SENDERS)
def test_a_permission_of_the_project_finds_the_key_and_words_the_refusal(way: str) -> None:
    make_key(name="mine", domains=[SHOP])
    url, send = f"/full/{way}/own/", SENDERS[way]
    assert body(send(url, None, {"X-Project": "mine"}, origin=SHOP)) == {"key": "mine"}
    assert body(send(url, None, {"X-Project": "mine"}, origin=EVIL))["message"] == "Not on this domain."
    assert send(url, None, {"X-Project": "nobody's"}, origin=SHOP).status_code == 503


def test_it_refuses_what_the_ones_before_it_left() -> None:
    _key, token = make_key(domains=[SHOP])
    assert body(call("/full/sync/second/", token, origin=SHOP)) == {"key": "widget"}
    assert call("/full/sync/second/", token, origin=EVIL).status_code == 403


def test_the_scheme_is_in_the_openapi_document(settings: Any) -> None:
    settings.ALLOWLIST = {"KEY_HEADER": "X-Widget-Key"}
    schema: Any = stock.get_openapi_schema(path_prefix="")
    scheme = {"type": "apiKey", "in": "header", "name": "X-Widget-Key"}
    assert schema["components"]["securitySchemes"] == {"Allowlisted": scheme}
    assert schema["paths"]["/async/"]["get"]["security"] == [{"Allowlisted": []}]


def test_wrong_use_fails_at_import() -> None:
    quietly: Any = IsAllowlistedQuietly
    with pytest.raises(TypeError, match="It must be IsAllowlisted or a subclass"):
        Allowlisted(permission=quietly)
    with pytest.raises(TypeError, match="the name of a URL kwarg"):
        Allowlisted(key_kwarg="{key}")


def test_a_request_that_was_not_routed_has_no_key_in_its_path() -> None:
    with pytest.raises(Exception, match="No API key was sent"):
        Allowlisted(key_kwarg="public_id")(RequestFactory().get("/"))
