"""hls4ml's own kernels, for comparison: a whole pixel in a token.

lower          from the integer graph to layers, hls4ml's and our five in the same form
layers         what each layer is told
hls4ml_layers  our five as classes that hls4ml knows; their C++ is beside them
project        the project for the C simulation
"""
