"""How does a command end? With one clear sentence on stderr and an exit code that a script can act on."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from enum import IntEnum

import typer

from common.errors import BackendUnavailable, HaatError, InvalidInput


class ExitCode(IntEnum):
    """Exit codes of `haat`."""

    OK = 0
    # Our own mistake: the lines above the sentence say where.
    BUG = 1
    # A flag, a setting, a file or an id that cannot be taken; nothing was done.
    BAD_INPUT = 2
    # A port, a store, a disk or a server that does not answer; try again when it does.
    UNAVAILABLE = 3
    # A record of the event log that is damaged, or that cannot be read; what could be checked is as it should be.
    DAMAGED = 4
    # Ctrl-C.
    STOPPED = 130
    # The reader of our output went away (`haat … | head`), as the shell would say it.
    PIPE_CLOSED = 141


def exit_code_of(command: Callable[[], object]) -> int:
    """Run a command; its exit code, after the sentence was written where there is something to say."""
    try:
        returned = command()
        sys.stdout.flush()
    except (KeyboardInterrupt, typer.Abort):
        return _say("stopped", ExitCode.STOPPED)
    except typer.TyperException as error:
        # Typer counts its usage errors as 2 too.
        return _say(error.format_message().replace("\n", " "), ExitCode.BAD_INPUT)
    except InvalidInput as error:
        return _say(_all_of(error), ExitCode.BAD_INPUT)
    except BackendUnavailable as error:
        return _say(str(error), ExitCode.UNAVAILABLE)
    except HaatError as error:
        return _say(str(error) or type(error).__name__, _code_of(error))
    except BrokenPipeError:
        # Python flushes stdout once more when it ends; into nothing, now.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.PIPE_CLOSED
    except OSError as error:
        if error.errno in _NOT_OUR_MISTAKE:
            named = f": {error.filename}" if error.filename else ""
            return _say(f"{error.strerror}{named}", ExitCode.UNAVAILABLE)
        return _bug(error)
    except Exception as error:
        return _bug(error)
    if returned == ExitCode.STOPPED:
        return _say("stopped", ExitCode.STOPPED)
    return returned if isinstance(returned, int) else ExitCode.OK


_NOT_OUR_MISTAKE = frozenset(
    {
        *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE, errno.EIO),
        *(errno.ECONNREFUSED, errno.ECONNRESET, errno.ENOTDIR, errno.EISDIR),
    }
)


def _code_of(error: HaatError) -> ExitCode:
    # Loaded by the commands that call a server, and by no other.
    client = sys.modules.get("client.errors")
    if client is not None and isinstance(error, client.CallFailed) and not isinstance(error, client.CallRefused):
        return ExitCode.UNAVAILABLE
    return ExitCode.BAD_INPUT


def _all_of(error: InvalidInput) -> str:
    if len(error.errors) == 1:
        return str(error)
    return f"{len(error.errors)} things cannot be taken:" + "".join(f"\n  {found}" for found in error.errors)


def _bug(error: Exception) -> int:
    from app.logs import described

    print(described(error), file=sys.stderr)
    return _say("this is a bug in haat, please report it with the lines above", ExitCode.BUG)


def _say(sentence: str, code: ExitCode) -> int:
    print(f"haat: {sentence}", file=sys.stderr, flush=True)
    return code
