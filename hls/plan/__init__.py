"""How a network is folded to fit a board.

planner    the plan: as fast as can be, or as fast as asked
choices    the foldings of each op that a plan chooses from
limits     how far a plan goes beyond a board, and in which layer
estimates  cycles, latency, frames a second and resources of a plan
resources  what memories, FIFOs and stages cost on the chip
fifos      how deep the FIFO of each stream has to be
picture    estimates as a picture
"""
