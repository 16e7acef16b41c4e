"""What a user at a terminal or in a notebook sees: progress bars and tables."""
