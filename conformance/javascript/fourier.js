// The Fourier transform, of powers of two.

const tabulate = (size, value) =>
  Float64Array.from({ length: size }, (_, n) => value((2 * Math.PI * n) / size));

/** What transform() needs for a size: cosine and sine of 2 pi n / size. */
export const circle = (size) => ({ cosine: tabulate(size, Math.cos), sine: tabulate(size, Math.sin) });

/** The periodic Hann window. */
export const hann = (size) => circle(size).cosine.map((cosine) => (1 - cosine) / 2);

/** Put numbers into the order of their mirrored indices. */
function mirror(re, im) {
  for (let i = 1, j = 0; i < re.length; i++) {
    let bit = re.length / 2;
    for (; j & bit; bit /= 2) j -= bit;
    j += bit;
    if (i < j) {
      [re[i], re[j]] = [re[j], re[i]];
      [im[i], im[j]] = [im[j], im[i]];
    }
  }
}

/** Transform re + i im in place. */
export function transform(re, im, { cosine, sine }) {
  const size = re.length;
  mirror(re, im);
  for (let half = 1; half < size; half *= 2) {
    for (let even = 0; even < size; even++) {
      if (even & half) continue;
      const odd = even + half;
      const turn = ((even % half) * size) / (2 * half);
      const turnedRe = cosine[turn] * re[odd] + sine[turn] * im[odd];
      const turnedIm = cosine[turn] * im[odd] - sine[turn] * re[odd];
      [re[odd], im[odd]] = [re[even] - turnedRe, im[even] - turnedIm];
      [re[even], im[even]] = [re[even] + turnedRe, im[even] + turnedIm];
    }
  }
}
