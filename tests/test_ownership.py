"""Creator only: every route, every method, every kind of user. A new route without a row here fails."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, NamedTuple

import pytest
from django.contrib import admin
from django.contrib.admin import AdminSite
from django.contrib.admin.models import LogEntry
from django.db.models import Q, QuerySet
from django.forms import ModelChoiceField
from django.http import HttpRequest
from django.test import Client
from django.urls import URLPattern, URLResolver, reverse
from django.utils import timezone

from allowlist import urls
from allowlist.models import APIKey, BlockedSource
from allowlist.pages import urls as page_urls
from tests.conftest import MakeUser, User
from tests.management import Api, encoded, snapshot, texts
from tests.pages import Admin, Pages, rows
from tests.testapp.admin import ProjectAdmin
from tests.testapp.models import Project
from tests.testapp.sites import backoffice
from tests.testing import statements

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
PEOPLE = ("creator", "stranger", "superuser", "member", "powerless", "nobody")
"""``powerless`` is staff and the key's creator, but has no model permission."""
BLOCKED = "https://blocked.hidden.example"
ENTRIES = ("shop.hidden.example", "blog.hidden.example", "198.51.100.77", "198.51.100.78")


class Owned(NamedTuple):
    """A key and the visitor who requests it."""

    key: APIKey
    client: Client
    visitor: User | None


@pytest.fixture
def owned(who: str, make_user: MakeUser, creator: User, stranger: User, superuser: User) -> Owned:
    """Return a key, and a client of the visitor that the test names."""
    visitors = {
        "creator": creator,
        "stranger": stranger,
        "superuser": superuser,
        "member": make_user("member"),
        "powerless": make_user("powerless", is_staff=True),
        "nobody": None,
    }
    visitor = visitors[who]
    owner = visitor if who == "powerless" else creator
    client = Client()
    if visitor is not None:
        client.force_login(visitor)
    return Owned(make_key(owner), client, visitor)


def make_key(owner: User) -> APIKey:
    """Return a key whose every part can be recognized on a page."""
    key = APIKey.objects.create_key(
        name="Hidden-name",
        creator=owner,
        allowed_domains=[("Hidden-shop", ENTRIES[0]), ENTRIES[1]],
        allowed_ips=[("Hidden-office", ENTRIES[2]), ENTRIES[3]],
    )[0]
    BlockedSource.objects.create(key=key, reason="origin_not_listed", origin=BLOCKED)
    return key


def rows_of(key: APIKey) -> list[Any]:
    """Return all that is stored of the key."""
    return [
        list(APIKey.objects.filter(pk=key.pk).values()),
        *(
            list(getattr(key, field).order_by("pk").values())
            for field in ("allowed_domains", "allowed_ips", "blocked_sources")
        ),
    ]


def seen_of(key: APIKey, response: Any) -> list[str]:
    """Return which parts of the key a response shows, in its body, headers and cookies."""
    shown = response.content.decode() + str(response.headers) + str(response.cookies)
    secrets = ("Hidden", key.token, key.locator, key.digest, str(key.revision), *ENTRIES, BLOCKED)
    return [secret for secret in secrets if secret in shown]


# The management API

API_ROUTES: dict[str, dict[str, int]] = {
    "key-list": {"GET": 200, "POST": 201},
    "key-detail": {"GET": 200, "PATCH": 200, "DELETE": 204},
    "key-rotate": {"POST": 200},
    "key-revoke": {"POST": 200},
    "key-check": {"POST": 200},
    "domain-list": {"GET": 200, "POST": 201, "PUT": 200},
    "domain-restore": {"POST": 400},
    "domain-detail": {"GET": 200, "PATCH": 200, "DELETE": 204},
    "ip-list": {"GET": 200, "POST": 201, "PUT": 200},
    "ip-restore": {"POST": 400},
    "ip-detail": {"GET": 200, "PATCH": 200, "DELETE": 204},
    "blocked-list": {"GET": 200, "DELETE": 204},
    "blocked-allow-several": {"POST": 201},
    "blocked-allow": {"POST": 201},
}
"""The status that a creator gets on each route."""

BODIES: dict[tuple[str, str], Any] = {
    ("key-list", "POST"): {"name": "Theirs"},
    ("key-detail", "PATCH"): {"name": "Changed"},
    ("domain-list", "POST"): "new.example",
    ("domain-list", "PUT"): ["new.example"],
    ("domain-detail", "PATCH"): {"domain": "new.example"},
    ("ip-list", "POST"): "203.0.113.200",
    ("ip-list", "PUT"): ["203.0.113.200"],
    ("ip-detail", "PATCH"): {"ip": "203.0.113.200"},
}


