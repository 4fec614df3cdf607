"""Who handled this request and is paid for it? The chain as it came is checked, and this exchange adds its own link.

OpenRTB 2.6 §3.2.25 and §3.2.26; the rules are those of the SupplyChain object, version 1.0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

NODES_LIMIT: Final = 32
_TEXT_LIMIT: Final = 255

# (path, value, remedy, section, whether the request must be refused for it)
Tell = Callable[[str, object, str, str, bool], None]


class OurNode(msgspec.Struct, frozen=True):
    """This exchange's link: `asi` is the domain where its sellers.json is found."""

    asi: str
    name: str = ""

    def link(self, seller_id: str, request_id: str) -> dict[str, Any]:
        """The node for a request that `seller_id`, an entry of our sellers.json, sold through us."""
        node: dict[str, Any] = {"asi": self.asi, "sid": seller_id, "hp": 1}
        if request_id:
            node["rid"] = request_id
        if self.name:
            node["name"] = self.name
        return node


def check_chain(chain: Mapping[str, Any], path: str, tell: Tell) -> None:
    """Tell what is wrong with a chain whose fields are of the right kinds."""
    if "complete" not in chain:
        tell(f"{path}.complete", None, "say whether the chain goes back to the publisher: 0 or 1", "3.2.25", True)
    version = chain.get("ver")
    if not version:
        tell(f"{path}.ver", version, "give the version of the chain: 1.0", "3.2.25", True)
    elif version != "1.0":
        tell(f"{path}.ver", version, "read as version 1.0", "3.2.25", False)
    nodes = chain.get("nodes") or ()
    if not 0 < len(nodes) <= NODES_LIMIT:
        tell(f"{path}.nodes", f"{len(nodes)} of them", f"give 1 to {NODES_LIMIT}", "3.2.25", True)
    for index, node in enumerate(nodes[:NODES_LIMIT]):
        at = f"{path}.nodes[{index}]"
        for name, meaning in (("asi", "the domain of the system"), ("sid", "the seller's id in that system")):
            said = node.get(name)
            if not said or len(said) > _TEXT_LIMIT:
                tell(f"{at}.{name}", said, f"give {meaning} in 1 to {_TEXT_LIMIT} characters", "3.2.26", True)
        if node.get("hp") != 1:
            tell(f"{at}.hp", node.get("hp"), "read as 1: in version 1.0 every node is paid", "3.2.26", False)


def with_our_node(chain: Mapping[str, Any] | None, node: Mapping[str, Any]) -> dict[str, Any]:
    """The chain with our link behind the last one; without a chain we are the first after the publisher.

    A chain that was incomplete stays so: nobody further on can know what was left out.
    """
    if chain is None:
        return {"complete": 1, "nodes": [dict(node)], "ver": "1.0"}
    return {**chain, "nodes": [*chain.get("nodes", ()), dict(node)]}
