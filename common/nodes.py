"""What is a node called? A process that sells, with a data folder of its own and a name that no other one has."""

from __future__ import annotations

import re
from typing import Final

from common.errors import FieldError, InvalidInput

# Who sold before nodes had names.
DEFAULT_NODE: Final = "exchange-1"
# In place of a node's name, for what was read of all of them; none can be called so.
ALL_NODES: Final = "*"
NAME_AT_MOST: Final = 30
# Numbers of nodes are twelve bits of each auction's id; 0 is nobody's.
NODES_AT_MOST: Final = 4_095
_NAME: Final = re.compile(rf"[a-z][a-z0-9-]{{0,{NAME_AT_MOST - 1}}}")


def checked_node(name: str) -> str:
    """The name; InvalidInput when it is none."""
    if not _NAME.fullmatch(name):
        remedy = f"give lower-case letters, digits and -, at most {NAME_AT_MOST}, a letter first, as {DEFAULT_NODE}"
        raise InvalidInput([FieldError("node", repr(name[:60]), remedy)])
    return name
