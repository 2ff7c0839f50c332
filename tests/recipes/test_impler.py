"""Impler's page on allowed domains, sentence by sentence."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from allowlist.models import APIKey
from example_project.recipes.impler.models import Project
from tests.recipes import logged_in
from tests.testing import Reply, body, call

pytestmark = [pytest.mark.recipe("impler"), pytest.mark.django_db(databases="__all__")]

YOURAPP, MALICIOUS = "https://yourapp.com", "https://malicious-site.com"
ROWS = [{"name": "Ada", "email": "ada@example.com"}]
EVERY_REQUEST = pytest.mark.parametrize(
    ("request_of", "status"),
    [({"path": "/v1/widget"}, 200), ({"path": "/v1/imports", "method": "POST", "data": ROWS}, 201)],
    ids=["widget", "API"],
)
"""Everything that a project's key opens, with the status when served."""


@pytest.fixture
def project(creator: Any) -> Project:
    """Return a project that its creator made in the web app, with nothing configured."""
    made = call("/v1/projects", method="POST", data={"name": "Customers"}, client=logged_in(creator))
    return Project.objects.get(pk=body(made)["id"])


@pytest.fixture
def member(stranger: Any, project: Project) -> Any:
    """Return a user with every model permission who was invited to the project."""
    project.members.add(stranger)
    return stranger


def save(project: Project, *domains: Any, method: str = "PUT", user: Any = None, **more: Any) -> Reply:
    """Send the whole list as “Save Domains” does, by default as the project's creator."""
    client = logged_in(project.key.creator if user is None else user)
    return call(settings_of(project), method=method, data={"allowed_domains": domains}, client=client, **more)


def configure(project: Project, *domains: str) -> None:
    """Save the list as the project's creator."""
    saved = save(project, *domains)
    assert saved.status_code == 200, saved.content


def configured(project: Project) -> list[str]:
    """Return the list as its creator reads it."""
    shown = call(settings_of(project), client=logged_in(project.key.creator))
    return list(body(shown)["allowed_domains"])


def settings_of(project: Project) -> str:
    """Return the path of the project's allowed domains."""
    return f"/v1/projects/{project.pk}/allowed-domains"


def widget(project: Project, *origins: str | None) -> list[int]:
    """Return the statuses of the project's widget, requested by pages of the origins or a server (None)."""
    return [call("/v1/widget", project.key.token, origin=origin).status_code for origin in origins]


# How it works


@EVERY_REQUEST
@pytest.mark.parametrize(
    ("domains", "source", "is_served"),
    [
        pytest.param([], {"origin": MALICIOUS}, True, id="No allowed domains configured"),
        pytest.param([], {"headers": {"Sec-Fetch-Site": "cross-site"}}, True, id="none, hidden page"),
        pytest.param([], {}, True, id="none, server"),
        pytest.param([YOURAPP], {}, True, id="Request has no Origin/Referer header"),
        pytest.param([YOURAPP], {"headers": {"User-Agent": "PostmanRuntime/7.43.0"}}, True, id="Postman"),
        pytest.param([YOURAPP], {"origin": YOURAPP}, True, id="Origin matches an allowed domain"),
        pytest.param([YOURAPP], {"origin": MALICIOUS}, False, id="Origin does NOT match any allowed domain"),
        pytest.param([YOURAPP], {"referer": f"{YOURAPP}/import"}, True, id="Referer matches"),
        pytest.param([YOURAPP], {"referer": f"{MALICIOUS}/"}, False, id="Referer does not match"),
        pytest.param(
            [YOURAPP], {"origin": MALICIOUS, "referer": f"{YOURAPP}/"}, False, id="Origin before Referer"
        ),
    ],
)
def test_the_table_of_requests(
    project: Project, domains: list[str], source: Any, is_served: bool, request_of: Any, status: int
) -> None:
    """Rows 1 to 4 of the table, for the widget and the API; the sentences above it say the same."""
    configure(project, *domains)
    response = call(token=project.key.token, **request_of, **source)
    if is_served:
        assert (response.status_code, body(response)["project"]) == (status, "Customers")
    else:
        assert (response.status_code, body(response)["message"]) == (401, "Domain not allowed")
        assert response["WWW-Authenticate"] == "Api-Key"
        assert "yourapp" not in response.content.decode()


