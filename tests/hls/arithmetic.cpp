// Exhaustive checks of the arithmetic units. Prints what differs and returns 1, or prints how many cases were equal.

#include "edgekit_arithmetic.h"
#include <cmath>
#include <cstdio>
#include <cstdlib>

template <class T, unsigned N> struct token {
    T data[N];
    const T &operator[](unsigned i) const { return data[i]; }
};

static unsigned long long cases = 0;

static void equal(long long found, long long expected, const char *what) {
    cases++;
    if (found != expected) {
        std::printf("%s: %lld, not %lld\n", what, found, expected);
        std::exit(1);
    }
}

// Every pair of 6-bit weights with every activation, signed or not, taken apart again.
static void packed_products() {
    for (int x = -128; x < 256; x++) {
        for (int w1 = -31; w1 <= 31; w1++) {
            for (int w0 = -31; w0 <= 31; w0++) {
                const nnet::packed::sum_t sum = nnet::packed::pack(ap_int<6>(w1), ap_int<6>(w0)) * ap_int<10>(x);
                equal(nnet::packed::low(sum), w0 * x, "low product");
                equal(nnet::packed::high(sum), w1 * x, "high product");
            }
        }
    }
}

// 16 products in one sum at their ends, where the low field is fullest in both directions and the high one in either.
static void packed_sums() {
    const int ends[] = {-31, 0, 31}, activations[] = {-128, 0, 127, 255};
    for (int x : activations) {
        for (int w1 : ends) {
            for (int w0 : ends) {
                nnet::packed::sum_t sum = 0;
                for (unsigned s = 0; s < nnet::packed::together; s++) {
                    sum += nnet::packed::pack(ap_int<6>(w1), ap_int<6>(w0)) * ap_int<10>(x);
                }
                equal(nnet::packed::low(sum), 16 * w0 * x, "low sum");
                equal(nnet::packed::high(sum), 16 * w1 * x, "high sum");
            }
        }
    }
}

// Dot products longer than one packed sum, on a fixed sequence of pseudo-random numbers: packed equals multiply.
template <unsigned PE, unsigned SIMD> void packed_dots() {
    unsigned state = 1;
    for (unsigned round = 0; round < 200; round++) {
        token<ap_uint<8>, SIMD> x;
        ap_int<6> w[PE * SIMD];
        ap_int<32> packed[PE], plain[PE];
        for (unsigned s = 0; s < SIMD; s++) {
            state = state * 1664525u + 1013904223u;
            x.data[s] = round == 0 ? 255 : state >> 24;
        }
        for (unsigned i = 0; i < PE * SIMD; i++) {
            state = state * 1664525u + 1013904223u;
            w[i] = round == 0 ? (i % 2 ? 31 : -31) : int((state >> 16) % 63) - 31;
        }
        for (unsigned p = 0; p < PE; p++) {
            packed[p] = plain[p] = int(p) - 1;
        }
        nnet::packed::dot<PE, SIMD>(x, w, 0, packed);
        nnet::multiply::dot<PE, SIMD>(x, w, 0, plain);
        for (unsigned p = 0; p < PE; p++) {
            equal(packed[p], plain[p], "dot product");
        }
    }
}

// Every weight of at most K set bits with every activation, coded as hls/kernels/arithmetic.py codes it.
template <unsigned K> void shift_add() {
    for (int w = -31; w <= 31; w++) {
        const int magnitude = std::abs(w);
        unsigned code = w < 0, places = 0;
        for (unsigned place = 0; place < 5; place++) {
            if (magnitude >> place & 1) {
                code |= place << (1 + 3 * places);
                places++;
            }
        }
        if (places > K) {
            continue;
        }
        for (unsigned rest = places; rest < K; rest++) {
            code |= 7u << (1 + 3 * rest);
        }
        for (int x = -128; x < 256; x++) {
            equal(nnet::shift_add<K>::product(ap_int<10>(x), ap_uint<1 + 3 * K>(code)), w * x, "shifts and adds");
        }
    }
}

template <int LOW, int HIGH> struct clamp_config {
    static const unsigned n_wide = 40;
    static const int low = LOW, high = HIGH;
};

// The quarters s = (acc - 2) / 4 with the rounding constant in them, against rounding acc / 2^n to nearest; no accumulator is a
// tie, so any rule does.
template <int LOW, int HIGH> void requantize() {
    for (int n = -7; n <= 16; n++) {
        for (int acc = -(1 << 15) + 2; n != 2 && acc < 1 << 15; acc += 4) {
            const int s = (acc - 2) / 4 + (n >= 3 ? 1 << (n - 3) : 0);
            const long long scaled = n >= 0 ? ((long long)acc + (n ? 1 << (n - 1) : 0)) >> n : (long long)acc * (1 << -n);
            const int expected = scaled < LOW ? LOW : scaled > HIGH ? HIGH : int(scaled);
            equal(nnet::requantize_value<clamp_config<LOW, HIGH>>(ap_int<20>(s), n), expected, "requantize");
        }
    }
}

