"""The mimicbot recipe: a bot's config, served to the exact origins that its owner listed."""

import json
from typing import Any

import pytest
from django.test import Client
from rest_framework.authtoken.models import Token

from allowlist.models import APIKey
from example_project.configurator.demo import Addresses
from example_project.recipes.mimicbot.models import Bot
from tests.pages import Admin
from tests.recipes import load, logged_in
from tests.testing import DOMAIN_MESSAGE, UNKNOWN, Reply, body, call

pytestmark = [pytest.mark.recipe("mimicbot"), pytest.mark.django_db(databases="__all__")]

APEX, WWW, STAGING = "https://acme.example", "https://www.acme.example", "https://staging.acme.example"
LOCAL = "http://localhost:3000"
EVIL = "https://evil.example"


@pytest.fixture
def owner(creator: Any) -> Client:
    """Return a browser in which the bots' owner is logged in."""
    return logged_in(creator)


def write(client: Client | None, path: str, data: Any = None, method: str = "POST", **options: Any) -> Reply:
    """Call the owners' API."""
    return call(f"/api/bots{path}", method=method, data=data, client=client, **options)


def make(client: Client, origins: Any = None, **config: Any) -> Any:
    """Make a bot and return it as the API shows it."""
    config |= {} if origins is None else {"allowedOrigins": origins}
    data = {"name": "Acme Support Bot", "clientUrl": APEX, "widgetConfig": config}
    response = write(client, "", data)
    assert response.status_code == 201, response.content
    return body(response)


def patch(client: Client, bot: Any, origins: Any) -> Reply:
    """Send a list of origins to a bot there is."""
    return write(client, f"/{bot['id']}", {"widgetConfig": {"allowedOrigins": origins}}, "PATCH")


def boot(bot: Any, origin: str | None = None, **options: Any) -> Reply:
    """Fetch the config as the widget does: with no header of its own, the bot being in the path."""
    return call(f"/v1/public/bots/{bot['publicId']}/config", origin=origin, **options)


def loads(bot: Any, origin: str | None = None, **options: Any) -> bool:
    """Return whether the widget gets its bot's config; if not, it is refused by domain."""
    response = boot(bot, origin, **options)
    if response.status_code == 200:
        assert body(response)["publicId"] == bot["publicId"]
        return True
    assert (response.status_code, body(response)["message"]) == (403, DOMAIN_MESSAGE)
    return False


# What an origin is


@pytest.mark.parametrize("listed", [APEX, WWW, STAGING, LOCAL])
def test_an_origin_is_scheme_host_and_port(owner: Client, listed: str) -> None:
    """“An origin is the triple scheme://host[:port]. These are all distinct origins”."""
    bot = make(owner, [listed])
    assert [origin for origin in (APEX, WWW, STAGING, LOCAL) if loads(bot, origin)] == [listed]


def test_the_apex_and_www_need_an_entry_each(owner: Client) -> None:
    """“If you serve the same site on both the apex and the www subdomain, you need both entries”."""
    bot = make(owner, [APEX])
    assert (loads(bot, APEX), loads(bot, WWW)) == (True, False)
    patch(owner, bot, [APEX, WWW])
    assert (loads(bot, APEX), loads(bot, WWW)) == (True, True)


# The field


def test_the_field_is_an_array_of_strings_and_empty_unless_said(owner: Client) -> None:
    """“allowedOrigins | string[] | []”."""
    assert make(owner)["widgetConfig"]["allowedOrigins"] == []
    without_config = write(owner, "", {"name": "Bot", "clientUrl": APEX})
    assert body(without_config)["widgetConfig"]["allowedOrigins"] == []
    for wrong in (APEX, None, [[APEX]]):
        refused = write(
            owner, "", {"name": "Bot", "clientUrl": APEX, "widgetConfig": {"allowedOrigins": wrong}}
        )
        assert refused.status_code == 400, wrong
        assert set(body(refused)["widgetConfig"]) == {"allowedOrigins"}
    assert Bot.objects.count() == APIKey.objects.count() == 2


def test_the_field_lives_alongside_the_appearance_fields(owner: Client) -> None:
    """“The field lives on widgetConfig alongside the appearance fields”, and neither changes the other."""
    bot = make(owner, [APEX], greeting="Hello!", accentColor="#123456")
    shown = {"allowedOrigins": [APEX], "greeting": "Hello!", "accentColor": "#123456"}
    assert bot["widgetConfig"] == shown
    changed = write(owner, f"/{bot['id']}", {"widgetConfig": {"greeting": "Hi!"}}, "PATCH")
    assert body(changed)["widgetConfig"] == {**shown, "greeting": "Hi!"}
    assert body(patch(owner, bot, [WWW]))["widgetConfig"] == {
        **shown,
        "greeting": "Hi!",
        "allowedOrigins": [WWW],
    }
    assert body(boot(bot, WWW))["widgetConfig"]["greeting"] == "Hi!"


