// Prints how many iterations each stage's pipelined loops execute for one frame: compile with EDGEKIT_COUNT.

#include "network_io.h"

namespace nnet {
unsigned long long iterations[$stage_count] = {};
}

int main() {
    network::call(std::vector<unsigned char>(network::input_values));
    for (size_t i = 0; i < network::stages.size(); i++) {
        std::printf("%s %llu\n", network::stages[i], nnet::iterations[i]);
    }
    return 0;
}
