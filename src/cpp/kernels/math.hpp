// Transcendental functions of one number, written so that the compiler vectorises a loop over them at every width:
// no branches, no tables, comparisons that let NaN through. float64, which serves gradient checks, calls libm.
//
// float32 is right to 3 units in the last place over all inputs (tests/kernels/test_math.py holds the bound of each),
// infinities, NaN and denormal inputs included. Polynomials: Cephes (S. Moshier), minimax on the reduced ranges, and
// one fitted in the same way (exp_reduced).
#pragma once
#include <cmath>
#include <cstring>
#include <limits>
#include <string_view>

#include "common.hpp"

#define PYREC_MATH PYREC_HOST_DEVICE __attribute__((always_inline)) inline

namespace pyrec::math {

PYREC_MATH float as_float(std::int32_t i) {
    float x;
    std::memcpy(&x, &i, sizeof x);
    return x;
}

PYREC_MATH std::int32_t as_int(float x) {
    std::int32_t i;
    std::memcpy(&i, &x, sizeof i);
    return i;
}

inline constexpr float kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;  // their sum; n * kLn2High is exact
inline constexpr std::int32_t kSqrtHalf = 0x3F3504F3;                       // the bits of sqrt(1/2)

// x = n ln 2 + r with |r| <= ln(2) / 2, for |x| < 2^20. The low bits of `bits` are n + 127, the exponent of 2^n.
struct Reduced {
    std::int32_t bits;
    float r;
    PYREC_MATH std::int32_t n() const { return bits - 0x4B40007F; }
    PYREC_MATH float power() const { return as_float(bits << 23); }  // 2^n for -127 < n < 128
};

PYREC_MATH Reduced reduce(float x) {
    const float magic = 12583039.0f;  // 1.5 * 2^23 + 127: adding it rounds to an integer, which the low bits then hold
    const float t = x * 1.44269504f + magic, n = t - magic;
    return {as_int(t), (x - n * kLn2High) - n * kLn2Low};
}

// exp(r) - 1 for |r| <= ln(2) / 2. Even and odd terms apart: a chain of dependent operations half as long.
PYREC_MATH float expm1_reduced(float r) {
    const float r2 = r * r;
    const float even = (1.3981999507e-3f * r2 + 4.1665795894e-2f) * r2 + 5.0000001201e-1f;
    const float odd = (1.9875691500e-4f * r2 + 8.3334519073e-3f) * r2 + 1.6666665459e-1f;
    return (odd * r + even) * r2 + r;
}

// The same with an error that is small beside exp(r), but not beside itself, and an operation less.
PYREC_MATH float exp_reduced(float r) {
    const float r2 = r * r;
    const float even = (1.3814540053e-3f * r2 + 4.1668390786e-2f) * r2 + 4.9999993432e-1f;
    const float odd = 8.3687451099e-3f * r2 + 1.6666520399e-1f;
    return (odd * r + even) * r2 + r;
}

PYREC_MATH float exp(float x) {
    float c = x < -104.0f ? -104.0f : x;
    c = c > 89.0f ? 89.0f : c;
    const Reduced d = reduce(c);
    const std::int32_t half = d.n() >> 1;  // 2^n in two factors: infinity and denormal results come out right
    const float p = exp_reduced(d.r) + 1.0f;
    return p * as_float((half + 127) << 23) * as_float((d.n() - half + 127) << 23);
}

// exp(x) for x <= 88; results below 2^-126 are 0. They are cut off in the bits: a choice between floats could be merged
// by the compiler with one that the caller makes, and the caller's code be doubled.
PYREC_MATH float exp_flushed(float x) {
    const Reduced d = reduce(x);
    const float scale = d.power(), e = exp_reduced(d.r) * scale + scale;
    return as_float(as_int(e) & (x < -87.3365402f ? 0 : -1));
}

// exp(x) - 1 for x <= 0; and exp(x) beside it, not below 2^-126.
template <class T> struct ExpPair {
    T exp, expm1;
};
PYREC_MATH ExpPair<float> exp_pair(float x) {
    const Reduced d = reduce(x < -87.0f ? -87.0f : x);
    const float scale = d.power(), p = expm1_reduced(d.r);
    return {scale * p + scale, scale * p + (scale - 1.0f)};
}
PYREC_MATH float expm1_nonpositive(float x) { return exp_pair(x).expm1; }

// log(1 + f) + n ln 2 for f in [sqrt(1/2) - 1, sqrt(2) - 1].
PYREC_MATH float log_sum(float f, float n) {
    const float f2 = f * f;
    float even = 7.0376836292e-2f * f2 + 1.1676998740e-1f, odd = -1.1514610310e-1f * f2 - 1.2420140846e-1f;
    even = (even * f2 + 1.4249322787e-1f) * f2 + 2.0000714765e-1f;
    odd = (odd * f2 - 1.6668057665e-1f) * f2 - 2.4999993993e-1f;
    const float p = odd * f + (even * f2 + 3.3333331174e-1f);
    return (f + ((p * f - 0.5f) * f2 + n * kLn2Low)) + n * kLn2High;
}

// The value of a logarithm where its argument is not positive and finite.
PYREC_MATH float log_special(float argument, float value) {
    constexpr float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
    value = argument < inf ? value : argument;  // infinity or NaN
    value = argument == 0.0f ? -inf : value;
    return argument < 0.0f ? nan : value;
}

PYREC_MATH float log(float x) {
    const bool denormal = x < 1.17549435e-38f;
    const std::int32_t i = as_int(denormal ? x * 8388608.0f : x) - kSqrtHalf;
    const float m = as_float((i & 0x007FFFFF) + kSqrtHalf);  // in [sqrt(1/2), sqrt(2))
    const float n = static_cast<float>((i >> 23) - (denormal ? 23 : 0));
    return log_special(x, log_sum(m - 1.0f, n));
}

PYREC_MATH float log1p(float x) {
    const float u = 1.0f + x;
    const float lost = x < 1.0f ? x - (u - 1.0f) : 1.0f - (u - x);  // by the rounding of u
    const std::int32_t i = as_int(u) - kSqrtHalf, n = i >> 23;
    const float m = as_float((i & 0x007FFFFF) + kSqrtHalf);
    const float scale = as_float((127 - (n < 126 ? n : 126)) << 23);
    const float kept = x < 16777216.0f ? lost * scale : 0.0f;  // beyond it nothing counts, and infinity gives NaN
    return log_special(u, log_sum((m - 1.0f) + kept, static_cast<float>(n)));
}

// log(1 + x) for x in [0, 1].
PYREC_MATH float log1p_unit(float x) {
    const float scale = x > 0.41421356f ? 0.5f : 1.0f;
    return log_sum(scale * x + (scale - 1.0f), 2.0f - 2.0f * scale);
}

// Results below 2^-126 are 0.
PYREC_MATH float sigmoid(float x) {
    const float e = exp_flushed(-std::fabs(x));
    return (x < 0.0f ? e : 1.0f) / (1.0f + e);
}

// log(1 + exp(x)); results below 2^-126 are 0.
PYREC_MATH float softplus(float x) { return log1p_unit(exp_flushed(-std::fabs(x))) + (x > 0.0f ? x : 0.0f); }

PYREC_MATH float tanh(float x) {
    const float e = expm1_nonpositive(-2.0f * std::fabs(x));
    return std::copysign(e / (2.0f + e), x);
}

PYREC_MATH double exp(double x) { return std::exp(x); }
PYREC_MATH double exp_flushed(double x) { return std::exp(x); }
PYREC_MATH double expm1_nonpositive(double x) { return std::expm1(x); }
PYREC_MATH ExpPair<double> exp_pair(double x) { return {std::exp(x), std::expm1(x)}; }
PYREC_MATH double log(double x) { return std::log(x); }
PYREC_MATH double log1p(double x) { return std::log1p(x); }
PYREC_MATH double log1p_unit(double x) { return std::log1p(x); }
PYREC_MATH double sigmoid(double x) {
    const double e = std::exp(-std::fabs(x));
    return (x < 0.0 ? e : 1.0) / (1.0 + e);
}
PYREC_MATH double softplus(double x) { return std::log1p(std::exp(-std::fabs(x))) + (x > 0.0 ? x : 0.0); }
PYREC_MATH double tanh(double x) { return std::tanh(x); }

}  // namespace pyrec::math

namespace pyrec::PYREC_BACKEND {

// out (n) = the named function of x, for tests of what a compiler made of it. False if there is none of that name.
template <class T> bool math_map(const Exec& ex, T* out, const T* x, Index n, std::string_view function);

}  // namespace pyrec::PYREC_BACKEND
