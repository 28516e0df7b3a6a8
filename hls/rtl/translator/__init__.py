"""LLVM IR of inlined kernels to Verilog, a stage a module. It is small on purpose, and refuses by name what it does not understand."""