@pytest.mark.parametrize("given", [None, []], ids=["left out", "an empty array"])
def test_an_empty_array_means_the_widget_loads_nowhere(owner: Client, given: list[str] | None) -> None:
    """“An empty array means the widget loads nowhere by design — set it before you go live.”"""
    bot = make(owner, given)
    for origin in (APEX, WWW, LOCAL, "null", "", None):
        assert not loads(bot, origin)
    assert not loads(bot, referer=f"{APEX}/")
    assert patch(owner, bot, [APEX]).status_code == 200
    assert loads(bot, APEX)
    assert patch(owner, bot, []).status_code == 200
    assert not loads(bot, APEX)


def test_the_staging_and_production_example(owner: Client) -> None:
    """“Example — a staging/production pair”."""
    bot = make(owner, [APEX, WWW, STAGING])
    assert [origin for origin in (APEX, WWW, STAGING, LOCAL, EVIL) if loads(bot, origin)] == [
        APEX,
        WWW,
        STAGING,
    ]


def test_as_many_origins_as_an_owner_has(owner: Client) -> None:
    """“The full list of origins (scheme + host + optional port) where you plan to embed the widget.”"""
    origins = [f"https://site{number}.example" for number in range(60)]
    bot = make(owner, origins)
    assert bot["widgetConfig"]["allowedOrigins"] == origins
    assert loads(bot, origins[-1])


# How it is enforced


def test_the_widget_fetches_its_config_by_the_public_id(owner: Client) -> None:
    """“When the widget boots on a page, it fetches /v1/public/bots/{publicId}/config”."""
    bot = make(owner, [APEX])
    response = boot(bot, APEX)
    assert response.status_code == 200
    assert body(response) == {name: bot[name] for name in ("publicId", "name", "widgetConfig")}
    assert bot["publicId"] == APIKey.objects.get().token


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ({"Origin": EVIL, "Referer": f"{APEX}/"}, "origin_not_listed"),
        ({"Origin": "null", "Referer": f"{APEX}/"}, "origin_opaque"),
        ({"Origin": f"{APEX}/page"}, "origin_malformed"),
        ({"Referer": f"{EVIL}/?from={APEX}"}, "origin_not_listed"),
        ({"Sec-Fetch-Site": "cross-site"}, "origin_hidden"),
        ({}, "origin_missing"),
    ],
    ids=str,
)
def test_the_origin_header_is_checked_against_the_list(
    owner: Client, headers: dict[str, str], why: str
) -> None:
    """“Your allowedOrigins list is the allowlist ... when it checks the browser's Origin header”."""
    bot = make(owner, [APEX])
    assert body(boot(bot, headers=headers))["reason"] == why
    # Browsers send no Origin to a page's own origin: then a Referer counts.
    assert loads(bot, referer=f"{APEX}/shop?page=2")


@pytest.mark.parametrize(
    "origin",
    [
        WWW,
        "http://acme.example",
        "https://acme.example:8443",
        "https://acme.example.evil.example",
        "https://notacme.example",
        "https://acme.exampl",
    ],
)
def test_only_exact_matches_are_in_scope(owner: Client, origin: str) -> None:
    """“One or more entries → only exact matches should be considered in-scope.”"""
    bot = make(owner, [APEX])
    assert loads(bot, APEX)
    assert not loads(bot, origin)


@pytest.mark.parametrize(
    ("entry", "meant"),
    [
        ("https://*.acme.example", "“https://acme.example”"),
        ("acme.example", "“https://acme.example”"),
        ("https://acme.example/shop", "“https://acme.example”"),
        ("*", None),
    ],
)
def test_nothing_but_an_exact_origin_can_be_listed(owner: Client, entry: str, meant: str | None) -> None:
    """“Subdomains are not wildcarded”; what was probably meant is offered, and nothing is stored."""
    config = {"allowedOrigins": [APEX, entry]}
    refused = write(owner, "", {"name": "Bot", "clientUrl": APEX, "widgetConfig": config})
    assert refused.status_code == 400
    ((place, (sentence,)),) = body(refused)["widgetConfig"]["allowedOrigins"].items()
    assert place == "1"
    if meant:
        assert meant in sentence
    assert not Bot.objects.exists()
    assert not APIKey.objects.exists()
    bot = make(owner, [APEX])
    assert patch(owner, bot, [WWW, entry]).status_code == 400
    assert (loads(bot, APEX), loads(bot, WWW)) == (True, False)


