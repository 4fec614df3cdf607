"""Is a chain checked, and our link added rightly?"""

from __future__ import annotations

from typing import Any

from exchange.supply_chain import NODES_LIMIT, OurNode, check_chain, with_our_node

NODE = {"asi": "ssp.example", "sid": "9", "hp": 1}


def told(chain: dict[str, Any]) -> dict[str, bool]:
    found: dict[str, bool] = {}
    check_chain(chain, "schain", lambda path, _value, _remedy, _section, refuse: found.update({path: refuse}))
    return found


def test_a_whole_chain_is_right() -> None:
    assert told({"complete": 0, "ver": "1.0", "nodes": [NODE, NODE]}) == {}


def test_what_is_missing_refuses_and_what_can_be_read_otherwise_warns() -> None:
    nodes = [{"asi": "a.example", "sid": "1", "hp": 0}, {"asi": "x" * 256, "hp": 1}]

    assert told({"ver": "1.1", "nodes": nodes}) == {
        "schain.complete": True,
        "schain.ver": False,
        "schain.nodes[0].hp": False,
        "schain.nodes[1].asi": True,
        "schain.nodes[1].sid": True,
    }
    assert told({"complete": 1, "ver": "1.0", "nodes": []}) == {"schain.nodes": True}
    assert "schain.nodes" in told({"complete": 1, "ver": "1.0", "nodes": [NODE] * (NODES_LIMIT + 1)})


def test_our_link_names_the_seller_and_the_request() -> None:
    assert OurNode("exchange.example", "The exchange").link("tenant", "r") == {
        "asi": "exchange.example", "sid": "tenant", "hp": 1, "rid": "r", "name": "The exchange",
    }  # fmt: skip
    assert OurNode("exchange.example").link("tenant", "") == {"asi": "exchange.example", "sid": "tenant", "hp": 1}


def test_a_chain_keeps_what_it_was() -> None:
    chain = {"complete": 0, "ver": "1.0", "nodes": [NODE], "ext": {"a": 1}}

    longer = with_our_node(chain, {"asi": "us"})

    assert longer == {"complete": 0, "ver": "1.0", "nodes": [NODE, {"asi": "us"}], "ext": {"a": 1}}
    assert chain["nodes"] == [NODE]
    assert with_our_node(None, {"asi": "us"}) == {"complete": 1, "ver": "1.0", "nodes": [{"asi": "us"}]}
