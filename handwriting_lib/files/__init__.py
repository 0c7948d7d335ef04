"""What goes to disk and comes back: models, checkpoints, other engines."""
