"""What can be asked of the social part, over gRPC and over HTTP? One line for each call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from feed.social import calls, calls_said
from feed.social.comments import Comments
from feed.social.erasure import Erasure
from feed.social.graph import Graph
from feed.social.notifications import Notifications
from feed.social.people import People
from feed.social.search import Finder
from feed.social.share_links import ShareLinks


class Social(msgspec.Struct, frozen=True):
    """The use cases behind the calls, put together in app/."""

    people: People
    graph: Graph
    comments: Comments
    finder: Finder
    notifications: Notifications
    share_links: ShareLinks
    erasure: Erasure


class Operation(msgspec.Struct, frozen=True):
    """One call: its name in SocialService, its HTTP method and path, its request and response, and what answers it.

    Names in the path are fields of the request; for GET and DELETE the other fields are query parameters, else they
    are the JSON body. `answer(tenant_id, request)` blocks: it belongs into a thread.
    """

    name: str
    method: str
    path: str
    request: type[msgspec.Struct]
    response: type[msgspec.Struct]
    answer: Callable[[str, Any], msgspec.Struct]


def operations(social: Social) -> tuple[Operation, ...]:
    """All calls over these use cases."""
    people, graph, said = social.people, social.graph, social.comments
    told, links, erase = social.notifications, social.share_links, social.erasure.erase
    c, d = calls, calls_said
    return tuple(
        Operation(*line)
        for line in (
            ("SignUp", "POST", "/people", c.SignUpRequest, c.Person, people.sign_up),
            ("EditPerson", "PUT", "/people/{person_id}", c.EditPersonRequest, c.Person, people.edit),
            ("GetProfile", "GET", "/people", c.GetProfileRequest, c.Profile, people.profile),
            ("ErasePerson", "DELETE", "/people/{person_id}", c.ErasePersonRequest, c.ErasedPerson, erase),
            ("ListPosts", "GET", "/post-cards", c.ListPostsRequest, c.PostList, people.posts),
            ("Relate", "POST", "/people/{person_id}/relations", c.RelateRequest, c.RelateResponse, graph.relate),
            ("ListRelations", "GET", "/people/{person_id}/relations", c.ListRelationsRequest, c.RelationList,
             graph.list),
            ("AddComment", "POST", "/posts/{post_id}/comments", d.AddCommentRequest, d.Comment, said.add),
            ("ListComments", "GET", "/posts/{post_id}/comments", d.ListCommentsRequest, d.CommentList, said.list),
            ("AllowComments", "PUT", "/posts/{post_id}/comments", d.AllowCommentsRequest, d.AllowCommentsResponse,
             said.allow),
            ("EditComment", "PUT", "/comments/{comment_id}", d.EditCommentRequest, d.Comment, said.edit),
            ("DeleteComment", "DELETE", "/comments/{comment_id}", d.DeleteCommentRequest, d.Comment, said.delete),
            ("HideComment", "PUT", "/comments/{comment_id}/hidden", d.HideCommentRequest, d.Comment, said.hide),
            ("LikeComment", "PUT", "/comments/{comment_id}/liked", d.LikeCommentRequest, d.Comment, said.like),
            ("Search", "GET", "/search", c.SearchRequest, c.SearchResults, social.finder.find),
            ("ListNotifications", "GET", "/people/{person_id}/notifications", d.ListNotificationsRequest,
             d.NotificationList, told.list),
            ("MarkRead", "POST", "/people/{person_id}/notifications/read", d.MarkReadRequest, d.MarkReadResponse,
             told.mark_read),
            ("ChooseNotifications", "PUT", "/people/{person_id}/notifications", d.ChooseNotificationsRequest, c.Person,
             told.choose),
            ("ShareLink", "POST", "/posts/{post_id}/links", c.ShareLinkRequest, c.SharedLink, links.share),
            ("GetSharedLink", "GET", "/links/{share_id}", c.GetSharedLinkRequest, c.SharedLink, links.get),
        )
    )  # fmt: skip
