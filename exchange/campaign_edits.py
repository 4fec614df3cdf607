"""How is changed what there is already? Any fields of a thing at once, its history, and a step back in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import msgspec
from msgspec.structs import replace

from common.errors import Conflict, FieldError, InvalidInput, NotFound, PermissionDenied
from exchange import campaign_checks as checks
from exchange.buying_terms import check_seat
from exchange.campaign_pages import Page, asked_page
from exchange.campaign_ports import CampaignReads, CampaignStore, CampaignWrites, Change, ChangeMade
from exchange.campaign_values import Advertiser, Campaign, Creative, LineItem
from exchange.campaigns import Campaigns, Write
from exchange.creative_checks import changed_creative

MAX_PATHS: Final = 50
# Each with why not.
_FIXED: Final[Mapping[str, str]] = {
    "advertiser_id": "a thing stays with its advertiser",
    "campaign_id": "a line item stays in its campaign",
    "line_item_id": "ids never change",
    "number": "it is the exchange's own",
    "revision": "it is the exchange's own: say in `revision` beside the mask which one you saw",
    "currency": "what was spent is in it: make another campaign",
    "time_zone": "days were counted in it: make another campaign",
    "pricing_model": "ads that are sold are billed by it: make another line item",
}

Thing = Advertiser | Campaign | LineItem
ThingT = TypeVar("ThingT", Advertiser, Campaign, LineItem)
_TYPES: Final[Mapping[str, type[Advertiser] | type[Campaign] | type[LineItem] | type[Creative]]] = {
    "advertiser": Advertiser,
    "campaign": Campaign,
    "line_item": LineItem,
    "creative": Creative,
}


class Undone(msgspec.Struct, frozen=True):
    """What an undo came to: the thing has this revision now."""

    kind: str
    id: str
    revision: int


class CampaignEdits:
    """The use cases. InvalidInput names the fields, NotFound hides what is another tenant's, Conflict a lost race."""

    def __init__(self, *, campaigns: Campaigns, store: CampaignStore) -> None:
        self._campaigns = campaigns
        self._store = store

    def update_advertiser(
        self, write: Write, advertiser_id: str, draft: Advertiser, paths: Sequence[str], revision: int = 0
    ) -> Advertiser:
        """Set the fields that `paths` names as in `draft`; Conflict unless it has `revision`, where one is given."""
        return self._update(write, "advertiser", advertiser_id, draft, paths, revision)

    def update_campaign(
        self, write: Write, campaign_id: str, draft: Campaign, paths: Sequence[str], revision: int = 0
    ) -> Campaign:
        """The same for a campaign."""
        return self._update(write, "campaign", campaign_id, draft, paths, revision)

    def update_line_item(
        self, write: Write, line_item_id: str, draft: LineItem, paths: Sequence[str], revision: int = 0
    ) -> LineItem:
        """The same for a line item, its targeting, schedule, cap and creatives among it."""
        return self._update(write, "line_item", line_item_id, draft, paths, revision)

    def changes(self, tenant_id: str, id: str = "", page_size: int = 0, page_token: str = "") -> Page[ChangeMade]:
        """What was changed of a thing (of everything without an id), oldest first. NotFound for an unknown id."""
        errors: list[FieldError] = []
        asked = asked_page(f"changes {id}", page_size, page_token, errors)
        if errors:
            raise InvalidInput(errors)
        with self._store.reading() as unit:
            if id and not any(_find(unit, tenant_id, kind, id) for kind in _TYPES):
                raise NotFound(f"there is no advertiser, campaign, line item or creative {id[:40]!r}")
            return asked.cut(lambda after, limit: unit.changes(tenant_id, id, after, limit))

    def undo(self, write: Write, change_number: int) -> Undone:
        """Make a thing what it was before a change, as a change of its own. Conflict when it changed again since."""
        errors: list[FieldError] = []
        if change_number < 1:
            errors.append(FieldError("change_number", f"is {change_number}", "give the number that ListChanges tells"))

        def work(unit: CampaignWrites) -> tuple[Undone, list[Change]]:
            change = unit.change(write.tenant_id, change_number)
            current = _find(unit, write.tenant_id, change.kind, change.id) if change is not None else None
            if change is None or current is None:
                raise NotFound(f"there is no change {change_number}")
            if not change.before:
                remedy = f"it made the {_called(change.kind)}: pause it instead"
                raise InvalidInput([FieldError("change_number", f"{change_number} cannot be undone", remedy)])
            if current.revision != change.revision:
                after = msgspec.json.decode(change.after, type=_TYPES[change.kind])
                since = ", ".join(changed_fields(after, current)) or "its revision alone"
                raise Conflict(
                    f"the {_called(change.kind)} changed since ({since}): it has revision {current.revision}, and the "
                    f"change made {change.revision}; undo what came later first, or update it"
                )
            before = msgspec.json.decode(change.before, type=_TYPES[change.kind])
            again = _as_before(before, current)
            if isinstance(again, LineItem) and isinstance(current, LineItem) and again.seat != current.seat:
                _check_seat(again, write)
            _put(unit, write, again, current)
            done = Change(change.kind, change.id, again.revision)
            return Undone(change.kind, change.id, again.revision), [done]

        return self._campaigns.once(write, "UndoChange", change_number, Undone, errors, work)

    def _update(self, write: Write, kind: str, id: str, draft: ThingT, paths: Sequence[str], revision: int) -> ThingT:
        errors: list[FieldError] = []
        if not id:
            errors.append(FieldError(f"{kind}.{kind}_id", "is empty", "name the one to be changed"))
        wanted = checked_paths(type(draft), paths, errors)

        def work(unit: CampaignWrites) -> tuple[ThingT, list[Change]]:
            current: Any = _find(unit, write.tenant_id, kind, id)
            if current is None:
                raise NotFound(f"there is no {_called(kind)} {id[:40]!r}")
            if revision and revision != current.revision:
                raise Conflict(f"the {_called(kind)} has revision {current.revision}, not {revision}: read it again")
            changed = checked(patched(current, draft, wanted))
            if isinstance(changed, LineItem) and changed.seat != current.seat:
                _check_seat(changed, write)
            if changed == current:
                return current, []
            changed = replace(changed, revision=current.revision + 1)
            put(unit, write.tenant_id, changed)
            return changed, [Change(kind, id, changed.revision)]

        request = (id, draft, sorted(wanted), revision)
        return self._campaigns.once(write, f"Update {kind}", request, type(draft), errors, work)


