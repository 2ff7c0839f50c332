"""Impler's page on allowed domains, sentence by sentence."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from allowlist.models import APIKey
from example_project.recipes.impler.models import Project
from tests.calls import Answer, body
from tests.pages import Admin
from tests.recipes import ask, logged_in

pytestmark = [pytest.mark.recipe("impler"), pytest.mark.django_db(databases="__all__")]

YOURAPP = "https://yourapp.com"
MALICIOUS = "https://malicious-site.com"
ROWS = [{"name": "Ada", "email": "ada@example.com"}]

OPENED = [("GET", "/v1/widget", None, 200), ("POST", "/v1/imports", ROWS, 201)]
"""Everything that a project's key opens: method, path, body, status when served."""
EVERY_REQUEST = pytest.mark.parametrize(("method", "path", "data", "status"), OPENED, ids=["widget", "API"])


@pytest.fixture
def project(creator: Any) -> Project:
    """Return a project that its creator made in the web app, with nothing configured."""
    made = ask("/v1/projects", method="POST", data={"name": "Customers"}, client=logged_in(creator))
    assert made.status_code == 201
    return Project.objects.get(pk=body(made)["id"])


@pytest.fixture
def member(stranger: Any, project: Project) -> Any:
    """Return somebody with every model permission who was invited to the project."""
    project.members.add(stranger)
    return stranger


def save(project: Project, *domains: Any, method: str = "PUT", user: Any = None, **more: Any) -> Answer:
    """Send the whole list, as “Save Domains” does, unless said by the project's creator."""
    client = logged_in(project.key.creator if user is None else user)
    return ask(settings_of(project), method=method, data={"allowed_domains": domains}, client=client, **more)


def configure(project: Project, *domains: str) -> None:
    """Have the project's creator save the list."""
    saved = save(project, *domains)
    assert saved.status_code == 200, saved.content


def configured(project: Project) -> list[str]:
    """Return the list as its creator reads it."""
    listed: list[str] = body(ask(settings_of(project), client=logged_in(project.key.creator)))[
        "allowed_domains"
    ]
    return listed


def settings_of(project: Project) -> str:
    """Return the path of the project's allowed domains."""
    return f"/v1/projects/{project.pk}/allowed-domains"


def widget(project: Project, **source: Any) -> int:
    """Return the status of the project's widget, asked for from somewhere."""
    return int(ask("/v1/widget", project.key.token, **source).status_code)


# By default


@pytest.mark.parametrize(
    "source",
    [
        {"origin": YOURAPP},
        {"origin": MALICIOUS},
        {"referer": "http://localhost:3000/page"},
        {"origin": "null"},
        {"headers": {"Sec-Fetch-Site": "cross-site"}},
        {},
    ],
    ids=str,
)
def test_by_default_a_key_can_be_used_from_any_origin(project: Project, source: Any) -> None:
    """“By default, your Impler API key can be used from any origin.”

    “If no domains are configured at all, all origins are permitted — this is the default, so existing
    integrations are unaffected.”
    """
    assert widget(project, **source) == 200


# How it works


@EVERY_REQUEST
def test_a_page_that_is_not_listed_cannot_use_a_copied_key(
    project: Project, method: str, path: str, data: Any, status: int
) -> None:
    """“Someone could copy it and embed your Impler widget on their own site … prevents this”

    “If the header is present but not on the list → request is rejected with 401 Unauthorized”
    """
    configure(project, YOURAPP)
    refused = ask(path, project.key.token, method=method, data=data, origin=MALICIOUS)
    assert refused.status_code == 401
    assert refused["WWW-Authenticate"] == "Api-Key"
    assert body(refused)["message"] == "Domain not allowed"
    assert body(refused)["reason"] == "origin_not_listed"
    assert "yourapp" not in refused.content.decode()


@EVERY_REQUEST
def test_a_listed_page_proceeds_normally(
    project: Project, method: str, path: str, data: Any, status: int
) -> None:
    """“If the header is present and matches an allowed domain → request proceeds normally”"""
    configure(project, YOURAPP)
    served = ask(path, project.key.token, method=method, data=data, origin=YOURAPP)
    assert served.status_code == status
    assert body(served)["project"] == "Customers"


