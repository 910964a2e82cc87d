// Sound at another rate: a sinc under a Kaiser window.

const MOST = 16384; // of a ratio's terms
const ZEROS = 64; // of the sinc, on each side
const BETA = 12;
const CUTOFF = 0.95;

/** The Bessel function I0. */
function bessel(z) {
  let [term, total] = [1, 1];
  for (let i = 1; term > 1e-17 * total; i++) {
    term *= (z / 2 / i) ** 2;
    total += term;
  }
  return total;
}

const divisor = (a, b) => (b === 0 ? a : divisor(b, a % b));

/** large / small in lowest terms, or the nearest fraction whose terms are small enough. */
function ratio(large, small) {
  const common = divisor(large, small);
  if (large / common <= MOST) return [large / common, small / common];
  const last = Math.max(1, Math.floor((MOST * small) / large));
  let best = [Infinity, 1];
  for (let below = 1; below <= last; below++) {
    const above = Math.round((below * large) / small);
    if (Math.abs(above / below - large / small) < Math.abs(best[0] / best[1] - large / small))
      best = [above, below];
  }
  return best;
}

/** The filter, h[half + m]. */
function kernel(up, most) {
  const half = ZEROS * most;
  const h = Float64Array.from({ length: 2 * half + 1 }, (_, i) => {
    const x = (Math.PI * CUTOFF * (i - half)) / most;
    const window = bessel(BETA * Math.sqrt(1 - ((i - half) / half) ** 2)) / bessel(BETA);
    return window * (x === 0 ? 1 : Math.sin(x) / x);
  });
  const scale = up / h.reduce((total, value) => total + value, 0);
  return h.map((value) => value * scale);
}

/** Samples at rateOut of samples at rateIn, a Float32Array. */
export function resample(audio, rateIn, rateOut) {
  if (rateIn === rateOut || audio.length === 0) return Float32Array.from(audio);
  const faster = rateOut > rateIn;
  const [large, small] = faster ? ratio(rateOut, rateIn) : ratio(rateIn, rateOut);
  const [up, down] = faster ? [large, small] : [small, large];
  const h = kernel(up, large);
  const half = (h.length - 1) / 2;
  return Float32Array.from({ length: Math.ceil((audio.length * up) / down) }, (_, k) => {
    const first = Math.max(0, Math.ceil((k * down - half) / up));
    const last = Math.min(audio.length - 1, Math.floor((k * down + half) / up));
    let value = 0;
    for (let j = first; j <= last; j++) value += audio[j] * h[half + k * down - j * up];
    return value;
  });
}
