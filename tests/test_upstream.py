"""What Django, DRF and redis-py don't promise, and we use. A test here fails when it changes."""

import socket
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import RequestFactory, override_settings
from django.utils import timezone
from rest_framework.permissions import AllowAny, BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView, exception_handler

from allowlist.enforcement import statement
from allowlist.enforcement.drf import Refused
from allowlist.enforcement.redis_connection import TrackingConnection
from allowlist.enforcement.responses import Refusal
from allowlist.models import APIKey
from allowlist.models.locks import write_alias
from allowlist.models.tracked import forget_prefetched, owner_of
from allowlist.policy.decision import Reason
from tests.conftest import User
from tests.redis_server import running_redis
from tests.testing import make_key, statements

DATES = {"expires_at": timedelta(days=1), "last_used_at": timedelta(days=-1), "revoked_at": timedelta(0)}


@pytest.mark.django_db
@pytest.mark.parametrize("column", ["id", "locator"])
@pytest.mark.parametrize("dates", [DATES, {}], ids=["dates", "none"])
def test_a_row_read_as_json_is_what_the_orm_reads(column: str, dates: dict[str, timedelta]) -> None:
    key, _token = make_key()
    APIKey.objects.filter(pk=key.pk).update(**{name: timezone.now() + ago for name, ago in dates.items()})
    stored = APIKey.objects.get(pk=key.pk)
    read = statement.read(connection, column, getattr(stored, column))
    values = dict(zip(statement.NAMES, statement.converted(connection, read), strict=True))
    assert values == {name: getattr(stored, name) for name in statement.NAMES}
    assert statement.read(connection, column, getattr(make_key()[0], column)) != read
    assert statement.read(connection, "locator", "none") == []


@override_settings(USE_TZ=False, TIME_ZONE="Pacific/Honolulu")
def test_a_time_without_use_tz_is_the_project_s_in_any_active_zone() -> None:
    field = APIKey._meta.get_field("expires_at")
    with timezone.override("Asia/Tokyo"):
        read = statement._value(connection, field, "2030-01-01T12:00:00-10:00")
    assert read == datetime(2030, 1, 1, 12)  # noqa: DTZ001


@pytest.mark.django_db(transaction=True)
def test_django_s_savepoint_ids_tell_an_outermost_block() -> None:
    with transaction.atomic():
        assert not connection.savepoint_ids
        with transaction.atomic():
            assert connection.savepoint_ids


class Nobody(BasePermission):
    """Grants nothing."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return False."""
        return False


class Widget(APIView):
    """A view whose steps are watched."""

    authentication_classes = ()

    def get(self, request: Request) -> Response:
        """Return a response."""
        return Response({})


@pytest.mark.parametrize(
    ("permission", "steps"),
    [
        (AllowAny, ["check_throttles", "finalize_response"]),
        (Nobody, ["permission_denied", "finalize_response"]),
    ],
)
def test_drf_s_view_takes_its_steps_by_methods_of_the_instance(permission: Any, steps: list[str]) -> None:
    taken = []

    def noting(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*args: Any, **kwargs: Any) -> Any:
            taken.append(name)
            return method(*args, **kwargs)

        return noted

    view = Widget(permission_classes=[permission])
    for name in ("check_throttles", "permission_denied", "finalize_response"):
        setattr(view, name, noting(name, getattr(view, name)))
    view.setup(RequestFactory().get("/"))
    view.dispatch(view.request)
    assert taken == steps


def test_drf_s_request_holds_django_s() -> None:
    request = RequestFactory().get("/")
    assert Request(request)._request is request


def test_drf_s_exception_handler_hands_on_the_one_error() -> None:
    error = Refused(Refusal(403, {"code": "NO"}, "No."), Reason.KEY_INVALID)
    answer = exception_handler(error, {})
    assert answer is not None
    assert answer.data == {"detail": "No."}
    assert answer.data["detail"] is error.detail


@pytest.mark.needs("redis-server")
def test_redis_py_s_connection_has_a_socket_without_a_reader_in_between() -> None:
    with running_redis() as redis:
        line = TrackingConnection(redis.url)
        assert type(line._connection._sock) is socket.socket
        line._connection.send_command("CLIENT", "NO_SUCH")
        assert line._poll.poll(1000)
        line.close()


@pytest.mark.django_db
def test_django_s_run_on_commit_holds_the_function_second() -> None:
    def hook() -> None:
        """Do nothing."""

    transaction.on_commit(hook)
    assert connection.run_on_commit[-1][1] is hook


@pytest.mark.django_db
def test_django_s_querysets_know_their_owner_and_write_database(creator: User) -> None:
    key, _token = make_key(creator)
    assert owner_of(key.allowed_domains.all()) == key
    assert owner_of(creator.allowlist_keys.all()) == creator
    assert owner_of(APIKey.objects.all()) is None
    rows = APIKey.objects.all()
    with override_settings(DATABASE_ROUTERS=["tests.test_upstream.WritesElsewhere"]):
        assert (rows.db, write_alias(rows), rows.db) == ("default", "other", "other")


class WritesElsewhere:
    """A router with a database to read from and another one to write to."""

    def db_for_write(self, model: type, **hints: Any) -> str:
        """Return the database to write to."""
        return "other"


@pytest.mark.django_db
def test_django_keeps_prefetched_rows_until_they_are_forgotten(creator: User) -> None:
    make_key(creator, domains=["example.com"])
    key = APIKey.objects.prefetch_related("allowed_domains").get()
    forget_prefetched(key, ["allowed_domains", "allowed_ips"])
    with statements() as sent:
        assert len(key.allowed_domains.all()) == 1
    assert len(sent) == 1
