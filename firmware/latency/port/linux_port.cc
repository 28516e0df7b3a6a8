// Linux and Android: clock, processors, files, sensors, memory.
#include "port/linux_port.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>

#include "core/crc32.h"
#include "core/errors.h"

extern char** environ;

namespace edgekit {
namespace {

constexpr std::size_t answer_bytes_max = 4096;
constexpr int answer_milliseconds_max = 2000;
constexpr int thermal_zones_max = 100;

/// The beginning of a small file without trailing blanks and NULs, or nothing.
std::optional<std::string> small_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::string text(answer_bytes_max, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(file.gcount()));
    while (!text.empty() && (text.back() == '\n' || text.back() == '\0' || text.back() == ' ')) {
        text.pop_back();
    }
    return text.empty() ? std::nullopt : std::optional(text);
}

/// The number that `text` begins with, after `prefix`.
template <typename Number, typename... Base>
std::optional<Number> number_after(const std::optional<std::string>& text, const std::string& prefix, Base... base) {
    if (!text || text->compare(0, prefix.size(), prefix) != 0) {
        return std::nullopt;
    }
    Number value{};
    const auto result = std::from_chars(text->data() + prefix.size(), text->data() + text->size(), value, base...);
    return result.ec == std::errc() ? std::optional(value) : std::nullopt;
}

std::optional<double> divided(std::optional<double> value, double divisor) {
    return value ? std::optional(*value / divisor) : std::nullopt;
}

/// What a child writes, at most answer_bytes_max, or nothing if it takes too long.
std::optional<std::string> read_answer(int descriptor) {
    std::string text;
    char buffer[256];
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(answer_milliseconds_max);
    while (text.size() < answer_bytes_max) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now()).count();
        pollfd waiting{descriptor, POLLIN, 0};
        if (left <= 0 || poll(&waiting, 1, static_cast<int>(left)) <= 0) {
            return std::nullopt;
        }
        const auto count = read(descriptor, buffer, sizeof buffer);
        if (count <= 0) {
            return text;
        }
        text.append(buffer, static_cast<std::size_t>(count));
    }
    return std::nullopt;
}

}  // namespace

std::int64_t LinuxPort::nanoseconds() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void LinuxPort::pin(const std::vector<int>& cpus) {
    cpu_set_t wanted;
    CPU_ZERO(&wanted);
    for (const int cpu : cpus) {
        CPU_SET(static_cast<unsigned>(cpu), &wanted);
    }
    cpu_set_t taken;
    // The system keeps silent about processors that it does not have, as long as it has one of them.
    if (sched_setaffinity(0, sizeof wanted, &wanted) != 0 || sched_getaffinity(0, sizeof taken, &taken) != 0 ||
        !CPU_EQUAL(&wanted, &taken)) {
        throw Failure("--cpus: not all of these processors can be used here; the system has " +
                      std::to_string(sysconf(_SC_NPROCESSORS_CONF)));
    }
}

FileFacts LinuxPort::file_facts(const std::string& path) {
    const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) {
        throw Failure("cannot read " + path + ": " + std::strerror(errno));
    }
    const std::unique_ptr<const int, void (*)(const int*)> closing(&descriptor, [](const int* open) { close(*open); });
    struct stat facts {};
    if (fstat(descriptor, &facts) != 0 || !S_ISREG(facts.st_mode)) {
        throw Failure(path + " is no plain file");
    }
    Crc32 crc32;
    std::uint64_t bytes = 0;
    std::vector<char> buffer(1 << 16);
    while (true) {
        const auto count = read(descriptor, buffer.data(), buffer.size());
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            throw Failure("cannot read " + path + ": " + std::strerror(errno));
        }
        if (count == 0) {
            return {bytes, crc32.value()};
        }
        crc32.add(buffer.data(), static_cast<std::size_t>(count));
        bytes += static_cast<std::uint64_t>(count);
    }
}

Machine LinuxPort::machine() {
    Machine machine;
    utsname names{};
    if (uname(&names) == 0) {
        machine.architecture = names.machine;
        machine.system = std::string(names.sysname) + " " + names.release;
    }
    machine.board = small_file(root_ + "/proc/device-tree/model").value_or("");
    machine.cpus = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
    return machine;
}

BoardState LinuxPort::state() {
    BoardState state;
    // On a Raspberry Pi the firmware sets the clock behind the kernel's back, so its own words come first.
    if (const auto answer = ask_firmware("get_throttled")) {
        state.throttled = number_after<std::uint32_t>(answer, "throttled=0x", 16);
        state.temperature_celsius = number_after<double>(ask_firmware("measure_temp"), "temp=");
        const auto clock = ask_firmware("measure_clock arm");
        const auto equals = clock ? clock->find('=') : std::string::npos;  // frequency(48)=1500345728
        if (equals != std::string::npos) {
            state.clock_mhz = divided(number_after<double>(clock, clock->substr(0, equals + 1)), 1e6);
        }
    } else {
        state.throttled = number_after<std::uint32_t>(small_file(root_ + "/sys/devices/platform/soc/soc:firmware/get_throttled"), "", 16);
    }
    for (int zone = 0; zone < thermal_zones_max && !state.temperature_celsius; ++zone) {
        const auto folder = root_ + "/sys/class/thermal/thermal_zone" + std::to_string(zone);
        const auto type = small_file(folder + "/type");
        if (type && (type->find("cpu") != std::string::npos || type->find("x86_pkg_temp") != std::string::npos)) {
            state.temperature_celsius = divided(number_after<double>(small_file(folder + "/temp"), ""), 1e3);
        }
    }
    if (!state.clock_mhz) {
        state.clock_mhz =
            divided(number_after<double>(small_file(root_ + "/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq"), ""), 1e3);
    }
    return state;
}

std::optional<std::uint64_t> LinuxPort::peak_memory_bytes() {
    // Not getrusage: what it gives begins with the size of the program that started this one.
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
        std::istringstream words(line);
        std::string name;
        std::uint64_t kibibytes = 0;
        if (words >> name >> kibibytes && name == "VmHWM:") {
            return kibibytes * 1024;
        }
    }
    return std::nullopt;
}

std::optional<std::string> LinuxPort::ask_firmware(const char* question) const {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return std::nullopt;
    }
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    std::istringstream words(question);
    std::vector<std::string> arguments{vcgencmd_};
    for (std::string word; words >> word;) {
        arguments.push_back(word);
    }
    std::vector<char*> pointers;
    for (auto& argument : arguments) {
        pointers.push_back(argument.data());
    }
    pointers.push_back(nullptr);
    pid_t child = 0;
    const int refused = posix_spawnp(&child, vcgencmd_.c_str(), &actions, nullptr, pointers.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    std::optional<std::string> answer;
    int status = 1;
    if (refused == 0) {
        answer = read_answer(ends[0]);
        if (!answer) {
            kill(child, SIGKILL);
        }
        while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
        }
    }
    close(ends[0]);
    return status == 0 && answer ? answer : std::nullopt;
}

}  // namespace edgekit
