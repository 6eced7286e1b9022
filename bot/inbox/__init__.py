"""`experiment-ci replay` and `simulate`: a delivery is looked at once more, or only to say what would come of it."""
