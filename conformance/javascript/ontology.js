// Label rules on an ontology: edges (E, 2) are rows (parent, child) of nodes 0 ... nNodes - 1; Y are labels
// (N, nNodes).

import { at, column, indices, map, matrix, row, vector } from "./arrays.js";
import { join } from "./labels.js";

/** (nNodes, nNodes): [l, a] is 1 if a is l or lies above it. */
export function closure(nNodes, edges) {
  const parents = indices(nNodes).map(() => []);
  for (const e of indices(edges.shape[0])) parents[at(edges, e, 1)].push(at(edges, e, 0));
  const above = indices(nNodes).map((node) => {
    const found = new Set([node]);
    for (const one of found) parents[one].forEach((parent) => found.add(parent)); // goes on to what is added
    return found;
  });
  return matrix(nNodes, nNodes, (l, a) => +above[l].has(a));
}

/** For each node the nodes below it, itself included. */
const families = (nNodes, edges) => {
  const above = closure(nNodes, edges);
  return indices(nNodes).map((node) => indices(nNodes).filter((l) => at(above, l, node)));
};

/** Each node's label joined with those of all nodes below it. */
export function parentExpand(nNodes, edges, Y) {
  const family = families(nNodes, edges);
  return map(Y, (_, n, node) => join(family[node].map((l) => at(Y, n, l))));
}

/** parentExpand, and NaN below labels that have no label below them. */
export function childrenMask(nNodes, edges, Y) {
  const family = families(nNodes, edges);
  const masked = parentExpand(nNodes, edges, Y);
  map(Y, (label, n, node) => {
    const below = family[node].filter((l) => l !== node);
    if (label !== 1 || below.some((l) => at(Y, n, l) === 1)) return;
    for (const l of below) row(masked, n)[l] = NaN;
  });
  return masked;
}

/** Direct children, and ancestors, of the labels, when edges from abstract parents are dropped. */
export function pslaCandidates(nNodes, edges, Y, abstract) {
  const kept = indices(edges.shape[0])
    .filter((e) => !abstract[at(edges, e, 0)])
    .map((e) => row(edges, e));
  const above = closure(nNodes, { shape: [kept.length, 2], data: kept.flatMap((edge) => [...edge]) });
  const children = map(Y, () => 0);
  const ancestors = map(
    Y,
    (_, n, a) => +indices(nNodes).some((l) => l !== a && at(Y, n, l) === 1 && at(above, l, a)),
  );
  for (const n of indices(Y.shape[0]))
    for (const [parent, child] of kept) if (at(Y, n, parent) === 1) row(children, n)[child] = 1;
  return { children, ancestors };
}

/** Clips with a label at root or below, and these columns; the other clips, and the other columns. */
export function splitByRoot(nNodes, edges, Y, root) {
  const inTarget = column(closure(nNodes, edges), root);
  const isTarget = vector(Y.shape[0], (n) => +row(Y, n).some((label, l) => label === 1 && inTarget[l]));
  const part = (side) => {
    const rows = indices(Y.shape[0]).filter((n) => isTarget[n] === side);
    const columns = indices(nNodes).filter((l) => inTarget[l] === side);
    return matrix(rows.length, columns.length, (n, c) => at(Y, rows[n], columns[c]));
  };
  return { inTarget, isTarget, target: part(1), base: part(0) };
}

export const project = (Y, columns) => matrix(Y.shape[0], columns.length, (n, c) => at(Y, n, columns[c]));

export function lift(y, columns, nColumns) {
  return matrix(y.shape[0], nColumns, (n, c) => (columns.includes(c) ? at(y, n, columns.indexOf(c)) : 0));
}

/** members (M, 2): rows (column of y, super-class). */
export function superclasses(y, members, nSuperclasses) {
  const columns = indices(nSuperclasses).map((s) =>
    indices(members.shape[0])
      .filter((m) => at(members, m, 1) === s)
      .map((m) => at(members, m, 0)),
  );
  return matrix(y.shape[0], nSuperclasses, (n, s) => join(columns[s].map((c) => at(y, n, c))));
}