def api_body(route: str, method: str, key: APIKey) -> Any:
    """Return what a creator could send there."""
    if (route, method) == ("blocked-allow-several", "POST"):
        return {"ids": [key.blocked_sources.get().pk]}
    return BODIES.get((route, method), {})


def api_path(route: str, key: APIKey) -> str:
    """Return the path of a route to the key or to the first entry of its list."""
    if route == "key-list":
        return reverse("allowlist:key-list")
    if route.startswith("key-"):
        return reverse(f"allowlist:{route}", args=[key.pk])
    if route.endswith(("-list", "-restore")) or route == "blocked-allow-several":
        return reverse(f"allowlist:{route}", args=[key.pk])
    if route == "blocked-allow":
        return reverse(f"allowlist:{route}", args=[key.pk, key.blocked_sources.get().pk])
    entries: Any = key.allowed_domains if route == "domain-detail" else key.allowed_ips
    return reverse(f"allowlist:{route}", args=[key.pk, entries.first().pk])


def api_status(route: str, method: str, who: str) -> int:
    """Return the status that the response must have."""
    if who == "nobody":
        return 403
    served = API_ROUTES[route].get(method, 405)
    is_found = who in ("creator", "powerless") or route == "key-list"
    return served if is_found or served == 405 else 404


def test_every_route_of_the_api_has_a_row() -> None:
    assert [pattern.name for pattern in urls.urlpatterns] == list(API_ROUTES)


@pytest.mark.parametrize("who", PEOPLE)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("route", API_ROUTES)
def test_api(owned: Owned, route: str, method: str, who: str) -> None:
    key, client, visitor = owned
    key.refresh_from_db()
    before = rows_of(key)
    body = api_body(route, method, key)
    response = client.generic(method, api_path(route, key), encoded(body), content_type="application/json")
    assert response.status_code == api_status(route, method, who)
    if who in ("creator", "powerless"):
        is_read = method == "GET" or route in ("key-list", "key-check")
        writes = not is_read and response.status_code < 300
        assert (rows_of(key) != before) is writes
        assert seen_of(key, response) or method != "GET" or response.status_code != 200
    else:
        assert rows_of(key) == before
        assert seen_of(key, response) == []
    made = APIKey.objects.exclude(pk=key.pk)
    assert [each.creator for each in made] == ([visitor] if response.status_code == 201 and made else [])


def test_a_superuser_has_only_their_own_keys_in_the_api(superuser: User, creator: User) -> None:
    make_key(creator)
    mine = APIKey.objects.create_key(name="Mine", creator=superuser)[0]
    assert [each["id"] for each in Api(superuser).ok("GET", "keys/")["results"]] == [mine.pk]


def test_no_user_finds_a_key_without_a_creator_in_the_api(
    superuser: User, creator: User, stranger: User, make_user: MakeUser
) -> None:
    key = make_key(creator)
    creator.delete()
    for visitor in (superuser, stranger, make_user("member")):
        Api(visitor).refused("GET", f"keys/{key.pk}/", status=404)
    assert Api()("GET", f"keys/{key.pk}/").status_code == 403


def test_only_the_new_creator_finds_a_key_that_was_taken_over(superuser: User, creator: User) -> None:
    key = make_key(creator)
    key.take_over(superuser)
    Api(creator).refused("DELETE", f"keys/{key.pk}/", status=404)
    assert Api(superuser).ok("GET", f"keys/{key.pk}/")["name"] == "Hidden-name"


def keys_of_a_team(user: User) -> Q:
    """Say which keys are a user's, as a project would: the stranger has them all, the creator none."""
    return Q(name__startswith="Hidden") if "stranger" in user.get_username() else Q(pk=0)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("route", API_ROUTES)
def test_keys_of_replaces_the_creator_on_every_route(
    creator: User, stranger: User, settings: Any, route: str, method: str
) -> None:
    settings.ALLOWLIST = {"KEYS_OF": f"{__name__}.keys_of_a_team"}
    key = make_key(creator)
    path, body = api_path(route, key), api_body(route, method, key)
    for user, who in ((creator, "stranger"), (stranger, "creator")):  # They have changed places.
        assert Api(user)(method, path, body).status_code == api_status(route, method, who)


