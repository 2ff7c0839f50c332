"""The management API in other people's projects: their prefixes, defaults, users and subclasses."""

import base64
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client, override_settings
from django.urls import include, path
from rest_framework import pagination, parsers, renderers, versioning
from rest_framework.authentication import BasicAuthentication, SessionAuthentication
from rest_framework.exceptions import PermissionDenied
from rest_framework.filters import BaseFilterBackend
from rest_framework.generics import GenericAPIView
from rest_framework.permissions import AllowAny, IsAdminUser
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework_json_api.metadata import JSONAPIMetadata
from rest_framework_json_api.pagination import JsonApiPageNumberPagination
from rest_framework_json_api.parsers import JSONParser
from rest_framework_json_api.renderers import JSONRenderer

from allowlist import urls
from allowlist.api.views import APIKeyViewSet, DomainViewSet
from allowlist.authentication import APIKeyAuthentication
from allowlist.models import APIKey
from allowlist.permissions import IsAllowlisted
from tests.conftest import MakeUser, User
from tests.management import Api, snapshot, texts
from tests.testapp.models import Invoice, Project
from tests.testapp.views import HeaderAuthentication, ProjectKeyViewSet

DEFAULTS: dict[str, tuple[type, str]] = {
    "DEFAULT_AUTHENTICATION_CLASSES": (APIView, "authentication_classes"),
    "DEFAULT_PERMISSION_CLASSES": (APIView, "permission_classes"),
    "DEFAULT_PARSER_CLASSES": (APIView, "parser_classes"),
    "DEFAULT_RENDERER_CLASSES": (APIView, "renderer_classes"),
    "DEFAULT_METADATA_CLASS": (APIView, "metadata_class"),
    "DEFAULT_VERSIONING_CLASS": (APIView, "versioning_class"),
    "DEFAULT_FILTER_BACKENDS": (GenericAPIView, "filter_backends"),
    "DEFAULT_PAGINATION_CLASS": (GenericAPIView, "pagination_class"),
}
"""Where DRF's defaults go when it is imported, which is before any test can set them."""

SetDefault = Callable[[str, Any], None]


@pytest.fixture
def set_default(monkeypatch: pytest.MonkeyPatch) -> SetDefault:
    """Return a function that gives the project another default for all views of DRF."""
    return lambda name, value: monkeypatch.setattr(*DEFAULTS[name], value)


@pytest.fixture
def api(creator: User) -> Api:
    """Return a client of the creator's."""
    return Api(creator)


@pytest.fixture
def key(creator: User) -> APIKey:
    """Return a publishable key with one entry in each list."""
    return APIKey.objects.create_key(
        name="Widget", creator=creator, allowed_domains=["example.com"], allowed_ips=["203.0.113.7"]
    )[0]


def mounted(*patterns: Any) -> Any:
    """Serve only these routes in the block."""
    return override_settings(ROOT_URLCONF=type("Urls", (), {"urlpatterns": list(patterns)}))


# Prefixes and versions

PREFIXES = ["", "v/<str:version>/", "orgs/<int:org>/", "teams/<int:pk>/"]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_every_route_works_behind_any_prefix(api: Api, key: APIKey, prefix: str) -> None:
    at = "/" + re.sub("<.*>", "7", prefix) + "keys/"
    entry = f"{at}{key.pk}/domains/{key.allowed_domains.get().pk}/"
    with mounted(path(prefix, include("allowlist.urls"))):
        made = api.ok("POST", at, {"name": "New"}, 201)
        assert api.ok("GET", at)["count"] == 2
        assert api.ok("OPTIONS", at)["name"]
        for method, below, body in (
            ("GET", "", None),
            ("PATCH", "", {"name": "N"}),
            ("POST", "rotate/", {}),
            ("POST", "domains/", ["a.test"]),
            ("GET", "domains/", None),
            ("PUT", "ips/", ["203.0.113.8"]),
            ("OPTIONS", "ips/", None),
            ("POST", "revoke/", {}),
            ("DELETE", "", None),
        ):
            assert api(method, f"{at}{made['id']}/{below}", body or {}).status_code < 300, (method, below)
        assert api.ok("GET", entry)["domain"] == "example.com"
        assert api.ok("PATCH", entry, {"name": "N"})["name"] == "N"
        assert api("DELETE", entry).status_code == 400  # It is the list's last one.


