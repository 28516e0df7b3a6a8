// The exact simulation as a program: the C simulation, what happens where something is wrong, and how files are read.

#include "simulate.cpp"

namespace exact {

unsigned stage = 0;

void fail(const char *what, long long value, int bits, bool is_signed) {
    const char *name = stage < network::stages.size() ? network::stages[stage] : "before any stage";
    std::fprintf(stderr, "%s: %lld does not fit %s of %d bits, %s\n", name, value, what, bits, is_signed ? "signed" : "unsigned");
    std::exit(3);
}

void damaged(const std::string &file, const char *problem) {
    std::fprintf(stderr, "%s: %s\n", file.c_str(), problem);
    std::exit(2);
}

std::vector<char> read_all(const std::string &path) {
    std::vector<char> bytes;
    std::FILE *file = std::fopen(path.c_str(), "rb");
    if (!file) {
        damaged(path, "cannot be opened");
    }
    char part[1 << 16];
    for (std::size_t count = std::fread(part, 1, sizeof(part), file); count > 0; count = std::fread(part, 1, sizeof(part), file)) {
        bytes.insert(bytes.end(), part, part + count);
    }
    std::fclose(file);
    return bytes;
}

void check_text(const array &synthesized) {
    std::vector<char> text = read_all(std::string(WEIGHTS_DIR) + "/" + synthesized.name);
    text.push_back(0);
    const char *at = text.data();
    for (std::size_t i = 0; i < synthesized.count; i++) {
        char *end = nullptr;
        const long long value = std::strtoll(at, &end, 10);
        if (end == at || value != synthesized.values[i] || (i + 1 < synthesized.count) != (*end == ',')) {
            damaged(synthesized.name, "it does not hold the integers that synthesis takes");
        }
        at = end + 1;
    }
}

} // namespace exact