def test_a_missing_key_and_someone_elses_get_the_same_response(creator: User, stranger: User) -> None:
    key = make_key(creator)
    gone = make_key(creator)
    paths = [(api_path(route, key), api_path(route, gone)) for route in API_ROUTES]
    gone.delete()
    client = Client()
    client.force_login(stranger)
    for theirs, none in paths[1:]:
        for method in METHODS:
            answers = [client.generic(method, path, b"{") for path in (theirs, none)]
            assert answers[0].content == answers[1].content
            assert answers[0].status_code == answers[1].status_code
            assert answers[0].headers.items() == answers[1].headers.items()


# The creator's pages

PAGE_ROUTES: dict[str, tuple[int, int]] = {
    "key-list": (200, 405),
    "key-create": (200, 302),
    "key": (200, 302),
    "key-token": (200, 405),
    "key-blocked": (200, 302),
    "key-forget-blocked": (200, 302),
    "key-start-enforcing": (200, 302),
    "key-start-learning": (200, 302),
    "key-check": (200, 302),
    "key-rotate": (200, 302),
    "key-end-old-token": (200, 302),
    "key-revoke": (200, 302),
    "key-restore-domains": (200, 302),
    "key-restore-ips": (200, 302),
    "key-remove-expired-domains": (200, 302),
    "key-remove-expired-ips": (200, 302),
    "key-delete": (200, 302),
}
"""The status that a creator gets on each page, for GET and for POST."""
OF_NO_KEY = ("key-list", "key-create")


def page_path(route: str, key: APIKey) -> str:
    """Return the path of a page about the key."""
    return reverse(f"allowlist_pages:{route}", args=[] if route in OF_NO_KEY else [key.pk])


def page_form(route: str, owner: User, key: APIKey) -> dict[str, Any]:
    """Return what the creator's browser would post there after a change."""
    if route in ("key", "key-create"):
        page = Pages(owner, "/security/").get("create/" if route == "key-create" else f"{key.pk}/")
        return {**page.fields, "name": "Changed"}
    if route == "key-blocked":
        return {"place": str(key.blocked_sources.get().pk)}
    return {"list": "allowed_domains", "entry": "new.example"}


def page_status(route: str, method: str, who: str) -> int:
    """Return the status that the response must have."""
    if who == "nobody":
        return 302
    if who not in ("creator", "powerless") and route not in OF_NO_KEY:
        return 404
    got, posted = PAGE_ROUTES[route]
    return {"GET": got, "POST": posted}.get(method, 405)


def test_every_page_has_a_row() -> None:
    assert {pattern.name for pattern in page_urls.urlpatterns} == set(PAGE_ROUTES)


@pytest.mark.parametrize("who", PEOPLE)
@pytest.mark.parametrize("route", PAGE_ROUTES)
def test_pages(owned: Owned, route: str, who: str) -> None:
    key, client, visitor = owned
    step = route.removeprefix("key-").replace("-", "_")
    prepare(step, key)
    key.refresh_from_db()
    before, form = rows_of(key), page_form(route, key.creator, key)
    path = page_path(route, key)
    for method in ("GET", "PUT", "PATCH", "DELETE", "POST"):
        data = {"data": form} if method == "POST" else {}
        response: Any = getattr(client, method.lower())(path, **data)
        assert response.status_code == page_status(route, method, who), method
        if who not in ("creator", "powerless"):
            assert seen_of(key, response) == []
        if who == "nobody":
            assert response.headers["Location"] == f"/accounts/login/?next={path}"
        assert method == "POST" or rows_of(key) == before
    writes = who in ("creator", "powerless") and route not in (*OF_NO_KEY, "key-token")
    assert (rows_of(key) != before) is writes
    made = APIKey.objects.exclude(pk=key.pk)
    assert [each.creator for each in made] == ([visitor] if visitor and route == "key-create" else [])


@pytest.mark.parametrize("route", PAGE_ROUTES)
def test_keys_of_replaces_the_creator_on_every_creators_page(
    creator: User, stranger: User, settings: Any, route: str
) -> None:
    settings.ALLOWLIST = {"KEYS_OF": f"{__name__}.keys_of_a_team"}
    key = make_key(creator)
    prepare(route.removeprefix("key-").replace("-", "_"), key)
    path, form = page_path(route, key), page_form(route, stranger, key)
    for user, who in ((creator, "stranger"), (stranger, "creator")):  # They have changed places.
        client = Client()
        client.force_login(user)
        statuses = client.get(path).status_code, client.post(path, form).status_code
        assert statuses == tuple(page_status(route, method, who) for method in ("GET", "POST"))


