// What the programs for node share: arguments, files, and one line on stderr for what goes wrong.

import fs from "node:fs";

import * as npy from "./npy.js";

/** Run a program on its arguments, of which so many must be given. */
export async function command(usage, least, run) {
  const words = process.argv.slice(2);
  try {
    if (words.length < least || words.length > usage.split(" ").length - 1)
      throw new Error(`usage: node ${usage}`);
    await run(...words);
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}

export const readBytes = (file) => fs.readFileSync(file);

/** Array in a .npy file. */
export function readArray(file) {
  try {
    return npy.read(readBytes(file));
  } catch (error) {
    throw new Error(`${file}: ${error.message}`);
  }
}
