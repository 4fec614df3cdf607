"""How does somebody at a terminal have a person erased? The running server does it, and says what went."""

from __future__ import annotations

import json

from app.call import call
from app.printing import print_json, print_table
from app.settings import Settings


def erase(settings: Settings, person_id: str, *, target: str, as_json: bool) -> None:
    """Erase a person of the API key's tenant and print how many of each thing went."""
    request = json.dumps({"person_id": person_id})
    answer = call(target or f"{settings.grpc_host}:{settings.grpc_port}", settings.api_key, "ErasePerson", request)
    erased = {str(one["what"]): int(one.get("count", 0)) for one in answer.get("erased", [])}
    if as_json:
        print_json(erased)
    elif any(erased.values()):
        print_table(("what", "erased"), [(what, f"{count:,}") for what, count in erased.items()])
    else:
        print("There was nothing of this person; a tombstone stands in the log all the same.")