@pytest.mark.parametrize(
    "scheme",
    [
        versioning.AcceptHeaderVersioning,
        versioning.URLPathVersioning,
        versioning.NamespaceVersioning,
        versioning.HostNameVersioning,
        versioning.QueryParameterVersioning,
    ],
)
def test_it_works_with_every_versioning_scheme(
    api: Api, key: APIKey, scheme: Any, set_default: SetDefault, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_default("DEFAULT_VERSIONING_CLASS", scheme)
    monkeypatch.setattr(versioning.BaseVersioning, "allowed_versions", ["v1"])
    for response in (api("GET", "keys/"), api("GET", f"keys/{key.pk}/", HTTP_ACCEPT="*/*; version=v1")):
        assert response.status_code == 200


# Pages of keys


class ByCreated(pagination.CursorPagination):
    page_size = 3


class ByName(ByCreated):
    ordering = ("name", "pk")


class SmallPages(pagination.PageNumberPagination):
    page_size = 3


class NoPageSize(pagination.PageNumberPagination):
    page_size = None


class NoLimit(pagination.LimitOffsetPagination):
    default_limit = None


@pytest.mark.parametrize(
    ("default", "size"),
    [(None, 100), (NoPageSize, 100), (NoLimit, 100), (SmallPages, 3), (ByCreated, 3), (ByName, 3)],
)
def test_keys_come_in_pages_and_entries_whole(
    api: Api, creator: User, set_default: SetDefault, default: Any, size: int
) -> None:
    set_default("DEFAULT_PAGINATION_CLASS", default)
    made = [APIKey.objects.create_key(name=f"Key {number}", creator=creator)[0] for number in range(size + 1)]
    first = api.ok("GET", "keys/")
    assert first["previous"] is None
    second = api.ok("GET", first["next"].removeprefix("http://testserver"))
    assert [len(page["results"]) for page in (first, second)] == [size, 1]
    assert len({each["id"] for page in (first, second) for each in page["results"]}) == size + 1
    if not issubclass(default or SmallPages, ByCreated):
        assert first.keys() == {"count", "next", "previous", "results"}
        assert first["count"] == size + 1
    added = api.ok("POST", f"keys/{made[0].pk}/domains/", [f"{n}.test" for n in range(5)], 201)["added"]
    assert added == api.ok("GET", f"keys/{made[0].pk}/domains/")


# JSON:API

JSON_API = "application/vnd.api+json"


@pytest.fixture
def json_api(set_default: SetDefault, settings: Any) -> None:
    """Set a project up as the documentation of djangorestframework-jsonapi says."""
    set_default("DEFAULT_PARSER_CLASSES", [JSONParser, parsers.FormParser])
    set_default("DEFAULT_RENDERER_CLASSES", [JSONRenderer, renderers.BrowsableAPIRenderer])
    set_default("DEFAULT_METADATA_CLASS", JSONAPIMetadata)
    set_default("DEFAULT_PAGINATION_CLASS", JsonApiPageNumberPagination)
    settings.REST_FRAMEWORK = {"EXCEPTION_HANDLER": "rest_framework_json_api.exceptions.exception_handler"}


@pytest.mark.usefixtures("json_api")
def test_a_json_api_project_reads_and_writes_keys_as_resources(api: Api, key: APIKey) -> None:
    def send(method: str, path: str, resource: dict[str, Any]) -> Any:
        response = api(method, path, {"data": resource}, content_type=JSON_API)
        return response.status_code, response.json()

    new = {"type": "APIKey", "attributes": {"name": "New", "allowed_domains": ["a.test"]}}
    status, made = send("POST", "keys/", new)
    assert (status, made["data"]["type"]) == (201, "APIKey")
    assert api.ok("GET", "keys/")["data"][0]["id"] == str(key.pk)
    read = api.ok("GET", f"keys/{key.pk}/")["data"]
    assert send("PATCH", f"keys/{key.pk}/", read) == (200, {"data": read})
    for step, attributes in (("rotate", {"overlap": 60}), ("revoke", {})):
        status, shown = send("POST", f"keys/{key.pk}/{step}/", {"type": "APIKey", "attributes": attributes})
        assert (status, shown["data"]["type"], shown["data"]["id"]) == (200, "APIKey", str(key.pk))
    status, refused = send("POST", "keys/", {**new, "attributes": {"name": "N", "domains": ["a.test"]}})
    assert (status, refused["errors"][0]["source"]) == (400, {"pointer": "/data/attributes/domains"})


@pytest.mark.usefixtures("json_api")
@pytest.mark.parametrize(
    "document",
    [
        {"data": {"type": "APIKey", "attributes": "x"}},
        {"data": {"type": "APIKey", "attributes": {"name": "n"}, "relationships": 5}},
        {"data": {"type": "APIKey", "attributes": {"name": "n"}, "relationships": {"creator": 5}}},
        {"data": {"type": "APIKey", "attributes": {"name": "n"}, "allowed_domains": ["a.test"]}},
        {"data": {"type": "APIKey", "attributes": {"name": "n"}}, "allowed_domains": ["a.test"]},
        {"data": 5},
        [],
        b"{",
    ],
    ids=str,
)
def test_a_json_api_body_of_the_wrong_kind_is_a_400_and_creates_no_key(api: Api, document: Any) -> None:
    response = api("POST", "keys/", document, content_type="application/vnd.api+json")
    assert (response.status_code, APIKey.objects.count()) == (400, 0)


@pytest.mark.usefixtures("json_api")
def test_a_json_api_project_writes_whole_lists_as_plain_json(api: Api, key: APIKey) -> None:
    at = f"keys/{key.pk}/domains/"
    put = api.ok("PUT", at, ["a.test", {"domain": "b.test", "name": "B"}])["data"]
    assert [each["attributes"]["domain"] for each in put] == ["a.test", "b.test"]
    api.ok("POST", at, ["c.test", "*.com"], 400)
    assert api.ok("POST", at, ["c.test"], 201)["data"]["added"][0]["domain"] == "c.test"
    resource = {"type": "AllowedDomain", "id": str(key.pk), "attributes": {"domain": "d.test"}}
    for wrong in (resource, [resource], {**resource, "id": "0"}):
        assert api("PUT", at, {"data": wrong}, content_type=JSON_API).status_code in (400, 409)
    assert texts(key) == ["a.test", "b.test", "c.test", "203.0.113.7"]


class Shouting(renderers.JSONRenderer):
    media_type = "application/shout+json"

    def render(self, data: Any, *args: Any, **kwargs: Any) -> bytes:
        return super().render(data, *args, **kwargs).upper()


class FormsOnly(parsers.FormParser):
    """The only parser of a project."""


def sorry(error: Any, context: Any) -> Response:
    """Handle exceptions as a project may."""
    return Response({"sorry": type(error).__name__}, status=error.status_code)


def test_a_projects_renderers_parsers_and_exception_handler_are_used(
    api: Api, key: APIKey, stranger: User, set_default: SetDefault, settings: Any
) -> None:
    set_default("DEFAULT_RENDERER_CLASSES", [Shouting])
    set_default("DEFAULT_PARSER_CLASSES", [FormsOnly])
    settings.REST_FRAMEWORK = {"EXCEPTION_HANDLER": sorry}
    assert b'"NAME":"WIDGET"' in api("GET", f"keys/{key.pk}/").content
    assert api("PUT", f"keys/{key.pk}/domains/", ["a.test"]).status_code == 200
    response = Api(stranger)("GET", f"keys/{key.pk}/")
    assert (response.status_code, response.content) == (404, b'{"SORRY":"NOTFOUND"}')
    assert response.headers["Cache-Control"] == NO_STORE


# What is cached, and how much is read


def test_no_response_is_cached(api: Api, key: APIKey, stranger: User) -> None:
    at = f"keys/{key.pk}/"
    for status, response in (
        (200, api("GET", at)),
        (201, api("POST", "keys/", {"name": "N"})),
        (200, api("OPTIONS", at)),
        (400, api("PATCH", at, {"nmae": "N"})),
        (403, Api()("GET", at)),
        (404, Api(stranger)("GET", at)),
        (405, api("PUT", at)),
        (406, api("GET", at, HTTP_ACCEPT="image/png")),
        (415, api("POST", "keys/", b"x", content_type="text/plain")),
        (204, api("DELETE", at)),
    ):
        assert (response.status_code, response.headers["Cache-Control"]) == (status, NO_STORE)


def test_a_cache_of_the_whole_site_shows_no_token_to_other_users(
    key: APIKey, creator: User, stranger: User, set_default: SetDefault, settings: Any
) -> None:
    caching = "django.middleware.cache.{}CacheMiddleware"
    update, fetch = caching.format("Update"), caching.format("FetchFrom")
    settings.MIDDLEWARE = [update, *settings.MIDDLEWARE, fetch]
    set_default("DEFAULT_AUTHENTICATION_CLASSES", [HeaderAuthentication])  # It varies on no cookie.
    assert Api()("GET", f"keys/{key.pk}/", HTTP_X_TEST_USER=str(creator.pk)).status_code == 200
    assert Api()("GET", f"keys/{key.pk}/", HTTP_X_TEST_USER=str(stranger.pk)).status_code == 404
    assert Api()("GET", f"keys/{key.pk}/").status_code == 401


NO_STORE = "private, no-store"
FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json", b'{"name": "N"' + b" " * 10_000_000 + b"}", 413),
        (FORM, b"name=" + b"x" * 10_000_000, 413),
        (FORM, b"&".join(b"name=x" for _ in range(1001)), 400),
        ("multipart/form-data; boundary=x", b"x" * 10_000_000, 413),
    ],
)
@pytest.mark.parametrize("enforced", [False, True])
def test_a_body_that_is_too_large_is_refused(
    creator: User, content_type: str, body: bytes, status: int, enforced: bool
) -> None:
    client = Client(enforce_csrf_checks=enforced)
    client.force_login(creator)
    response = client.generic("POST", "/api/keys/", body, content_type=content_type)
    assert response.status_code in ({status, 403} if enforced else {status})
    assert response.headers["Cache-Control"] == NO_STORE
    assert not APIKey.objects.exists()


