// Matrices are { shape: [rows, columns], data }, the columns running fastest; vectors are arrays of numbers.

/** Float64Array of value(0), value(1), ... */
export const vector = (length, value) => Float64Array.from({ length }, (_, n) => value(n));

/** Matrix of value(row, column, index). */
export function matrix(rows, columns, value) {
  const data = vector(rows * columns, (i) => value(Math.floor(i / columns), i % columns, i));
  return { shape: [rows, columns], data };
}

/** Matrix of value(element, row, column, index) of another one. */
export const map = (a, value) => matrix(...a.shape, (n, c, i) => value(a.data[i], n, c, i));

export const at = (a, n, c) => a.data[n * a.shape[1] + c];
export const row = (a, n) => a.data.subarray(n * a.shape[1], (n + 1) * a.shape[1]);
export const column = (a, c) => vector(a.shape[0], (n) => at(a, n, c));
export const indices = (length) => Array.from({ length }, (_, n) => n);
export const sum = (values) => values.reduce((total, value) => total + value, 0);
export const known = (values) => values.filter((value) => !Number.isNaN(value));

/** Mean of the values that are not NaN; NaN without any. */
export const mean = (values) => sum(known(values)) / known(values).length;
