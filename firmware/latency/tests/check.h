// Unit tests without a library: TEST(name) { CHECK(...); } registers itself, main.cc runs all.
#pragma once

#include <functional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace check {

struct Test {
    const char* name;
    std::function<void()> body;
};

inline std::vector<Test>& tests() {
    static std::vector<Test> all;
    return all;
}

struct Registered {
    Registered(const char* name, std::function<void()> body) { tests().push_back({name, std::move(body)}); }
};

[[noreturn]] inline void fail(const char* file, int line, const std::string& what) {
    throw std::runtime_error(std::string(file) + ":" + std::to_string(line) + ": " + what);
}

template <typename Got, typename Wanted>
void equal(const char* file, int line, const char* text, const Got& got, const Wanted& wanted) {
    if (!(got == wanted)) {
        std::ostringstream what;
        what << text << " is " << got << ", not " << wanted;
        fail(file, line, what.str());
    }
}

/// The message with which `body` raises Error.
template <typename Error, typename Body>
std::string message_of(const char* file, int line, Body body) {
    try {
        body();
    } catch (const Error& error) {
        return error.what();
    }
    fail(file, line, "raises nothing");
}

inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace check

#define TEST(name)                                                  \
    static void name();                                             \
    static const check::Registered registered_##name(#name, &name); \
    static void name()
#define CHECK(condition) \
    if (!(condition)) check::fail(__FILE__, __LINE__, #condition " does not hold")
#define CHECK_EQUAL(got, wanted) check::equal(__FILE__, __LINE__, #got, got, wanted)
#define CHECK_CONTAINS(text, part)                                     \
    if (const std::string whole = text; !check::contains(whole, part)) \
    check::fail(__FILE__, __LINE__, "'" + whole + "' does not hold '" + part + "'")
#define MESSAGE_OF(Error, ...) check::message_of<Error>(__FILE__, __LINE__, [&] { __VA_ARGS__; })
