"""Pasted lists in the admin: what is wrong is explained, what is valid is offered, nothing is lost."""

import pytest
from django.contrib.auth.models import Permission

from allowlist.models import APIKey
from tests.conftest import User
from tests.management import snapshot, texts
from tests.pages import Admin, Page

MIXED = "a.test\na b\nhttps://c.test/, *.com\nA.test"


@pytest.fixture
def site(creator: User) -> Admin:
    """Return the creator's admin."""
    return Admin(creator)


@pytest.fixture
def key(creator: User) -> APIKey:
    """Return a key with a site."""
    return APIKey.objects.create_key(name="Widget", creator=creator, allowed_domains=["example.com"])[0]


def page_of(key: APIKey) -> str:
    """Return the path of the key's page."""
    return f"{key.pk}/change/"


def test_the_valid_entries_of_a_paste_are_offered(site: Admin, key: APIKey) -> None:
    before = snapshot()
    page = site.refused(page_of(key), {**site.get(page_of(key)).fields, "paste_domains": MIXED})
    assert [error[:9] for error in page.errors] == ["“a b” con", "“*.com” w"]
    assert snapshot() == before
    assert page.fields["paste_domains"] == MIXED
    assert "2 entries can't be added. The errors above say why." in page.text
    assert "Add the 2 valid entries" in page.text


def test_the_valid_entries_are_added_and_the_others_stay_in_the_box(site: Admin, key: APIKey) -> None:
    fields = {**site.get(page_of(key)).fields, "paste_domains": MIXED, "paste_ips": "x\n::1"}
    page = Page(
        site.client.post(
            site.base + page_of(key), {**fields, "_add_valid": "1"}, follow=True
        ).content.decode()
    )
    assert texts(key) == ["example.com", "a.test", "https://c.test", "::1"]
    assert [said.partition("”")[0] for said in page.messages if "Not added" in said] == [
        "Not added: “a b",
        "Not added: “*.com",
        "Not added: “x",
    ]
    assert (page.fields["paste_domains"], page.fields["paste_ips"]) == ("a b\n*.com", "x")
    assert site.refused(page_of(key), page.fields).errors
    for path in (page_of(key), "add/"):
        assert site.get(path).fields["paste_domains"] == ""


def test_entries_left_out_are_forgotten_if_the_page_has_no_box_any_more(
    site: Admin, key: APIKey, creator: User
) -> None:
    fields = {**site.get(page_of(key)).fields, "paste_domains": MIXED}
    site.client.post(site.base + page_of(key), {**fields, "_add_valid": "1"})
    creator.user_permissions.remove(Permission.objects.get(codename="add_alloweddomain"))
    assert "paste_domains" not in site.get(page_of(key)).fields


def test_entries_left_out_of_a_new_key_are_in_the_box_of_its_page(site: Admin) -> None:
    fields = {**site.get("add/").fields, "name": "New", "domain_mode": "listed", "paste_domains": MIXED}
    page = site.refused("add/", fields)
    assert "Add the 2 valid entries" in page.text
    response = site.client.post(f"{site.base}add/", {**fields, "_add_valid": "1"})
    made = APIKey.objects.get()
    assert (response.status_code, texts(made)) == (200, ["a.test", "https://c.test"])
    assert site.get(page_of(made)).fields["paste_domains"] == "a b\n*.com"


@pytest.mark.parametrize(
    ("pasted", "said"),
    [
        (
            "\n".join(f"{number}.test" for number in range(30)),
            "24 of 30 new entries fit, as a key can list at most 25.",
        ),
        ("\n".join(f"{number}.test" for number in range(30)) + "\n*", "24 of 30 new entries fit"),
        ("*\na b", None),
        ("*\nexample.com", None),
        ("*\n" + "a.test\n" * 10_000, None),
    ],
    ids=["too many", "too many and a wrong one", "all wrong", "one wrong, one listed", "far too many"],
)
def test_valid_entries_are_offered_only_if_they_fit(
    site: Admin, key: APIKey, pasted: str, said: str | None
) -> None:
    before = snapshot()
    fields = {**site.get(page_of(key)).fields, "paste_domains": pasted}
    page = site.refused(page_of(key), fields)
    assert ("new entries fit" in page.text, (said or "") in page.text) == (said is not None, True)
    assert ("valid entr" in page.text, page.fields["paste_domains"]) == (False, pasted)
    if said is not None or len(pasted) > 1000:
        site.refused(page_of(key), {**fields, "_add_valid": "1"})
    assert snapshot() == before


def test_an_unlimited_list_offers_all_that_is_valid(site: Admin, key: APIKey, settings: object) -> None:
    settings.ALLOWLIST = {"MAX_DOMAINS": None}  # type: ignore[attr-defined]
    wrong, valid = ([f"{number}{end}" for number in range(30)] for end in (" x", ".test"))
    fields = {**site.get(page_of(key)).fields, "paste_domains": "\n".join([*wrong, *valid])}
    assert "Add the 30 valid entries" in site.refused(page_of(key), fields).text
    page = Page(
        site.client.post(
            site.base + page_of(key), {**fields, "_add_valid": "1"}, follow=True
        ).content.decode()
    )
    assert len(texts(key)) == 31
    assert page.messages[20] == "10 more entries were not added."


def test_enter_in_a_field_saves_and_leaves_nothing_out(site: Admin, key: APIKey) -> None:
    fields = {**site.get(page_of(key)).fields, "paste_domains": MIXED}
    html = site.send(page_of(key), fields).content.decode().partition('id="apikey_form"')[2]
    assert html.index('name="_save"') < html.index('name="_add_valid"')
