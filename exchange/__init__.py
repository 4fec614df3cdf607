"""One page view in, one answer out: the auction, its inventory and the money it moves."""
