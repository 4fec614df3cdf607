"""Where do candidates come from? One file for each source: `offer(view, limit)` gives rows, best first."""
