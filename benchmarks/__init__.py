"""Where the figures in README.md come from."""
