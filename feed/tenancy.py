"""For which tenant does a call speak? For the caller's own, and for no other."""

from __future__ import annotations

from common.errors import NotFound
from feed.post_text import shown


def check_tenant(tenant_id: str, caller_tenant: str) -> None:
    """NotFound when a request names another tenant than the caller's; empty is the caller's own."""
    if tenant_id not in ("", caller_tenant):
        raise NotFound(f"there is no tenant {shown(tenant_id)} that this key may speak for")