def test_each_incoming_request_is_inspected(project: Project) -> None:
    """“on each incoming request”, and “An empty list disables the restriction.”"""
    seen = []
    for domains in ([YOURAPP], [MALICIOUS], [YOURAPP, MALICIOUS], []):
        configure(project, *domains)
        seen.append(widget(project, YOURAPP, MALICIOUS))
    assert seen == [[200, 401], [401, 200], [200, 200], [200, 200]]


def test_a_creator_has_no_way_to_restrict_servers(project: Project) -> None:
    """“are not affected by this setting, regardless”: the key has one list, and one condition."""
    configure(project, YOURAPP)
    with pytest.raises(ValidationError):
        project.key.restrict_ips(["203.0.113.7"])
    project.key.condition = "by_source"
    with pytest.raises(ValidationError):
        project.key.save()
    assert widget(project, None, YOURAPP) == [200, 200]


def test_a_browser_that_hides_its_page_is_no_server(project: Project) -> None:
    """Differs on purpose: “typical of server-to-server calls” is not true of this request."""
    configure(project, YOURAPP)
    refused = call("/v1/widget", project.key.token, headers={"Sec-Fetch-Site": "cross-site"})
    assert (refused.status_code, body(refused)["reason"]) == (401, "origin_hidden")


# Who can manage allowed domains?


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_the_project_creator_updates_the_list(project: Project, method: str) -> None:
    """“Only the project creator can update the allowed domains list.” And row 6 of the table."""
    saved = save(project, YOURAPP, method=method)
    assert (saved.status_code, body(saved)) == (200, {"allowed_domains": [YOURAPP]})


@pytest.mark.parametrize("who", ["stranger", "member", "superuser"])
@pytest.mark.parametrize("method", ["PUT", "PATCH", "GET", "OPTIONS"])
def test_nobody_but_the_creator_finds_the_list(
    project: Project, who: str, method: str, request: pytest.FixtureRequest
) -> None:
    """“Team members who were invited to the project cannot modify this setting”, and row 5 of the table.

    They can't read it either, which differs on purpose. An invalid list makes no difference: “Impler
    enforces this at the API level.”
    """
    configure(project, YOURAPP)
    user = request.getfixturevalue(who)
    for domain in (MALICIOUS, "invalid"):
        refused = save(project, domain, method=method, user=user)
        assert (refused.status_code, body(refused)) == (404, {"detail": "Project not found"})
    assert configured(project) == [YOURAPP]


def test_team_members_have_other_access(project: Project, member: Any, superuser: Any) -> None:
    """“even if they have other access”: they see the project and its key, and not what is listed."""
    configure(project, YOURAPP)
    shown = {"id": project.pk, "name": "Customers", "api_key": project.key.token}
    for user, projects in ((member, [shown]), (project.key.creator, [shown]), (superuser, [])):
        assert body(call("/v1/projects", client=logged_in(user))) == projects


def test_the_key_is_no_login(project: Project) -> None:
    """“the settings UI is authenticated via your user session, not the API key”"""
    path, token, data = settings_of(project), project.key.token, {"allowed_domains": [MALICIOUS]}
    for headers in ({"X-API-Key": token}, {"Authorization": f"Api-Key {token}"}):
        assert call(path, method="PUT", data=data, headers=headers).status_code == 403
    assert configured(project) == []


def test_a_key_without_a_project_opens_nothing(creator: Any) -> None:
    """“your project's API key” is the key that the project was created with."""
    _key, token = APIKey.objects.create_key(name="alone", creator=creator)
    assert call("/v1/widget", token).status_code == 404


# Configuring allowed domains


def test_as_many_domains_as_needed(project: Project) -> None:
    """“Add as many domains as needed.” “If you have multiple environments or domains, add all of them”"""
    domains = [f"https://site{number}.example.com" for number in range(60)]
    configure(project, *domains)
    assert configured(project) == domains
    assert widget(project, domains[0], domains[-1], MALICIOUS) == [200, 200, 401]