def test_pages_of_a_missing_key_and_of_someone_elses_are_the_same(creator: User, stranger: User) -> None:
    key, gone = make_key(creator), make_key(creator)
    paths = [[page_path(route, each) for each in (key, gone)] for route in PAGE_ROUTES]
    gone.delete()
    client = Client()
    client.force_login(stranger)
    for theirs, none in paths[len(OF_NO_KEY) :]:
        for method in METHODS:
            pages = [client.generic(method, path) for path in (theirs, none)]
            assert pages[0].content == pages[1].content
            assert pages[0].headers.items() == pages[1].headers.items()


def test_the_creators_pages_list_ones_own_keys_alone(creator: User, superuser: User) -> None:
    key = make_key(creator)
    mine = APIKey.objects.create_key(name="Mine", creator=superuser)[0]
    response: Any = Pages(superuser, "/security/").client.get("/security/")
    assert mine.hint in response.content.decode()
    assert seen_of(key, response) == []


def test_another_users_entry_is_not_touched_by_its_id_on_a_page(creator: User, stranger: User) -> None:
    ours = APIKey.objects.create_key(name="Ours", creator=creator, allowed_domains=["ours.example"])[0]
    theirs = make_key(stranger)
    entry, before = theirs.allowed_domains.first(), rows_of(theirs)
    assert entry is not None
    site = Pages(creator, "/security/")
    fields = {**site.get(f"{ours.pk}/").fields, "allowed_domains-0-id": str(entry.pk)}
    for extra in ({}, {"allowed_domains-0-DELETE": "on"}, {"allowed_domains-0-domain": "stolen.example"}):
        response = site.send(f"{ours.pk}/", {**fields, **extra})
        assert seen_of(theirs, response) == []
        assert rows_of(theirs) == before


# The admin

# For the creator, a stranger, a superuser and the powerless: the status for GET and for POST.
STEP = ((200, 302), (404, 404), (403, 403), (403, 403))
SHOWN = ((200, 302), (404, 404), (200, 403), (403, 403))
ADMIN_ROUTES: dict[str, dict[str, tuple[int, int]]] = {
    route: dict(zip(("creator", "stranger", "superuser", "powerless"), statuses, strict=True))
    for route, statuses in {
        "changelist": ((200, 302), (200, 302), (200, 403), (403, 403)),
        "add": ((200, 200), (200, 200), (200, 200), (403, 403)),
        "history": ((200, 200), (404, 404), (200, 200), (403, 403)),
        "change": SHOWN,
        "test": SHOWN,
        "delete": STEP,
        "revoke": STEP,
        "end_old_token": STEP,
        "restore_domains": STEP,
        "restore_ips": STEP,
        "remove_expired_domains": STEP,
        "remove_expired_ips": STEP,
        "allow_blocked": ((302, 302), (404, 404), (403, 403), (403, 403)),
        "forget_blocked": STEP,
        "start_enforcing": STEP,
        "start_learning": STEP,
        "rotate": ((200, 200), (404, 404), (403, 403), (403, 403)),
        "take_over": ((403, 403), (404, 404), (200, 302), (403, 403)),
        "": ((302, 302), (302, 302), (302, 302), (302, 302)),
    }.items()
}
"""The status of each route for each kind of staff, for GET and POST. Everyone else is sent to log in."""

WRITES = {
    *(("creator", route) for route in ADMIN_ROUTES if route not in ("add", "history", "take_over", "")),
    ("superuser", "take_over"),
}
SITES = {"admin": admin.site, "backoffice": backoffice}


def admin_path(site: str, route: str, key: APIKey) -> str:
    """Return the path of a route to the key."""
    if route == "":
        return f"/{site}/allowlist/apikey/{key.pk}/"
    args = [] if route in ("changelist", "add") else [key.pk]
    return reverse(f"{site}:allowlist_apikey_{route}", args=args)


def routes_of(site: AdminSite) -> Iterator[str]:
    """Yield the names of all routes to the app's models, without the prefix that those to keys share."""
    for at in site.get_urls():
        if isinstance(at, URLResolver) and str(at.pattern).startswith("allowlist/"):
            for pattern in at.url_patterns:
                assert isinstance(pattern, URLPattern)
                assert str(at.pattern) == "allowlist/apikey/", at
                yield (pattern.name or "").removeprefix("allowlist_apikey_")


