"""Where a request's key is read, in which order, and what an invalid key costs."""

import json
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django.urls import path
from django.utils import timezone
from rest_framework.response import Response
from rest_framework.views import APIView

from allowlist.models import APIKey
from allowlist.permissions import IsAllowlisted
from allowlist.policy.tokens import Environment, Kind, Token
from tests.testing import SHOP, UNKNOWN, body, call, is_done_within, make_key, reason, statements, writes

pytestmark = [pytest.mark.django_db(databases="__all__"), pytest.mark.urls(__name__)]


class Named(APIView):
    """Returns the key's name."""

    authentication_classes = []
    permission_classes = [IsAllowlisted]

    def get(self, request: Any, **kwargs: Any) -> Response:
        """Return a response."""
        return Response({"key": request.allowlist.key.name})

    post = get


class InPath(Named):
    """Takes the key from the path as well."""

    allowlist_key_kwarg = "public_id"


urlpatterns = [
    path("named/", Named.as_view()),
    path("in-path/<str:public_id>/", InPath.as_view()),
    path("kwarg/<str:public_id>/", Named.as_view()),
    path("number/<int:public_id>/", InPath.as_view()),
    path("no-such-kwarg/", InPath.as_view()),
]


def served(answer: Any) -> str | None:
    """Return the name of the key that was served, None where none was."""
    name: str | None = body(answer).get("key") if answer.status_code == 200 else None
    return name


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("/named/", {"X-API-Key": "{}"}),
        ("/named/", {"X-API-Key": " \t{}\t "}),
        ("/named/", {"Authorization": "Api-Key {}"}),
        ("/named/", {"Authorization": "Bearer {}"}),
        ("/named/", {"Authorization": "api-key {}"}),
        ("/named/", {"Authorization": "BEARER \t {} \t"}),
        ("/named/?key={}", {}),
        ("/named/?other=1&key={}", {}),
        ("/in-path/{}/", {}),
        ("/no-such-kwarg/?key={}", {}),
    ],
)
@pytest.mark.parametrize("environment", Environment)
def test_a_key_is_read_from_its_places(url: str, headers: dict[str, str], environment: str) -> None:
    _, token = make_key(name="mine", environment=environment)
    sent = {name: value.format(token) for name, value in headers.items()}
    assert served(call(url.format(token), None, sent)) == "mine"


@pytest.mark.parametrize("decides", ["header", "authorization", "path", "query"])
def test_the_first_place_that_has_a_key_decides(decides: str) -> None:
    names = ["header", "authorization", "path", "query"]
    tokens = {name: make_key(name=name)[1] for name in names}
    present = names[names.index(decides) :]
    headers: dict[str, str | None] = {}
    if "header" in present:
        headers["X-API-Key"] = tokens["header"]
    if "authorization" in present:
        headers["Authorization"] = f"Bearer {tokens['authorization']}"
    url = f"/in-path/{tokens['path']}/" if "path" in present else "/no-such-kwarg/"
    assert served(call(f"{url}?key={tokens['query']}", None, headers)) == decides


@pytest.mark.parametrize("place", ["header", "authorization", "path"])
def test_an_invalid_key_in_the_first_place_is_final(place: str) -> None:
    _, token = make_key()
    bad: dict[str, tuple[str, dict[str, str | None]]] = {
        "header": ("/no-such-kwarg/", {"X-API-Key": "nonsense"}),
        "authorization": ("/no-such-kwarg/", {"Authorization": f"Bearer {UNKNOWN}"}),
        "path": ("/in-path/nonsense/", {}),
    }
    url, headers = bad[place]
    assert reason(call(f"{url}?key={token}", None, headers)) == "key_invalid"


@pytest.mark.parametrize("empty", ["", " ", "\t"])
def test_an_empty_header_is_not_a_key(empty: str) -> None:
    _, token = make_key(name="mine")
    assert reason(call("/named/", empty)) == "key_missing"
    assert served(call(f"/named/?key={token}", empty)) == "mine"


@pytest.mark.parametrize(
    "authorization",
    [
        "Token {}",
        "{}",
        "Bearer",
        "Bearer {}x",
        "Bearer {} {}",
        "Bearer eyJhbGciOiJIUzI1NiJ9.e30.ZRrHA1JJJW8opsbCGfG_HACGpVUMN_a9IPmA0KxZuSw",
        "Bearer sk_live_of_another_company_0123456789",
        "Bearer {}\n",
        " " * 100_000,
        "\x00",
    ],
)
def test_other_credentials_in_authorization_are_left_alone(authorization: str) -> None:
    _, token = make_key(name="mine")
    headers: dict[str, str | None] = {"Authorization": authorization.replace("{}", token)}
    assert reason(call("/named/", None, headers)) == "key_missing"
    assert served(call(f"/named/?key={token}", None, headers)) == "mine"


