"""Where are photos and videos kept, and who opens them? The part of the feed's wiring that is about media."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine
from starlette.routing import BaseRoute

from app.settings import Settings
from backends.media_folder import FolderMediaStore
from backends.media_sql import SqlMediaRecords
from backends.upload_counts_sql import SqlUploadCounts
from common.clock import Clock
from common.errors import BackendUnavailable
from feed.media.addresses import MediaAddresses
from feed.media.endpoints import MediaEndpoints
from feed.media.images import ImageLimits
from feed.media.isolation import IsolatedImages
from feed.media.library import HashOf, MediaLibrary, no_hash
from feed.media.ports import MediaStore, UploadReceiver
from feed.media.quotas import Quota, quota_of_tier
from feed.media.tickets import Tickets
from feed.media.video import VideoLimits

_MIB = 1 << 20


@dataclass
class MediaParts:
    """What takes media in, names them and serves them."""

    library: MediaLibrary
    addresses: MediaAddresses
    # May others than its creator see a medium? Blocks.
    is_shown: Callable[[str], bool]
    routes: list[BaseRoute]


def wire_media(
    settings: Settings,
    clock: Clock,
    *,
    engine: Engine,
    is_shown: Callable[[str], bool],
    hash_of: HashOf = no_hash,
    tier_of: Callable[[str, str], int] = lambda tenant_id, creator_id: 0,
) -> MediaParts:
    """Media in the store that the settings name; `hash_of` is what pictures are compared by, `tier_of` what
    somebody's quota goes by.
    """
    tickets = Tickets(key_of(settings.data_dir, "media.key"))
    own_url = settings.public_url or settings.http_url
    store: MediaStore
    receiver: UploadReceiver | None = None
    if settings.media_store == "s3":
        store = _bucket(settings, clock)
    else:
        store = receiver = FolderMediaStore(settings.data_dir / "media", own_url)
    images = IsolatedImages(
        ImageLimits(max_bytes=settings.image_max_mib * _MIB, max_pixels=settings.image_max_megapixels * 1_000_000)
    )
    newcomer = Quota(settings.uploads_a_day, settings.upload_mib_a_day * _MIB)
    library = MediaLibrary(
        store=store,
        records=SqlMediaRecords(engine),
        tickets=tickets,
        clock=clock,
        images=images,
        image_max_bytes=settings.image_max_mib * _MIB,
        video_limits=VideoLimits(max_bytes=settings.video_max_mib * _MIB, max_duration_ms=settings.video_max_s * 1_000),
        work_dir=settings.data_dir / "media" / "work",
        ticket_ms=settings.upload_ttl_s * 1_000,
        hash_of=hash_of,
        counts=SqlUploadCounts(engine),
        quota_of=lambda tenant_id, creator_id: quota_of_tier(newcomer, tier_of(tenant_id, creator_id)),
    )
    endpoints = MediaEndpoints(store=store, receiver=receiver, tickets=tickets, is_shown=is_shown, clock=clock)
    addresses = MediaAddresses(settings.media_cdn_url or own_url, own_url, tickets, clock)
    return MediaParts(library, addresses, is_shown, endpoints.routes())


def key_of(data_dir: Path, name: str) -> bytes:
    """A secret of this data folder; made once, readable by its owner alone."""
    path = data_dir / name
    if not path.exists():
        path.touch(mode=0o600)
        path.write_bytes(secrets.token_bytes(32))
    return path.read_bytes()


def _bucket(settings: Settings, clock: Clock) -> MediaStore:
    try:
        from backends.media_s3 import S3MediaStore
    except ModuleNotFoundError:
        raise BackendUnavailable("media_store s3 needs boto3: install haat[s3]") from None
    return S3MediaStore(
        settings.s3_bucket,
        clock=clock,
        endpoint_url=settings.s3_endpoint_url,
        region=settings.s3_region,
        access_key=settings.s3_access_key,
        secret_key=settings.s3_secret_key,
    )
