"""How are media kept in a folder? Each file under its name, each upload beside a mark that its ticket was used."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Generator, Sequence
from pathlib import Path

from common.errors import BackendUnavailable, Conflict, FieldError, InvalidInput, NotFound
from common.ids import made_at_ms, number_of
from feed.media.ports import Upload, UploadAddress

PIECE_BYTES = 64 << 10
_NAME = re.compile(r"[0-9a-f]{32}/[0-9a-f]{64}\.[a-z0-9]{3,4}")
_ID = re.compile(r"[0-9a-f]{32}")


class FolderMediaStore:
    """MediaStore and UploadReceiver over one folder; uploads come in at `public_url`, which has no slash at its end."""

    def __init__(self, folder: Path, public_url: str) -> None:
        self._files = folder / "files"
        self._uploads = folder / "uploads"
        self._public_url = public_url
        for part in (self._files, self._uploads):
            part.mkdir(parents=True, exist_ok=True, mode=0o700)

    def upload_address(self, upload: Upload, ticket: str) -> UploadAddress:
        """Our own address."""
        return UploadAddress(f"{self._public_url}/media/uploads/{ticket}", {"content-type": upload.content_type})

    def begin(self, upload: Upload) -> FolderSink:
        """Open an upload; Conflict when its ticket was used."""
        mark = self._upload(upload.upload_id, "used")
        try:
            # Of two who come at once, one makes the mark.
            mark.touch(mode=0o600, exist_ok=False)
        except FileExistsError:
            raise Conflict("this ticket was used: start another upload") from None
        except OSError as error:
            raise _unavailable(error) from error
        return FolderSink(mark, self._upload(upload.upload_id, "part"), self._upload(upload.upload_id, "done"), upload)

    def fetch_upload(self, upload: Upload, into: Path) -> None:
        """Copy an upload to a file."""
        try:
            # What came in was measured and typed while it did.
            shutil.copyfile(self._upload(upload.upload_id, "done"), into)
        except FileNotFoundError:
            raise NotFound("nothing was uploaded with this ticket") from None
        except OSError as error:
            raise _unavailable(error) from error

    def drop_upload(self, upload_id: str) -> None:
        """Forget the bytes; the mark stays."""
        self._upload(upload_id, "done").unlink(missing_ok=True)

    def drop_uploads_before(self, made_before_ms: int) -> int:
        """Forget old uploads with their marks."""
        gone = set()
        for file in self._uploads.iterdir():
            if _ID.fullmatch(file.stem) and made_at_ms(number_of(file.stem)) < made_before_ms:
                file.unlink(missing_ok=True)
                gone.add(file.stem)
        return len(gone)

    def put(self, name: str, file: Path, content_type: str) -> None:
        """Keep a file: it is on disk before it has its name."""
        target = self._file(name)
        fresh = target.with_suffix(".new")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with file.open("rb") as source, fresh.open("wb") as copy:
                shutil.copyfileobj(source, copy, PIECE_BYTES)
                copy.flush()
                os.fsync(copy.fileno())
            fresh.replace(target)
        except OSError as error:
            raise _unavailable(error) from error

    def size(self, name: str) -> int | None:
        """Bytes of a file."""
        try:
            return self._file(name).stat().st_size
        except FileNotFoundError:
            return None

    def read(self, name: str, start: int, length: int) -> Generator[bytes, None, None]:
        """A part of a file, in pieces."""
        try:
            stream = self._file(name).open("rb")
        except FileNotFoundError:
            raise NotFound("there is no such file") from None
        with stream:
            stream.seek(start)
            while length > 0 and (piece := stream.read(min(length, PIECE_BYTES))):
                length -= len(piece)
                yield piece

    def delete(self, names: Sequence[str]) -> int:
        """Delete files, and folders that are empty then."""
        gone = 0
        for name in names:
            file = self._file(name)
            try:
                file.unlink()
                gone += 1
            except FileNotFoundError:
                continue
            if not any(file.parent.iterdir()):
                file.parent.rmdir()
        return gone

    def _file(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ValueError(f"not a name of a medium's file: {name[:80]!r}")
        # Ids begin with the time; their ends are spread evenly over folders.
        return self._files / name[30:32] / name

    def _upload(self, upload_id: str, kind: str) -> Path:
        if not _ID.fullmatch(upload_id):
            raise ValueError(f"not an id of an upload: {upload_id[:80]!r}")
        return self._uploads / f"{upload_id}.{kind}"


class FolderSink:
    """UploadSink into a file beside the mark."""

    def __init__(self, mark: Path, part: Path, done: Path, upload: Upload) -> None:
        self._mark = mark
        self._part = part
        self._done = done
        self._left = upload.max_bytes
        self._most = upload.max_bytes
        try:
            self._stream = part.open("wb")
        except OSError as error:
            mark.unlink(missing_ok=True)
            raise _unavailable(error) from error

    def write(self, piece: bytes) -> None:
        """Take more bytes."""
        self._left -= len(piece)
        if self._left < 0:
            remedy = f"upload at most {self._most} bytes, as the ticket says"
            raise InvalidInput([FieldError("upload", "more bytes than the ticket allows", remedy)])
        try:
            self._stream.write(piece)
        except OSError as error:
            raise _unavailable(error) from error

    def commit(self) -> None:
        """Keep it."""
        try:
            self._stream.flush()
            os.fsync(self._stream.fileno())
            self._stream.close()
            self._part.replace(self._done)
        except OSError as error:
            raise _unavailable(error) from error

    def abandon(self) -> None:
        """Forget it, and give the ticket back."""
        self._stream.close()
        self._part.unlink(missing_ok=True)
        self._mark.unlink(missing_ok=True)


def _unavailable(error: OSError) -> BackendUnavailable:
    return BackendUnavailable(f"the folder of media cannot be written or read: {error.strerror}")
