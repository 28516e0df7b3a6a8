"""hls4ml's own kernels, for comparison: a whole pixel in a token."""
