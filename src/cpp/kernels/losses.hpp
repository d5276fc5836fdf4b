// Losses with their gradients, in one pass. M rows, N columns, d size of a vector; arrays C-contiguous; a gradient may
// lie on the array it belongs to, nothing else aliases. The loss is the sum of `losses`, in float64: one for each row,
// or one for each kLossPart elements. float32 terms are right to a few units in the last place.
//
// NaN makes the loss NaN and spoils the gradient of its own row only; +inf goes as the formulas say, in its row.
#pragma once
#include "common.hpp"

namespace pyrec::PYREC_BACKEND {

// ---- Sampled scores: row b's positive is column b, the other columns are its negatives. Hidasi & Karatzoglou 2018,
// arXiv:1706.03847. A negative whose score is -inf is not there: no loss, no weight, no gradient.

enum class SampledLoss { cross_entropy, bpr, top1, top1_max, bpr_max };

template <class T> struct Sampled {
    SampledLoss loss;
    double divisor;      // of the loss: the number of rows, or a constant batch size
    const T* log_q;      // (N), subtracted from the scores; or null.  cross_entropy
    double smoothing;    // share of the target's weight that goes to the negatives, evenly.  cross_entropy
    bool sum;            // over the negatives, instead of their mean (over N - 1).  bpr, top1
    double reg;          // times sum_j s_j r_j^2, s the softmax over the negatives.  bpr_max
    bool plain_reg;      // reg times sum_j r_j^2 instead.  bpr_max
    double elu;          // scores pass through ELU with this parameter first; 0: they do not.  all but cross_entropy
    const Id* item_ids;  // (N): columns of the positive's item are not there; or null
};

// d_scores (M,N) and loss of scores (M,N), M <= N.
template <class T>
void sampled_loss(const Exec& ex, double* losses, T* d_scores, const T* scores, Index M, Index N,
                  const Sampled<T>& how);

#ifdef PYREC_CUDA
// From scores (B,I), to which bias (I) is added where it is not null, to their gradient, in place:
// -1/divisor sum_b log softmax(scores_b)[target_b]. What a head needs beside products.
template <class T>
void target_softmax(const Exec& ex, double* losses, T* scores, const T* bias, const Id* target, Index B, Index I,
                    double divisor);
#else
// ---- Heads: scores = hidden weight^T + bias, their loss and the gradients of all three.

// -1/divisor sum_b log softmax(scores_b)[target_b] over all items;  d_hidden (B,d), d_weight (I,d), d_bias (I) of
// hidden (B,d), weight (I,d), bias (I) or null, target (B). At most 64 MB of scores are held at a time, or a few rows.
template <class T>
void full_softmax(const Exec& ex, double* losses, T* d_hidden, T* d_weight, T* d_bias, const T* hidden, const T* weight,
                  const T* bias, const Id* target, Index B, Index I, Index d, double divisor);

// `how` on hidden (M,d) and the rows items (N) of weight (I,d) and bias (I) or null;  d_hidden (M,d), d_rows (N,d) and
// d_bias (N) stand for the rows in the order of items, repeats not summed.
template <class T>
void sampled_head(const Exec& ex, double* losses, T* d_hidden, T* d_rows, T* d_bias, const T* hidden, const T* weight,
                  const T* bias, const Id* items, Index M, Index N, Index d, const Sampled<T>& how);
#endif

// ---- Elements: n of them, the loss is sum_i weight_i l_i / divisor; weight (n) or null for ones. With divisor 0, the
// sum of weights that are all 0, loss and gradient are 0.

constexpr Index kLossPart = 4096;

enum class Pointwise { squared, logistic, huber };  // (y-t)^2;  -t log s(y) - (1-t) log s(-y);  Huber with `delta`
enum class Pairwise { bpr, hinge };                 // softplus(neg - pos);  max(0, margin - pos + neg)

template <class T>
void pointwise_loss(const Exec& ex, double* losses, T* d_y, const T* y, const T* t, const T* weight, Index n,
                    Pointwise loss, double delta, double divisor);
template <class T>
void pairwise_loss(const Exec& ex, double* losses, T* d_pos, T* d_neg, const T* pos, const T* neg, const T* weight,
                   Index n, Pairwise loss, double margin, double divisor);

// weight (n) = log(1 + floor(I V / U)), V of the U negatives neg (n,U) with margin - pos (n) + neg > 0. Weston et al.
// 2011.
template <class T>
void warp_weights(const Exec& ex, T* weight, const T* pos, const T* neg, Index n, Index U, Index I, double margin);

// ---- Rows of distributions.

// -1/divisor sum_u sum_i x_ui log softmax(logits_u)_i;  d_logits (B,I), logits (B,I), x counts or ratings (B,I). Liang
// et al. 2018, arXiv:1802.05814.
template <class T>
void multinomial(const Exec& ex, double* losses, T* d_logits, const T* logits, const Csr<T>& x, double divisor);

// 1/divisor sum_b KL(p_b | softmax(logits_b)) for p (B,I) >= 0, whose rows need not sum to 1.
template <class T>
void softmax_kl(const Exec& ex, double* losses, T* d_logits, const T* logits, const T* p, Index B, Index I,
                double divisor);

// 1/divisor sum 1/2 (mu^2 + exp(log_var) - 1 - log_var): KL(N(mu, exp(log_var)) | N(0, 1)), over n elements.
template <class T>
void gaussian_kl(const Exec& ex, double* losses, T* d_mu, T* d_log_var, const T* mu, const T* log_var, Index n,
                 double divisor);

// -1/divisor sum_b log softmax_c(gamma cos(query_b, candidate_bc))[0];  query (B,d), candidate (B,C,d). A vector
// shorter than 1e-12 has cosine and gradient 0. Huang et al. 2013 (DSSM).
template <class T>
void cosine_softmax(const Exec& ex, double* losses, T* d_query, T* d_candidate, const T* query, const T* candidate,
                    Index B, Index C, Index d, double gamma, double divisor);

}  // namespace pyrec::PYREC_BACKEND