def test_a_project_may_take_larger_bodies(api: Api, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = None
    assert api("POST", "keys/", b'{"name": "N"' + b" " * 10_000_000 + b"}").status_code == 201


# Who is let in


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEFAULT_PERMISSION_CLASSES", [AllowAny]),
        ("DEFAULT_PERMISSION_CLASSES", [IsAdminUser]),
        ("DEFAULT_PERMISSION_CLASSES", [IsAllowlisted]),
        ("DEFAULT_FILTER_BACKENDS", [BaseFilterBackend]),  # It raises an error if it is used.
        ("UNAUTHENTICATED_USER", None),
    ],
)
def test_the_projects_defaults_neither_open_nor_close_it(
    set_default: SetDefault, settings: Any, name: str, value: Any, make_user: MakeUser
) -> None:
    member = make_user("member")
    made = APIKey.objects.create_key(name="Members", creator=member)[0]
    if name in DEFAULTS:
        set_default(name, value)
    else:
        settings.REST_FRAMEWORK = {name: value}
    assert Api(member).ok("GET", f"keys/{made.pk}/")["name"] == "Members"
    assert [each["id"] for each in Api(member).ok("GET", "keys/")["results"]] == [made.pk]
    assert Api()("GET", f"keys/{made.pk}/").status_code == 403
    assert Api()("GET", "keys/").status_code == 403


