"""Each kernel: a header edgekit_X.h, and a module X with the stages that call what is in it.

registry    the list of them all
matvec      a matrix times the vector at each position, with weights on chip or from memory
window      the cells under a sliding window, from a line buffer
taps        what is taken channel by channel over the cells of a window: sums, and the largest
upsample    each cell becomes a block of cells
products    two streams of activations, multiplied value by value
matmul      matrix products of two maps of activations
tokens      token by token: sums, tables, and streams that are copied, joined, sliced or resized
arithmetic  sums, products and requantize, whatever the loops around them
base        what a stage states; memories, costs, streams, calls
"""
