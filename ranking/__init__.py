"""How likely is a click? From logged impressions to features, a trained model, and the rankers that serve it."""
