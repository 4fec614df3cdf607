"""What is a post worth here? One file for each scorer: `score(view, rows)`, and a `reason` that a person can read."""
