"""HTTP: the webhook door, health, and the pages of an experiment."""
