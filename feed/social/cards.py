"""What does a post look like in a list, and who may see it?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from feed.post import Post, PostState
from feed.social.calls import PostCard, view
from feed.social.mentions import tokens_of
from feed.social.profiles import PictureAddresses
from feed.social.sights import Sight
from feed.social.words import Tallies

# Seen by everybody who comes to it; only clean ones are offered to those who did not ask for them.
SEEN = frozenset({PostState.CLEAN, PostState.LIMITED})


_JPEG: Final = "image/jpeg"


def may_see(post: Post, viewer_id: str, sight: Sight) -> bool:
    """May the viewer see the post? Its creator sees all but what was withdrawn; nobody sees who is blocked."""
    if viewer_id and viewer_id == post.creator_id:
        return post.state is not PostState.WITHDRAWN
    return post.state in SEEN and post.creator_id not in sight.blocked


def card_of(
    post: Post, tallies: Mapping[str, Tallies], viewer_id: str, addresses: PictureAddresses | None = None
) -> PostCard:
    """The post with its counters; its state for its creator alone. `image_urls` has a picture of each medium, too."""
    counted = tallies.get(post.post_id, Tallies())
    return view(
        PostCard,
        post,
        image_urls=(*post.image_urls, *_pictures(post, addresses)),
        disclosure=post.disclosure.name.lower() if post.disclosure else "",
        product_ids=tuple(dict.fromkeys(tag.product_id for tag in post.product_tags)),
        mentions=tokens_of(post.caption).mentions,
        comments=counted.comments,
        shares=counted.shares,
        purchases=counted.purchases,
        state=post.state.name.lower() if viewer_id == post.creator_id else "",
    )


def _pictures(post: Post, addresses: PictureAddresses | None) -> Iterator[str]:
    for medium in post.media:
        if medium.url:
            yield medium.url
        elif addresses is not None:
            address = addresses.public if post.state in SEEN else addresses.preview
            # The narrowest file that every browser shows; of a video there is none.
            yield from [address(medium.media_id, one.name) for one in medium.renditions if one.content_type == _JPEG][
                :1
            ]
