"""The schema that drf-spectacular makes: clean, complete, and true to what the API returns."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from django.core.management import call_command
from django.test import Client
from django.urls import include, path
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema, extend_schema_view
from hypothesis import HealthCheck, Phase, given, settings
from rest_framework import permissions, serializers
from rest_framework.authentication import SessionAuthentication, TokenAuthentication
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from schemathesis.generation import GenerationMode

from allowlist.api.views import APIKeyViewSet
from allowlist.authentication import APIKeyAuthentication
from allowlist.permissions import IsAllowlisted, IsAllowlistedQuietly
from allowlist.testing import AllowlistClient
from allowlist.urls import routes
from tests.conftest import User
from tests.testing import EVIL, SERVER, SHOP, make_key, rolled_back

EXAMPLE = "example_project.urls"


@pytest.fixture(autouse=True)
def _schema(settings: Any) -> None:
    """Have the project's views described by drf-spectacular."""
    settings.REST_FRAMEWORK = {
        "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
        "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"],
    }


def generated(urls: Any = None) -> Any:
    """Return the schema of these routes."""
    return SchemaGenerator(urlconf=EXAMPLE, patterns=urls).get_schema(request=None, public=True)


def test_the_schema_of_the_example_is_valid_and_without_a_warning(tmp_path: Path) -> None:
    file = str(tmp_path / "schema.yml")
    call_command("spectacular", file=file, urlconf=EXAMPLE, validate=True, fail_on_warn=True)


def test_every_operation_of_the_api_says_what_it_returns() -> None:
    operations = [
        operation
        for at, methods in generated()["paths"].items()
        if at.startswith("/api/keys/")
        for operation in methods.values()
    ]
    assert len(operations) == 26
    for operation in operations:
        served = [status for status in operation["responses"] if status[0] == "2"]
        assert len(served) == 1
        assert served == ["204"] or "content" in operation["responses"][served[0]]
        assert operation["responses"].keys() >= {"401", "403"}


def test_what_a_subclass_describes_itself_stays() -> None:
    @extend_schema_view(list=extend_schema(operation_id="my_keys", responses={200: None}))
    class OwnKeys(APIKeyViewSet):
        pass

    routes_of_own = include((routes(key_viewset=OwnKeys), "allowlist"))
    paths = generated([path("own/", routes_of_own)])["paths"]
    assert paths["/own/keys/"]["get"]["operationId"] == "my_keys"
    assert "200" in paths["/own/keys/{id}/check/"]["post"]["responses"]


# Guarded views


class Nothing(serializers.Serializer[Any]):
    """What the views return."""


class Open(APIView):
    """A view without a key."""

    authentication_classes: Any = (SessionAuthentication,)
    permission_classes: Any = (permissions.AllowAny,)

    def get(self, request: Request) -> Response:
        """Serve."""
        return Response()


class OwnCredential(IsAllowlisted):
    """A permission that reads another credential."""

    def get_key(self, request: Any, view: Any) -> Any:
        """Return no key."""
        return None


class ByMethod(Open):
    """A view whose permissions are chosen when it runs."""

    def get_permissions(self) -> Any:
        """Return ours."""
        return [IsAllowlisted()]


Requirement = dict[str, list[str]]
KEY: Requirement = {"AllowlistKey": []}
COOKIE: Requirement = {"cookieAuth": []}
TOKEN: Requirement = {"tokenAuth": []}
BOTH = {**KEY, **COOKIE}
IS_IN = permissions.IsAuthenticated
GUARDED: dict[str, tuple[Any, dict[str, Any], list[dict[str, Any]]]] = {
    "alone": (Open, {"permission_classes": [IsAllowlisted]}, [KEY]),
    "with our authentication": (
        Open,
        {"permission_classes": [IsAllowlisted], "authentication_classes": [APIKeyAuthentication]},
        [KEY],
    ),
    "our authentication alone": (Open, {"authentication_classes": [APIKeyAuthentication]}, [KEY, {}]),
    "two": (Open, {"permission_classes": [IsAllowlisted, IS_IN]}, [BOTH]),
    "and": (Open, {"permission_classes": [IsAllowlisted & IS_IN]}, [BOTH]),
    "and another": (Open, {"permission_classes": [IS_IN & IsAllowlistedQuietly]}, [BOTH]),
    "or": (Open, {"permission_classes": [IsAllowlistedQuietly | IS_IN]}, [KEY, COOKIE]),
    "two logins": (
        Open,
        {
            "permission_classes": [IsAllowlisted & IS_IN],
            "authentication_classes": [APIKeyAuthentication, SessionAuthentication, TokenAuthentication],
        },
        [BOTH, {**KEY, **TOKEN}],
    ),
    "no login to be had": (
        Open,
        {"permission_classes": [IsAllowlisted, IS_IN], "authentication_classes": []},
        [KEY],
    ),
    "by method": (ByMethod, {}, [KEY]),
    "own credential": (Open, {"permission_classes": [OwnCredential]}, [COOKIE]),
    "not": (Open, {"permission_classes": [~IsAllowlistedQuietly]}, [COOKIE]),
    "open": (Open, {}, [COOKIE, {}]),
}


