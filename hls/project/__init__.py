"""The C++ project of a folded network, written through hls4ml."""
