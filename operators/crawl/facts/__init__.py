"""What is known of an address without asking a network: its kind, its licence, and the errors that end a fetch."""
