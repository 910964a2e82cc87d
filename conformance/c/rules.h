/* What several of the label rules and metrics need. */
#ifndef RULES_H
#define RULES_H

#include <stddef.h>

/* The or of two labels: 1 if either is, else NaN if either is, else 0. */
double joined_label(double a, double b);

void sort(double *values, size_t n);
double middle(const double *sorted, size_t n);

/* Quantile of the standard normal distribution, by Acklam: relative error 1.2e-9. */
double normal_quantile(double p);

#endif
