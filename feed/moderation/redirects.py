"""Where does a short link end? Hop by hop, each address checked before it is asked, and never more than a few."""

from __future__ import annotations

from typing import Final

from common.errors import BackendUnavailable
from feed.moderation.check_ports import RedirectHop
from feed.moderation.links import DEFAULT_RULES, LinkRules, Resolution, check_one

MOST_HOPS: Final = 5


async def follow(hop: RedirectHop, link: str, rules: LinkRules = DEFAULT_RULES, most: int = MOST_HOPS) -> Resolution:
    """Follow a link to its end, to the first bad address, in a circle, or for `most` hops: whichever comes first.

    What cannot be asked is not complete: then a person looks.
    """
    trail: list[str] = []
    at = link
    for _ in range(most):
        try:
            following = await hop(at)
        except BackendUnavailable:
            return Resolution(tuple(trail), complete=False)
        if not following:
            return Resolution(tuple(trail), complete=True)
        if following == link or following in trail:
            return Resolution((*trail, following), complete=False)
        trail.append(following)
        # A bad address is the end: nobody needs to call it to know.
        if check_one(following, rules, Resolution((), complete=True)) is not None:
            return Resolution(tuple(trail), complete=True)
        at = following
    return Resolution(tuple(trail), complete=False)