def prepare(route: str, key: APIKey) -> None:
    """Give the key something that the step of the route can do."""
    if route == "end_old_token":
        key.rotate(overlap=timedelta(days=1))
    elif route.startswith("restore"):
        getattr(key, f"allow_all_{route.removeprefix('restore_')}")()
    elif route.startswith("remove_expired"):
        entries: Any = key.allowed_domains if route.endswith("domains") else key.allowed_ips
        last: QuerySet[Any] = QuerySet(entries.model).filter(pk=entries.last().pk)
        last.update(expires_at=timezone.now() - timedelta(days=1))
    elif route == "start_enforcing":
        key.enforcement = "report"
        key.save()
    elif route == "start_learning":
        key.allow_all_domains()
        key.allow_all_ips()


def form_for(route: str, owner: User, site: str, key: APIKey) -> dict[str, Any]:
    """Return what the creator's browser would post there after a change."""
    fields = {"name": "Changed", "kind": "publishable", "environment": "live", "post": "yes"}
    if route == "changelist":
        return {"action": "delete_selected", "_selected_action": str(key.pk), "post": "yes"}
    if route == "add":
        lists = {
            f"{each}-{what}_FORMS": "0"
            for each in ("allowed_domains", "allowed_ips")
            for what in ("TOTAL", "INITIAL")
        }
        modes = {"domain_mode": "all", "ip_mode": "all", "condition": "all", "enforcement": "enforce"}
        return {**fields, **lists, **modes}
    if route == "test":
        return {"list": "allowed_domains", "entry": "new.example"}
    if route == "allow_blocked":
        return {"allow": str(key.blocked_sources.get().pk)}
    if route == "change":
        return {**Admin(owner, site).get(f"{key.pk}/change/").fields, "name": "Changed"}
    return fields


def test_every_route_of_the_admin_has_a_row() -> None:
    for site in SITES.values():
        assert set(routes_of(site)) == set(ADMIN_ROUTES)


@pytest.mark.parametrize("who", PEOPLE)
@pytest.mark.parametrize("route", ADMIN_ROUTES)
@pytest.mark.parametrize("site", SITES)
def test_admin_pages_on_get(owned: Owned, site: str, route: str, who: str) -> None:
    key, client, _ = owned
    prepare(route, key)
    key.refresh_from_db()
    before = snapshot()
    path = admin_path(site, route, key)
    for method in sorted({*METHODS} - {"POST"}):
        response = client.generic(method, path)
        assert response.status_code == ADMIN_ROUTES[route].get(who, (302, 302))[0], method
        assert snapshot() == before
        if who not in ("creator", "superuser"):
            assert seen_of(key, response) == []
        if who in ("member", "nobody"):
            assert response.headers["Location"] == f"/{site}/login/?next={path}"


@pytest.mark.parametrize("who", PEOPLE)
@pytest.mark.parametrize("route", ADMIN_ROUTES)
@pytest.mark.parametrize("site", SITES)
def test_admin_forms_on_post(owned: Owned, creator: User, site: str, route: str, who: str) -> None:
    key, client, visitor = owned
    prepare(route, key)
    form = form_for(route, key.creator, site, key) if who != "powerless" else {"name": "Changed"}
    key.refresh_from_db()
    before = rows_of(key)
    path = admin_path(site, route, key)
    response: Any = client.post(path, form)
    expected = ADMIN_ROUTES[route].get(who, (302, 302))[1]
    assert response.status_code == expected
    assert (rows_of(key) != before) is ((who, route) in WRITES)
    if who not in ("creator", "superuser"):
        assert seen_of(key, response) == []
    if who in ("member", "nobody"):
        assert response.headers["Location"] == f"/{site}/login/?next={path}"
    made = APIKey.objects.exclude(pk=key.pk)
    assert [each.creator for each in made] == ([visitor] if (route, expected) == ("add", 200) else [])


@pytest.mark.parametrize("route", ADMIN_ROUTES)
def test_keys_of_replaces_the_creator_on_every_page(
    creator: User, stranger: User, settings: Any, route: str
) -> None:
    settings.ALLOWLIST = {"KEYS_OF": f"{__name__}.keys_of_a_team"}
    key = make_key(creator)
    prepare(route, key)
    path, form = admin_path("admin", route, key), form_for(route, stranger, "admin", key)
    for user, who in ((creator, "stranger"), (stranger, "creator")):  # They have changed places.
        client = Admin(user).client
        statuses = client.get(path).status_code, client.post(path, form).status_code
        assert statuses == ADMIN_ROUTES[route][who]
    assert (rows_of(key)[0] == []) == (route in ("changelist", "delete"))


