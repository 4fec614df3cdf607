"""How are media kept in an object store? Under their names in one private bucket of anything that speaks S3.

Uploads go straight to the store, by an address that it signs itself: method, key, type, length and the condition that
nothing stands there yet are bound by the signature. What came in is measured again when it is fetched.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from common.clock import Clock
from common.errors import BackendUnavailable, FieldError, InvalidInput, NotFound
from feed.media.ports import Upload, UploadAddress

PIECE_BYTES = 64 << 10
_UPLOADS = "uploads/"
_FILES = "files/"
# The most that one call deletes (API reference, DeleteObjects).
_DELETED_AT_ONCE = 1_000
_MISSING = frozenset({"404", "NoSuchKey", "NotFound"})


class S3MediaStore:
    """MediaStore over one bucket. Empty keys leave it to boto3 to find them."""

    def __init__(
        self,
        bucket: str,
        *,
        clock: Clock,
        endpoint_url: str = "",
        region: str = "",
        access_key: str = "",
        secret_key: str = "",
    ) -> None:
        self._bucket = bucket
        self._clock = clock
        self._client: Any = boto3.client(
            "s3",
            endpoint_url=endpoint_url or None,
            region_name=region or None,
            aws_access_key_id=access_key or None,
            aws_secret_access_key=secret_key or None,
            config=Config(
                signature_version="s3v4", connect_timeout=3, read_timeout=20, retries={"max_attempts": 3},
                # Not every store that speaks S3 knows the checksums of newer clients.
                request_checksum_calculation="when_required", response_checksum_validation="when_required",
                # A path holds for stores that have no name of their own for each bucket.
                s3={"addressing_style": "path" if endpoint_url else "auto"},
            ),
        )  # fmt: skip

    def upload_address(self, upload: Upload, ticket: str) -> UploadAddress:
        """An address that the store has signed."""
        left_s = max(1, (upload.expires_at_ms - self._clock.now_ms()) // 1000)
        params = {
            "Bucket": self._bucket,
            "Key": _UPLOADS + upload.upload_id,
            "ContentType": upload.content_type,
            "ContentLength": upload.max_bytes,
            "IfNoneMatch": "*",
        }
        with _translated():
            url: str = self._client.generate_presigned_url("put_object", Params=params, ExpiresIn=left_s)
        return UploadAddress(
            url,
            {
                "content-type": upload.content_type,
                "content-length": str(upload.max_bytes),
                "if-none-match": "*",
            },
        )

    def fetch_upload(self, upload: Upload, into: Path) -> None:
        """Copy an upload to a file, and see that it is what the ticket allows."""
        with _translated("nothing was uploaded with this ticket"):
            found = self._client.get_object(Bucket=self._bucket, Key=_UPLOADS + upload.upload_id)
            body = found["Body"]
            try:
                if not found["ContentLength"]:
                    # What was dropped leaves an empty object behind.
                    raise NotFound("nothing was uploaded with this ticket")
                if found["ContentLength"] > upload.max_bytes:
                    remedy = f"upload at most {upload.max_bytes} bytes, as the ticket says"
                    raise InvalidInput([FieldError("upload", f"{found['ContentLength']} bytes", remedy)])
                if found["ContentType"] != upload.content_type:
                    remedy = f"upload {upload.content_type}, as the ticket says"
                    raise InvalidInput([FieldError("upload", "another content type", remedy)])
                with into.open("wb") as file:
                    for piece in body.iter_chunks(PIECE_BYTES):
                        file.write(piece)
            finally:
                body.close()

    def drop_upload(self, upload_id: str) -> None:
        """Replace the bytes by nothing: what stands there keeps the ticket from being used again."""
        with _translated():
            keys = self._client.list_objects_v2(Bucket=self._bucket, Prefix=_UPLOADS + upload_id, MaxKeys=1)
            if keys.get("KeyCount"):
                self._client.put_object(Bucket=self._bucket, Key=_UPLOADS + upload_id, Body=b"")

    def drop_uploads_before(self, made_before_ms: int) -> int:
        """Forget old uploads: ids begin with their time, and keys come in their order."""
        first_kept = f"{_UPLOADS}{max(made_before_ms, 0):012x}"
        gone: list[str] = []
        with _translated():
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=_UPLOADS):
                keys = [entry["Key"] for entry in page.get("Contents", ())]
                gone += [key for key in keys if key < first_kept]
                if not keys or keys[-1] >= first_kept:
                    break
            self._delete(gone)
        return len(gone)

    def put(self, name: str, file: Path, content_type: str) -> None:
        """Keep a file."""
        with _translated(), file.open("rb") as stream:
            self._client.put_object(Bucket=self._bucket, Key=_FILES + name, Body=stream, ContentType=content_type)

    def size(self, name: str) -> int | None:
        """Bytes of a file."""
        try:
            with _translated("there is no such file"):
                found: int = self._client.head_object(Bucket=self._bucket, Key=_FILES + name)["ContentLength"]
                return found
        except NotFound:
            return None

    def read(self, name: str, start: int, length: int) -> Generator[bytes, None, None]:
        """A part of a file, in pieces."""
        if length <= 0:
            return
        with _translated("there is no such file"):
            part = f"bytes={start}-{start + length - 1}"
            body = self._client.get_object(Bucket=self._bucket, Key=_FILES + name, Range=part)["Body"]
            try:
                yield from body.iter_chunks(PIECE_BYTES)
            finally:
                body.close()

    def delete(self, names: Sequence[str]) -> int:
        """Delete files."""
        there = [name for name in names if self.size(name) is not None]
        with _translated():
            self._delete([_FILES + name for name in there])
        return len(there)

    def _delete(self, keys: Sequence[str]) -> None:
        for at in range(0, len(keys), _DELETED_AT_ONCE):
            objects = [{"Key": key} for key in keys[at : at + _DELETED_AT_ONCE]]
            self._client.delete_objects(Bucket=self._bucket, Delete={"Objects": objects, "Quiet": True})


@contextmanager
def _translated(missing: str = "") -> Iterator[None]:
    """Errors of the client as ours; `missing` is what is said where there is no such key."""
    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        if missing and code in _MISSING:
            raise NotFound(missing) from None
        # Its words could quote a signed address.
        raise BackendUnavailable(f"the object store refused: {code or 'without a reason'}") from None
    except BotoCoreError as error:
        raise BackendUnavailable(f"the object store does not answer: {type(error).__name__}") from None
