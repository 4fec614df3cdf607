"""The how-tos of the feed, executed as they are written, against a haat that runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from app.call import call
from app.demo_keys import DemoKeys
from tests.media_builders import a_picture
from tests.scenarios.conftest import Serve, Served
from tests.unit.app.test_bans import a_scene

pytestmark = pytest.mark.slow

HOW_TOS = Path(__file__).parents[2] / "docs" / "how-to"
_BLOCK = re.compile(r"^```sh\n(.*?)^```", re.DOTALL | re.MULTILINE)


def blocks(page: str, **placeholders: str) -> list[str]:
    """The shell blocks of a page, with its placeholders filled in."""
    found = _BLOCK.findall((HOW_TOS / page).read_text())
    for name, value in placeholders.items():
        found = [re.sub(rf"\b{name}\b", value, block) for block in found]
    return found


class Terminal:
    """A shell in a folder, whose commands go to the running haat; each block is a script of its own."""

    def __init__(self, served: Served, folder: Path, key: str) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.before = f'set -e\nhaat() {{ "{sys.executable}" -m app "$@"; }}\nURL=http://{served.http}\nKEY={key}\n'
        _, _, port = served.target.rpartition(":")
        own = {name: value for name, value in os.environ.items() if not name.startswith("HAAT_")}
        root = str(Path(__file__).parents[2])
        self.environment = own | {
            "HAAT_API_KEY": key, "HAAT_GRPC_PORT": port, "HAAT_DATA_DIR": str(served.data_dir), "PYTHONPATH": root,
        }  # fmt: skip

    def run(self, script: str) -> str:
        """What a block prints; a command that fails is a failure."""
        # The page's own address is that of the default port.
        script = script.replace("URL=http://127.0.0.1:8080\n", "")
        done = subprocess.run(
            ["bash", "-c", self.before + script], cwd=self.folder, env=self.environment, capture_output=True,
            text=True, timeout=240, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{script}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        return done.stdout


def test_publishing_a_post_goes_as_the_page_says(serve: Serve, keys: DemoKeys, tmp_path: Path) -> None:
    with serve(set="unchecked_posts=hold") as served:
        terminal = Terminal(served, tmp_path / "terminal", keys.shop.key)
        (terminal.folder / "look.jpg").write_bytes(a_picture())
        # What a block leaves in the shell is there in the next one.
        out = terminal.run("\n".join(blocks("publish-a-post.md")))
    assert "clean\n1\nhttp://" in out
    assert '"why":"nothing was found"' in out
    assert "cannot be appealed" in out
    assert '[2,"My boots, a week later"]\n[1,"My new boots"]' in out


def test_shopping_goes_as_the_page_says(serve: Serve, keys: DemoKeys, tmp_path: Path) -> None:
    with serve() as served:
        draft = {"creator_id": "ann", "caption": "My new boots", "image_urls": ["https://img.example/1.jpg"]}
        made = call(served.target, keys.shop.key, "CreatePost", _json({"idempotency_key": "p", "post": draft}))
        terminal = Terminal(served, tmp_path / "terminal", keys.shop.key)
        look, act, join = blocks("shop-the-feed.md", POST=made["post_id"])
        assert made["post_id"] in terminal.run(look)
        assert '"recorded": 1' in terminal.run(act)
        assert '"handle": "cyd"' in terminal.run(join)
        assert "accounts" in terminal.run("haat erase cyd")


def test_moderating_goes_as_the_page_says(serve: Serve, keys: DemoKeys, tmp_path: Path) -> None:
    with serve(set="unchecked_posts=hold") as served:
        for number in range(2):
            draft = {"creator_id": f"c{number}", "caption": f"Boots {number} https://bit.ly/3xYz12"}
            call(served.target, keys.shop.key, "CreatePost", _json({"idempotency_key": f"p{number}", "post": draft}))
        terminal = Terminal(served, tmp_path / "terminal", keys.shop.key)
        key_block, queue_block, ban_block = blocks("moderate.md")
        said = terminal.run(key_block.splitlines()[0].replace("My shop", "The shop") + " --json")
        moderator = re.search(r'"api_key": "(\S+)"', said)
        assert moderator is not None
        terminal = Terminal(served, tmp_path / "terminal", moderator[1])
        waiting: list[str] = []
        for _ in range(50):
            out = terminal.run("haat moderation queue --json || true; sleep 0.2")
            waiting = re.findall(r'"case_id": "(\w+)"', out)
            if len(waiting) == 2:
                break
        first, second = waiting
        script = queue_block.replace("CASE CASE …", second).replace("CREATOR", "c0").replace("CASE", first)
        out = terminal.run(script)
        assert "removed" in out
        assert "Nothing was written: this was a dry run." in out
        assert "Every entry is as it was written." in out

        (terminal.folder / "scam.jpg").write_bytes(a_scene(7))
        *commands, undo = [line for line in ban_block.splitlines() if line]
        assert "is banned." in terminal.run(commands[1])
        entries = re.findall(r'"position": "?(\d+)', terminal.run("haat moderation audit --json"))
        assert "is banned no more." in terminal.run(undo.replace("ENTRY  ", f"{entries[-1]} "))
        terminal.run(commands[1])
        assert "is banned no more." in terminal.run(commands[2])
        assert "fake voucher" not in terminal.run(commands[0])


def _json(request: object) -> str:
    import json

    return json.dumps(request)