@pytest.mark.parametrize("case", GUARDED)
def test_a_view_names_the_key_if_its_permissions_require_it(case: str) -> None:
    view, attributes, security = GUARDED[case]
    named: Any = type("Described", (view,), {"serializer_class": Nothing, **attributes})
    operation = generated([path("view/", named.as_view())])["paths"]["/view/"]["get"]
    assert operation["security"] == security


def test_permissions_given_to_a_route_and_the_settings_header_count(settings: Any) -> None:
    settings.ALLOWLIST = {"KEY_HEADER": "X-Shop-Key"}
    named: Any = type("Described", (Open,), {"serializer_class": Nothing})
    schema = generated([path("view/", named.as_view(permission_classes=[IsAllowlisted]))])
    assert schema["paths"]["/view/"]["get"]["security"] == [KEY]
    assert schema["components"]["securitySchemes"]["AllowlistKey"] == {
        "type": "apiKey",
        "in": "header",
        "name": "X-Shop-Key",
    }


# What is sent and returned

CASES = 4
"""How many requests are generated for each operation, of the right kind and of the wrong kind each."""


@pytest.mark.django_db
@pytest.mark.urls(EXAMPLE)
def test_generated_requests_get_what_is_described_and_no_server_error(creator: User) -> None:
    key, _token = make_key(creator, [SHOP], [SERVER])
    AllowlistClient(key.token, EVIL).get("/api/widget/v1/config")
    row = key.blocked_sources.get()
    client = Client(raise_request_exception=False)
    client.force_login(creator)
    described = schemathesis.openapi.from_dict(json.loads(json.dumps(generated())))
    found: list[Any] = [each.ok() for each in described.get_all_operations()]  # type: ignore[union-attr]
    operations = [each for each in found if "/keys/" in each.path]
    counts: Counter[int] = Counter()
    for operation in operations:
        ids = {"domains": key.allowed_domains.get().pk, "ips": key.allowed_ips.get().pk, "blocked": row.pk}
        of_list = next((pk for name, pk in ids.items() if f"/{name}/" in operation.path), key.pk)
        names = {name for name in ("key_pk", "id") if f"{{{name}}}" in operation.path}
        there = {name: value for name, value in {"key_pk": key.pk, "id": of_list}.items() if name in names}
        right = operation.as_strategy(path_parameters=there or None)
        wrong = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
        for cases in (right, wrong):
            send_generated(client, operation, cases, counts)
    assert counts.total() >= len(operations) * CASES
    assert {200, 201, 204, 400, 404} <= set(counts)
    assert not [status for status in counts if status >= 500]


def send_generated(client: Client, operation: Any, cases: Any, counts: Counter[int]) -> None:
    """Send generated requests, undo what each writes, and compare the responses with the description."""

    @settings(
        max_examples=CASES,
        database=None,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases)
    def send(case: Any) -> None:
        given = case.as_transport_kwargs(base_url="http://testserver")
        sent = requests.Request(**{**given, "cookies": None}).prepare()
        kind = str(sent.headers.get("Content-Type", ""))
        with rolled_back():
            reply = client.generic(case.method, sent.path_url, sent.body or b"", content_type=kind)
        counts[reply.status_code] += 1
        if reply.status_code in (404, 405) and "/keys/" in sent.path_url:
            return  # A route that doesn't exist, of a request that is meant to be wrong.
        assert str(reply.status_code) in operation.definition.raw["responses"], (sent.path_url, reply.content)
        headers = {name.lower(): [value] for name, value in reply.headers.items()}
        answer = schemathesis.Response(reply.status_code, headers, reply.content, sent, 0.0, verify=False)
        operation.validate_response(answer)

    send()
