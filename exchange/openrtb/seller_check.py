"""Does the site let us sell this request? Its ads.txt, as far as it is known, asked once for each request of a site.

Apps and screens have no ads.txt; a site that names no domain cannot be looked up. Neither is refused for it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from exchange.ads_txt import Standing
from exchange.openrtb.problems import Problems

# A name with a dot, so neither an address nor a machine of one's own network; nothing else is looked up.
_DOMAIN: Final = re.compile(r"(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")
_SECTION: Final = "3.2.13"


class SellerCheck:
    """What ads.txt files say of requests; `standing` answers at once. With `enforce` a file that does not name us is
    a refusal, else a warning to who asks for warnings.
    """

    def __init__(self, standing: Callable[[str, str], Standing], *, enforce: bool) -> None:
        self._standing = standing
        self._enforce = enforce
        # Requests of sites by what their ads.txt says of us.
        self.seen: Counter[Standing] = Counter()

    def refusal(self, request: Mapping[str, Any], tenant_id: str, problems: Problems) -> int:
        """OpenRTB's no-bid reason for a valid request that is sold in the name of `tenant_id`, 0 where it may be."""
        domain = domain_of(request)
        if not domain:
            return 0
        standing = self._standing(domain, tenant_id)
        self.seen[standing] += 1
        if standing is not Standing.UNAUTHORISED:
            # A file that cannot be had, or was not yet, forbids nobody.
            return 0
        problems.warn("site.domain", domain, f"its ads.txt does not name us with {tenant_id}: add a line", _SECTION)
        return standing.nbr if self._enforce else 0


def domain_of(request: Mapping[str, Any]) -> str:
    """The domain whose ads.txt speaks for a request, in lower case and without www; empty when there is none."""
    site = request.get("site") or {}
    said = site.get("domain") or ""
    if not said and site.get("page"):
        try:
            said = urlsplit(site["page"]).hostname or ""
        except ValueError:
            return ""
    domain = said.strip().lower().rstrip(".").removeprefix("www.")
    return domain if _DOMAIN.fullmatch(domain) else ""
