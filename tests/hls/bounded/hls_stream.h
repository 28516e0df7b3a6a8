// Streams of a given depth between threads, for the tests of FIFO depths: a full one makes its writer wait, an empty one its
// reader. Who waits longer than any work takes ends the program with code 4: a deadlock.

#ifndef BOUNDED_HLS_STREAM_H_
#define BOUNDED_HLS_STREAM_H_

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <mutex>

namespace hls {

template <class T> class stream {
  public:
    std::size_t depth = static_cast<std::size_t>(-1);

    explicit stream(const char *name = "stream") : name(name) {}

    void write(const T &token) {
        std::unique_lock<std::mutex> lock(mutex);
        wait(lock, [this] { return tokens.size() < depth; }, "full");
        tokens.push_back(token);
        changed.notify_all();
    }

    T read() {
        std::unique_lock<std::mutex> lock(mutex);
        wait(lock, [this] { return !tokens.empty(); }, "empty");
        T token;
        token = tokens.front();
        tokens.pop_front();
        changed.notify_all();
        return token;
    }

    bool empty() const { return tokens.empty(); }
    std::size_t size() const { return tokens.size(); }
    const T *waiting() const { return nullptr; }

  private:
    const char *name;
    std::deque<T> tokens;
    std::mutex mutex;
    std::condition_variable changed;

    template <class Condition> void wait(std::unique_lock<std::mutex> &lock, Condition ready, const char *state) {
        if (!changed.wait_for(lock, std::chrono::seconds(20), ready)) {
            std::fprintf(stderr, "%s stays %s\n", name, state);
            std::_Exit(4);
        }
    }
};

} // namespace hls

#endif
