// The C simulation as a program: simulate INPUTS OUTPUTS
//
// INPUTS: images one after the other, one byte a value. OUTPUTS: for each image the network's outputs, then the other layers
// of network_io.h, one byte a value; network.json says which tensor each one carries.

#include "network_io.h"

int main(int argc, char **argv) {
    if (argc != 3) {
        std::fprintf(stderr, "usage: %s INPUTS OUTPUTS\n", argv[0]);
        return 2;
    }
    std::FILE *in = std::fopen(argv[1], "rb");
    std::FILE *out = std::fopen(argv[2], "wb");
    if (!in || !out) {
        std::fprintf(stderr, "cannot open %s\n", in ? argv[2] : argv[1]);
        return 2;
    }
    start_trace();
    std::vector<unsigned char> image(network::input_values);
    while (std::fread(image.data(), 1, image.size(), in) == image.size()) {
        std::vector<unsigned char> values = network::call(image);
        append_trace(values);
        if (std::fwrite(values.data(), 1, values.size(), out) != values.size()) {
            std::fprintf(stderr, "cannot write %s\n", argv[2]);
            return 2;
        }
    }
    std::fclose(in);
    return std::fclose(out) == 0 ? 0 : 2;
}
