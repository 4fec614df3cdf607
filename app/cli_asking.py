"""What do commands share that ask a running server? Whom they ask, for whom, and the options that say so."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any, Final

from app.cli_options import ConfigFile, Set, Target, Tenant, settings_of

if TYPE_CHECKING:
    from app.money_commands import Asking

_OPTIONS: Final[Mapping[str, tuple[Any, Any]]] = {
    "tenant": (Tenant, ""), "target": (Target, ""), "config_file": (ConfigFile, None), "set_": (Set, None),
}  # fmt: skip


class Server:
    """The running server of one command; nothing is loaded or called before something is asked."""

    def __init__(self, *, tenant: str, target: str, config_file: Any, set_: Any) -> None:
        self.settings = settings_of(config_file, set_)
        self._tenant = tenant
        self._target = target

    def ask(self, method: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """See Asking."""
        return self._asking().ask(method, request)

    def all_of(self, method: str, request: Mapping[str, Any], items: str) -> list[dict[str, Any]]:
        """See Asking."""
        return self._asking().all_of(method, request, items)

    def _asking(self) -> Asking:
        from app.money_commands import Asking

        return Asking(self.settings, self._target, self._tenant)


def of_server(command: Callable[..., None]) -> Callable[..., None]:
    """A command whose first parameter is the Server. It takes --tenant, --target, --config and --set, before --json."""

    @wraps(command)
    def asking(**given: Any) -> None:
        of_the_server = {name: given.pop(name) for name in _OPTIONS}
        command(Server(**of_the_server), **given)

    own = inspect.signature(command, eval_str=True).parameters
    kept = [parameter for name, parameter in list(own.items())[1:] if name != "as_json"]
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for name, (annotation, default) in _OPTIONS.items()
    ]
    parameters = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in (*kept, *added, own["as_json"])
    ]
    asking.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    asking.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return asking