@pytest.mark.parametrize(
    ("source", "status"),
    [
        ({"origin": YOURAPP}, 200),
        ({"referer": f"{YOURAPP}/import?step=2"}, 200),
        ({"origin": MALICIOUS}, 401),
        ({"referer": f"{MALICIOUS}/import"}, 401),
        ({"origin": YOURAPP, "referer": f"{MALICIOUS}/import"}, 200),
        ({"origin": MALICIOUS, "referer": f"{YOURAPP}/import"}, 401),
        ({"origin": "null", "referer": f"{YOURAPP}/import"}, 401),
        ({"origin": "", "referer": f"{YOURAPP}/import"}, 401),
    ],
    ids=str,
)
def test_origin_or_referer_is_inspected(project: Project, source: Any, status: int) -> None:
    """“Impler inspects the Origin (or Referer) header”: Referer only where there is no Origin."""
    configure(project, YOURAPP)
    assert widget(project, **source) == status


def test_each_incoming_request_is_inspected(project: Project) -> None:
    """“on each incoming request”: a change counts from the next one on."""
    seen = []
    for domains in ([YOURAPP], [MALICIOUS], [YOURAPP, MALICIOUS], []):
        configure(project, *domains)
        seen.append((widget(project, origin=YOURAPP), widget(project, origin=MALICIOUS)))
    assert seen == [(200, 401), (401, 200), (200, 200), (200, 200)]


@EVERY_REQUEST
@pytest.mark.parametrize(
    "domains",
    [[], [YOURAPP], ["http://localhost:3000"], [f"https://site{number}.example.com" for number in range(30)]],
    ids=["none", "one", "localhost", "thirty"],
)
def test_servers_are_not_affected_whatever_is_configured(
    project: Project, domains: list[str], method: str, path: str, data: Any, status: int
) -> None:
    """“Server-to-server API calls … are not affected by this setting, regardless of what domains are
    configured.” “If the header is absent … → request proceeds normally”

    “Calls from your server, scripts, or tools like Postman do not include these headers and are never
    blocked.”
    """
    configure(project, *domains)
    for tool in (None, "python-requests/2.32", "curl/8.5.0", "PostmanRuntime/7.43.0"):
        served = ask(path, project.key.token, method=method, data=data, headers={"User-Agent": tool})
        assert served.status_code == status


def test_a_creator_has_no_way_to_restrict_servers(project: Project) -> None:
    """“are not affected by this setting, regardless”: there is one list, and one way to judge by it."""
    configure(project, YOURAPP)
    admin = Admin(project.key.creator)
    change = f"{project.key.pk}/change/"
    fields = admin.get(change).fields
    assert fields.keys() & {"domain_mode", "ip_mode", "condition"} == set()
    admin.send(change, {**fields, "ip_mode": "listed", "condition": "by_source"})
    admin.send(change, {**fields, "paste_ips": "203.0.113.7"})
    with pytest.raises(ValidationError, match="cannot be switched"):
        project.key.restrict_ips(["203.0.113.7"])
    project.key.condition = "by_source"
    with pytest.raises(ValidationError, match="Choose one of: all"):
        project.key.save()
    assert widget(project, REMOTE_ADDR="198.51.100.9") == 200
    assert widget(project, origin=YOURAPP, REMOTE_ADDR="198.51.100.9") == 200


@pytest.mark.parametrize("site", ["cross-site", "same-origin", "none"])
def test_a_browser_that_hides_its_page_is_no_server(project: Project, site: str) -> None:
    """Differs on purpose: “typical of server-to-server calls” is what this request is not."""
    configure(project, YOURAPP)
    refused = ask("/v1/widget", project.key.token, headers={"Sec-Fetch-Site": site})
    assert refused.status_code == 401
    assert body(refused)["message"] == "Domain not allowed"
    assert body(refused)["reason"] == "origin_hidden"


# Who can manage allowed domains?


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_the_project_creator_updates_the_list(project: Project, method: str) -> None:
    """“Only the project creator can update the allowed domains list.”"""
    saved = save(project, YOURAPP, method=method)
    assert (saved.status_code, body(saved)) == (200, {"allowed_domains": [YOURAPP]})
    assert widget(project, origin=MALICIOUS) == 401


