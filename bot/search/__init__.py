"""The tuner: a program of its own that chooses the trials of a search and follows them (`python -P -m bot.search`)."""