def test_localhost_is_listed_with_its_port(owner: Client) -> None:
    """“localhost during development → add http://localhost:PORT explicitly”."""
    bot = make(owner, [APEX])
    assert not loads(bot, LOCAL)
    patch(owner, bot, [APEX, LOCAL])
    assert loads(bot, LOCAL)
    for other in ("http://localhost", "http://localhost:3001", "http://127.0.0.1:3000"):
        assert not loads(bot, other)


def test_the_list_is_persisted_and_surfaced_in_the_public_config(owner: Client) -> None:
    """“allowedOrigins ... is persisted on your bot record and surfaced in the public config endpoint”."""
    bot = make(owner, ["https://ACME.example:443/", WWW])
    stored = Bot.objects.get(pk=bot["id"])
    assert stored.allowed_origins == [APEX, WWW]
    assert body(boot(bot, WWW))["widgetConfig"]["allowedOrigins"] == [APEX, WWW]
    assert body(write(owner, f"/{bot['id']}", method="GET")) == bot


def test_a_refused_page_learns_nothing_of_the_list_or_the_bot(owner: Client) -> None:
    """“does not yet reject requests whose Origin header falls outside your allowlist”: this one does."""
    bot = make(owner, [APEX], greeting="For customers' eyes")
    refused = boot(bot, EVIL)
    assert refused.status_code == 403
    assert set(body(refused)) == {"code", "message", "reason", "hint", "origin"}
    assert b"acme" not in refused.content
    assert b"eyes" not in refused.content
    assert "no-store" in refused["Cache-Control"]


def test_the_answer_names_the_origin_that_asked_and_never_a_star(owner: Client) -> None:
    """“returns Access-Control-Allow-Origin: * unconditionally”: pages may read what they are answered."""
    bot = make(owner, [APEX])
    for origin, status in ((APEX, 200), (EVIL, 403)):
        response = boot(bot, origin)
        assert (response.status_code, response["Access-Control-Allow-Origin"]) == (status, origin)
        assert "Origin" in response["Vary"]
    assert "Access-Control-Allow-Credentials" not in boot(bot, APEX)


@pytest.mark.parametrize("public_id", [UNKNOWN, "acme"])
def test_an_unknown_public_id_is_no_bot(public_id: str) -> None:
    response = boot({"publicId": public_id}, APEX)
    assert (response.status_code, body(response)["reason"]) == (401, "key_invalid")


def test_the_key_that_is_judged_is_the_bot_that_is_shown(owner: Client) -> None:
    """“Your allowedOrigins list is the allowlist”: that of the bot which is answered."""
    ours, theirs = make(owner, [APEX]), make(owner, [EVIL])
    # A key in the header goes before the one in the path.
    response = call(f"/v1/public/bots/{ours['publicId']}/config", theirs["publicId"], origin=EVIL)
    assert (response.status_code, body(response)["publicId"]) == (200, theirs["publicId"])
    response = call(f"/v1/public/bots/{ours['publicId']}/config", theirs["publicId"], origin=APEX)
    assert response.status_code == 403


def test_a_key_without_a_bot_has_no_config(creator: Any) -> None:
    key, token = APIKey.objects.create_key(name="No bot's", creator=creator, allowed_domains=[APEX])
    assert boot({"publicId": token}, APEX).status_code == 404
    key.revoke()
    assert boot({"publicId": token}, APEX).status_code == 401


# Setting the list


def test_the_page_s_own_call_makes_a_bot(creator: Any) -> None:
    """“Pass allowedOrigins in widgetConfig when you create the bot: curl -X POST .../api/bots”."""
    bearer = Token.objects.create(user=creator)
    response = Client(enforce_csrf_checks=True).post(
        "/api/bots",
        headers={"Authorization": f"Bearer {bearer.key}"},
        content_type="application/json",
        data=json.dumps(
            {
                "name": "Acme Support Bot",
                "clientUrl": "https://acme.example",
                "widgetConfig": {"allowedOrigins": ["https://acme.example", "https://www.acme.example"]},
            }
        ),
    )
    assert response.status_code == 201
    bot = body(response)
    assert (bot["name"], bot["clientUrl"]) == ("Acme Support Bot", APEX)
    assert bot["widgetConfig"]["allowedOrigins"] == [APEX, WWW]
    assert (loads(bot, APEX), loads(bot, WWW), loads(bot, STAGING)) == (True, True, False)
    assert APIKey.objects.get(bot=bot["id"]).creator == creator


