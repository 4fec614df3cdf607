"""What must not be on the page? One file for each filter: `split(view, rows)` gives rows that stay and rows that go."""
