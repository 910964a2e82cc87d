/* Labels in a graph of classes: docs/conformance.md, section "Ontology". */
#include <math.h>
#include <stdlib.h>

#include "cases.h"
#include "rules.h"

typedef struct {
    size_t nodes, edges;
    size_t *parents, *children; /* (edges,) */
    bool *above;                /* (nodes, nodes): whether the second lies above the first; not itself */
} Graph;

/* Whether a lies above l, along edges whose parents are not left out. */
static void close_graph(Graph *graph, const double *left_out)
{
    size_t n = graph->nodes;
    for (size_t e = 0; e < graph->edges; e++)
        if (!left_out || left_out[graph->parents[e]] != 1)
            graph->above[graph->children[e] * n + graph->parents[e]] = true;
    for (size_t k = 0; k < n; k++)
        for (size_t l = 0; l < n; l++)
            for (size_t a = 0; graph->above[l * n + k] && a < n; a++)
                graph->above[l * n + a] |= graph->above[k * n + a];
}

static Graph graph_of(Case *one, const double *left_out)
{
    size_t n = whole(one, "n_nodes");
    const Array *edges = input(one, "edges", SHAPE(ANY, 2));
    Graph graph = {n, edges->shape[0], allocate(edges->shape[0], sizeof(size_t)),
                   allocate(edges->shape[0], sizeof(size_t)), NULL};
    for (size_t e = 0; e < graph.edges; e++) {
        double parent = edges->values[2 * e], child = edges->values[2 * e + 1];
        if (!(parent >= 0 && parent < (double)n && child >= 0 && child < (double)n))
            die_of(one, "edges", "has a node that there is not");
        graph.parents[e] = (size_t)parent;
        graph.children[e] = (size_t)child;
    }
    graph.above = allocate(n * n, sizeof *graph.above);
    close_graph(&graph, left_out);
    return graph;
}

static void free_graph(Graph *graph)
{
    free(graph->parents);
    free(graph->children);
    free(graph->above);
}

static const Array *labels_of(Case *one, const Graph *graph)
{
    return input(one, "Y", SHAPE(ANY, graph->nodes));
}

static void ontology_closure(Case *one)
{
    Graph graph = graph_of(one, NULL);
    size_t n = graph.nodes;
    double *closure = output(one, "closure", I8, SHAPE(n, n));
    for (size_t i = 0; i < n * n; i++)
        closure[i] = graph.above[i] || i / n == i % n;
    free_graph(&graph);
}

static void expand(const Graph *graph, const Array *y, double *expanded)
{
    size_t n = graph->nodes;
    for (size_t i = 0; i < y->count; i++) {
        const double *row = y->values + i / n * n;
        expanded[i] = y->values[i];
        for (size_t l = 0; l < n; l++)
            if (graph->above[l * n + i % n])
                expanded[i] = joined_label(expanded[i], row[l]);
    }
}

static void parent_expand(Case *one)
{
    Graph graph = graph_of(one, NULL);
    const Array *y = labels_of(one, &graph);
    expand(&graph, y, output_like(one, "expanded", F8, y));
    free_graph(&graph);
}

static void children_mask(Case *one)
{
    Graph graph = graph_of(one, NULL);
    const Array *y = labels_of(one, &graph);
    size_t n = graph.nodes;
    double *masked = output_like(one, "masked", F8, y);
    expand(&graph, y, masked);
    for (size_t i = 0; i < y->count; i++) {
        size_t label = i % n, row = i - label;
        bool alone = y->values[i] == 1; /* no label lies below this one */
        for (size_t l = 0; l < n; l++)
            alone = alone && !(graph.above[l * n + label] && y->values[row + l] == 1);
        for (size_t l = 0; alone && l < n; l++)
            if (graph.above[l * n + label])
                masked[row + l] = NAN;
    }
    free_graph(&graph);
}