EXISTING_OR_NOT = pytest.mark.parametrize("exists", [True, False], ids=["existing", "made-up"])


def secret_token(exists: bool) -> str:
    """Return a secret key's token, or one that looks so."""
    return make_key(kind="secret")[1] if exists else Token.make(Kind.SECRET, Environment.TEST).text


@EXISTING_OR_NOT
@pytest.mark.parametrize("url", ["/named/?key={}", "/in-path/{}/"])
@pytest.mark.parametrize("origin", [None, SHOP])
def test_a_secret_key_in_a_url_is_refused_without_a_lookup(
    exists: bool, url: str, origin: str | None
) -> None:
    token = secret_token(exists)
    with statements() as sql:
        answer = call(url.format(token), None, {"Origin": origin})
    assert (answer.status_code, reason(answer)) == (403, "key_in_url")
    assert sql == []


@EXISTING_OR_NOT
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": SHOP},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "nonsense"},
        {"Referer": SHOP},
        {"Referer": ""},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
    ],
    ids=str,
)
@pytest.mark.parametrize("place", ["X-API-Key", "Authorization"])
def test_a_secret_key_in_a_browser_is_refused_without_a_query(
    exists: bool, headers: dict[str, str], place: str
) -> None:
    token = secret_token(exists)
    sent = {**headers, place: token if place == "X-API-Key" else f"Bearer {token}"}
    with statements() as sql:
        answer = call("/named/", None, sent)
    assert (answer.status_code, reason(answer)) == (403, "secret_key_in_browser")
    assert sql == []


def test_a_secret_key_of_a_server_is_served() -> None:
    _, token = make_key(name="server", kind="secret")
    assert served(call("/named/", token)) == "server"
    assert served(call("/named/", None, {"Authorization": f"Api-Key {token}"})) == "server"
    assert served(call("/named/", token, {"Sec-Fetch-Mode": "cors", "Accept-Language": "*"})) == "server"


@pytest.mark.parametrize("malformed", ["sk_live_", "sk_test_x", "sk_live_" + "x" * 100_000])
def test_a_text_that_starts_like_a_secret_key_is_judged_as_one(malformed: str) -> None:
    assert reason(call("/named/", malformed, {"Origin": SHOP})) == "secret_key_in_browser"
    assert reason(call(f"/named/?key={malformed[:3000]}")) == "key_in_url"
    assert reason(call("/named/", malformed)) == "key_invalid"


def test_the_header_s_name_is_a_setting(settings: Any) -> None:
    _, token = make_key(name="mine")
    settings.ALLOWLIST = {"KEY_HEADER": "Widget-Token"}
    assert served(call("/named/", None, {"Widget-Token": token})) == "mine"
    assert reason(call("/named/", token)) == "key_missing"
    assert "Widget-Token header" in body(call("/named/"))["message"]


def test_authorization_may_be_the_only_header(settings: Any) -> None:
    _, token = make_key(name="mine")
    settings.ALLOWLIST = {"KEY_HEADER": "Authorization"}
    assert served(call("/named/", None, {"Authorization": f"Bearer {token}"})) == "mine"
    assert served(call(f"/named/?key={token}", None, {"Authorization": "Token x"})) == "mine"
    assert reason(call("/named/", token)) == "key_missing"


def test_the_query_parameter_s_name_is_a_setting(settings: Any) -> None:
    _, token = make_key(name="mine")
    settings.ALLOWLIST = {"KEY_QUERY_PARAM": "k"}
    assert served(call(f"/named/?k={token}")) == "mine"
    assert reason(call(f"/named/?key={token}")) == "key_missing"


def test_the_query_parameter_can_be_turned_off(settings: Any) -> None:
    _, token = make_key(name="mine")
    settings.ALLOWLIST = {"KEY_QUERY_PARAM": None}
    assert reason(call(f"/named/?key={token}&None={token}&={token}")) == "key_missing"
    assert served(call("/named/", token)) == "mine"


def test_the_path_counts_only_if_the_view_names_the_kwarg() -> None:
    _, token = make_key(name="mine")
    assert reason(call(f"/kwarg/{token}/")) == "key_missing"
    assert reason(call("/number/7/")) == "key_invalid"
    assert reason(call("/no-such-kwarg/")) == "key_missing"


def test_the_last_of_several_query_parameters_counts() -> None:
    _, token = make_key(name="mine")
    assert served(call(f"/named/?key=nonsense&key={token}")) == "mine"
    assert reason(call(f"/named/?key={token}&key={UNKNOWN}")) == "key_invalid"
    assert reason(call(f"/named/?key={token}&key=nonsense")) == "key_missing"
    assert reason(call(f"/named/?key={token}&key=")) == "key_missing"
    assert reason(call(f"/named/?key[]={token}&KEY={token}")) == "key_missing"


