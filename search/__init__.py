"""The search for networks: their space, what they cost on a device or a board, how good they are, and which to take."""
