"""The C++ project of a folded network, written through hls4ml.

project        every file of it, as a plan
calls          from the dataflow to layers: each is the call of a kernel
network        what a network of layers is, whatever the kernels
hls4ml_layers  the layer that such a call is to hls4ml
model, writer  hls4ml's graph of a network, and the sources that are written from it
description    what the simulation reads and writes, as a file beside it
top            the network's function, as other C++ calls it
"""
