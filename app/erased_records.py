"""What of a person stands outside of SQL, and how is it forgotten? Hooks over the log, the profiles and the indexes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping

from backends.event_log_lmdb import LmdbEventLog
from feed.index import FeedIndex
from feed.social.ports import Search
from feed.social.sights import Sights
from protos import events_pb2, exchange_pb2
from streams.erasures import scrub
from streams.ports import Record
from streams.profiles import Profiles
from streams.topics import AUCTIONS

_AT_ONCE = 200


class LogErasure:
    """Takes a person's id out of the event log. The records stay: money and counts still add up."""

    def __init__(self, log: LmdbEventLog) -> None:
        self._log = log

    def erase(self, tenant_id: str, person_id: str) -> Mapping[str, int]:
        """Rewrite every record that names the person; reads all that retention keeps."""
        records = scrub(self._log, tenant_id, person_id) + self._scrub_auctions(person_id)
        self._log.sync()
        return {"event log records": records}

    def _scrub_auctions(self, visitor_id: str) -> int:
        """Auctions lose the visitor of the page view: id, segments and affinities."""
        named, scrubbed = visitor_id.encode(errors="surrogatepass"), 0
        for records in self._portions():
            changed: dict[int, bytes] = {}
            for record in records:
                if named in record.payload and (payload := _without_visitor(record.payload, visitor_id)):
                    changed[record.offset] = payload
            if changed:
                self._log.rewrite(AUCTIONS.name, changed)
            scrubbed += len(changed)
        return scrubbed

    def _portions(self) -> Iterator[list[Record]]:
        offset, end = 0, self._log.end(AUCTIONS.name)
        while offset < end and (records := self._log.read(AUCTIONS.name, offset, _AT_ONCE)):
            yield records
            offset = records[-1].offset + 1


class ProfileErasure:
    """Forgets the visitor of the same id: segments, affinities, impressions seen; what models are fed with."""

    def __init__(self, profiles: Profiles) -> None:
        self._profiles = profiles

    def erase(self, tenant_id: str, person_id: str) -> Mapping[str, int]:
        """The profile, if there is one."""
        return {"profiles": int(self._profiles.erase(person_id))}


class IndexErasure:
    """Forgets in memory and in the search index. The feed's index belongs to the event loop, so it is told there."""

    def __init__(self, search: Search, sights: Sights) -> None:
        self._search = search
        self._sights = sights
        self._waiting: deque[tuple[str, str]] = deque()

    def erase(self, tenant_id: str, person_id: str) -> Mapping[str, int]:
        """Search entries; the feed forgets within a moment, and shows nothing meanwhile that was erased."""
        self._sights.forget()
        self._waiting.append((tenant_id, person_id))
        return {"search entries": self._search.forget_person(tenant_id, person_id)}

    def forget_in(self, index: FeedIndex) -> None:
        """To be called in the event loop, again and again."""
        while self._waiting:
            tenant_id, person_id = self._waiting.popleft()
            index.shelf(tenant_id).forget_creator(person_id)


def _without_visitor(payload: bytes, visitor_id: str) -> bytes | None:
    held = events_pb2.AuctionsHeld.FromString(payload)
    changed = False
    for at, wire in enumerate(held.page_view):
        view = exchange_pb2.PageView.FromString(wire)
        if view.visitor.visitor_id == visitor_id:
            view.ClearField("visitor")
            held.page_view[at] = view.SerializeToString()
            changed = True
    return held.SerializeToString() if changed else None
