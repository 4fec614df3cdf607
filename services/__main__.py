"""What can be asked? `python -m services start|stop|status|env`: the real engines on this machine."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from services import addresses, folders, starting
from services.roster import ENGINES


def main(arguments: Sequence[str]) -> int:
    """Run one command; its exit code: 0 ok, 1 when an engine could not be had, 2 for a command there is none of."""
    commands: dict[str, Callable[[], int]] = {"start": start, "stop": stop, "status": status, "env": env}
    if len(arguments) != 1 or arguments[0] not in commands:
        print(f"give one of {', '.join(commands)}", file=sys.stderr)
        return 2
    return commands[arguments[0]]()


def start() -> int:
    """Install what is missing, start what does not run, wait until each answers, and print where they are."""
    found = starting.start(ENGINES, folders.services_dir(), tell=lambda line: print(line, flush=True))
    print()
    for state in found:
        print(f"{state.name:15} {state.address or 'NOT THERE':45} {state.version or state.trouble}")
    missing = [state.name for state in found if state.trouble]
    print(
        f"\n{len(found) - len(missing)} of {len(found)} engines run"
        + (f"; without {', '.join(missing)} their tests are skipped." if missing else ".")
        + "\n`haat serve --profile cluster` uses them; `python -m services env` prints the addresses as variables."
    )
    return 1 if missing else 0


def stop() -> int:
    """End exactly the processes that `start` began in this folder; their data stays."""
    for line in starting.stop(ENGINES, folders.services_dir()):
        print(line)
    return 0


def status() -> int:
    """Say of each engine whether it answers, and where; 0 when all do."""
    found = starting.states(ENGINES, folders.services_dir())
    for state in found:
        print(f"{state.name:15} {state.address or 'not started':45} {state.version or state.trouble}")
    return 1 if any(state.trouble for state in found) else 0


def env() -> int:
    """Print the addresses as lines for a shell: `export HAAT_REDIS_URL=…`."""
    for name, address in addresses.read(folders.services_dir()).items():
        print(f"export HAAT_{ENGINES[name].setting.upper()}={address}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