BASIC = "rest_framework.authentication.BasicAuthentication"


def by_password(user: User) -> Any:
    """Send the user's name and password with a request."""
    pair = base64.b64encode(f"{user.get_username()}:password".encode()).decode()
    return Api()("GET", "keys/", HTTP_AUTHORIZATION=f"Basic {pair}").status_code


@pytest.mark.parametrize(
    ("rest_framework", "password", "session"),
    [
        ({}, 403, 200),  # A password alone would pass a second factor.
        ({"PAGE_SIZE": 5}, 403, 200),
        ({"DEFAULT_AUTHENTICATION_CLASSES": [BASIC]}, 200, 401),
        ({"DEFAULT_AUTHENTICATION_CLASSES": []}, 403, 403),
    ],
    ids=str,
)
def test_a_password_alone_counts_only_if_the_project_says_so(
    creator: User, settings: Any, rest_framework: Any, password: int, session: int
) -> None:
    settings.REST_FRAMEWORK = rest_framework
    assert by_password(creator) == password
    assert Api(creator)("GET", "keys/").status_code == session


def test_a_subclass_may_choose_its_authentication(creator: User) -> None:
    class ByPassword(APIKeyViewSet):
        authentication_classes = (SessionAuthentication, BasicAuthentication)

    with mounted(path("api/", include((urls.routes(key_viewset=ByPassword), "allowlist")))):
        assert by_password(creator) == 200


