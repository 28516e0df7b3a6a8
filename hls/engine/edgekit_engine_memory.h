// The map memory of the engine, its words, and requantize by the code of a channel.

#ifndef EDGEKIT_ENGINE_MEMORY_H_
#define EDGEKIT_ENGINE_MEMORY_H_

#include "ap_int.h"
#include "edgekit_engine_count.h"
#include "hls_stream.h"

namespace nnet {

static const unsigned engine_line_max = 8192; // bytes of the image's lines under a row of a kernel
enum { engine_own_bias = 1, engine_y_cell = 2, engine_table = 4, engine_pair = 8, engine_brings = 16 };

template <class SIZE_T> struct engine_word {
    unsigned char byte[SIZE_T::simd];
};

template <class SIZE_T> engine_word<SIZE_T> engine_zeros() {
    #pragma HLS INLINE
    engine_word<SIZE_T> zeros;
    for (unsigned s = 0; s < SIZE_T::simd; s++) {
        #pragma HLS UNROLL
        zeros.byte[s] = 0;
    }
    return zeros;
}

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

// The lowest BITS bits as a signed number.
template <unsigned BITS> int engine_signed(const unsigned bits) {
    #pragma HLS INLINE
    const unsigned half = 1u << (BITS - 1);
    return int((bits & (2 * half - 1)) ^ half) - int(half);
}

// The requantize of edgekit_arithmetic.h, where the shift is a channel's data: code = n - 2 after weights (sums of quarters,
// acc = 4 * sum + 2), n after a product of activations; -9 at least. One shifter, to the right only, does both directions:
//     floor(sum / 2^code) = floor((sum + 1/2) / 2^code) = ((2 * sum + 1) * 2^8) >> (code + 9)        of 41 bits
// as a whole number of 2^code plus less than 1/2 stays below the next; for code < 0 the half is what the sum's own acc has.
// All clamps are within -256..255, so 9 bits of the shifted number count, and whether the others are all its sign: `beyond`. Each step
// shifts by multiples of 16, 4 and 1, and keeps the bits that the steps behind it can bring down.
inline int engine_requantize(const int sum, const int code, const int low, const int high) {
    #pragma HLS INLINE
#if defined(EDGEKIT_NATIVE) && !defined(EDGEKIT_ENGINE_PACKED)
    const long long moved = ((2 * static_cast<long long>(sum) + 1) * 256) >> (code + 9);
    return moved < low ? low : moved > high ? high : int(moved); // equal, and a processor has a shifter
#else
    const unsigned shift = unsigned(code + 9), far = shift & 48u, near = shift & 12u, last = shift & 3u;
    const unsigned sign = sum < 0 ? ~0u : 0u;
    const long long wide = (2 * static_cast<long long>(sum) + 1) * 256;
    const unsigned one = unsigned(wide >> far) & 0xFFFFFFu, two = (one >> near) & 0xFFFu, three = (two >> last) & 0x1FFu;
    const unsigned above = (unsigned(sum) ^ sign) >> 15, over = one ^ sign, rest = two ^ sign;
    const bool beyond = (far == 0 && above != 0) || (near == 0 && (over >> 12 & 15u)) || (near < 8 && (over >> 16 & 15u)) ||
                        (near < 12 && (over >> 20 & 15u)) || (last == 0 && (rest >> 8 & 1u)) || (last < 2 && (rest >> 9 & 1u)) ||
                        (last < 3 && (rest >> 10 & 1u)) || (rest >> 11 & 1u);
    const int value = engine_signed<9>(three), least = engine_signed<9>(unsigned(low)), most = engine_signed<9>(unsigned(high));
    const bool lower = beyond ? sum < 0 : value < least, higher = beyond ? sum >= 0 : value > most;
    return lower ? least : higher ? most : value;
#endif
}

// A row of a map to its place among the rows that are held.
inline int engine_slot(const int row, const int lift, const int ring) {
    #pragma HLS INLINE
    const int lifted = row + lift;
    return lifted >= ring ? lifted - ring : lifted;
}

// The table of an array: a copy a lane, which is one memory of words of table_bytes entries, written a word a beat. A byte's upper bits say
// which word is read, the lower ones which entry of it is meant.
template <class SIZE_T> struct engine_lookup {
    unsigned char entry[SIZE_T::lanes][SIZE_T::table_rows][SIZE_T::table_bytes];

    void load(const int row, const engine_row<SIZE_T> &one) {
        #pragma HLS INLINE
        for (unsigned lane = 0; lane < SIZE_T::lanes; lane++) {
            #pragma HLS UNROLL
            for (unsigned byte = 0; byte < SIZE_T::table_bytes; byte++) {
                #pragma HLS UNROLL
                entry[lane][row][byte] = one.byte[byte];
            }
        }
    }

    // Word number `w` of what a job made, by its table if it has one.
    engine_word<SIZE_T> of(const int flags, const unsigned w, const engine_word<SIZE_T> &made) const {
        #pragma HLS INLINE
        engine_word<SIZE_T> found = made;
        for (unsigned s = 0; s < SIZE_T::simd && (flags & engine_table); s++) {
            #pragma HLS UNROLL
            found.byte[s] = entry[w * SIZE_T::simd + s][made.byte[s] / SIZE_T::table_bytes][made.byte[s] % SIZE_T::table_bytes];
        }
        return found;
    }
};

// A word's memory, and its place there.
template <class SIZE_T> struct engine_place {
    unsigned bank, part, row;

    explicit engine_place(const int address) {
        #pragma HLS INLINE
        const unsigned inside = unsigned(address) % SIZE_T::bank_words;
        bank = unsigned(address) / SIZE_T::bank_words;
        part = inside % SIZE_T::words;
        row = inside / SIZE_T::words;
    }
};

// The map memory. Each of its memories has one port to read and one to write, and is read at one place of the code, and written at one:
// what both arrays want is collected before.
template <class SIZE_T> struct engine_memory {
    engine_word<SIZE_T> bank[SIZE_T::banks][SIZE_T::words][SIZE_T::bank_part];
    engine_ports<SIZE_T::banks, SIZE_T::words> ports;
    EDGEKIT_ENGINE_PASSED_WORDS(SIZE_T)
};

// What is read in a beat.
template <class SIZE_T> struct engine_reads {
    bool wanted[SIZE_T::banks][SIZE_T::words];
    unsigned row[SIZE_T::banks][SIZE_T::words];
    engine_word<SIZE_T> found[SIZE_T::banks][SIZE_T::words];

    void begin() {
        #pragma HLS INLINE
        for (unsigned b = 0; b < SIZE_T::banks; b++) {
            #pragma HLS UNROLL
            for (unsigned w = 0; w < SIZE_T::words; w++) {
                #pragma HLS UNROLL
                wanted[b][w] = false;
            }
        }
    }

    void want(engine_memory<SIZE_T> &memory, const int address, const int array) {
        #pragma HLS INLINE
        const engine_place<SIZE_T> at(address);
        memory.ports.read(at.bank, at.part, at.row, array);
        wanted[at.bank][at.part] = true;
        row[at.bank][at.part] = at.row;
    }

    void read(const engine_memory<SIZE_T> &memory) {
        #pragma HLS INLINE
        for (unsigned b = 0; b < SIZE_T::banks; b++) {
            #pragma HLS UNROLL
            for (unsigned w = 0; w < SIZE_T::words; w++) {
                #pragma HLS UNROLL
                if (wanted[b][w]) {
                    found[b][w] = memory.bank[b][w][row[b][w]];
                }
            }
        }
    }

    const engine_word<SIZE_T> &at(const int address) const {
        #pragma HLS INLINE
        const engine_place<SIZE_T> place(address);
        return found[place.bank][place.part];
    }
};

// What is written in a beat: whole words, or one byte of a word.
template <class SIZE_T> struct engine_writes {
    bool wanted[SIZE_T::banks][SIZE_T::words];
    unsigned row[SIZE_T::banks][SIZE_T::words];
    int byte[SIZE_T::banks][SIZE_T::words]; // the only one that is written, -1: all are
    engine_word<SIZE_T> word[SIZE_T::banks][SIZE_T::words];

    void begin() {
        #pragma HLS INLINE
        for (unsigned b = 0; b < SIZE_T::banks; b++) {
            #pragma HLS UNROLL
            for (unsigned w = 0; w < SIZE_T::words; w++) {
                #pragma HLS UNROLL
                wanted[b][w] = false;
            }
        }
    }

    void want(engine_memory<SIZE_T> &memory, const int address, const engine_word<SIZE_T> &content, const int only, const int array) {
        #pragma HLS INLINE
        const engine_place<SIZE_T> at(address);
        memory.ports.write(at.bank, at.part, at.row, array);
        wanted[at.bank][at.part] = true;
        row[at.bank][at.part] = at.row;
        byte[at.bank][at.part] = only;
        word[at.bank][at.part] = content;
    }

    void write(engine_memory<SIZE_T> &memory) const {
        #pragma HLS INLINE
        for (unsigned b = 0; b < SIZE_T::banks; b++) {
            #pragma HLS UNROLL
            for (unsigned w = 0; w < SIZE_T::words; w++) {
                #pragma HLS UNROLL
                for (unsigned s = 0; s < SIZE_T::simd && wanted[b][w]; s++) { // byte enables
                    #pragma HLS UNROLL
                    if (byte[b][w] < 0 || byte[b][w] == int(s)) {
                        memory.bank[b][w][row[b][w]].byte[s] = word[b][w].byte[s];
                    }
                }
            }
        }
    }
};

} // namespace nnet

#endif
