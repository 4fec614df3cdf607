"""Did this person sign up? What every use case asks first, so that nothing is kept under the id of a stranger."""

from __future__ import annotations

from typing import NoReturn

from common.errors import FieldError, InvalidInput, NotFound
from feed.post_rules import is_id, shown
from feed.social.ports import PeopleStore
from feed.social.words import Person


class SignedIn:
    """People by id; blocks on the store."""

    def __init__(self, people: PeopleStore) -> None:
        self._people = people

    def require(self, tenant_id: str, person_id: str, field: str = "person_id") -> Person:
        """The person; InvalidInput without an id, NotFound when nobody of this tenant signed up under it."""
        if not is_id(person_id):
            raise InvalidInput([FieldError(field, shown(person_id), "give the id of a person who signed up")])
        person = self._people.get(tenant_id, person_id)
        if person is None:
            self.refuse(field, person_id)
        return person

    def viewer(self, tenant_id: str, viewer_id: str) -> str:
        """The viewer's id; empty stays empty, for somebody who is not signed in."""
        return self.require(tenant_id, viewer_id, field="viewer_id").person_id if viewer_id else ""

    def refuse(self, field: str, person_id: str) -> NoReturn:
        """Who is blocked, erased or of another tenant is not there, in the same words as who never was."""
        raise NotFound(f"{field}: nobody signed up as {shown(person_id)}: sign up first")