@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded"])
def test_a_body_holds_no_key(kind: str) -> None:
    _, token = make_key()
    data = json.dumps({"key": token}) if "json" in kind else f"key={token}&X-API-Key={token}"
    assert reason(call("/named/", method="POST", data=data, content_type=kind)) == "key_missing"


GOOD = Token.make(Kind.PUBLISHABLE, Environment.LIVE).text
HOSTILE = {
    "nul": GOOD[:-1] + "\x00",
    "nul-after": GOOD + "\x00",
    "surrogate": GOOD[:-1] + "\ud800",
    "newline-after": GOOD + "\n",
    "100-kB": "a" * 100_000,
    "100-kB-after-a-prefix": "pk_live_" + "a" * 100_000,
    "list": f"{GOOD}, {GOOD}",
    "upper-case": GOOD.upper(),
    "one-short": GOOD[:-1],
    "one-long": GOOD + "a",
    "latin-1": GOOD[:-1] + "\xe9",
    "sql": "' OR 1=1 --",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_malformed_key_costs_no_statement_and_milliseconds(text: str) -> None:
    with statements() as sql:
        answer = call("/named/", text)
    assert (answer.status_code, reason(answer)) == (401, "key_invalid")
    assert sql == []
    assert is_done_within(0.1, lambda: call("/named/", text))


@pytest.mark.parametrize("text", [each for each in HOSTILE.values() if "\ud800" not in each], ids=ascii)
def test_a_malformed_key_counts_in_the_path_and_not_in_the_query(text: str) -> None:
    """A query parameter of that name may be the project's own."""
    answer = call(f"/in-path/{quote(text[:5000])}/")
    assert (answer.status_code, reason(answer)) == (401, "key_invalid")
    answer = call(f"/named/?key={quote(text[:5000])}")
    assert (answer.status_code, reason(answer)) == (401, "key_missing")


@pytest.mark.parametrize("query", ["key=%00", "key=%ED%A0%80", "key=%FF%FE", "key=%", "key=%zz", "key=a%0Ab"])
def test_oddly_encoded_queries_hold_no_key(query: str) -> None:
    assert reason(call(f"/named/?{query}")) == "key_missing"


def invalid_keys() -> dict[str, str]:
    """Return a token for each way a key can be invalid."""
    revoked, revoked_token = make_key()
    revoked.revoke()
    expired, expired_token = make_key()
    APIKey.objects.filter(pk=expired.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    rotated, old_token = make_key()
    rotated.rotate()
    deleted, deleted_token = make_key()
    deleted.delete()
    _, token = make_key()
    changed = token[:-1] + ("a" if token[-1] != "a" else "b")
    other_kind = token.replace("pk_live_", "pk_test_")
    return {
        "revoked": revoked_token,
        "expired": expired_token,
        "rotated": old_token,
        "deleted": deleted_token,
        "unknown": UNKNOWN,
        "of an environment left out": make_key(environment="test")[1],
        "of another secret": changed,
        "of another environment": other_kind,
    }


def test_every_invalid_key_is_answered_alike_at_one_statement(settings: Any) -> None:
    settings.ALLOWLIST = {"ENVIRONMENTS": ("live",)}
    answers = set()
    for what, token in invalid_keys().items():
        with statements() as sql:
            answer = call("/named/", token, {"Origin": SHOP})
        assert len(sql) == 1, what
        assert token[8:20] not in answer.content.decode()
        answers.add((answer.status_code, answer.content, str(sorted(answer.headers.items()))))
    malformed = call("/named/", "nonsense", {"Origin": SHOP})
    answers.add((malformed.status_code, malformed.content, str(sorted(malformed.headers.items()))))
    assert len(answers) == 1
    assert malformed.status_code == 401


def test_a_key_s_expiry_is_its_last_moment() -> None:
    key, token = make_key()
    APIKey.objects.filter(pk=key.pk).update(expires_at=timezone.now() + timedelta(minutes=5))
    assert call("/named/", token).status_code == 200
    APIKey.objects.filter(pk=key.pk).update(expires_at=timezone.now())
    assert call("/named/", token).status_code == 401


def test_both_tokens_of_a_rotation_work_while_they_overlap() -> None:
    key, old = make_key(name="mine")
    new = key.rotate(overlap=timedelta(minutes=5))
    assert served(call("/named/", old)) == served(call("/named/", new)) == "mine"
    APIKey.objects.get(pk=key.pk).rotate()
    assert reason(call("/named/", old)) == reason(call("/named/", new)) == "key_invalid"


def test_a_first_request_costs_two_reads_and_notes_its_use() -> None:
    _, token = make_key(domains=[SHOP])
    with statements() as sql:
        assert call("/named/", token, {"Origin": SHOP}).status_code == 200
    reads = [text for text in sql if "FOR UPDATE" not in text and text not in writes(sql)]
    assert len(reads) == 2
    assert len(writes(sql)) == 2  # When the key was used, and when its entry matched.
