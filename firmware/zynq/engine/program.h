// The file of an engine's program, as program_file.py writes it and says what is where. C++14: the test bench reads it, too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

namespace edgekit {

constexpr std::uint32_t program_version = 2, head_bytes = 256, record_bytes = 128, job_bytes = 128, part_aligned = 4096, outputs_max = 64;
constexpr std::int64_t lines_max = 8192;  // bytes of the image's lines under a kernel

/// Why a file is no program that can be run.
struct ProgramError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// Where an output lies in a result: channel c of pixel p is the byte first + p * pixel_bytes + places[c].
struct Output {
    std::string name;
    std::uint32_t first, pixels, pixel_bytes;
    std::vector<std::uint16_t> places;
};

/// Offsets in bytes from the beginning of the file.
struct Program {
    std::string network;
    std::uint32_t engine, simd, beats, image_bytes, result_words, matrix_jobs, matrix_at, vector_jobs, vector_at, rows, rows_at, row_bytes;
    std::vector<Output> outputs;

    std::size_t result_bytes() const { return std::size_t{result_words} * simd; }
};

namespace program_detail {

inline std::uint32_t number(const std::uint8_t* bytes) {
    return bytes[0] | static_cast<std::uint32_t>(bytes[1]) << 8 | static_cast<std::uint32_t>(bytes[2]) << 16 |
           static_cast<std::uint32_t>(bytes[3]) << 24;
}

inline std::int64_t half(const std::uint8_t* bytes) { return static_cast<std::int16_t>(bytes[0] | bytes[1] << 8); }

/// zlib's CRC-32, with 0 in the four bytes from `blank` on.
inline std::uint32_t checksum(const std::uint8_t* bytes, std::size_t count, std::size_t blank) {
    std::uint32_t table[256];
    for (std::uint32_t i = 0; i < 256; ++i) {
        table[i] = i;
        for (int bit = 0; bit < 8; ++bit) {
            table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0xEDB88320u : 0);
        }
    }
    std::uint32_t found = 0xFFFFFFFFu;
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint8_t byte = i >= blank && i < blank + 4 ? 0 : bytes[i];
        found = found >> 8 ^ table[(found ^ byte) & 255];
    }
    return ~found;
}

inline std::string text(const std::uint8_t* bytes) {
    std::size_t length = 0;
    while (length < 64 && bytes[length] >= ' ') {
        ++length;
    }
    return std::string(reinterpret_cast<const char*>(bytes), length);
}

inline void inside(std::uint64_t first, std::uint64_t count, std::uint64_t each, std::uint64_t size, const char* what) {
    if (each == 0 || first < head_bytes || first > size || count > (size - first) / each) {
        throw ProgramError(std::string("the program's ") + what + " do not lie in the file");
    }
}

/// Whatever a job says, the engine reads and writes no other memory than its program's, the image's and the result's.
inline void check_jobs(const Program& program, const std::uint8_t* jobs, std::uint32_t count, bool vector) {
    const std::uint8_t load = 5, store = 6;
    for (std::uint32_t i = 0; i < count; ++i) {
        const std::uint8_t* job = jobs + std::size_t{i} * job_bytes;
        const std::int64_t row = static_cast<std::int32_t>(number(job + 4)), rows = static_cast<std::int32_t>(number(job + 8));
        if (row < 0 || rows < 0 || row + rows > program.rows) {
            throw ProgramError("a job of the program reads weights that are not there");
        }
        const std::int64_t kind = half(job + 24), first = half(job + 26), end = first + half(job + 28),
                           out = static_cast<std::int32_t>(number(job + 20));
        const std::int64_t line = half(job + 116), height = half(job + 64), under = half(job + 36);
        if (vector && kind == load && (height < 0 || line < 0 || height * line > program.image_bytes || under * line > lines_max)) {
            throw ProgramError("a job of the program reads beyond the image");
        }
        if (vector && kind == store && (first < 0 || out < 0 || out + end * half(job + 90) > program.result_words)) {
            throw ProgramError("a job of the program writes beyond the result");
        }
    }
}

}  // namespace program_detail

