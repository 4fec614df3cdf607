"""A stranger to the exchange: replays real traffic through its front door, and loads it until it bends."""
