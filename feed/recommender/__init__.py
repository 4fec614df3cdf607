"""What would this visitor choose next? Parts that each know one thing, and a blend that has learned to weigh them."""