@pytest.mark.parametrize(
    "query", ["", "?q=idden-nam", "?q=.example", "?kind__exact=publishable", "?all=", "?_popup=1"]
)
def test_the_list_shows_strangers_nothing_whatever_the_query(
    creator: User, stranger: User, query: str
) -> None:
    key = make_key(creator)
    mine = APIKey.objects.create_key(name="Mine of hers", creator=stranger)[0]
    response: Any = Admin(stranger).client.get(f"/admin/allowlist/apikey/{query}")
    assert seen_of(key, response) == []
    assert "2 API keys" not in response.content.decode()
    assert (mine.hint in response.content.decode()) is ("q=" not in query)


@pytest.mark.parametrize(
    "post", [{}, {"post": "yes"}, {"select_across": "1", "post": "yes"}, {"select_across": "1"}]
)
def test_the_delete_action_leaves_others_keys_alone(
    creator: User, stranger: User, superuser: User, post: dict[str, str]
) -> None:
    key = make_key(creator)
    for visitor in (stranger, superuser):
        own = APIKey.objects.create_key(name="Own", creator=visitor)[0]
        before = rows_of(key)
        form = {"action": "delete_selected", "_selected_action": [str(key.pk), str(own.pk)], **post}
        response: Any = Admin(visitor).client.post("/admin/allowlist/apikey/", form)
        assert rows_of(key) == before
        if visitor is stranger:
            assert seen_of(key, response) == []
            assert APIKey.objects.filter(pk=own.pk).exists() is ("post" not in post)
        elif "post" in post:  # Not even their own: the selection is judged as a whole.
            assert response.status_code == 403
            assert APIKey.objects.filter(pk=own.pk).exists()


def test_an_action_on_the_keys_own_page_is_the_creators(creator: User, superuser: User) -> None:
    key = make_key(creator)
    before = rows_of(key)
    for prefix in ("", "changeform-", "change_form-"):
        form = {f"{prefix}action": "delete_selected", "_selected_action": str(key.pk), "post": "yes"}
        response = Admin(superuser).client.post(f"/admin/allowlist/apikey/{key.pk}/change/", form)
        assert response.status_code in (302, 403)
    assert rows_of(key) == before


def test_the_list_shows_a_superuser_whose_keys_they_are(
    creator: User, superuser: User, make_user: MakeUser
) -> None:
    sent = []
    for owner in (creator, make_user("second"), make_user("third")):
        make_key(owner)
        with statements() as asked:
            page = Admin(superuser).get("")
        assert str(owner) in page.text
        sent.append(len(asked))
    assert sent[1] == sent[2]
    cells = Admin(creator).client.get("/admin/allowlist/apikey/").content.decode()
    assert "column-creator" not in cells


def test_a_superuser_reads_everything_and_is_offered_no_control(creator: User, superuser: User) -> None:
    key = make_key(creator)
    page = Admin(superuser).get(f"{key.pk}/change/")
    for said in ("Hidden-name", "Hidden-shop", *ENTRIES, str(creator)):
        assert said in page.text
    assert not {name for name in page.fields if name.endswith(("name", "mode", "domain", "ip", "domains"))}
    steps = [link.split("/")[-2] for link in page.links if f"apikey/{key.pk}/" in link]
    assert "take-over" in steps
    assert not {"rotate", "revoke", "delete"} & set(steps)


# Other ways round


@pytest.fixture
def theirs(stranger: User) -> APIKey:
    """Return a key of the stranger."""
    return make_key(stranger)


@pytest.fixture
def ours(creator: User) -> APIKey:
    """Return a key of the creator."""
    return APIKey.objects.create_key(
        name="Ours", creator=creator, allowed_domains=["ours.example"], allowed_ips=["192.0.2.1"]
    )[0]


@pytest.mark.parametrize(
    "extra", [{}, {"allowed_domains-0-DELETE": "on"}, {"allowed_domains-0-domain": "stolen.example"}], ids=str
)
@pytest.mark.parametrize("initial", ["1", "0", "2"])
def test_another_users_entry_is_not_touched_by_its_id_in_a_row(
    creator: User, ours: APIKey, theirs: APIKey, extra: dict[str, str], initial: str
) -> None:
    site = Admin(creator)
    entry = theirs.allowed_domains.first()
    assert entry is not None
    before = rows_of(theirs)
    fields = site.get(f"{ours.pk}/change/").fields
    fields |= {"allowed_domains-0-id": str(entry.pk), "allowed_domains-INITIAL_FORMS": initial, **extra}
    for key_field in (str(ours.pk), str(theirs.pk), ""):
        response = site.send(f"{ours.pk}/change/", {**fields, "allowed_domains-0-key": key_field})
        assert response.status_code in (200, 302)
        assert seen_of(theirs, response) == []
        assert rows_of(theirs) == before
    assert not set(texts(ours)) & set(ENTRIES)