@pytest.mark.parametrize("who", ["stranger", "member", "superuser"])
@pytest.mark.parametrize("method", ["PUT", "PATCH", "GET", "OPTIONS"])
def test_nobody_but_the_creator_finds_the_list(
    project: Project, who: str, method: str, request: pytest.FixtureRequest
) -> None:
    """“validates that the authenticated user is the same user who originally created the project”

    “Team members who were invited to the project cannot modify this setting”. None of them reads it
    either, which differs on purpose.
    """
    configure(project, YOURAPP)
    refused = save(project, MALICIOUS, method=method, user=request.getfixturevalue(who))
    assert (refused.status_code, body(refused)) == (404, {"detail": "Project not found"})
    assert configured(project) == [YOURAPP]


def test_team_members_have_other_access(project: Project, member: Any, superuser: Any) -> None:
    """“even if they have other access”: they work on the project, and cannot tell what is listed."""
    configure(project, YOURAPP)
    shown = {"id": project.pk, "name": "Customers", "api_key": project.key.token}
    assert body(ask("/v1/projects", client=logged_in(member))) == [shown]
    assert body(ask("/v1/projects", client=logged_in(project.key.creator))) == [shown]
    assert body(ask("/v1/projects", client=logged_in(superuser))) == []


def test_team_members_do_not_find_the_key_in_the_admin(project: Project, member: Any) -> None:
    """“cannot modify this setting, even if they have other access”: every model permission, here."""
    admin = Admin(member)
    admin.get(f"{project.key.pk}/change/", status=404)
    assert project.name not in admin.get("").text


def test_it_is_enforced_before_anything_sent_is_judged(project: Project, stranger: Any) -> None:
    """“Impler enforces this at the API level.”: what is wrong with the list is told to its creator alone."""
    bad = {"allowed_domains": ["not a domain"]}
    path = settings_of(project)
    assert ask(path, method="PUT", data=bad, client=logged_in(stranger)).status_code == 404
    assert ask(path, method="PUT", data=bad, client=logged_in(project.key.creator)).status_code == 400
    missing = ask("/v1/projects/999999/allowed-domains", method="PUT", data=bad, client=logged_in(stranger))
    assert (missing.status_code, body(missing)) == (404, {"detail": "Project not found"})


def test_the_key_is_no_login(project: Project) -> None:
    """“the settings UI is authenticated via your user session, not the API key”"""
    path, token, data = settings_of(project), project.key.token, {"allowed_domains": [MALICIOUS]}
    for headers in ({"X-API-Key": token}, {"Authorization": f"Api-Key {token}"}):
        assert ask(path, method="PUT", data=data, headers=headers).status_code == 403
    assert configured(project) == []


def test_a_session_alone_is_not_enough_for_another_site_s_form(project: Project, creator: Any) -> None:
    """“authenticated via your user session”: so it takes the session's CSRF token as well."""
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(creator)
    refused = ask(settings_of(project), method="PUT", data={"allowed_domains": []}, client=browser)
    assert refused.status_code == 403
    assert "CSRF" in refused.content.decode()


def test_a_key_without_a_project_opens_nothing(creator: Any) -> None:
    """“your project's API key” is the one that the project was made with."""
    _key, token = APIKey.objects.create_key(name="alone", creator=creator)
    assert ask("/v1/widget", token).status_code == 404


# Configuring allowed domains


def test_as_many_domains_as_needed(project: Project) -> None:
    """“Add as many domains as needed.”"""
    domains = [f"https://site{number}.example.com" for number in range(60)]
    configure(project, *domains)
    assert configured(project) == domains
    assert {widget(project, origin=domain) for domain in domains} == {200}
    assert widget(project, origin=MALICIOUS) == 401


def test_what_is_added_counts_at_once(project: Project) -> None:
    """“type a domain … to add it”, “Click Save Domains”: there is no other switch, in the admin neither."""
    admin = Admin(project.key.creator)
    change = f"{project.key.pk}/change/"
    admin.saved(change, {**admin.get(change).fields, "paste_domains": YOURAPP})
    assert (widget(project, origin=YOURAPP), widget(project, origin=MALICIOUS)) == (200, 401)