/// The program in a file. Raises ProgramError where it is none, is damaged, or is for another engine or version.
inline Program read_program(const std::uint8_t* bytes, std::size_t size, std::uint32_t engine) {
    using program_detail::inside;
    using program_detail::number;
    if (size < head_bytes || std::memcmp(bytes, "edgekitP", 8) != 0) {
        throw ProgramError("this is no program of an engine; 'edgekit hls NETWORK --board BOARD' writes one");
    }
    const auto head = [bytes](unsigned index) { return number(bytes + 8 + 4 * index); };
    if (head(0) != program_version) {
        throw ProgramError("the program is of version " + std::to_string(head(0)) + " and this reads " + std::to_string(program_version));
    }
    if (head(2) != size) {
        throw ProgramError("the program has " + std::to_string(size) + " of " + std::to_string(head(2)) + " bytes; copy it again");
    }
    if (program_detail::checksum(bytes, size, 8 + 4 * 3) != head(3)) {
        throw ProgramError("the program is damaged: its checksum is not that of its bytes; copy it again");
    }
    if (head(1) != engine) {
        throw ProgramError(
            "the program is for another engine than this one; make it with 'edgekit hls' for this board, with the edgekit "
            "that the bitstream is of");
    }
    Program found;
    found.engine = head(1);
    found.simd = head(4);
    found.beats = head(11);
    found.image_bytes = head(12);
    found.result_words = head(13);
    found.matrix_jobs = head(14);
    found.matrix_at = head(15);
    found.vector_jobs = head(16);
    found.vector_at = head(17);
    found.rows = head(18);
    found.rows_at = head(19);
    found.row_bytes = head(20);
    const std::uint32_t outputs = head(21), records_at = head(22);
    found.network = program_detail::text(bytes + 8 + 4 * 23);
    if (found.matrix_at % part_aligned || found.vector_at % part_aligned || found.rows_at % part_aligned) {
        throw ProgramError("the program's parts do not begin at a page");
    }
    inside(found.matrix_at, found.matrix_jobs, job_bytes, size, "jobs of the matrix array");
    inside(found.vector_at, found.vector_jobs, job_bytes, size, "jobs of the vector array");
    inside(found.rows_at, found.rows, found.row_bytes, size, "weights");
    inside(records_at, std::uint64_t{1} + outputs, record_bytes, size, "records");
    if (outputs > outputs_max || found.image_bytes == 0) {
        throw ProgramError("the program has too many outputs, or no image");
    }
    for (std::uint32_t i = 0; i < outputs; ++i) {
        const std::uint8_t* record = bytes + records_at + std::size_t{record_bytes} * (i + 1);
        Output output{program_detail::text(record), number(record + 64), number(record + 68), number(record + 72), {}};
        const std::uint32_t channels = number(record + 76), places_at = number(record + 80);
        inside(places_at, channels, 2, size, "places of channels");
        for (std::uint32_t c = 0; c < channels; ++c) {
            output.places.push_back(static_cast<std::uint16_t>(program_detail::half(bytes + places_at + 2 * std::size_t{c})));
            if (output.places.back() >= output.pixel_bytes) {
                throw ProgramError("the program's output '" + output.name + "' does not lie in its result");
            }
        }
        if (output.first + std::uint64_t{output.pixels} * output.pixel_bytes > found.result_bytes()) {
            throw ProgramError("the program's output '" + output.name + "' does not lie in its result");
        }
        found.outputs.push_back(output);
    }
    program_detail::check_jobs(found, bytes + found.matrix_at, found.matrix_jobs, false);
    program_detail::check_jobs(found, bytes + found.vector_at, found.vector_jobs, true);
    return found;
}

/// Adds an output's values, rows first, taken out of a result.
inline void append_values(const Output& output, const std::uint8_t* result, std::vector<std::uint8_t>& values) {
    for (std::size_t pixel = 0; pixel < output.pixels; ++pixel) {
        for (const std::uint16_t place : output.places) {
            values.push_back(result[output.first + pixel * output.pixel_bytes + place]);
        }
    }
}

}  // namespace edgekit
