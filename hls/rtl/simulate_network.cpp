// Runs the network's RTL until all frames are out, nothing moves any more, or so many cycles have passed.
//     Vnetwork INPUTS LANES CYCLES +frames=N      INPUTS: the bytes of the frames; a token has so many of them, its first value lowest

#include "Vnetwork.h"
#include "verilated.h"
#include <cstdio>
#include <cstdlib>
#include <vector>

template <class port_T> void set(port_T &port, const unsigned char *bytes, size_t count) {
    port = 0;
    for (size_t i = 0; i < count; i++) {
        port |= port_T(bytes[i]) << (8 * i);
    }
}

template <std::size_t words> void set(VlWide<words> &port, const unsigned char *bytes, size_t count) {
    for (size_t word = 0; word < words; word++) {
        port[word] = 0;
    }
    for (size_t i = 0; i < count; i++) {
        port[i / 4] |= EData(bytes[i]) << (8 * (i % 4));
    }
}

int main(int argc, char **argv) {
    Verilated::commandArgs(argc, argv);
    Verilated::randReset(2); // what nothing has written yet is noise
    std::FILE *file = std::fopen(argv[1], "rb");
    const size_t lanes = std::atol(argv[2]);
    const long most = std::atol(argv[3]);
    std::vector<unsigned char> token(lanes);
    Vnetwork network;
    const auto next = [&] {
        network.in_valid = std::fread(token.data(), 1, lanes, file) == lanes;
        set(network.in_data, token.data(), lanes);
    };
    next();
    network.clk = 0;
    network.rst = 1;
    for (int i = 0; i < 6; i++) {
        network.clk = !network.clk;
        network.eval();
    }
    network.rst = 0;
    long cycle = 0;
    for (; cycle < most; cycle++) {
        network.eval();
        if (network.done || network.stuck) {
            break;
        }
        const bool taken = network.in_valid && network.in_ready;
        network.clk = 1;
        network.eval();
        if (taken) {
            next();
        }
        network.clk = 0;
        network.eval();
    }
    network.final();
    std::printf("cycles %ld\n", cycle);
    return 0;
}