@pytest.mark.parametrize(
    "entry",
    [
        "yourapp.com",
        "localhost",
        "*.yourapp.com",
        "https://*.yourapp.com",
        "ftp://yourapp.com",
        "file:///home/ada/page.html",
        "chrome-extension://abcdefghijklmnop",
        "//yourapp.com",
        "https://yourapp.com/import",
        "https://",
        "null",
        "*",
        "",
    ],
)
def test_only_http_and_https_origins_are_accepted(project: Project, entry: str) -> None:
    """“Only http:// and https:// origins are accepted.”"""
    configure(project, YOURAPP)
    refused = save(project, "https://good.example.com", entry)
    assert refused.status_code == 400
    ((position, sentences),) = body(refused)["allowed_domains"].items()
    assert position == "1"
    assert all(sentences)
    assert configured(project) == [YOURAPP]


@pytest.mark.parametrize(
    "data", [None, [], {}, {"allowed_domains": YOURAPP}, {"allowed_domains": [[]]}], ids=str
)
def test_what_is_no_list_is_refused(project: Project, data: Any) -> None:
    """“Save Domains” sends the whole list: none is not the empty one, which would open the key."""
    configure(project, YOURAPP)
    sent = ask(settings_of(project), method="PUT", data=data, client=logged_in(project.key.creator))
    assert sent.status_code == 400
    assert configured(project) == [YOURAPP]


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://yourapp.com", 200),
        ("https://yourapp.com:443", 200),
        ("https://YourApp.com", 200),
        ("http://yourapp.com", 401),
        ("https://yourapp.com:8443", 401),
        ("https://www.yourapp.com", 401),
        ("https://yourapp.com.malicious-site.com", 401),
        ("https://notyourapp.com", 401),
        ("https://yourapp.com@malicious-site.com", 401),
    ],
)
def test_domains_are_matched_on_protocol_and_host(project: Project, origin: str, status: int) -> None:
    """“Domains are matched on protocol + host”: the host with its port, as browsers have it."""
    configure(project, YOURAPP)
    assert widget(project, origin=origin) == status


@pytest.mark.parametrize(
    "domains",
    [["https://yourapp.com"], ["https://yourapp.com/"], ["https://yourapp.com", "https://yourapp.com/"]],
    ids=str,
)
def test_a_trailing_slash_makes_no_other_entry(project: Project, domains: list[str]) -> None:
    """“`https://yourapp.com` and `https://yourapp.com/` are treated as the same entry”"""
    configure(project, *domains)
    assert configured(project) == ["https://yourapp.com"]
    assert (widget(project, origin=YOURAPP), widget(project, referer=f"{YOURAPP}/")) == (200, 200)


def test_http_and_https_are_different_origins(project: Project) -> None:
    """“`http://yourapp.com` and `https://yourapp.com` are treated as different origins”"""
    plain, secure = "http://yourapp.com", "https://yourapp.com"
    seen = []
    for domains in ([plain], [secure], [plain, secure]):
        configure(project, *domains)
        assert set(configured(project)) == set(domains)
        seen.append((widget(project, origin=plain), widget(project, origin=secure)))
    assert seen == [(200, 401), (401, 200), (200, 200)]


# Example


def test_the_example(project: Project) -> None:
    """“any API request made with your project's API key from https://malicious-site.com will be rejected
    automatically, while your widget continues to work normally”
    """
    ours = "https://app.yourcompany.com"
    configure(project, ours)
    preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}
    for method, path, data, status in OPENED:
        assert ask(path, project.key.token, method=method, data=data, origin=MALICIOUS).status_code == 401
        asked = ask(path, method="OPTIONS", origin=ours, headers=preflight)
        assert (asked.status_code, asked["Access-Control-Allow-Origin"]) == (200, ours)
        served = ask(path, project.key.token, method=method, data=data, origin=ours)
        assert (served.status_code, served["Access-Control-Allow-Origin"]) == (status, ours)


