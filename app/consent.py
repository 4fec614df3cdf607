"""How does this exchange read consent? The policy of the settings, its vendor list followed, and strings in words."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

from app.settings import Settings
from common import gpp, tcf
from common.consent import Permission
from common.consent_policy import ConsentPolicy, Verdict
from common.consent_signals import ConsentSignals
from common.errors import BackendUnavailable, FieldError, InvalidInput
from common.tcf import Vendor
from common.vendor_list import read_vendor_list

_log = logging.getLogger(__name__)


def policy_of(settings: Settings) -> ConsentPolicy:
    """The policy of the settings. A vendor list that cannot be read is told of; consent is then all that counts."""
    return FollowedPolicy(settings).current


class FollowedPolicy:
    """The policy with the newest vendor list: the last good one stays when a new one is broken."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._read_at_ns = 0
        self.current = self._with({})
        self.refresh()

    def verdict(self, signals: ConsentSignals) -> Verdict:
        """What may be used of the visitor."""
        return self.current.verdict(signals)

    def refresh(self) -> None:
        """Read the vendor list again when its file has changed."""
        file = self._settings.vendor_list
        if file is None:
            return
        try:
            changed_at_ns = file.stat().st_mtime_ns
            if changed_at_ns != self._read_at_ns:
                self.current = self._with(read_vendor_list(file))
                self._read_at_ns = changed_at_ns
        except (OSError, BackendUnavailable) as error:
            if self._read_at_ns != -1:
                _log.warning("the vendor list was not taken: %s", error)
            self._read_at_ns = -1

    def _with(self, vendors: dict[int, Vendor]) -> ConsentPolicy:
        return ConsentPolicy(
            vendor_id=self._settings.tcf_vendor_id,
            vendors=vendors,
            gdpr_where_unknown=self._settings.gdpr_where_unknown == "applies",
            granted_elsewhere=self._settings.consent_elsewhere == "granted",
            house_without_basic_ads=self._settings.without_basic_ads == "house",
        )


def told(policy: ConsentPolicy, text: str, *, country: str, gpc: bool) -> dict[str, Any]:
    """The string's content and the verdict. InvalidInput when it is none of the three kinds."""
    signals, story = _read(text)
    verdict = policy.verdict(replace(signals, gpc=gpc, country=country))
    return story | {
        "rules": list(verdict.regimes),
        "permitted": [str(permission.name).lower() for permission in Permission if permission & verdict.permissions],
        "basic_ads": verdict.basic_ads,
        "reasons": list(verdict.reasons),
    }


def _read(text: str) -> tuple[ConsentSignals, dict[str, Any]]:
    whys = []
    for reader in (_us_privacy, _gpp, _tc):
        try:
            return reader(text)
        except ValueError as error:
            whys.append(str(error))
    remedy = f"give a TC string ({whys[2]}), a GPP string ({whys[1]}) or a US privacy string"
    raise InvalidInput([FieldError("STRING", repr(text[:40]), remedy)])


def _us_privacy(text: str) -> tuple[ConsentSignals, dict[str, Any]]:
    gpp.us_privacy(text)
    return ConsentSignals(us_privacy=text), {"kind": "US privacy string"}


def _gpp(text: str) -> tuple[ConsentSignals, dict[str, Any]]:
    sections = gpp.sections_of(text)
    return ConsentSignals(gpp=text, gpp_sid=tuple(sections)), {"kind": "GPP string", "sections": list(sections)}


def _tc(text: str) -> tuple[ConsentSignals, dict[str, Any]]:
    tc = tcf.decode(text)
    return ConsentSignals(gdpr=True, tc_string=text), {
        "kind": "TC string",
        "consent_platform": tc.cmp_id,
        "vendor_list_version": tc.vendor_list_version,
        "purposes_by_consent": sorted(tc.purpose_consents),
        "purposes_by_interest": sorted(tc.purpose_interests),
        "special_features": sorted(tc.special_features),
        "vendors_by_consent": sorted(tc.vendor_consents),
        "vendors_by_interest": sorted(tc.vendor_interests),
        "vendors_disclosed": sorted(tc.disclosed_vendors) if tc.disclosed_vendors is not None else None,
        "restrictions": [
            f"purpose {purpose} of vendor {vendor}: {kind.name.lower()}"
            for (purpose, vendor), kind in sorted(tc.restrictions.items())
        ],
    }
