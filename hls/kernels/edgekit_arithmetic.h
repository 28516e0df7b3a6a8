// The arithmetic units that the loop nests share: products, dot products, requantize, and weights out of memory words.
//
// A unit is a struct with static functions, all combinational, without loops that are not unrolled:
//   product(x, w)          one activation times one weight
//   dot(x, w, first, sums) sums[p] += sum over s of x[s] * w[first + s * PE + p]: SIMD activations shared by PE sums
//
// Weights are the contract's divided by 4: -31..31 (see requantize_value). Products of two activations are whole: a multiplier
// each, and a requantize of their own (requantize_product).

#ifndef EDGEKIT_ARITHMETIC_H_
#define EDGEKIT_ARITHMETIC_H_

#include "ap_int.h"

namespace nnet {

typedef ap_int<14> product_t; // -31 * 255 .. 31 * 255

// One multiplier a product.
struct multiply {
    template <class value_T, class weight_T> static product_t product(const value_T &x, const weight_T &w) {
        #pragma HLS INLINE
        const product_t product = x * w;
        #pragma HLS BIND_OP variable=product op=mul impl=dsp
        return product;
    }

    template <unsigned PE, unsigned SIMD, class token_T, class weight_T, class accum_T>
    static void dot(const token_T &x, const weight_T w[], const unsigned first, accum_T sums[PE]) {
        #pragma HLS INLINE
        for (unsigned s = 0; s < SIMD; s++) {
            #pragma HLS UNROLL
            for (unsigned p = 0; p < PE; p++) {
                #pragma HLS UNROLL
                sums[p] += product(x[s], w[first + s * PE + p]);
            }
        }
    }
};

// Two products that share an activation in one 25 x 18 multiplier, the size of a DSP48. With x in -128..255 and weights in
// -31..31,
//
//     (w1 * 2^18 + w0) * x = w1 * x * 2^18 + w0 * x,      |w0 * x| <= 31 * 255 = 7905
//
// The low 18 bits, read as a signed number, are w0 * x; what is left without them is w1 * x. The same holds for the sum of
// 16 such products, since 16 * 7905 = 126480 < 2^17: they are added before they are taken apart.
struct packed {
    static const unsigned field = 18;
    static const unsigned together = 16;

    typedef ap_int<27> pair_t;
    typedef ap_int<48> sum_t;

    template <class weight_T> static pair_t pack(const weight_T &w1, const weight_T &w0) {
        #pragma HLS INLINE
        return pair_t(w1) * (1 << field) + w0;
    }

    static int low(const sum_t &sum) {
        #pragma HLS INLINE
        const int half = 1 << (field - 1);
        return int((sum + half) & ((1 << field) - 1)) - half;
    }

    static int high(const sum_t &sum) {
        #pragma HLS INLINE
        return int((sum - low(sum)) >> field);
    }

