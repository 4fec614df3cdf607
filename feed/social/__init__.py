"""People of the feed: whom they follow, what they say to one another, and how all of it is forgotten."""
