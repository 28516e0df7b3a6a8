// Stands in for hls_stream.h in the fast simulation, where one kernel runs after the other: a stream holds all that its writer
// wrote. Reading more than that ends the program: on hardware it would stall for good.

#ifndef EDGEKIT_NATIVE_HLS_STREAM_H_
#define EDGEKIT_NATIVE_HLS_STREAM_H_

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace hls {

template <class T> class stream {
  public:
    explicit stream(const char *name = "stream") : name(name) {}
    stream(const stream &) = delete;
    stream &operator=(const stream &) = delete;

    void write(const T &token) {
        if (next == tokens.size()) { // all was read: the room is used again
            tokens.clear();
            next = 0;
        }
        tokens.push_back(token);
    }

    const T &read() {
        if (next == tokens.size()) {
            std::fprintf(stderr, "%s was read while it was empty\n", name);
            std::exit(3);
        }
        return tokens[next++];
    }

    bool empty() const { return next == tokens.size(); }
    std::size_t size() const { return tokens.size() - next; }

    // The tokens that wait, without taking them.
    const T *waiting() const { return tokens.data() + next; }

  private:
    const char *name;
    std::vector<T> tokens;
    std::size_t next = 0;
};

} // namespace hls

#endif