def test_a_subclass_that_lets_everyone_in_still_needs_a_login(key: APIKey) -> None:
    class Open(APIKeyViewSet):
        permission_classes = (AllowAny,)

    with mounted(path("api/", include((urls.routes(key_viewset=Open), "allowlist")))):
        assert Api()("GET", "keys/").status_code == 403
        assert Api().refused("POST", "keys/", {"name": "N"}, 403)


def test_the_projects_own_authentication_of_people_is_used(
    key: APIKey, creator: User, set_default: SetDefault
) -> None:
    set_default("DEFAULT_AUTHENTICATION_CLASSES", [HeaderAuthentication])
    assert Api()("GET", f"keys/{key.pk}/", HTTP_X_TEST_USER=str(creator.pk)).status_code == 200
    assert Api(creator)("GET", f"keys/{key.pk}/").status_code == 401


@pytest.mark.parametrize(
    "classes",
    [None, [APIKeyAuthentication, SessionAuthentication], [APIKeyAuthentication]],
    ids=["plain", "with keys", "only keys"],
)
@pytest.mark.parametrize("kind", ["publishable", "secret"])
@pytest.mark.parametrize("place", ["X-API-Key", "Api-Key", "Bearer", "query"])
def test_an_api_key_is_never_a_login(
    creator: User, set_default: SetDefault, classes: Any, kind: str, place: str
) -> None:
    made, token = APIKey.objects.create_key(name="Open", creator=creator, kind=kind)
    if classes is not None:
        set_default("DEFAULT_AUTHENTICATION_CLASSES", classes)
    headers = {
        "X-API-Key": {"HTTP_X_API_KEY": token},
        "Api-Key": {"HTTP_AUTHORIZATION": f"Api-Key {token}"},
        "Bearer": {"HTTP_AUTHORIZATION": f"Bearer {token}"},
        "query": {},
    }[place]
    query = f"?key={token}" if place == "query" else ""
    before = snapshot()
    for path_ in ("keys/", f"keys/{made.pk}/", f"keys/{made.pk}/domains/"):
        for method in ("GET", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"):
            assert Api()(method, path_ + query, {"name": "N"}, **headers).status_code in (401, 403)
    assert snapshot() == before


def test_a_key_among_the_projects_authenticators_is_not_even_looked_up(
    creator: User, set_default: SetDefault
) -> None:
    made, token = APIKey.objects.create_key(name="Ours", creator=creator)
    set_default("DEFAULT_AUTHENTICATION_CLASSES", [APIKeyAuthentication, SessionAuthentication])
    shown = Api(creator)("GET", "keys/", HTTP_X_API_KEY=token).json()["results"]
    assert [each["id"] for each in shown] == [made.pk]
    made.refresh_from_db()
    assert made.last_used_at is None


def test_a_login_by_session_needs_the_csrf_token(creator: User, key: APIKey) -> None:
    api = Api()
    api.client = Client(enforce_csrf_checks=True)
    api.client.force_login(creator)
    assert api("GET", f"keys/{key.pk}/").status_code == 200
    assert api("DELETE", f"keys/{key.pk}/").status_code == 403
    assert APIKey.objects.filter(pk=key.pk).exists()


# MAY_HAVE_KEYS


def only_creators(user: User) -> bool:
    """Say who may have keys, as a project would."""
    return "creator" in user.get_username()


def truthy(user: User) -> Any:
    """Return what is true but isn't True, as a coroutine function would."""
    return "maybe"


def broken(user: User) -> bool:
    """Fail."""
    raise ZeroDivisionError


def test_may_have_keys_comes_before_any_404(api: Api, key: APIKey, stranger: User, settings: Any) -> None:
    settings.ALLOWLIST = {"MAY_HAVE_KEYS": f"{__name__}.only_creators"}
    assert api.ok("GET", f"keys/{key.pk}/")["name"] == "Widget"
    api.refused("GET", "keys/0/", status=404)
    for at in ("keys/", f"keys/{key.pk}/", "keys/0/", "keys/0/domains/", "keys/0/ips/1/"):
        for method in ("GET", "POST", "OPTIONS", "DELETE"):
            refused = Api(stranger).refused(method, at, {}, 403)
            assert refused == {"detail": "Your account can't have API keys."}
    assert Api()("GET", "keys/").status_code == 403


@pytest.mark.parametrize("name", ["truthy", "broken", "is_not_there"])
def test_a_broken_may_have_keys_lets_nobody_in(
    api: Api, key: APIKey, settings: Any, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings.ALLOWLIST = {"MAY_HAVE_KEYS": f"{__name__}.{name}"}
    assert api("GET", f"keys/{key.pk}/").status_code == 403
    assert "MAY_HAVE_KEYS" in caplog.text


# Subclasses


def test_a_subclass_sets_the_text_of_every_404(api: Api, key: APIKey, stranger: User) -> None:
    assert issubclass(ProjectKeyViewSet, APIKeyViewSet)
    for client, pk in ((Api(stranger), key.pk), (api, 0)):
        assert client.refused("GET", f"/projects/{pk}/", status=404) == {"detail": "Project not found"}


class OfTeams:
    """Keys are a team's: every one whose name starts so."""

    def get_keys(self) -> Any:
        return APIKey.objects.filter(name__startswith="Team")


class TeamKeys(OfTeams, APIKeyViewSet):
    def perform_create(self, serializer: Any) -> None:
        team = self.kwargs["team"]
        Project.objects.create(name=team, key=serializer.save())
        if team == "closed":
            raise PermissionDenied


class TeamDomains(OfTeams, DomainViewSet):
    pass


@pytest.fixture
def teams() -> Iterator[None]:
    """Serve a project's own viewsets under a prefix of its own."""
    routes = urls.routes(key_viewset=TeamKeys, domain_viewset=TeamDomains)
    with mounted(path("<str:team>/", include((routes, "allowlist")))):
        yield


@pytest.mark.usefixtures("teams")
def test_get_keys_of_a_subclass_scopes_reads_and_writes_alike(stranger: User, creator: User) -> None:
    fields = {"creator": creator, "allowed_domains": ["a.test", "b.test"]}
    team, other = (APIKey.objects.create_key(name=name, **fields)[0] for name in ("Team 1", "Mine"))
    [first, *_] = team.allowed_domains.all()
    client = Api(stranger)
    assert [each["id"] for each in client.ok("GET", "/red/keys/")["results"]] == [team.pk]
    for method, below, body in (
        ("GET", "", None),
        ("PATCH", "", {"enforcement": "report"}),
        ("POST", "rotate/", {}),
        ("POST", "domains/", "c.test"),
        ("PUT", "domains/", ["b.test", "d.test"]),
        ("POST", "revoke/", {}),
        ("DELETE", "", None),
    ):
        assert client(method, f"/red/keys/{team.pk}/{below}", body).status_code < 300, (method, below)
        assert Api(creator)(method, f"/red/keys/{other.pk}/{below}", body).status_code == 404
    assert Api(creator)("DELETE", f"/red/keys/{other.pk}/domains/{first.pk}/").status_code == 404


@pytest.mark.usefixtures("teams")
def test_perform_create_of_a_subclass_attaches_a_row_all_or_nothing(creator: User) -> None:
    made = Api(creator).ok("POST", "/red/keys/", {"name": "Outside of get_keys()"}, 201)
    assert (Project.objects.get().name, Project.objects.get().key_id) == ("red", made["id"])
    Api(creator).refused("POST", "/closed/keys/", {"name": "Team"}, 403)
    assert Project.objects.count() == 1


class InText(APIKeyViewSet):
    """Served by a route that takes anything for a key's id."""


def test_a_route_of_the_projects_that_takes_any_text_responds_with_404(api: Api, key: APIKey) -> None:
    with mounted(path("k/<str:pk>/", InText.as_view({"get": "retrieve"}))):
        assert api.ok("GET", f"/k/{key.pk}/")["id"] == key.pk
        for pk in ("x", "1.5", "٣", "%00", "None", "9" * 5000):
            assert api("GET", f"/k/{pk}/").status_code == 404


@pytest.mark.parametrize("relation", ["key", "former_key"])
def test_a_key_that_another_model_protects_is_not_deleted(api: Api, key: APIKey, relation: str) -> None:
    Invoice(**{relation: key}).save()
    assert api.refused("DELETE", f"keys/{key.pk}/", status=409) == {
        "detail": "This key can't be deleted because it is still used by: invoice. Revoke it instead."
    }
