// Runs the network on tb_data/inputs.bin and compares its outputs with tb_data/expected.bin, which the numpy reference
// computed. Used by `make csim`, and by Vitis HLS for C simulation and cosimulation. Returns 1 if any value differs.

#include "network_io.h"

static std::vector<unsigned char> read_file(const char *path) {
    std::vector<unsigned char> bytes;
    std::FILE *file = std::fopen(path, "rb");
    if (!file) {
        std::fprintf(stderr, "cannot open %s\n", path);
        std::exit(2);
    }
    for (int byte = std::fgetc(file); byte != EOF; byte = std::fgetc(file)) {
        bytes.push_back(static_cast<unsigned char>(byte));
    }
    std::fclose(file);
    return bytes;
}

int main() {
    const std::vector<unsigned char> images = read_file("tb_data/inputs.bin");
    const std::vector<unsigned char> expected = read_file("tb_data/expected.bin");
    std::vector<unsigned char> computed;
    for (size_t first = 0; first + network::input_values <= images.size(); first += network::input_values) {
        const std::vector<unsigned char> image(images.begin() + first, images.begin() + first + network::input_values);
        const std::vector<unsigned char> values = network::call(image);
        computed.insert(computed.end(), values.begin(), values.end());
    }
    if (computed.empty() || computed.size() != expected.size()) {
        std::printf("FAILED: %zu values computed, %zu expected\n", computed.size(), expected.size());
        return 1;
    }
    size_t differing = 0;
    for (size_t i = 0; i < computed.size(); i++) {
        differing += computed[i] != expected[i];
    }
    std::printf("%s: %zu of %zu values differ\n", differing ? "FAILED" : "passed", differing, computed.size());
    return differing ? 1 : 0;
}
