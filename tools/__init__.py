"""What is made for the documentation, beside the package."""
