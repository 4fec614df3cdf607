"""How do engines start and end? Side by side; each is installed, prepared, started and asked until it answers."""

from __future__ import annotations

import contextlib
import fcntl
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from services import addresses, folders, processes
from services.engine import INNER_DISTANCE, Engine, NotToBeHad, Place, State

Tell = Callable[[str], None]
_MOST_PORTS = 200


def start(engines: Mapping[str, Engine], folder: Path, tell: Tell, programs: Path | None = None) -> list[State]:
    """Have every engine answering; those that run already are left as they are. One State each, in order.

    `programs` is where the programs are, or come to; else they are in `folder` too.
    """
    with _alone(folder):
        known = addresses.read(folder)
        ports = _Ports()
        with ThreadPoolExecutor(len(engines)) as pool:
            tasks = [
                pool.submit(_start, name, engine, folder, programs, known, ports, tell)
                for name, engine in engines.items()
            ]
            found = [task.result() for task in tasks]
        addresses.write(folder, {state.name: state.address for state in found if state.address})
        return found


def stop(engines: Mapping[str, Engine], folder: Path) -> list[str]:
    """End those that were started in this folder; a line each. The addresses are kept for the next start."""

    def end(name: str) -> str:
        started = processes.read(folder / f"{name}.pid")
        if started is not None:
            processes.end(started, engines[name].ending)
        (folder / f"{name}.pid").unlink(missing_ok=True)
        return f"{name:15} " + (f"stopped (process {started.pid})" if started else "was not running")

    with _alone(folder), ThreadPoolExecutor(len(engines)) as pool:
        return list(pool.map(end, engines))


def states(engines: Mapping[str, Engine], folder: Path) -> list[State]:
    """What each engine says at this moment, without starting anything."""
    known = addresses.read(folder)
    return [_state(name, engine, folder, known.get(name, "")) for name, engine in engines.items()]


def _state(name: str, engine: Engine, folder: Path, address: str) -> State:
    if not address:
        return State(name, trouble="was never started here: `make services`")
    try:
        return State(name, address, engine.version(_place(name, folder, None, _port_of(address), None)))
    except (OSError, ValueError) as error:
        return State(name, address, trouble=f"does not answer ({error}): `make services`")


def _start(
    name: str,
    engine: Engine,
    folder: Path,
    programs: Path | None,
    known: Mapping[str, str],
    ports: _Ports,
    tell: Tell,
) -> State:
    try:
        user = folders.account()
        home = folders.reachable(folder, user)
        running = processes.read(folder / f"{name}.pid")
        place = _place(name, home, programs, running.port if running else 0, user)
        if running is None:
            tell(f"{name}: installing")
            place.programs.mkdir(parents=True, exist_ok=True)
            engine.install(place.programs)
            wanted = _port_of(known[name]) if name in known else engine.first_port
            place = _place(name, home, programs, ports.free(wanted), user)
            place.log.parent.mkdir(exist_ok=True)
            engine.prepare(place)
            tell(f"{name}: starting on port {place.port}")
            command, more = engine.command(place)
            running = processes.start(
                command,
                more,
                cwd=place.data,
                log=place.log,
                user=user,
                pid_file=folder / f"{name}.pid",
                port=place.port,
            )
        version = _wait(engine, place, running)
        engine.finish(place)
        tell(f"{name}: answers")
        return State(name, engine.address(place.port), version)
    except (NotToBeHad, OSError) as error:
        return State(name, trouble=str(error))


def _wait(engine: Engine, place: Place, running: processes.Started) -> str:
    deadline = time.monotonic() + engine.patience_s
    while True:
        try:
            return engine.version(place)
        except (OSError, ValueError) as error:
            trouble = error
        if not running.runs():
            raise NotToBeHad(f"ended at once; its log is {place.log}")
        if time.monotonic() > deadline:
            raise NotToBeHad(f"did not answer within {engine.patience_s} s ({trouble}); its log is {place.log}")
        time.sleep(0.2)


def _place(name: str, home: Path, programs: Path | None, port: int, user: str | None) -> Place:
    return Place(programs or home / "programs", home / "data" / name, home / "logs" / f"{name}.log", port, user)


def _port_of(address: str) -> int:
    return urlsplit(address if "://" in address else f"//{address}").port or 0


class _Ports:
    """Gives ports away, none of them twice, though none is listened on yet."""

    def __init__(self) -> None:
        self._given: set[int] = set()
        self._lock = threading.Lock()

    def free(self, wanted: int) -> int:
        """The wanted port, or the next one that nobody has."""
        with self._lock:
            for port in range(wanted, wanted + _MOST_PORTS):
                if port not in self._given and _nobody_has(port) and _nobody_has(port + INNER_DISTANCE):
                    self._given.add(port)
                    return port
        raise NotToBeHad(f"no free port within {wanted}..{wanted + _MOST_PORTS - 1}")


def _nobody_has(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One start or stop at a time in a folder; a second one waits."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
