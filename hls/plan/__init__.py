"""How a network is folded to fit a board: choices, estimates, FIFO depths."""
