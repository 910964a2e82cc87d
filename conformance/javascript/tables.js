// Tables: lines of fields between commas (with quotes) or tabs (without).

/** Lines of a text without its byte order mark. */
export const linesOf = (text) => text.replace(/^\ufeff/, "").split(/\r\n|\r|\n/);

/** Rows of fields of a text, but for those whose fields are all blank.  Before a quote a blank may stand. */
export function rows(text, separator = ",") {
  const all = separator === "\t" ? linesOf(text).map((line) => line.split("\t")) : quotedRows(text);
  return all.filter((fields) => fields.some((field) => field.trim() !== ""));
}

/** Rows of fields between commas; a field in quotes may hold commas, line ends, and quotes as two. */
function quotedRows(text) {
  const all = [[]];
  const fields = text.replace(/^\ufeff/, "").matchAll(/(?: *"((?:[^"]|"")*)"|([^,\r\n]*))(,|\r\n|\r|\n|$)/g);
  for (const [whole, quoted, bare, end] of fields) {
    if (whole === "" && all.at(-1).length === 0) break; // behind the last line end
    all.at(-1).push(quoted === undefined ? bare : quoted.replaceAll('""', '"'));
    if (end === "") break;
    if (end !== ",") all.push([]);
  }
  return all;
}

/** Objects from a column's name to the field, and the names in their order. */
export function records(text, separator = ",") {
  const [header, ...lines] = rows(text, separator);
  const columns = header.map((name) => name.trim());
  const list = lines.map((fields) => Object.fromEntries(columns.map((name, i) => [name, fields[i] ?? ""])));
  return { columns, list };
}

/** Labels in a field, each once, in the order in which they are first named. */
export const labelsIn = (field, separator) => [
  ...new Set(
    field
      .split(separator)
      .map((label) => label.trim())
      .filter((label) => label !== ""),
  ),
];

const quoted = (field) => (/[",\r\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field);

/** Text of rows of fields. */
export const write = (lines, separator = ",") =>
  lines.map((fields) => fields.map(separator === "," ? quoted : String).join(separator) + "\n").join("");
