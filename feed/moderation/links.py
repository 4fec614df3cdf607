"""Where do the links of a text lead, and is there reason to stop them? Decided from the address alone, no network."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from feed.moderation import domains, link_lists
from feed.verdict import Finding, Label

# More than this are not looked at one by one: so many are advertising, whatever they are.
MOST_LINKS: Final = 20
_LONGEST_URL: Final = 2_048
_THRESHOLD: Final = 0.5
_FOUND: Final = re.compile(
    r"[a-z][a-z0-9+.\-]{1,20}:(?://)?[^\s<>\"'`]{1,2048}|(?<![\w@.\-])(?:[\w\-]{1,63}\.){1,8}[^\W\d_][\w\-]{1,24}"
    r"(?::\d{1,5})?(?:/[^\s<>\"'`]{0,2048})?(?![\w@])"
)
_SCHEMES: Final = frozenset({"http", "https"})
# What looks like a scheme in running text ("note: …") and is none.
_DANGEROUS: Final = frozenset({"javascript", "data", "vbscript", "file", "blob", "intent"})


@dataclass(frozen=True, slots=True)
class LinkRules:
    """What is known of domains. `blocked` counts for the domains beneath, too; `allowed` ones are not questioned."""

    protected: domains.Protected
    blocked: frozenset[str] = frozenset()
    shorteners: frozenset[str] = link_lists.SHORTENERS
    allowed: frozenset[str] = frozenset()


DEFAULT_RULES: Final = LinkRules(domains.Protected(link_lists.PROTECTED))


@dataclass(frozen=True, slots=True)
class Resolution:
    """Where a link was found to lead, address by address; `complete` when its end was reached within bounds."""

    trail: tuple[str, ...]
    complete: bool


def extract(spelled: str) -> list[str]:
    """The addresses in a text as `text.spelled` leaves it, in order, each once, with a scheme."""
    found: dict[str, None] = {}
    for match in _FOUND.finditer(spelled):
        address = match[0].rstrip(".,;:!?)]}…»”’*_~|")
        scheme, colon, rest = address.partition(":")
        if (colon and scheme in _DANGEROUS) or (colon and rest.startswith("//")):
            found[address] = None
        elif (not colon or "." in scheme) and _is_address(address):
            found[f"http://{address}"] = None
        if len(found) > MOST_LINKS:
            break
    return list(found)


def _is_address(text: str) -> bool:
    host = re.split(r"[/:]", text, maxsplit=1)[0]
    ending = host.rpartition(".")[2]
    return ending in link_lists.ENDINGS or ending.startswith("xn--") or "/" in text


def check(
    links: Iterable[str], rules: LinkRules = DEFAULT_RULES, resolved: Mapping[str, Resolution] | None = None
) -> list[tuple[str, Finding]]:
    """A (link, Finding) for each link with something wrong; `resolved` is what is known of where links lead."""
    found = []
    for number, link in enumerate(dict.fromkeys(links)):
        if number == MOST_LINKS:
            found.append((link, _finding(Label.SPAM, 0.99, f"more than {MOST_LINKS} links")))
            break
        finding = check_one(link, rules, (resolved or {}).get(link))
        if finding is not None:
            found.append((link, finding))
    return found


def shortened(links: Iterable[str], rules: LinkRules = DEFAULT_RULES) -> list[str]:
    """Those of the links that hide where they lead, and are not bad by themselves."""
    found = []
    for link in list(dict.fromkeys(links))[:MOST_LINKS]:
        if _problem(link, rules, True) is None:
            host = (urlsplit(link).hostname or "").rstrip(".")
            if domains.registrable(domains.unicode_of(host)) in rules.shorteners:
                found.append(link)
    return found


def check_one(link: str, rules: LinkRules = DEFAULT_RULES, resolution: Resolution | None = None) -> Finding | None:
    """What is wrong with one link; None for nothing. Where it leads must be as good as where it begins."""
    problem = _problem(link, rules, resolution is not None)
    if problem is None and resolution is not None:
        for address in resolution.trail:
            problem = problem or _problem(address, rules, True)
        if problem is None and not resolution.complete:
            problem = 0.7, "its redirects have no end within bounds"
    if problem is None:
        return None
    chance, why = problem
    return _finding(Label.SCAM_LINK, chance, f"{why}: {link}")


def _problem(link: str, rules: LinkRules, followed: bool) -> tuple[float, str] | None:
    if len(link) > _LONGEST_URL:
        return 0.8, f"an address of {len(link)} characters"
    try:
        parts = urlsplit(link)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return 0.8, "an address that cannot be read"
    if parts.scheme not in _SCHEMES:
        return 0.95, f"the scheme {parts.scheme[:20]}"
    if not host:
        return 0.8, "no host"
    seen = domains.unicode_of(host)
    names = [".".join(seen.split(".")[at:]) for at in range(seen.count(".") + 1)]
    if any(name in rules.blocked for name in names) or host in rules.blocked:
        return 0.99, "a blocked domain"
    if "@" in parts.netloc:
        return 0.95, "a name before the host, which hides the host"
    if domains.address_of(host) is not None:
        return 0.9, "a number in place of a name"
    if domains.registrable(seen) in rules.allowed:
        return None
    if any(len(domains.scripts(label)) > 1 for label in seen.split(".")):
        return 0.95, f"letters of several scripts in {seen[:40]}"
    if pretended := rules.protected.pretended(seen):
        return 0.9, f"looks like {pretended}"
    if port not in (None, 80, 443):
        return 0.7, f"the port {port}"
    if domains.registrable(seen) in rules.shorteners and not followed:
        return 0.6, "a short address whose end is not known yet"
    return None


def _finding(label: Label, chance: float, why: str) -> Finding:
    return Finding(label, chance, _THRESHOLD, "links", why[:80])
