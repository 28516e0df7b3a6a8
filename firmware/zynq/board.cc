// The board as Linux shows it: the overlay, the accelerator's registers (uio), and memory that both sides reach (u-dma-buf).
#include "board.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <vector>

#include "bitstream.h"
#include "core/errors.h"
#include "core/files.h"

namespace edgekit {

namespace {

constexpr char uio_name[] = "edgekit-accelerator", buffer_name[] = "edgekit-buffer";
constexpr std::size_t register_bytes = 0x10000;
constexpr std::size_t control = 0x00, global_interrupt = 0x04, interrupt_enable = 0x08, interrupt_status = 0x0C;
constexpr std::uint32_t start_bit = 1, done_bit = 2;
constexpr int driver_waits = 100, driver_wait_ms = 50;  // until the drivers have appeared

[[noreturn]] void fail(const std::string& what) { throw Failure(what + ": " + std::strerror(errno)); }

void write_file(const std::string& path, const void* data, std::size_t bytes) {
    std::ofstream file(path, std::ios::binary);
    file.write(static_cast<const char*>(data), static_cast<std::streamsize>(bytes));
    file.close();
    if (!file) {
        fail("cannot write " + path);
    }
}

std::string read_line(const std::string& path) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    return line;
}

void make_folder(const std::string& path) {
    if (mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) {
        fail("cannot make " + path);
    }
}

/// The device file of the uio whose name is ours. Drivers appear a moment after the overlay.
std::string find_uio(const std::string& root) {
    const std::string folder = root + "/sys/class/uio";
    for (int wait = 0; wait < driver_waits; ++wait) {
        std::string found;
        if (DIR* entries = opendir(folder.c_str())) {
            while (const dirent* entry = readdir(entries)) {
                if (read_line(folder + "/" + entry->d_name + "/name") == uio_name) {
                    found = root + "/dev/" + entry->d_name;
                }
            }
            closedir(entries);
        }
        if (!found.empty()) {
            return found;
        }
        poll(nullptr, 0, driver_wait_ms);
    }
    throw Failure(std::string("no uio device is named '") + uio_name +
                  "': load the overlay (without --loaded), and the driver: modprobe uio_pdrv_genirq of_id=generic-uio");
}

std::uint64_t buffer_number(const std::string& folder, const std::string& name) {
    const std::string line = read_line(folder + "/" + name);
    if (line.empty()) {
        throw Failure("there is no " + folder + "/" + name + ": the driver u-dma-buf is missing (github.com/ikwzm/udmabuf)");
    }
    return std::stoull(line, nullptr, 0);
}

}  // namespace

void load_overlay(const std::string& root, const std::string& folder) {
    const auto bin = to_bin(read_file(folder + "/edgekit.bit", file_bytes_max));
    const auto tree = read_file(folder + "/edgekit.dtbo", file_bytes_max);
    write_file(root + "/lib/firmware/edgekit.bit.bin", bin.data(), bin.size());
    const std::string overlay = root + "/sys/kernel/config/device-tree/overlays/edgekit";
    rmdir(overlay.c_str());  // takes an overlay of an earlier run away
    make_folder(overlay);
    write_file(overlay + "/dtbo", tree.data(), tree.size());
}

Mapping::Mapping(const std::string& path, std::size_t bytes)
    : descriptor_(open(path.c_str(), O_RDWR | O_CLOEXEC)), size_(bytes), data_(nullptr) {
    if (descriptor_ < 0) {
        fail("cannot open " + path);
    }
    void* mapped = mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor_, 0);
    if (mapped == MAP_FAILED) {
        close(descriptor_);
        fail("cannot map " + path);
    }
    data_ = static_cast<std::uint8_t*>(mapped);
}

Mapping::~Mapping() {
    munmap(data_, size_);
    close(descriptor_);
}

Control::Control(const std::string& root) : registers_(find_uio(root), register_bytes) {
    write(interrupt_enable, 1);
    write(global_interrupt, 1);
}

void Control::write(std::size_t offset, std::uint32_t value) {
    *reinterpret_cast<volatile std::uint32_t*>(registers_.data() + offset) = value;
}

void Control::write_address(std::size_t offset, std::uint64_t address) {
    write(offset, static_cast<std::uint32_t>(address));
    write(offset + 4, static_cast<std::uint32_t>(address >> 32));
}

std::uint32_t Control::read(std::size_t offset) const {
    return *reinterpret_cast<const volatile std::uint32_t*>(registers_.data() + offset);
}

void Control::start() {
    const std::uint32_t unmask = 1;  // uio looks at no position
    if (pwrite(registers_.descriptor(), &unmask, sizeof unmask, register_bytes) != sizeof unmask) {
        fail("cannot enable the interrupt");
    }
    write(control, start_bit);
}

void Control::wait(double seconds_max) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds_max);
    while (!(read(control) & done_bit)) {
        if (std::chrono::steady_clock::now() > end) {
            throw Failure("the accelerator did not finish within " + std::to_string(seconds_max) + " s");
        }
        pollfd ready = {registers_.descriptor(), POLLIN, 0};
        std::uint32_t count = 0;
        if (poll(&ready, 1, 100) > 0 && pread(registers_.descriptor(), &count, sizeof count, register_bytes) < 0) {
            fail("cannot wait for the interrupt");
        }
    }
    write(interrupt_status, 1);  // writing a one clears it
}

Buffer::Buffer(const std::string& root)
    : folder_(root + "/sys/class/u-dma-buf/" + buffer_name),
      address_(buffer_number(folder_, "phys_addr")),
      memory_(root + "/dev/" + buffer_name, buffer_number(folder_, "size")) {}

void Buffer::hand_to_device() { write_file(folder_ + "/sync_for_device", "1", 1); }

void Buffer::hand_to_processor() { write_file(folder_ + "/sync_for_cpu", "1", 1); }

}  // namespace edgekit
