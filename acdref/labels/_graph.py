"""The graph of an ontology: reading its nodes, refusing what is no DAG, closing it."""

import graphlib

import numpy as np

from acdref.tables.rows import is_text


def read_children(nodes):
    """Direct children of each node, as positions in ``nodes``; ValueError if the nodes are no ontology."""
    if not isinstance(nodes, list):
        raise ValueError("an ontology is a list of nodes")
    position = {}
    for i, node in enumerate(nodes):
        _check_node(i, node)
        if node["id"] in position:
            raise ValueError(f"duplicate id: {describe(node)} and {describe(nodes[position[node['id']]])}")
        position[node["id"]] = i
    children = []
    for node in nodes:
        for child in node["child_ids"]:
            if child not in position:
                raise ValueError(f"{describe(node)} has the child {child!r}, which is no node")
        if len(set(node["child_ids"])) < len(node["child_ids"]):
            raise ValueError(f"{describe(node)} names a child twice")
        children.append(tuple(position[child] for child in node["child_ids"]))
    return tuple(children)


def describe(node):
    """How error messages name a node."""
    return f"{node['id']} ({node['name']})"


def edge_matrix(children):
    """``edges[c, p]``: whether p is a direct parent of c."""
    edges = np.zeros((len(children), len(children)), dtype=bool)
    for parent, below in enumerate(children):
        edges[list(below), parent] = True
    return edges


def ancestor_closure(children, names):
    """``closure[l, a]``: whether a is l itself or lies above l along any path.

    Nodes are closed from the roots down, each after all of its parents; ValueError if there is a cycle, with
    the names of those on it.
    """
    parents = [np.flatnonzero(row).tolist() for row in edge_matrix(children)]
    closure = np.eye(len(children), dtype=bool)
    try:
        for node in graphlib.TopologicalSorter(dict(enumerate(parents))).static_order():
            closure[node] |= closure[parents[node]].any(axis=0)
    except graphlib.CycleError as error:
        path = " -> ".join(names[node] for node in error.args[1])
        raise ValueError(f"the ontology has a cycle: {path}") from None
    return closure


def _check_node(i, node):
    if not isinstance(node, dict):
        raise ValueError(f"node {i} is no object with id, name and child_ids")
    for key in ("id", "name"):
        if not isinstance(node.get(key), str) or not node[key]:
            raise ValueError(f"node {i} has no {key}")
        if not is_text(node[key]):
            raise ValueError(f"node {i} has the {key} {node[key]!r}, which is no text")
    for key in ("child_ids", "restrictions"):
        values = node.get(key, [] if key == "restrictions" else None)
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise ValueError(f"{describe(node)} has no list of strings as its {key}")
