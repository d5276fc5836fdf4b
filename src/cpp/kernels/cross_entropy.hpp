// The cross-entropy of one score among others, without loss of what is small.
#pragma once
#include <cmath>

#include "common.hpp"

namespace pyrec {

// -log softmax of one score among others, of which only their maximum and sum_j exp(score_j - maximum) are left. What
// is small stays exact: nothing is taken from 1.
struct CrossEntropy {
    double loss;    // log(others / own + 1)
    double own;     // softmax of the score itself
    double others;  // 1 - own
    double factor;  // from exp(score_j - maximum) to the softmax of another score

    PYREC_HOST_DEVICE CrossEntropy(double maximum, double sum, double score) {
        const double top = score > maximum ? score : maximum;
        const double e = std::exp(score - top);
        factor = sum > 0.0 ? std::exp(maximum - top) : 0.0;
        const double rest = sum == 0.0 ? 0.0 : factor * sum;
        loss = (top - score) + std::log1p(rest + (e - 1.0));
        own = e / (rest + e);
        others = rest / (rest + e);
        factor /= rest + e;
    }
};

}  // namespace pyrec
