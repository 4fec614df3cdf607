"""Whose page is explained, and what is told of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.explain_feed import explain
from app.settings import load
from common.errors import NotFound
from tests.feed_builders import a_product
from tests.whole_haat import WholeHaat, whole_haat

AGREED = {"granted": ["remember", "personalised_content"]}


def told(folder: Path, who: str, tenant: str = "") -> dict[str, Any]:
    settings = load({"data_dir": str(folder), "models_dir": str(folder / "none")}, environment={})
    return explain(settings, who, tenant=tenant, size=12, country="")


def act(haat: WholeHaat, visitor_id: str, kind: str, post_id: str) -> None:
    done = {"kind": kind, "subject_id": post_id, "action_id": haat.fresh()}
    said = {"session_id": "s1", "visitor": {"visitor_id": visitor_id}, "consent": AGREED, "actions": [done]}
    haat.ask("POST", "/v1/feed/actions", said)


def test_each_filter_tells_what_it_took_from_a_visitor_whose_id_looks_like_a_pages(tmp_path: Path) -> None:
    with whole_haat(tmp_path) as haat:
        haat.join("ana", "bea")
        haat.sell(a_product("shoe", tenant_id=haat.tenant))
        person = haat.call(
            "SignUp", idempotency_key="k", consent={"granted": [1]}, handle="cyd", display_name="Cyd"
        ).person_id
        tag = {"product_id": "shoe", "x": 0.5, "y": 0.5}
        plain, hidden, gone = haat.post("ana"), haat.post("ana", "Cold rain"), haat.post("ana", product_tags=[tag])
        muted, blocked = haat.post("ana", "All about the spoiler-alert"), haat.post("bea")
        act(haat, person, "hide", hidden)
        haat.sell(a_product("shoe", tenant_id=haat.tenant, in_stock=False))
        for kind, subject in (("mute_word", "spoiler alert"), ("block", "bea")):
            said = {"kind": kind, "subject": subject, "action_id": haat.fresh()}
            haat.ask("POST", f"/v1/people/{person}/relations", said)
        tenant = haat.tenant

    story = told(tmp_path, person, tenant)

    assert story["visitor"] == person
    assert "taken for a visitor" in story["page"]
    took = {name: list(one["posts"]) for name, one in story["filters"].items() if one["took_out"]}
    assert took == {"hidden": [hidden], "stock": [gone], "blocked": [blocked], "muted": [muted]}
    assert [one["post_id"] for one in story["posts"]] == [plain]


def test_a_page_that_is_in_no_log_is_not_found_where_no_shop_is_named(tmp_path: Path) -> None:
    with whole_haat(tmp_path) as haat:
        haat.haat.accounts.create_tenant("Another shop")

    with pytest.raises(NotFound, match="holds no feed page"):
        told(tmp_path, "f" * 32)
