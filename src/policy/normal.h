// The normal distribution, as far as policies need it.
#pragma once

namespace chorok::policy {

// The quantile of p in (0, 1), by Acklam's rational approximation (relative error below 1.2e-9).
double normal_quantile(double p);

// E[(X - limit)+] of a normal X: s * (phi(k) - k * (1 - Phi(k))), k = (limit - mean) / s. What of a
// demand is expected not to be had where there is only so much. deviation >= 0. Most hosts are far
// from their limit: those cases are inline.
double expected_tail(double k, double deviation);
inline double expected_above(double mean, double deviation, double limit) {
  if (deviation <= 0) return mean > limit ? mean - limit : 0;
  const double k = (limit - mean) / deviation;
  return k > 8 ? 0 : expected_tail(k, deviation);
}

}  // namespace chorok::policy
