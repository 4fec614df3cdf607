"""The social feed: shoppable posts, ranked for a visitor, with ads from the same auction among them."""
