"""What do the commands of banned pictures read and print?"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from PIL import Image

from app.money_commands import at_text
from app.printing import print_json, print_table
from common.errors import FieldError, InvalidInput
from feed.media import sniffing
from feed.media.images import ImageLimits
from feed.media.isolation import IsolatedImages
from feed.media.refused import MediaRefused
from feed.moderation.image_hash import LEAST_QUALITY, hash_image

_HASH: Final = re.compile(r"[0-9a-fA-F]{64}")


def picture_hash(picture: Path) -> str:
    """The PDQ of a file, opened as uploads are, in a process of its own; or what is a hash already."""
    if _HASH.fullmatch(picture.name) and not picture.exists():
        return picture.name.lower()
    try:
        with picture.open("rb") as file:
            head = file.read(sniffing.HEAD_BYTES)
        with TemporaryDirectory() as folder:
            made = IsolatedImages(ImageLimits()).render(picture, Path(folder), sniffing.type_of(head))
            smallest = next(one for one in made if one.content_type == sniffing.JPEG)
            with Image.open(Path(folder) / smallest.name, formats=["JPEG"]) as image:
                hashed = hash_image(image.convert("RGB"))
    except OSError as trouble:
        raise InvalidInput([FieldError("PICTURE", str(picture)[:80], f"give a file or a hash ({trouble})")]) from None
    except MediaRefused as refused:
        raise InvalidInput([FieldError("PICTURE", refused.found, refused.remedy)]) from None
    if hashed.quality < LEAST_QUALITY:
        remedy = "give a picture with more in it: many plain ones are alike by chance"
        raise InvalidInput([FieldError("PICTURE", f"is too plain ({hashed.quality} of 100)", remedy)])
    return hashed.hex


def show_bans(bans: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """The list."""
    if as_json:
        print_json(bans)
        return
    rows = [(one["image_hash"], at_text(one["banned_at_ms"]), one["banned_by"], one["reason"]) for one in bans]
    print_table(("hash", "since", "by", "why"), rows)


def show_banned(answer: Mapping[str, Any], *, as_json: bool) -> None:
    """What became of one."""
    if as_json:
        print_json(answer)
        return
    ban = answer["ban"]
    print(f"{ban['image_hash']} {'is banned' if answer.get('holds') else 'is banned no more'}.")
    for media_id in answer.get("taken_away", []):
        print(f"Taken away: {media_id}, with a case of its own.")
