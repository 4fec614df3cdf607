"""Who bids? One file for each bidder; `roster.py` is the list."""
