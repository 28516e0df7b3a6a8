// A runtime and a platform that do as they are told.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>

#include "core/port.h"
#include "core/runtime.h"

namespace edgekit {

/// output[i] = input[i] + 1 in int8, two tensors of 3 and 2 values. `each_run` is called before each run with its number.
struct FakeRuntime : Runtime {
    std::vector<TensorType> types{{ElementType::int8, 3}, {ElementType::int8, 2}};
    std::vector<std::vector<std::uint8_t>> in{{0, 0, 0}, {0, 0}}, out = in;
    std::function<void(int run, FakeRuntime& runtime)> each_run;
    bool dead = false;  ///< a dead runtime leaves its outputs as they were
    int runs = 0;

    const std::vector<TensorType>& inputs() const override { return types; }
    const std::vector<TensorType>& outputs() const override { return types; }
    void write_input(std::size_t index, const std::uint8_t* data) override { std::copy_n(data, in[index].size(), in[index].begin()); }
    void read_output(std::size_t index, std::uint8_t* data) override { std::copy(out[index].begin(), out[index].end(), data); }
    void erase_output(std::size_t index) override { std::fill(out[index].begin(), out[index].end(), 0xA5); }
    void invoke() override {
        if (each_run) {
            each_run(runs, *this);
        }
        ++runs;
        if (!dead) {
            for (std::size_t tensor = 0; tensor < in.size(); ++tensor) {
                std::transform(in[tensor].begin(), in[tensor].end(), out[tensor].begin(), [](std::uint8_t value) { return value + 1; });
            }
        }
    }
};

/// Its clock gains one millisecond each time that it is read.
struct FakePort : Port {
    std::int64_t now = 0;
    std::vector<int> pinned;
    std::deque<BoardState> states;  ///< given out one after the other; the last one stays

    std::int64_t nanoseconds() override { return now += 1'000'000; }
    void pin(const std::vector<int>& cpus) override { pinned = cpus; }
    FileFacts file_facts(const std::string& path) override { return {path.size(), 0x12345678u}; }
    Machine machine() override { return {"fake64", "Fake 1.0", "A \"board\"\n", 3}; }
    BoardState state() override {
        const auto state = states.empty() ? BoardState{} : states.front();
        if (states.size() > 1) {
            states.pop_front();
        }
        return state;
    }
    std::optional<std::uint64_t> peak_memory_bytes() override { return 4096; }
};

}  // namespace edgekit