@pytest.mark.parametrize(
    "entry", ["yourapp.com", "*.yourapp.com", "https://*.yourapp.com", "ftp://yourapp.com", "null", ""]
)
def test_only_http_and_https_origins_are_accepted(project: Project, entry: str) -> None:
    """“Only http:// and https:// origins are accepted.”"""
    configure(project, YOURAPP)
    refused = save(project, "https://good.example.com", entry)
    assert (refused.status_code, list(body(refused)["allowed_domains"])) == (400, ["1"])
    assert configured(project) == [YOURAPP]


@pytest.mark.parametrize("data", [None, [], {}, {"allowed_domains": YOURAPP}], ids=str)
def test_what_is_no_list_is_refused(project: Project, data: Any) -> None:
    """“Save Domains” sends the whole list: a missing list isn't the empty one, which would open the key."""
    configure(project, YOURAPP)
    sent = call(settings_of(project), method="PUT", data=data, client=logged_in(project.key.creator))
    assert sent.status_code == 400
    assert configured(project) == [YOURAPP]


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://yourapp.com", 200),
        ("http://yourapp.com", 401),
        ("https://yourapp.com:8443", 401),
        ("https://www.yourapp.com", 401),
        ("https://yourapp.com.malicious-site.com", 401),
    ],
)
def test_domains_are_matched_on_protocol_and_host(project: Project, origin: str, status: int) -> None:
    """“Domains are matched on protocol + host”: the host with its port, as browsers send it."""
    configure(project, YOURAPP)
    assert widget(project, origin) == [status]


def test_a_trailing_slash_makes_no_other_entry(project: Project) -> None:
    """“`https://yourapp.com` and `https://yourapp.com/` are treated as the same entry”"""
    configure(project, f"{YOURAPP}/", YOURAPP)
    assert configured(project) == [YOURAPP]
    assert widget(project, YOURAPP) == [200]


def test_http_and_https_are_different_origins(project: Project) -> None:
    """“`http://yourapp.com` and `https://yourapp.com` are treated as different origins”"""
    plain = "http://yourapp.com"
    configure(project, plain)
    assert widget(project, plain, YOURAPP) == [200, 401]
    configure(project, plain, YOURAPP)
    assert widget(project, plain, YOURAPP) == [200, 200]


@EVERY_REQUEST
def test_the_example(project: Project, request_of: Any, status: int) -> None:
    """“any API request … from https://malicious-site.com will be rejected automatically, while your widget
    continues to work normally”, the browser's preflight included
    """
    ours, token = "https://app.yourcompany.com", project.key.token
    configure(project, ours)
    assert call(token=token, origin=MALICIOUS, **request_of).status_code == 401
    preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}
    asked = call(request_of["path"], method="OPTIONS", origin=ours, headers=preflight)
    served = call(token=token, origin=ours, **request_of)
    assert (asked.status_code, served.status_code) == (200, status)
    assert asked["Access-Control-Allow-Origin"] == served["Access-Control-Allow-Origin"] == ours


# Frequently asked questions


def test_localhost_can_be_added_and_removed(project: Project) -> None:
    """“Add http://localhost:3000 (or whichever port you use) … and remove it before going to production”"""
    local = "http://localhost:3000"
    configure(project, YOURAPP, local)
    assert widget(project, local, "http://localhost:9") == [200, 401]
    configure(project, YOURAPP)
    assert widget(project, local) == [401]


def test_a_creator_who_locks_themselves_out_can_update_the_list(project: Project) -> None:
    """“You can always update the allowed domains list from the Impler dashboard … so it remains accessible
    regardless.”
    """
    configure(project, "https://yuorapp.com")
    assert widget(project, YOURAPP) == [401]
    dashboard = {"origin": "https://web.impler.example", "referer": "https://web.impler.example/settings"}
    for token in (None, project.key.token):
        assert save(project, YOURAPP, token=token, **dashboard).status_code == 200
    assert widget(project, YOURAPP) == [200]
