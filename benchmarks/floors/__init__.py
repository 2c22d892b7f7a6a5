"""The least that does what is measured: each is a program of its own."""
