// Files .npy of version 1.0 and arrays { shape, data } of the same numbers, the last axis running fastest.

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0];
const TYPES = { "<f4": Float32Array, "<f8": Float64Array, "<i8": BigInt64Array };

/** Array in the bytes (Uint8Array) of a file; whole numbers of 64 bits become float64. */
export function read(bytes) {
  if (MAGIC.some((byte, i) => bytes[i] !== byte)) throw new Error("no .npy file of version 1.0");
  const start = 10 + bytes[8] + 256 * bytes[9];
  const header = new TextDecoder("ascii").decode(bytes.subarray(10, start));
  const Type = TYPES[/'descr': *'(.*?)'/.exec(header)?.[1]];
  if (!Type) throw new Error(`its numbers are none of ${Object.keys(TYPES).join(", ")}`);
  if (!/'fortran_order': *False/.test(header)) throw new Error("its last axis does not run fastest");
  const shape = (/'shape': *\(([^)]*)\)/.exec(header)[1].match(/\d+/g) ?? []).map(Number);
  const count = shape.reduce((product, length) => product * length, 1);
  const end = start + count * Type.BYTES_PER_ELEMENT;
  if (bytes.length !== end) throw new Error(`it has ${bytes.length} bytes, not ${end}`);
  const data = new Type(new Uint8Array(bytes.subarray(start, end)).buffer); // a copy: numbers must be aligned
  return { shape, data: Type === BigInt64Array ? Float64Array.from(data, Number) : data };
}

/** Bytes of a file with an array's numbers: float32 if they are in a Float32Array, float64 if not. */
export function write({ shape, data }) {
  const [descr, numbers] = data instanceof Float32Array ? ["<f4", data] : ["<f8", Float64Array.from(data)];
  const axes = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const header = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${axes}), }`;
  const text = header.padEnd(64 * Math.ceil((header.length + 11) / 64) - 11) + "\n";
  const bytes = new Uint8Array(10 + text.length + numbers.byteLength);
  bytes.set([...MAGIC, text.length % 256, Math.floor(text.length / 256)]);
  bytes.set(new TextEncoder().encode(text), 10);
  bytes.set(new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength), 10 + text.length);
  return bytes;
}
