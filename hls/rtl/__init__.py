"""The kernels as RTL without a vendor: generated C++ by clang to LLVM IR, by the translator here to Verilog, simulated by Verilator."""