def test_anothers_entry_gets_the_same_response_as_a_missing_one(
    creator: User, ours: APIKey, theirs: APIKey
) -> None:
    site = Admin(creator)
    entry = theirs.allowed_domains.first()
    assert entry is not None
    fields = site.get(f"{ours.pk}/change/").fields
    pages = [
        site.refused(f"{ours.pk}/change/", {**fields, "allowed_domains-0-id": pk})
        for pk in (str(entry.pk), "987654321")
    ]
    assert pages[0].errors == pages[1].errors


def test_an_entry_does_not_move_between_ones_own_keys_by_the_form(creator: User, ours: APIKey) -> None:
    other = make_key(creator)
    site = Admin(creator)
    fields = site.get(f"{ours.pk}/change/").fields
    before = snapshot()[1:]
    site.send(f"{ours.pk}/change/", {**fields, "allowed_domains-0-key": str(other.pk)})
    moved = other.allowed_domains.first()
    assert moved is not None
    site.send(f"{ours.pk}/change/", {**fields, "allowed_domains-0-id": str(moved.pk)})
    assert snapshot()[1:] == before


def test_a_new_row_is_the_keys_of_the_url_whatever_key_is_posted(
    creator: User, ours: APIKey, theirs: APIKey
) -> None:
    site = Admin(creator)
    before = rows_of(theirs)
    fields = rows(site.get(f"{ours.pk}/change/").fields, "allowed_domains", ("", "new.example"))
    for field in ("allowed_domains-1-key", "allowed_domains-1-key_id", "key", "id", "pk"):
        site.send(f"{ours.pk}/change/", {**fields, field: str(theirs.pk)})
    assert rows_of(theirs) == before


def test_the_creator_of_a_key_is_not_posted(
    creator: User, stranger: User, superuser: User, ours: APIKey
) -> None:
    posted = {"creator": str(stranger.pk), "creator_id": str(stranger.pk)}
    site = Admin(creator)
    site.saved(f"{ours.pk}/change/", {**site.get(f"{ours.pk}/change/").fields, **posted})
    Admin(superuser).send("add/", {**Admin(superuser).get("add/").fields, "name": "New", **posted})
    assert APIKey.objects.get(pk=ours.pk).creator == creator
    assert APIKey.objects.get(name="New").creator == superuser


def test_save_as_new_takes_nothing_from_anothers_key(creator: User, theirs: APIKey) -> None:
    site = Admin(creator)
    before = rows_of(theirs)
    entry = theirs.allowed_domains.first()
    assert entry is not None
    fields = rows(site.get("add/").fields, "allowed_domains", ("", "mine.example"))
    fields |= {"name": "Mine", "domain_mode": "listed", "allowed_domains-0-id": str(entry.pk)}
    fields |= {"allowed_domains-INITIAL_FORMS": "1", "_saveasnew": "1"}
    response = site.client.post(f"/admin/allowlist/apikey/{theirs.pk}/change/", fields)
    assert rows_of(theirs) == before
    assert seen_of(theirs, response) == []


@pytest.mark.parametrize("site", SITES)
def test_autocompletion_offers_only_ones_own_keys(
    creator: User, stranger: User, superuser: User, ours: APIKey, theirs: APIKey, site: str
) -> None:
    query = {"app_label": "testapp", "model_name": "project", "field_name": "key", "term": ""}
    for visitor, found in ((creator, {ours.pk}), (stranger, {theirs.pk}), (superuser, {ours.pk, theirs.pk})):
        response: Any = Admin(visitor).client.get(f"/{site}/autocomplete/", query)
        assert {int(each["id"]) for each in response.json()["results"]} == found
    response = Admin(creator).client.get(f"/{site}/autocomplete/", {**query, "term": "Hidden"})
    assert seen_of(theirs, response) == []


# Picking a key in another model's form: by autocompletion in the one site, by id in the other, in a select


