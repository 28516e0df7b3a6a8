// The map memory of the engine, its words, and requantize by the code of a channel.

#ifndef EDGEKIT_ENGINE_MEMORY_H_
#define EDGEKIT_ENGINE_MEMORY_H_

#include "ap_int.h"
#include "edgekit_engine_count.h"
#include "hls_stream.h"

namespace nnet {

static const unsigned engine_line_max = 8192; // bytes of the image's lines under a row of a kernel
enum { engine_own_bias = 1, engine_y_cell = 2, engine_table = 4, engine_pair = 8 };

template <class SIZE_T> struct engine_word {
    unsigned char byte[SIZE_T::simd];
};

template <class SIZE_T> struct engine_token {
    engine_word<SIZE_T> word[SIZE_T::words];
};

template <class SIZE_T> struct engine_row {
    unsigned char byte[SIZE_T::row_bytes];
};

// Weight number `lane` of a row: 6 bits, two's complement.
template <class SIZE_T> int engine_weight(const engine_row<SIZE_T> &row, const unsigned lane) {
    #pragma HLS INLINE
    const unsigned bit = 6 * lane;
    const unsigned next = bit / 8 + 1 < SIZE_T::row_bytes ? row.byte[bit / 8 + 1] : 0;
    const int bits = int(((row.byte[bit / 8] | next << 8) >> (bit % 8)) & 63u);
    return (bits ^ 32) - 32;
}

// Constant number `lane` of a row: a bias, and a shift code.
template <class SIZE_T> void engine_constant(const engine_row<SIZE_T> &row, const unsigned lane, int &bias, int &code) {
    #pragma HLS INLINE
    const unsigned first = 5 * lane;
    const unsigned bits = row.byte[first] | unsigned(row.byte[first + 1]) << 8 | unsigned(row.byte[first + 2]) << 16 |
                          unsigned(row.byte[first + 3]) << 24;
    bias = int(bits);
    code = int(static_cast<signed char>(row.byte[first + 4]));
}

// A byte as the activation that it is.
inline int engine_value(const unsigned char byte, const int is_signed) {
    #pragma HLS INLINE
    return is_signed ? int(static_cast<signed char>(byte)) : int(byte);
}

inline int engine_clamp(const int value, const int low, const int high) {
    #pragma HLS INLINE
    return value < low ? low : value > high ? high : value;
}

// The requantize of edgekit_arithmetic.h, where the shift is a channel's data: code = n - 2 after weights (sums of quarters,
// acc = 4 * sum + 2), n after a product of activations. A shift to the left saturates, as the clamp would.
inline int engine_requantize(const int sum, const int code, const int low, const int high) {
    #pragma HLS INLINE
    if (code >= 0) {
        return engine_clamp(sum >> code, low, high);
    }
    const int wide = engine_clamp(sum, -256, 256);
    return engine_clamp((2 * wide + 1) * (1 << (-code - 1)), low, high);
}

// A row of a map to its place among the rows that are held.
inline int engine_slot(const int row, const int lift, const int ring) {
    #pragma HLS INLINE
    const int lifted = row + lift;
    return lifted >= ring ? lifted - ring : lifted;
}

// The table of an array's job, a copy a lane, and the row of it that comes next.
template <class SIZE_T> struct engine_lookup {
    unsigned char entry[SIZE_T::table_rows * SIZE_T::row_bytes];
    int row;

    // Takes a row of the stream in front of the job's first pass, as long as some are missing.
    bool load(const int flags, hls::stream<engine_row<SIZE_T>> &rows, const int array) {
        #pragma HLS INLINE
        if (!(flags & engine_table) || row == int(SIZE_T::table_rows)) {
            return false;
        }
        const engine_row<SIZE_T> one = rows.read();
        EDGEKIT_ENGINE_COUNT(rows[array], 1);
        for (unsigned byte = 0; byte < SIZE_T::row_bytes; byte++) {
            #pragma HLS UNROLL
            entry[unsigned(row) * SIZE_T::row_bytes + byte] = one.byte[byte];
        }
        row++;
        return true;
    }

    // A word of what a job made, by its table if it has one.
    engine_word<SIZE_T> of(const int flags, const engine_word<SIZE_T> &made) const {
        #pragma HLS INLINE
        engine_word<SIZE_T> found = made;
        for (unsigned s = 0; s < SIZE_T::simd && (flags & engine_table); s++) {
            #pragma HLS UNROLL
            found.byte[s] = entry[made.byte[s]];
        }
        return found;
    }
};

template <class SIZE_T> struct engine_memory {
    engine_word<SIZE_T> bank[SIZE_T::banks][SIZE_T::words][SIZE_T::bank_part];
    engine_ports<SIZE_T::banks> ports;
    EDGEKIT_ENGINE_PASSED_WORDS(SIZE_T)

    void next_beat() { ports.next_beat(); }

    engine_word<SIZE_T> read(const int address, const int array) {
        #pragma HLS INLINE
        const unsigned number = unsigned(address) / SIZE_T::bank_words, inside = unsigned(address) % SIZE_T::bank_words;
        ports.read(number, array);
        return bank[number][inside % SIZE_T::words][inside / SIZE_T::words];
    }

    void write(const int address, const engine_word<SIZE_T> &word, const int array) {
        #pragma HLS INLINE
        const unsigned number = unsigned(address) / SIZE_T::bank_words, inside = unsigned(address) % SIZE_T::bank_words;
        ports.write(number, array);
        bank[number][inside % SIZE_T::words][inside / SIZE_T::words] = word;
    }

    void write_byte(const int address, const int place, const unsigned char byte, const int array) {
        #pragma HLS INLINE
        const unsigned number = unsigned(address) / SIZE_T::bank_words, inside = unsigned(address) % SIZE_T::bank_words;
        ports.write(number, array);
        bank[number][inside % SIZE_T::words][inside / SIZE_T::words].byte[place] = byte;
    }
};

} // namespace nnet

#endif
