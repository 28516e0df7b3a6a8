// Stands in for ap_int.h in the exact simulation: integers of any declared width, each of which is checked when it is written.
//
// ap_int<W> and ap_uint<W> hold what W bits hold; a value that does not fit ends the program and is named, where ap_int would cut bits
// off or wrap. That is what the kernels promise never to do. What an expression gives is as wide as in ap_int, so that nothing is lost
// before it is written:
//
//     a + b, a - b    one bit more than the wider of the two (an unsigned one beside a signed one counts one bit more)
//     a * b           the bits of both
//     a & b           the wider of the two
//     a << n, a >> n  those of a: what a shift to the left would push out ends the program, too
//
// Values are kept in 64 bits, and an operation that would leave those ends the program as well. What was never written has no value that
// fits any type. The exception are memory words, unsigned and of more than 31 bits, which are nothing but bits: `word >> n` gives them
// from n on.

#ifndef EDGEKIT_EXACT_AP_INT_H_
#define EDGEKIT_EXACT_AP_INT_H_

#define EDGEKIT_EXACT

#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <type_traits>

namespace exact {

// The stage whose loop runs, for messages.
extern unsigned stage;

[[noreturn]] void fail(const char *what, long long value, int bits, bool is_signed);

constexpr int larger(int a, int b) {
    return a > b ? a : b;
}

template <int W, bool S> struct limits {
    static constexpr bool ample = W >= (S ? 64 : 63); // whatever 64 bits hold
    static constexpr long long high = ample ? LLONG_MAX : (1LL << ((S ? W - 1 : W) % 63)) - 1;
    static constexpr long long low = !S ? 0 : ample ? LLONG_MIN + 1 : -high - 1;
};

template <int W, bool S> struct integer {
    long long value;

    integer() : value(LLONG_MIN) {}
    integer(const integer &) = default;
    integer &operator=(const integer &) = default;

    template <class T, typename std::enable_if<std::is_integral<T>::value, int>::type = 0> integer(T other) { set(static_cast<long long>(other)); }
    template <int W2, bool S2> integer(const integer<W2, S2> &other) { set(other.value); }

    template <class T, typename std::enable_if<std::is_integral<T>::value, int>::type = 0> operator T() const {
        const int bits = std::numeric_limits<T>::digits + std::is_signed<T>::value;
        if (__builtin_expect(value < limits<bits, std::is_signed<T>::value>::low || value > limits<bits, std::is_signed<T>::value>::high, 0)) {
            fail("a native integer", value, bits, std::is_signed<T>::value);
        }
        return static_cast<T>(value);
    }

    template <class T> integer &operator+=(const T other) { return *this = *this + other; }
    template <class T> integer &operator-=(const T other) { return *this = *this - other; }

  private:
    void set(long long other) {
        if (__builtin_expect(other < limits<W, S>::low || other > limits<W, S>::high, 0)) {
            fail(S ? "ap_int" : "ap_uint", other, W, S);
        }
        value = other;
    }
};

// Bits and sign of what stands in an expression; none for other types.
template <class T, class = void> struct operand {
    static constexpr bool known = false, wrapped = false;
};

template <class T> struct operand<T, typename std::enable_if<std::is_integral<T>::value>::type> {
    static constexpr bool known = true, wrapped = false, is_signed = std::is_signed<T>::value;
    static constexpr int bits = std::numeric_limits<T>::digits + is_signed;
    static long long value(T x) { return static_cast<long long>(x); }
};

template <int W, bool S> struct operand<integer<W, S>> {
    static constexpr bool known = true, wrapped = true, is_signed = S;
    static constexpr int bits = W;
    static long long value(const integer<W, S> &x) {
        if (__builtin_expect(x.value == LLONG_MIN, 0)) {
            fail("what was never written is read:", 0, W, S);
        }
        return x.value;
    }
};

template <class A, class B, bool = operand<A>::known &&operand<B>::known && (operand<A>::wrapped || operand<B>::wrapped)> struct result {};

template <class A, class B> struct result<A, B, true> {
    static constexpr bool is_signed = operand<A>::is_signed || operand<B>::is_signed;
    static constexpr int left = operand<A>::bits + (is_signed && !operand<A>::is_signed), right = operand<B>::bits + (is_signed && !operand<B>::is_signed);
    typedef integer<larger(left, right) + 1, is_signed> sum;
    typedef integer<larger(left, right) + 1, true> difference;
    typedef integer<operand<A>::bits + operand<B>::bits, is_signed> product;
    typedef integer<larger(left, right), is_signed> bits;
    typedef bool truth;
};

#define EDGEKIT_EXACT_ARITHMETIC(OPERATOR, KIND, OVERFLOWS)                                                                                \
    template <class A, class B> typename result<A, B>::KIND operator OPERATOR(const A a, const B b) {                                       \
        long long value;                                                                                                                   \
        if (__builtin_expect(OVERFLOWS(operand<A>::value(a), operand<B>::value(b), &value), 0)) {                                           \
            fail("the 64 bits of this simulation", 0, 64, true);                                                                           \
        }                                                                                                                                  \
        return value;                                                                                                                      \
    }
EDGEKIT_EXACT_ARITHMETIC(+, sum, __builtin_add_overflow)
EDGEKIT_EXACT_ARITHMETIC(-, difference, __builtin_sub_overflow)
EDGEKIT_EXACT_ARITHMETIC(*, product, __builtin_mul_overflow)

template <class A, class B> typename result<A, B>::bits operator&(const A a, const B b) {
    return operand<A>::value(a) & operand<B>::value(b);
}

#define EDGEKIT_EXACT_COMPARISON(OPERATOR)                                                                                                 \
    template <class A, class B> typename result<A, B>::truth operator OPERATOR(const A a, const B b) {                                      \
        return operand<A>::value(a) OPERATOR operand<B>::value(b);                                                                         \
    }
EDGEKIT_EXACT_COMPARISON(<)
EDGEKIT_EXACT_COMPARISON(>)
EDGEKIT_EXACT_COMPARISON(<=)
EDGEKIT_EXACT_COMPARISON(>=)
EDGEKIT_EXACT_COMPARISON(==)
EDGEKIT_EXACT_COMPARISON(!=)

inline int checked_places(long long places) {
    if (__builtin_expect(places < 0 || places > 62, 0)) {
        fail("a shift", places, 6, false);
    }
    return static_cast<int>(places);
}

template <int W, bool S, class T, typename std::enable_if<std::is_integral<T>::value, int>::type = 0>
integer<W, S> operator>>(const integer<W, S> a, const T places) {
    return operand<integer<W, S>>::value(a) >> checked_places(places);
}

template <int W, bool S, class T, typename std::enable_if<std::is_integral<T>::value, int>::type = 0>
integer<W, S> operator<<(const integer<W, S> a, const T places) {
    return a * (1LL << checked_places(places));
}

// By so many places as a value says.
template <int W, bool S, int W2, bool S2> integer<W, S> operator>>(const integer<W, S> a, const integer<W2, S2> places) {
    return a >> operand<integer<W2, S2>>::value(places);
}

template <int W, bool S, int W2, bool S2> integer<W, S> operator<<(const integer<W, S> a, const integer<W2, S2> places) {
    return a << operand<integer<W2, S2>>::value(places);
}

// A memory word, least byte first.
template <int W> struct word {
    unsigned char bytes[(W + 7) / 8];

    std::uint64_t operator>>(unsigned places) const {
        std::uint64_t found = 0;
        for (unsigned i = 0; i < 8 && places / 8 + i < sizeof(bytes); i++) {
            found |= std::uint64_t(bytes[places / 8 + i]) << (8 * i);
        }
        return found >> (places % 8);
    }
};

} // namespace exact

template <int W> using ap_int = exact::integer<W, true>;
template <int W> using ap_uint = typename std::conditional<(W > 31), exact::word<W>, exact::integer<W, false>>::type;

#endif
