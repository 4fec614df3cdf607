"""Who acted, without saying who? Digests that recognise a person, a session or an action, and name none of them."""

from __future__ import annotations

import hashlib


def person_key(tenant_id: str, person_id: str) -> bytes:
    """16 bytes that stand for a person who agreed to be remembered."""
    return _digest("person", tenant_id, person_id)


def session_key(tenant_id: str, session_id: str) -> bytes:
    """16 bytes that stand for a session."""
    return _digest("session", tenant_id, session_id)


def action_key(tenant_id: str, actor: str, action_id: str) -> bytes:
    """16 bytes that stand for one action; `actor` is a session, or a person who acts outside of one."""
    named = f"{tenant_id}\0{actor}\0{action_id}".encode(errors="surrogatepass")
    return hashlib.blake2b(named, digest_size=16).digest()


def _digest(what: str, tenant_id: str, name: str) -> bytes:
    named = f"{tenant_id}\0{name}".encode(errors="surrogatepass")
    return hashlib.blake2b(named, digest_size=16, person=what.encode()).digest()
