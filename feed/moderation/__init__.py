"""What was found, who looks at it, what becomes of it, and what its author is told."""