static void psla_candidates(Case *one)
{
    const double *abstract = input(one, "abstract", SHAPE(whole(one, "n_nodes")))->values;
    Graph graph = graph_of(one, abstract);
    const Array *y = labels_of(one, &graph);
    size_t n = graph.nodes;
    double *children = output_like(one, "children", I8, y), *ancestors = output_like(one, "ancestors", I8, y);
    for (size_t i = 0; i < y->count; i++) {
        size_t row = i / n * n;
        if (y->values[i] != 1)
            continue;
        for (size_t e = 0; e < graph.edges; e++)
            if (graph.parents[e] == i - row && abstract[i - row] != 1)
                children[row + graph.children[e]] = 1;
        for (size_t a = 0; a < n; a++)
            if (graph.above[(i - row) * n + a])
                ancestors[row + a] = 1;
    }
    free_graph(&graph);
}

static void split_by_root(Case *one)
{
    Graph graph = graph_of(one, NULL);
    const Array *y = labels_of(one, &graph);
    size_t n = graph.nodes, clips = y->shape[0], root = whole(one, "root"), columns = 0, rows = 0;
    if (root >= n)
        die_of(one, "root", "is a node that there is not");
    double *in = output(one, "in_target", I8, SHAPE(n)), *is = output(one, "is_target", I8, SHAPE(clips));
    for (size_t l = 0; l < n; l++)
        columns += (in[l] = l == root || graph.above[l * n + root]) == 1;
    for (size_t i = 0; i < y->count; i++)
        if (y->values[i] == 1 && in[i % n] == 1)
            is[i / n] = 1;
    for (size_t i = 0; i < clips; i++)
        rows += is[i] == 1;
    double *target = output(one, "target", F8, SHAPE(rows, columns));
    double *base = output(one, "base", F8, SHAPE(clips - rows, n - columns));
    for (size_t i = 0; i < y->count; i++) {
        if (is[i / n] == 1 && in[i % n] == 1)
            *target++ = y->values[i];
        if (is[i / n] == 0 && in[i % n] == 0)
            *base++ = y->values[i];
    }
    free_graph(&graph);
}

static void project(Case *one)
{
    const Array *y = input(one, "Y", SHAPE(ANY, ANY));
    size_t *columns = indices(one, "columns", ANY, y->shape[1]), n = anything(one, "columns")->count;
    double *projected = output(one, "projected", F8, SHAPE(y->shape[0], n));
    for (size_t i = 0; i < y->shape[0] * n; i++)
        projected[i] = y->values[i / n * y->shape[1] + columns[i % n]];
    free(columns);
}

static void lift(Case *one)
{
    const Array *y = input(one, "y", SHAPE(ANY, ANY));
    size_t n = whole(one, "n_columns"), *columns = indices(one, "columns", y->shape[1], n);
    double *lifted = output(one, "lifted", F8, SHAPE(y->shape[0], n));
    for (size_t i = 0; i < y->count; i++)
        lifted[i / y->shape[1] * n + columns[i % y->shape[1]]] = y->values[i];
    free(columns);
}

static void superclasses(Case *one)
{
    const Array *y = input(one, "y", SHAPE(ANY, ANY)), *members = input(one, "members", SHAPE(ANY, 2));
    size_t classes = y->shape[1], n = whole(one, "n_superclasses");
    double *mapped = output(one, "mapped", F8, SHAPE(y->shape[0], n));
    for (size_t m = 0; m < members->shape[0]; m++) {
        double column = members->values[2 * m], to = members->values[2 * m + 1];
        if (!(column >= 0 && column < (double)classes && to >= 0 && to < (double)n))
            die_of(one, "members", "has a number that is out of range");
        for (size_t i = 0; i < y->shape[0]; i++) {
            double *label = mapped + i * n + (size_t)to;
            *label = joined_label(*label, y->values[i * classes + (size_t)column]);
        }
    }
}

const Function ONTOLOGY[] = {
    {"labels/ontology_closure", ontology_closure},
    {"labels/parent_expand", parent_expand},
    {"labels/children_mask", children_mask},
    {"labels/psla_candidates", psla_candidates},
    {"labels/split_by_root", split_by_root},
    {"labels/project", project},
    {"labels/lift", lift},
    {"labels/superclasses", superclasses},
    {NULL, NULL},
};
