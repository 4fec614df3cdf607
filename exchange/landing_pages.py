"""Where does a click lead? The ad's own landing page, with the click's id where the advertiser wants it."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, urlsplit, urlunsplit

# The macro as it is written, and as an address holds it after percent-encoding.
CLICK_ID: Final = "${CLICK_ID}"
_CLICK_ID: Final = re.compile(r"\$\{CLICK_ID\}|%24%7BCLICK_ID%7D", re.IGNORECASE)

# What has a meaning in an address and stays as it is; a percent sign was put there by the advertiser.
_SAFE: Final = ":/?#[]@!$&'()*+,;=%~{}"


def with_click_id(landing_url: str, click_id: str, parameter: str) -> str:
    """The page with `${CLICK_ID}` replaced, or else with `parameter=<click id>` added; empty parameters add nothing.

    Without a click id (the click does not count) the macro becomes empty and nothing is added.
    """
    if _CLICK_ID.search(landing_url):
        return _CLICK_ID.sub(click_id, landing_url)
    if not parameter or not click_id:
        return landing_url
    page, mark, fragment = landing_url.partition("#")
    joint = "" if page.endswith(("?", "&")) else "&" if "?" in page else "?"
    return f"{page}{joint}{quote(parameter, safe='')}={click_id}{mark}{fragment}"


def as_header(landing_url: str) -> str:
    """The page as a header holds it, in ASCII (RFC 3986, RFC 3490); empty when it is no absolute http address."""
    if not landing_url.isprintable() or " " in landing_url or len(landing_url) > 4_096:
        return ""
    try:
        parts = urlsplit(landing_url)
        host = parts.netloc if parts.netloc.isascii() else parts.netloc.encode("idna").decode()
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return ""
    return quote(urlunsplit(parts._replace(netloc=host)), safe=_SAFE)
