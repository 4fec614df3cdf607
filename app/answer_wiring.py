"""Who remembers what sessions were answered? This process, and whoever shares a Redis or a folder with it."""

from __future__ import annotations

from dataclasses import dataclass

from app.settings import Settings
from app.wiring_redis import Redis
from backends.answers_lmdb import LmdbAnswers
from backends.answers_memory import MemoryAnswers
from backends.answers_redis import RedisAnswers
from exchange.creatives.composer import Composer
from exchange.session_answers import SessionAnswers


@dataclass(frozen=True, slots=True)
class KeptAnswers:
    """The answers as the auction asks for them, and what is shared with other processes; None: nothing."""

    sessions: SessionAnswers
    shared: LmdbAnswers | RedisAnswers | None

    def close(self) -> None:
        """Let go of what is shared."""
        if self.shared is not None:
            self.shared.close()


def kept_answers_of(settings: Settings, composer: Composer, redis: Redis | None = None) -> KeptAnswers:
    """The answers of the settings; BackendUnavailable when the shared folder cannot be opened."""
    shared: LmdbAnswers | RedisAnswers | None = None
    if redis is not None and settings.session_answer_ttl_s:
        shared = RedisAnswers(redis.hot, redis.patient)
    elif settings.session_answers_dir is not None and settings.session_answer_ttl_s:
        shared = LmdbAnswers(settings.session_answers_dir)
    sessions = SessionAnswers(
        MemoryAnswers(),
        ttl_ms=settings.session_answer_ttl_s * 1000,
        shared=shared,
        refreshed=composer.refreshed,
        adopted=composer.adopt,
    )
    return KeptAnswers(sessions, shared)