    template <unsigned PE, unsigned SIMD, class token_T, class weight_T, class accum_T>
    static void dot(const token_T &x, const weight_T w[], const unsigned first, accum_T sums[PE]) {
        #pragma HLS INLINE
#ifdef EDGEKIT_NATIVE
        multiply::dot<PE, SIMD>(x, w, first, sums); // equal, and a processor has no use for packing
#else
        for (unsigned p = 0; p < PE; p += 2) {
            #pragma HLS UNROLL
            for (unsigned chunk = 0; chunk < SIMD; chunk += together) {
                #pragma HLS UNROLL
                sum_t sum = 0;
                for (unsigned s = chunk; s < SIMD && s < chunk + together; s++) {
                    #pragma HLS UNROLL
                    const sum_t products = pack(w[first + s * PE + p + 1], w[first + s * PE + p]) * x[s];
                    #pragma HLS BIND_OP variable=products op=mul impl=dsp
                    sum += products;
                }
                sums[p] += low(sum);
                sums[p + 1] += high(sum);
            }
        }
#endif
    }
};

// No multiplier: a weight has at most K set bits and is coded as their places. Bit 0 is the sign; the next K groups of 3 bits
// hold a place 0..4 each, 7 for none.
template <unsigned K> struct shift_add {
    template <class value_T, class weight_T> static product_t product(const value_T &x, const weight_T &code) {
        #pragma HLS INLINE
        const unsigned bits = code;
        int magnitude = 0;
        for (unsigned k = 0; k < K; k++) {
            #pragma HLS UNROLL
            const unsigned place = (bits >> (1 + 3 * k)) & 7;
            magnitude += place == 7 ? 0 : int(x) * (1 << place); // a shift; of negative numbers C++14 leaves "<<" undefined
        }
        return (bits & 1) ? -magnitude : magnitude;
    }

    template <unsigned PE, unsigned SIMD, class token_T, class weight_T, class accum_T>
    static void dot(const token_T &x, const weight_T w[], const unsigned first, accum_T sums[PE]) {
        #pragma HLS INLINE
        for (unsigned s = 0; s < SIMD; s++) {
            #pragma HLS UNROLL
            for (unsigned p = 0; p < PE; p++) {
                #pragma HLS UNROLL
                sums[p] += product(x[s], w[first + s * PE + p]);
            }
        }
    }
};

// From an accumulator to an 8-bit activation.
//
// The contract makes weights multiples of 4 and every accumulator 2 modulo 4. The kernels work in quarters: weights w/4
// (6 bits) and sums s with acc = 4*s + 2. With n the shift of a channel,
//
//     n >= 3:  (acc + 2^(n-1)) >> n  =  (s + 2^(n-3)) >> (n-2)        2^(n-3) is already in the bias that started the sum
//     n <= 1:  acc * 2^-n            =  (2*s + 1) << (1-n)            n = 2 does not occur
//
// so a truncating shift and a clamp are all that is left, and they equal every way of rounding. CONFIG_T has n_wide, the bits
// that hold every shifted value, and the clamp low..high.
template <typename CONFIG_T, class value_T> ap_int<9> clamp_value(const value_T &value) {
    #pragma HLS INLINE
    if (value < CONFIG_T::low) {
        return CONFIG_T::low;
    }
    if (value > CONFIG_T::high) {
        return CONFIG_T::high;
    }
    return value;
}

// A channel with a circuit of its own, in which its shift is a constant.
template <typename CONFIG_T, class accum_T> ap_int<9> requantize_value(const accum_T &sum, const int shift) {
    #pragma HLS INLINE
    ap_int<CONFIG_T::n_wide> value = sum;
    if (shift >= 3) {
        value = value >> (shift - 2);
    } else {
        value = (value * 2 + 1) << (1 - shift);
    }
    return clamp_value<CONFIG_T>(value);
}

// Channels that take turns in one circuit. All are shifted by shift_low, their smallest shift, which is a constant and so only
// wires, and each by `more` = n - shift_low beyond that:
//
//     shift_low >= 3:  (s >> (shift_low - 2)) >> more
//     shift_low <= 1:  ((2*s + 1) << (1 - shift_low)) >> more        for n >= 3, too, since (2*s + 1) >> 1 = s
//
// `more` is unsigned and no wider than shift_high - shift_low asks for: each bit of it is a row of multiplexers, and a signed
// amount would be a shifter to the other side as well.
template <typename CONFIG_T, class accum_T, class more_T> ap_int<9> requantize_channel(const accum_T &sum, const more_T &more) {
    #pragma HLS INLINE
    const int right = CONFIG_T::shift_low >= 3 ? CONFIG_T::shift_low - 2 : 0;
    const int left = CONFIG_T::shift_low >= 3 ? 0 : 1 - CONFIG_T::shift_low;
    ap_int<CONFIG_T::n_wide> value = sum;
    if (CONFIG_T::shift_low >= 3) {
        value = value >> right;
    } else {
        value = (value * 2 + 1) << left;
    }
    if (CONFIG_T::shift_low != CONFIG_T::shift_high) {
        value = value >> more;
    }
    return clamp_value<CONFIG_T>(value);
}

// Two activations, each signed or not: -128 * 255 .. 255 * 255.
template <class left_T, class right_T> ap_int<17> multiply_activations(const left_T &left, const right_T &right) {
    #pragma HLS INLINE
    const ap_int<17> product = left * right;
    #pragma HLS BIND_OP variable=product op=mul impl=dsp
    return product;
}

// From a sum of products of activations to an 8-bit activation: (acc + 2^(n-1)) >> n, so half-way cases go up, then the clamp.
// The rounding constant is already in the bias that started the sum. CONFIG_T has the op's shift n >= 0 and the clamp low..high.
template <typename CONFIG_T, class accum_T> ap_int<9> requantize_product(const accum_T &sum) {
    #pragma HLS INLINE
    const accum_T value = sum >> CONFIG_T::shift;
    return clamp_value<CONFIG_T>(value);
}

// Weight number `lane` of a memory word: BITS bits, a signed number, or an unsigned code.
template <unsigned BITS, bool SIGNED, class word_T> int weight_at(const word_T &word, const unsigned lane) {
    #pragma HLS INLINE
    const int mask = (1 << BITS) - 1, sign = SIGNED ? 1 << (BITS - 1) : 0;
    const int bits = int(word >> (lane * BITS)) & mask;
    return (bits ^ sign) - sign;
}

} // namespace nnet

#endif