def test_the_list_is_edited_in_the_dashboard(owner: Client, creator: Any) -> None:
    """“To edit the list after creation, use Settings → Allowed origins in the dashboard.”"""
    bot, dashboard = make(owner, [APEX]), Admin(creator)
    page = f"{APIKey.objects.get().pk}/change/"
    dashboard.saved(page, {**dashboard.get(page).fields, "allowed_domains-0-domain": STAGING})
    assert (loads(bot, APEX), loads(bot, STAGING)) == (False, True)


def test_the_list_is_patched_and_counts_at_the_next_boot(owner: Client) -> None:
    """“A dedicated PATCH surface for widgetConfig is on the roadmap”: here it is."""
    bot = make(owner, [APEX])
    assert loads(bot, APEX)
    response = patch(owner, bot, [WWW, LOCAL])
    assert response.status_code == 200
    assert body(response) == {**bot, "widgetConfig": {**bot["widgetConfig"], "allowedOrigins": [WWW, LOCAL]}}
    assert (loads(bot, APEX), loads(bot, WWW), loads(bot, LOCAL)) == (False, True, True)


def test_a_rename_leaves_the_list_and_the_public_id_alone(owner: Client) -> None:
    """“persisted on your bot record”: the rest of the record can change around it."""
    bot = make(owner, [APEX])
    response = write(owner, f"/{bot['id']}", {"name": "Helper", "clientUrl": WWW}, "PATCH")
    assert body(response) == {**bot, "name": "Helper", "clientUrl": WWW}
    assert body(boot(bot, APEX))["name"] == "Helper"
    assert APIKey.objects.get().name == "Helper"


def test_a_deleted_bot_loads_nowhere(owner: Client) -> None:
    bot = make(owner, [APEX])
    assert write(owner, f"/{bot['id']}", method="DELETE").status_code == 204
    assert boot(bot, APEX).status_code == 401
    assert not APIKey.objects.exists()


def test_someone_else_s_bot_is_not_found(owner: Client, stranger: Any, superuser: Any) -> None:
    """“persisted on your bot record”: on yours, which nobody else sees or changes."""
    bot = make(owner, [APEX])
    for other in (logged_in(stranger), logged_in(superuser)):
        assert body(write(other, "", method="GET")) == []
        for origins in ([EVIL], "invalid"):
            assert patch(other, bot, origins).status_code == 404
        for method in ("GET", "DELETE"):
            assert write(other, f"/{bot['id']}", method=method).status_code == 404
    assert body(write(owner, "", method="GET")) == [bot]


def test_nobody_and_no_widget_is_an_owner(owner: Client) -> None:
    """“Authorization: Bearer $MIMICBOT_TOKEN”: a person's, which the public id in every page is not."""
    bot = make(owner, [APEX])
    public = {"Authorization": f"Bearer {bot['publicId']}"}
    for headers in ({}, public, {"X-API-Key": bot["publicId"]}, {"Authorization": "Bearer wrong"}):
        refused = write(None, f"/{bot['id']}", {"name": "Mine"}, "PATCH", headers=headers, origin=APEX)
        assert refused.status_code == 401
        assert refused["WWW-Authenticate"] == "Bearer"
    assert body(write(owner, f"/{bot['id']}", method="GET")) == bot


@pytest.mark.parametrize(
    "change",
    [{"domain_mode": "all"}, {"ip_mode": "listed"}, {"condition": "any"}, {"condition": "by_source"}],
    ids=str,
)
def test_the_list_of_origins_cannot_be_switched_off_or_bypassed(owner: Client, change: Any) -> None:
    """“Allowlist of site origins where the widget is permitted to load its config”, and nothing beside it."""
    bot = make(owner, [APEX])
    refused = call(f"/api/keys/{APIKey.objects.get().pk}/", data=change, method="PATCH", client=owner)
    assert refused.status_code == 400
    assert (loads(bot, APEX), loads(bot, EVIL), loads(bot)) == (True, False, False)


def test_the_demo_finds_its_bot_at_each_start(creator: Any) -> None:
    demo = load("mimicbot", "demo")
    demo.set_up(creator, Addresses(8000))
    demo.set_up(creator, Addresses(8000))
    bot = {"publicId": Bot.objects.get().public_id}
    url = demo.embed(Addresses(8000)).url
    assert url == f"http://localhost:8000/v1/public/bots/{bot['publicId']}/config"
    for host, listed in (("shop", True), ("partner", True), ("copycat", False)):
        assert loads(bot, f"http://{host}.localhost:8000") is listed
    bearer = Token.objects.get(user=creator)
    mine = write(None, "", method="GET", headers={"Authorization": f"Bearer {bearer.key}"})
    assert [each["publicId"] for each in body(mine)] == [bot["publicId"]]
