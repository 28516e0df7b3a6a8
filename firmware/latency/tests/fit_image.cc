// For the tests in Python: each line of standard input, "IMAGE.ppm OUT ROWS COLUMNS CHANNELS" or "IMAGE.ppm OUT VALUES", is fitted.
#include <cstdio>
#include <exception>
#include <fstream>
#include <iostream>
#include <sstream>

#include "core/image.h"

int main() {
    try {
        for (std::string line; std::getline(std::cin, line);) {
            std::istringstream words(line);
            std::string image, out;
            words >> image >> out;
            std::vector<std::size_t> shape;
            for (std::size_t length = 0; words >> length;) {
                shape.push_back(length);
            }
            const auto fitted = edgekit::fit(edgekit::read_ppm(image), shape);
            std::ofstream(out, std::ios::binary)
                .write(reinterpret_cast<const char*>(fitted.pixels.data()), static_cast<std::streamsize>(fitted.pixels.size()));
        }
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 2;
    }
    return 0;
}