template <int LEAST, int FURTHER> struct shared_config {
    static const unsigned n_wide = LEAST >= 3 ? 20 : 22 - LEAST;
    static const int low = -128, high = 127, shift_low = LEAST, shift_high = LEAST + FURTHER;
};

// Every shift from the smallest one up in one circuit: equal to a circuit of its own.
template <int LEAST, int FURTHER> void requantize_together() {
    for (int more = 0; more <= FURTHER; more++) {
        for (int s = -(1 << 19); s < 1 << 19; s += 31) {
            typedef ap_uint<(FURTHER < 2 ? 1 : FURTHER < 4 ? 2 : FURTHER < 8 ? 3 : FURTHER < 16 ? 4 : 5)> more_t;
            if (LEAST + more != 2) {
                const int alone = nnet::requantize_value<clamp_config<-128, 127>>(ap_int<20>(s), LEAST + more);
                equal(nnet::requantize_channel<shared_config<LEAST, FURTHER>>(ap_int<20>(s), more_t(more)), alone, "requantize together");
            }
        }
    }
}

// Every pair of 8-bit activations, signed and not.
static void products_of_activations() {
    for (int x = -128; x < 256; x++) {
        for (int y = -128; y < 256; y++) {
            equal(nnet::multiply_activations(ap_int<9>(x), ap_int<9>(y)), x * y, "product of activations");
        }
    }
}

template <unsigned SHIFT, int LOW, int HIGH> struct product_clamp {
    static const unsigned shift = SHIFT;
    static const int low = LOW, high = HIGH;
};

// floor(acc / 2^n + 1/2), exact in a double, then the clamp. Half-way: 12 / 8 gives 2, -12 / 8 gives -1, -4 / 8 gives 0.
template <unsigned SHIFT, int LOW, int HIGH> void requantize_products() {
    for (int acc = -(1 << 15); acc <= 255 * 255; acc++) {
        const double rounded = std::floor(double(acc) / (1 << SHIFT) + 0.5);
        const int expected = rounded < LOW ? LOW : rounded > HIGH ? HIGH : int(rounded);
        const ap_int<18> sum = acc + ((1 << SHIFT) >> 1);
        equal(nnet::requantize_product<product_clamp<SHIFT, LOW, HIGH>>(sum), expected, "requantized product");
    }
}

// Every 6-bit weight and every 7-bit code at lanes that lie inside a byte, over two bytes and in a word's last bits.
template <unsigned WORD> void memory_words() {
    for (int value = -32; value < 32; value++) {
        for (unsigned lane = 0; (lane + 1) * 6 <= WORD; lane++) {
            ap_uint<WORD> word = {};
#ifdef EDGEKIT_NATIVE
            unsigned char *bytes = reinterpret_cast<unsigned char *>(&word);
            for (unsigned bit = 0; bit < 6; bit++) {
                bytes[(lane * 6 + bit) / 8] |= ((value >> bit) & 1) << ((lane * 6 + bit) % 8);
            }
#else
            word = ap_uint<WORD>(value & 63) << (lane * 6);
#endif
            equal(nnet::weight_at<6, true>(word, lane), value, "weight in a word");
            equal(nnet::weight_at<6, false>(word, lane), value & 63, "code in a word");
        }
    }
}

int main() {
    packed_products();
    packed_sums();
    packed_dots<2, 1>();
    packed_dots<4, 16>();
    packed_dots<2, 37>();
    shift_add<1>();
    shift_add<2>();
    requantize<-128, 127>();
    requantize<0, 255>();
    requantize<0, 48>();
    requantize_together<3, 0>();
    requantize_together<3, 1>();
    requantize_together<5, 7>();
    requantize_together<9, 15>();
    requantize_together<1, 0>();
    requantize_together<0, 9>();
    requantize_together<-7, 23>();
    products_of_activations();
    requantize_products<0, -128, 127>();
    requantize_products<1, -128, 127>();
    requantize_products<3, -128, 127>();
    requantize_products<7, 0, 255>();
    requantize_products<16, 0, 255>();
    memory_words<8>();
    memory_words<64>();
    memory_words<128>();
    memory_words<1024>();
    std::printf("%llu cases are equal\n", cases);
    return 0;
}