def test_the_example_of_several_environments(project: Project) -> None:
    """“If you have multiple environments or domains, add all of them”"""
    domains = ["https://app.yourcompany.com", "https://staging.yourcompany.com", "http://localhost:3000"]
    configure(project, *domains)
    assert configured(project) == domains
    assert [widget(project, origin=domain) for domain in domains] == [200, 200, 200]
    assert widget(project, origin=MALICIOUS) == 401


# Behavior reference


@pytest.mark.parametrize(
    ("domains", "source", "status", "result"),
    [
        pytest.param([], {"origin": MALICIOUS}, 200, None, id="No allowed domains configured"),
        pytest.param([YOURAPP], {}, 200, None, id="Request has no Origin/Referer header"),
        pytest.param([YOURAPP], {"origin": YOURAPP}, 200, None, id="Origin matches an allowed domain"),
        pytest.param(
            [YOURAPP], {"origin": MALICIOUS}, 401, "Domain not allowed", id="Origin does NOT match any"
        ),
    ],
)
def test_the_table_of_requests(
    project: Project, domains: list[str], source: Any, status: int, result: str | None
) -> None:
    """Rows 1 to 4 of the table."""
    configure(project, *domains)
    answer = ask("/v1/widget", project.key.token, **source)
    assert (answer.status_code, body(answer).get("message")) == (status, result)


@pytest.mark.parametrize(
    ("who", "status", "result"),
    [
        pytest.param(
            "member", 404, {"detail": "Project not found"}, id="Non-creator tries to update allowed domains"
        ),
        pytest.param(
            "creator", 200, {"allowed_domains": [YOURAPP]}, id="Project creator updates allowed domains"
        ),
    ],
)
def test_the_table_of_updates(
    project: Project, who: str, status: int, result: Any, request: pytest.FixtureRequest
) -> None:
    """Rows 5 and 6 of the table."""
    answer = save(project, YOURAPP, user=request.getfixturevalue(who))
    assert (answer.status_code, body(answer)) == (status, result)


# Clearing all allowed domains


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_an_empty_list_disables_the_restriction(project: Project, method: str) -> None:
    """“remove all entries … and click Save Domains. An empty list disables the restriction.”"""
    configure(project, YOURAPP)
    assert widget(project, origin=MALICIOUS) == 401
    cleared = save(project, method=method)
    assert (cleared.status_code, body(cleared)) == (200, {"allowed_domains": []})
    assert (widget(project, origin=MALICIOUS), widget(project)) == (200, 200)


# Frequently asked questions


@pytest.mark.parametrize("port", [3000, 5173])
def test_localhost_can_be_added_and_removed(project: Project, port: int) -> None:
    """“Add http://localhost:3000 (or whichever port you use) … and remove it before going to production”"""
    local = f"http://localhost:{port}"
    configure(project, YOURAPP, local)
    assert (widget(project, origin=local), widget(project, origin="http://localhost:9")) == (200, 401)
    configure(project, YOURAPP)
    assert widget(project, origin=local) == 401


def test_who_locks_themselves_out_can_still_update_the_list(project: Project) -> None:
    """“You can always update the allowed domains list from the Impler dashboard … so it remains accessible
    regardless.”
    """
    configure(project, "https://yuorapp.com")
    assert widget(project, origin=YOURAPP) == 401
    dashboard = {"origin": "https://web.impler.example", "referer": "https://web.impler.example/settings"}
    for token in (None, project.key.token):
        assert save(project, YOURAPP, token=token, **dashboard).status_code == 200
    assert widget(project, origin=YOURAPP) == 200


def test_who_locks_themselves_out_can_still_open_the_admin(project: Project) -> None:
    """“the settings UI … remains accessible regardless”"""
    configure(project, "https://yuorapp.com")
    admin = Admin(project.key.creator)
    admin.client.defaults["HTTP_ORIGIN"] = "https://web.impler.example"
    change = f"{project.key.pk}/change/"
    admin.saved(change, {**admin.get(change).fields, "paste_domains": YOURAPP})
    assert configured(project) == ["https://yuorapp.com", YOURAPP]
