// Runs every test, or those whose name is given.
#include <cstdio>
#include <exception>
#include <string>

#include "tests/check.h"

int main(int count, char** words) {
    int failed = 0, ran = 0;
    for (const auto& test : check::tests()) {
        if (count > 1 && std::string(words[1]) != test.name) {
            continue;
        }
        ++ran;
        try {
            test.body();
        } catch (const std::exception& error) {
            ++failed;
            std::printf("FAILED %s\n    %s\n", test.name, error.what());
        }
    }
    std::printf("%d tests, %d failed\n", ran, failed);
    return failed != 0 || ran == 0 ? 1 : 0;
}
