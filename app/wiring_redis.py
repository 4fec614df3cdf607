"""What does Redis do, where the settings name one? What all nodes must know alike: profiles, answers, sessions, sold
pages of the feed, rate limits and a pool of budgets.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Engine

from app.engine_access import redis_address_of
from app.settings import Settings
from backends.budget_draws_sql import SqlBudgetDraws
from backends.budget_ledger_pooled import PooledBudgetLedger
from backends.budget_ledger_sql import SqlBudgetLedger
from backends.budget_pool_redis import RedisBudgetPool
from backends.page_ads_redis import RedisPageAds
from backends.profiles_lmdb import LmdbProfileStore
from backends.profiles_redis import RedisProfileStore
from backends.rate_limits_redis import RedisRateLimits
from backends.redis_connection import RedisConnection
from backends.session_impressions_redis import RedisSessionImpressions
from backends.sessions_redis import RedisSessions
from common.clock import Clock
from common.rate_limits import MemoryRateLimits, RateLimits
from exchange.bidder_quota import Quota, SharedQuota
from exchange.session_impressions import SessionImpressions, SessionMemory
from feed.kept_ads import KeptAds
from feed.ports import PageAds, SessionStore
from feed.sessions import InProcessSessions


@dataclass
class Redis:
    """The connections: `hot` is asked while page views wait, `patient` by threads. `profiles` were counted lately.

    `sharing` says how many nodes share it; `counted` is what each part counts, by the part's name.
    """

    hot: RedisConnection
    patient: RedisConnection
    profiles: int = 0
    sharing: Callable[[], int] = lambda: 1
    sessions: RedisSessions | None = None
    counted: dict[str, Mapping[str, int]] = field(default_factory=dict)

    def counts(self) -> dict[str, int]:
        """What came of asking Redis, by connection or part and result."""
        found: Counter[str] = Counter()
        for part, counts in self.counted.items():
            # A copy: threads count on meanwhile.
            found.update({f"{part} {result}": count for result, count in dict(counts).items()})
        for name, connection in (("hot", self.hot), ("patient", self.patient)):
            found.update({f"{name} {result}": count for result, count in dict(connection.counts).items()})
            found[f"{name} opened"] = connection.breaker.opened
        return dict(found)

    def close(self) -> None:
        """Let go of all connections."""
        self.hot.close()
        self.patient.close()


def redis_of(settings: Settings) -> Redis | None:
    """The Redis of the settings, None without one; nothing is connected yet. InvalidInput."""
    if not settings.redis_url:
        return None
    address = redis_address_of(settings)
    hot = RedisConnection(address, settings.redis_prefix, wait_ms=settings.redis_wait_ms)
    return Redis(hot, RedisConnection(address, settings.redis_prefix))


def profile_store_of(settings: Settings, redis: Redis | None) -> LmdbProfileStore | RedisProfileStore:
    """Where profiles are kept; BackendUnavailable when the folder cannot be opened."""
    if redis is None:
        return LmdbProfileStore(settings.data_dir / "profiles")
    return RedisProfileStore(redis.hot, redis.patient)


def ledger_of(
    ledger: SqlBudgetLedger, engine: Engine, redis: Redis | None, clock: Clock
) -> SqlBudgetLedger | PooledBudgetLedger:
    """Who leases: the ledger itself, or the pool that nodes share."""
    if redis is None:
        return ledger
    return PooledBudgetLedger(ledger, SqlBudgetDraws(engine), RedisBudgetPool(redis.patient), clock)


def session_memory_of(redis: Redis | None) -> SessionMemory:
    """What sessions were shown, for caps that count by session."""
    if redis is None:
        return SessionImpressions()
    shown = RedisSessionImpressions(redis.hot, redis.patient)
    redis.counted["session impressions"] = shown.counts
    return shown


def feed_sessions_of(redis: Redis | None) -> SessionStore:
    """What sessions of the feed have done and seen."""
    if redis is None:
        return InProcessSessions()
    redis.sessions = RedisSessions(redis.hot)
    redis.counted["sessions"] = redis.sessions.counts
    return redis.sessions


def page_ads_of(redis: Redis | None, ttl_ms: int) -> PageAds:
    """What was sold for pages of the feed, for as long as it can be billed."""
    if redis is None:
        return KeptAds(ttl_ms=ttl_ms)
    ads = RedisPageAds(redis.hot, ttl_ms=ttl_ms)
    redis.counted["page ads"] = ads.counts
    return ads


def rate_limits_of(redis: Redis | None) -> RateLimits:
    """How much people may do; asked by threads."""
    if redis is None:
        return MemoryRateLimits()
    rates = RedisRateLimits(redis.patient, lambda: redis.sharing())
    redis.counted["rates"] = rates.counts
    return rates


def quotas_of(redis: Redis | None, clock: Clock) -> Callable[[str, int], Quota | None]:
    """The quota of a bidder by its name and page views a second, where nodes share it; asked while page views wait."""
    if redis is None:
        return lambda name, page_views_per_s: None
    rates = RedisRateLimits(redis.hot, lambda: redis.sharing())
    redis.counted["quotas"] = rates.counts

    def quota(name: str, page_views_per_s: int) -> Quota | None:
        return SharedQuota(name, page_views_per_s, rates, clock) if page_views_per_s else None

    return quota