@pytest.fixture(params=[*SITES, "select"])
def project_pages(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, creator: User) -> Pages:
    """Return the creator's pages of projects, on which they pick a key."""
    if request.param == "select":
        monkeypatch.setattr(ProjectAdmin, "autocomplete_fields", ())
    site = "backoffice" if request.param == "backoffice" else "admin"
    return Pages(creator, f"/{site}/testapp/project/")


def test_a_key_of_ones_own_is_picked_in_a_form(project_pages: Pages, ours: APIKey) -> None:
    project_pages.send("add/", {"name": "Shop", "key": str(ours.pk)})
    project = Project.objects.get()
    assert project.key == ours
    page = project_pages.get(f"{project.pk}/change/")
    assert page.fields["key"] == str(ours.pk)
    assert "Ours" in page.text


@pytest.mark.parametrize("who", ["creator", "superuser"])
def test_anothers_key_is_not_picked_in_a_form(
    project_pages: Pages, superuser: User, ours: APIKey, theirs: APIKey, who: str
) -> None:
    if who == "superuser":
        project_pages.client.force_login(superuser)
    page = project_pages.refused("add/", {"name": "Shop", "key": str(theirs.pk)})
    assert page.errors == ["Select a valid choice. That choice is not one of the available choices."]
    assert "Hidden" not in page.text
    assert not Project.objects.exists()
    assert "Hidden" not in project_pages.get(f"add/?key={theirs.pk}").text


def test_links_to_other_models_are_left_alone(creator: User) -> None:
    request = HttpRequest()
    request.user = creator
    link = LogEntry._meta.get_field("user")
    field = ProjectAdmin(Project, admin.site).formfield_for_foreignkey(link, request)
    assert type(field) is ModelChoiceField


def test_a_form_keeps_anothers_key_without_naming_it(
    project_pages: Pages, stranger: User, theirs: APIKey
) -> None:
    project = Project.objects.create(name="Shop", key=theirs)
    change = f"{project.pk}/change/"
    page = project_pages.get(change)
    assert page.fields["key"] == str(theirs.pk)
    assert "Someone else's key" in page.text
    response = project_pages.send(change, {**page.fields, "name": "Renamed"})
    assert response.status_code == 302
    project.refresh_from_db()
    assert (project.name, project.key) == ("Renamed", theirs)
    third = make_key(stranger)
    page = project_pages.refused(change, {**page.fields, "key": str(third.pk)})
    assert "Hidden" not in page.text


@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("who", PEOPLE)
def test_popups_and_target_fields_show_no_more(owned: Owned, site: str, who: str) -> None:
    """A raw-id field opens the list and the page in a pop-up, and says by which field it picks."""
    key, client, _ = owned
    key.refresh_from_db()
    page = f"/{site}/allowlist/apikey/"
    for path in ("", f"{key.pk}/change/", f"{key.pk}/delete/", f"{key.pk}/history/"):
        for field in ("", "id", "token", "digest", "locator", "creator", "revision"):
            response = client.get(f"{page}{path}", {"_popup": "1", **({"_to_field": field} if field else {})})
            assert response.status_code in (200, 302, 400, 403, 404)
            assert response.status_code != 200 or field in ("", "id") or path.endswith("history/")
            if who not in ("creator", "superuser"):
                assert seen_of(key, response) == []
            assert key.digest not in response.content.decode()


def test_the_log_of_anothers_key_is_not_shown(creator: User, stranger: User, theirs: APIKey) -> None:
    hers = Admin(stranger)
    hers.saved(f"{theirs.pk}/change/", {**hers.get(f"{theirs.pk}/change/").fields, "enforcement": "report"})
    assert LogEntry.objects.count() == 1
    site = Admin(creator)
    for path in (
        "/admin/",
        "/admin/allowlist/",
        "/admin/allowlist/apikey/",
        f"/admin/allowlist/apikey/{theirs.pk}/history/",
    ):
        assert seen_of(theirs, site.client.get(path)) == []
    assert site.client.get("/admin/admin/logentry/").status_code == 404


def test_what_depends_on_a_key_is_shown_with_it_to_its_creator_alone(
    creator: User, stranger: User, theirs: APIKey
) -> None:
    Project.objects.create(name="Hidden-project", key=theirs)
    assert "Hidden-project" in Admin(stranger).get(f"{theirs.pk}/delete/").text
    response = Admin(creator).client.get(f"/admin/allowlist/apikey/{theirs.pk}/delete/")
    assert response.status_code == 404
    assert seen_of(theirs, response) == []