def _check_seat(line_item: LineItem, write: Write) -> None:
    errors: list[FieldError] = []
    check_seat("line_item", line_item.seat, write.caller.role, errors)
    if errors:
        raise InvalidInput(errors)


def checked_paths(thing: type[Thing], paths: Sequence[str], errors: list[FieldError]) -> list[str]:
    """The paths of a field mask, `name` or `targeting.countries`, that name fields which may change."""
    if not paths:
        errors.append(
            FieldError("update_mask", "is empty", "name the fields to be changed, as name or budget.daily_micros")
        )
    if len(paths) > MAX_PATHS:
        errors.append(FieldError("update_mask", f"has {len(paths)} paths", f"give at most {MAX_PATHS}"))
        return []
    hints = {field.name: field.type for field in msgspec.structs.fields(thing)}
    known = [name for name in hints if name not in _FIXED]
    for path in paths:
        head, _, tail = path.partition(".")
        if head in _FIXED:
            errors.append(FieldError("update_mask", f"{path[:60]!r} cannot be changed", _FIXED[head]))
        elif head not in hints or (tail and tail not in getattr(hints[head], "__struct_fields__", ())):
            errors.append(FieldError("update_mask", f"{path[:60]!r} is no field", f"name some of {', '.join(known)}"))
    return list(dict.fromkeys(paths))


