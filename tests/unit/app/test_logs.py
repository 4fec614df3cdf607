"""Are log lines whole, and is nothing of a person in them?"""

import io
import json
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import structlog

from app import logs
from app.personal_data import clean, clean_text, is_personal, message_of
from common.errors import BackendUnavailable, FieldError, InvalidInput
from protos import common_pb2

MARK = "mark-4711"


@pytest.fixture(autouse=True)
def _logging_put_back() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    logging.getLogger("uvicorn.access").disabled = False
    for name in ("alembic", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.NOTSET)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


class Holder(msgspec.Struct):
    visitor: str


@pytest.mark.parametrize("log_format", ["json", "console"])
@pytest.mark.parametrize("level", ["debug", "info", "warning", "error", "critical"])
def test_no_marker_of_a_person_comes_through_at_any_level(log_format: str, level: str) -> None:
    stream = io.StringIO()
    logs.configure(log_format, "debug", stream)
    structlog.contextvars.bind_contextvars(session_id=MARK)
    log = logs.log("auction").bind(visitor_id=MARK)

    getattr(log, level)(
        f"asked https://{MARK}@shop.example/cart?who={MARK}#{MARK}",
        ip=MARK,
        peer=f"ipv4:203.0.113.7:{MARK}",
        url=f"https://shop.example/p?q={MARK}",
        headers={"X-Api-Key": MARK, "cookie": MARK, "accept": "text/html"},
        request={"visitor": {"visitor_id": MARK}, "pages": [{"api_key": MARK}]},
        message=common_pb2.Visitor(visitor_id=MARK),
        holder=Holder(MARK),
        payload=MARK.encode(),
        refused=InvalidInput([FieldError("visitor.visitor_id", MARK, "at most 64 characters")]),
    )
    foreign = logging.getLogger("grpc._cython.cygrpc")
    foreign.log(
        getattr(logging, level.upper()), "x-api-key: %s at 203.0.113.7", MARK, extra={"visitor_id": MARK, "ip": MARK}
    )

    written = stream.getvalue()
    assert "shop.example/cart" in written
    assert len(written.splitlines()) == 2
    assert MARK not in written
    assert "203.0.113.7" not in written


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_an_exception_is_logged_without_locals_source_lines_and_quoted_values(log_format: str) -> None:
    stream = io.StringIO()
    logs.configure(log_format, "info", stream)

    def fail(visitor: str) -> None:
        known: dict[str, int] = {}
        try:
            assert known[visitor]
        except KeyError as error:
            raise BackendUnavailable("the profile store is full: free some space") from error

    try:
        fail(MARK)
    except BackendUnavailable:
        logs.log("profiles").exception("could not write")

    written = stream.getvalue()
    assert "the profile store is full: free some space" in written
    assert "KeyError" in written
    assert "in fail" in written
    assert MARK not in written
    assert "known[visitor]" not in written


def test_a_json_line_holds_time_level_logger_and_data() -> None:
    stream = io.StringIO()
    logs.configure("json", "info", stream)

    logs.log("auction").info("batch held", page_views=64, took_ms=1.5, auction_id="0abc")
    logs.log("auction").debug("not written")

    (line,) = lines(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "batch held",
        "level": "info",
        "logger": "auction",
        "page_views": 64,
        "took_ms": 1.5,
        "auction_id": "0abc",
    }


def test_lines_of_uvicorn_grpc_and_warnings_take_the_same_form() -> None:
    stream = io.StringIO()
    logging.getLogger("uvicorn.error").addHandler(logging.StreamHandler(stream))
    logs.configure("json", "info", stream)

    logging.getLogger("uvicorn.error").warning("started on http://127.0.0.1:8080")
    logging.getLogger("uvicorn.access").info("203.0.113.7 GET /?who=x")
    logging.getLogger("grpc").warning("slow")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", DeprecationWarning, stacklevel=1)

    written = lines(stream)
    assert [line["logger"] for line in written] == ["uvicorn.error", "grpc", "py.warnings"]
    assert written[0]["event"] == "started on http://127.0.0.1:8080"


def test_chatter_at_the_start_is_written_in_debug_alone() -> None:
    quiet, talkative = io.StringIO(), io.StringIO()

    logs.configure("json", "info", quiet)
    logging.getLogger("alembic.runtime").info("setup")
    logs.configure("json", "debug", talkative)
    logging.getLogger("alembic.runtime").info("setup")

    assert (len(lines(quiet)), len(lines(talkative))) == (0, 1)


def test_configuring_again_does_not_double_the_lines() -> None:
    stream = io.StringIO()
    logs.configure("json", "info", stream)
    logs.configure("json", "info", stream)

    logs.log("x").info("once")

    assert len(lines(stream)) == 1


@pytest.mark.parametrize("key", ["visitor_id", "Session-ID", "X-API-Key", "client_ip", "refresh_token", "wire"])
def test_keys_of_persons_are_known_in_every_spelling(key: str) -> None:
    assert is_personal(key)
    assert clean({key: 7}) == {key: "***"}


@pytest.mark.parametrize("key", ["page_views", "auction_id", "line_item_id", "outcome", "tenant_id", "recipient"])
def test_keys_of_things_stay(key: str) -> None:
    assert not is_personal(key)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("listening on 127.0.0.1:50051 and [::1]:8080", "listening on 127.0.0.1:50051 and [::1]:8080"),
        ("at 12:34:56 in version 1.2.3", "at 12:34:56 in version 1.2.3"),
        ("peer ipv6:[2001:db8::7]:99", "peer ipv6:[***]:99"),
        ("GET /cart?who=x HTTP/1.1", "GET /cart?… HTTP/1.1"),
        ("mail to a.b@shop.example now", "mail to *** now"),
        ("visitor_id=abc was late", "visitor_id=*** was late"),
    ],
)
def test_text_loses_only_what_belongs_to_a_person(text: str, expected: str) -> None:
    assert clean_text(text) == expected


def test_sentences_of_our_own_and_of_the_system_keep_their_names() -> None:
    assert message_of(FileNotFoundError(2, "No such file or directory", "models/x")).endswith("'models/x'")
    assert message_of(ValueError("could not convert 'mark' to int")) == "could not convert '…' to int"


def test_a_value_that_holds_itself_ends() -> None:
    loop: list[object] = []
    loop.append(loop)

    assert "…" in str(clean(loop))
