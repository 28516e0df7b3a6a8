// The platform port, on made-up /sys and firmware answers, and on the machine that runs the test.
#include <sched.h>
#include <sys/stat.h>

#include "core/errors.h"
#include "port/linux_port.h"
#include "tests/check.h"
#include "tests/scratch.h"

namespace {

using namespace edgekit;

const char* const no_firmware = "edgekit-no-such-program";

std::string script(const Scratch& folder, const std::string& body) {
    const auto path = folder.file("vcgencmd", "#!/bin/sh\n" + body + "\n");
    chmod(path.c_str(), 0700);
    return path;
}

TEST(a_raspberry_pi_is_asked_by_its_tool) {
    const Scratch folder;
    const auto tool = script(folder,
                             "case \"$*\" in\n"
                             "get_throttled) echo throttled=0x50005 ;;\n"
                             "measure_temp) echo \"temp=48.3'C\" ;;\n"
                             "\"measure_clock arm\") echo 'frequency(48)=1500345728' ;;\n"
                             "esac");
    const auto state = LinuxPort(folder.path, tool).state();
    CHECK_EQUAL(*state.throttled, 0x50005u);
    CHECK_EQUAL(*state.temperature_celsius, 48.3);
    CHECK_EQUAL(*state.clock_mhz, 1500.345728);
}

TEST(without_the_tool_files_tell) {
    const Scratch folder;
    folder.file("sys/devices/platform/soc/soc:firmware/get_throttled", std::string("50000\n"));
    folder.file("sys/class/thermal/thermal_zone0/type", std::string("battery\n"));  // not the processor's
    folder.file("sys/class/thermal/thermal_zone0/temp", std::string("25000\n"));
    folder.file("sys/class/thermal/thermal_zone1/type", std::string("cpu-thermal\n"));
    folder.file("sys/class/thermal/thermal_zone1/temp", std::string("52582\n"));
    folder.file("sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", std::string("1800000\n"));
    const auto state = LinuxPort(folder.path, no_firmware).state();
    CHECK_EQUAL(*state.throttled, 0x50000u);
    CHECK_EQUAL(*state.temperature_celsius, 52.582);
    CHECK_EQUAL(*state.clock_mhz, 1800.0);
}

TEST(a_tool_without_access_is_as_none) {
    const Scratch folder;  // what it says to a user outside the group "video"
    const auto state = LinuxPort(folder.path, script(folder, "echo 'VCHI initialization failed'; exit 255")).state();
    CHECK(!state.throttled && !state.temperature_celsius && !state.clock_mhz);
}

TEST(nonsense_is_left_out) {
    const Scratch folder;
    folder.file("sys/class/thermal/thermal_zone0/type", std::string("cpu"));
    folder.file("sys/class/thermal/thermal_zone0/temp", std::string("hot\n"));
    const auto state = LinuxPort(folder.path, script(folder, "echo throttled=yes")).state();
    CHECK(!state.throttled && !state.temperature_celsius && !state.clock_mhz);
}

TEST(a_tool_that_hangs_is_ended) {
    const Scratch folder;
    const LinuxPort patient(folder.path, script(folder, "exec sleep 60"));
    auto port = patient;
    const auto start = port.nanoseconds();
    CHECK(!port.state().throttled);
    CHECK(port.nanoseconds() - start < 20'000'000'000);
}

TEST(a_tool_that_talks_for_ever_is_ended) {
    const Scratch folder;
    CHECK(!LinuxPort(folder.path, script(folder, "exec yes throttled=0x1")).state().throttled);
}

TEST(the_board_has_a_name) {
    const Scratch folder;
    folder.file("proc/device-tree/model", std::string("Raspberry Pi 4 Model B Rev 1.4\0", 31));
    CHECK_EQUAL(LinuxPort(folder.path).machine().board, "Raspberry Pi 4 Model B Rev 1.4");
    const Scratch empty;
    const auto machine = LinuxPort(empty.path).machine();
    CHECK_EQUAL(machine.board, "");
    CHECK(machine.cpus > 0);
    CHECK_CONTAINS(machine.system, "Linux");
}

TEST(facts_of_a_file) {
    const Scratch folder;
    const auto facts = LinuxPort().file_facts(folder.file("digits", std::string("123456789")));
    CHECK_EQUAL(facts.bytes, 9u);
    CHECK_EQUAL(facts.crc32, 0xCBF43926u);
    CHECK_CONTAINS(MESSAGE_OF(Failure, LinuxPort().file_facts(folder.path + "/none")), "No such file");
    CHECK_CONTAINS(MESSAGE_OF(Failure, LinuxPort().file_facts(folder.path)), "no plain file");
    CHECK_EQUAL(mkfifo((folder.path + "/fifo").c_str(), 0600), 0);
    CHECK_CONTAINS(MESSAGE_OF(Failure, LinuxPort().file_facts(folder.path + "/fifo")), "no plain file");
}

TEST(processors_that_are_not_there_are_refused) {
    LinuxPort port;
    CHECK_CONTAINS(MESSAGE_OF(Failure, port.pin({1023})), "--cpus");
    cpu_set_t before;
    CHECK_EQUAL(sched_getaffinity(0, sizeof before, &before), 0);
    int first = 0;
    while (!CPU_ISSET(static_cast<unsigned>(first), &before)) {
        ++first;
    }
    CHECK_CONTAINS(MESSAGE_OF(Failure, port.pin({first, 1023})), "--cpus");  // one of two is not enough
    port.pin({first});
    cpu_set_t after;
    CHECK_EQUAL(sched_getaffinity(0, sizeof after, &after), 0);
    CHECK_EQUAL(CPU_COUNT(&after), 1);
    CHECK_EQUAL(sched_setaffinity(0, sizeof before, &before), 0);
}

TEST(memory_and_clock_are_real) {
    LinuxPort port;
    CHECK(*port.peak_memory_bytes() > 100'000);
    const auto first = port.nanoseconds();
    CHECK(port.nanoseconds() >= first);
}

}  // namespace