def patched(current: ThingT, draft: ThingT, paths: Sequence[str]) -> ThingT:
    """`current` with the fields that the paths name as they are in `draft`."""
    for path in paths:
        head, _, tail = path.partition(".")
        value = getattr(draft, head)
        if tail:
            value = replace(getattr(current, head), **{tail: getattr(value, tail)})
        current = replace(current, **{head: value})
    return current


def checked(thing: ThingT) -> ThingT:
    """The thing as it would be taken when it were new; InvalidInput names every field that cannot be taken."""
    errors: list[FieldError] = []
    done: Any
    # Unsaid is active in what is new, and nothing that anybody would mean here.
    kind = {Advertiser: "advertiser", Campaign: "campaign", LineItem: "line_item"}[type(thing)]
    checks.check_state(f"{kind}.state", thing.state, errors)
    if isinstance(thing, Advertiser):
        done = replace(checks.checked_advertiser(thing, errors), state=thing.state)
    elif isinstance(thing, Campaign):
        done = checks.checked_campaign(thing, thing.currency, errors)
    else:
        done = checks.checked_line_item(thing, errors)
    if errors:
        raise InvalidInput(errors)
    found: ThingT = done
    return found


def put(unit: CampaignWrites, tenant_id: str, thing: Thing) -> None:
    """Store another state of a thing; NotFound when it names creatives that are not its advertiser's."""
    if isinstance(thing, Advertiser):
        unit.replace_advertiser(tenant_id, thing)
    elif isinstance(thing, Campaign):
        unit.replace_campaign(tenant_id, thing)
    else:
        check_creatives(unit, tenant_id, thing)
        unit.replace_line_item(tenant_id, thing)


def check_creatives(unit: CampaignReads, tenant_id: str, line_item: LineItem) -> None:
    """NotFound when a line item names a creative that is not its advertiser's."""
    campaign = unit.campaign(tenant_id, line_item.campaign_id)
    if campaign is None:
        raise NotFound(f"there is no campaign {line_item.campaign_id[:40]!r}")
    creatives = unit.creatives_by_id(tenant_id, line_item.creative_ids)
    for creative_id in line_item.creative_ids:
        if creative_id not in creatives or creatives[creative_id].advertiser_id != campaign.advertiser_id:
            raise NotFound(f"the campaign's advertiser has no creative {creative_id[:40]!r}")


def changed_fields(before: msgspec.Struct, after: msgspec.Struct) -> list[str]:
    """The names of the fields in which two states of a thing differ, without its revision."""
    names = [name for name in before.__struct_fields__ if name not in ("revision", "number")]
    return [name for name in names if getattr(before, name) != getattr(after, name)]


def _as_before(before: Thing | Creative, current: Thing | Creative) -> Thing | Creative:
    """What an undo makes of a thing. A creative that looks as before is reviewed again: so is every change of it."""
    again: Thing | Creative = replace(before, revision=current.revision + 1, number=current.number)
    if isinstance(again, Creative) and isinstance(current, Creative):
        return changed_creative(current, again) or again
    return again


def _put(unit: CampaignWrites, write: Write, thing: Thing | Creative, current: Thing | Creative) -> None:
    if not isinstance(thing, Creative):
        put(unit, write.tenant_id, thing)
        return
    if isinstance(current, Creative) and changed_creative(current, thing) is not None:
        unit.set_creative(thing)
        return
    if write.caller.role != "operator":
        raise PermissionDenied("reviews are undone by operators: use the API key of one")
    unit.set_review_state(thing.creative_id, thing.review_state, thing.revision)


def _find(unit: CampaignReads, tenant_id: str, kind: str, id: str) -> Thing | Creative | None:
    readers: dict[str, Callable[[str, str], Thing | Creative | None]] = {
        "advertiser": unit.advertiser,
        "campaign": unit.campaign,
        "line_item": unit.line_item,
        "creative": unit.creative,
    }
    return readers[kind](tenant_id, id)


def _called(kind: str) -> str:
    return kind.replace("_", " ")
