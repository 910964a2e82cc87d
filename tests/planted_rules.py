"""Bugs to plant in the label rules and metrics, each with the test that must notice: see mutations.py."""

# (module in acdref, file in tests): [(source that occurs once, replacement, test that must fail), ...]
PLANTED = {
    ("labels/_checks", "labels/test_correction.py"): [
        (
            "np.asarray(array, dtype=np.float64)",
            "np.asarray(array)",
            "TestCorrectLabels::test_scores_are_compared_in_double_precision",
        ),
        ("highest > 1", "highest > 2", "TestCorrectLabels::test_bad_input"),
        ("lowest < 0", "lowest < -np.inf", "TestCorrectLabels::test_bad_input"),
        ("value == high", "False", "TestPercentile::test_fraction_out_of_range"),
    ],
    ("labels/_checks", "labels/test_algebra.py"): [
        ("(labels == 1) | np.isnan", "(labels <= 1) | np.isnan", "TestOrJoin::test_bad_input"),
    ],
    ("labels/algebra", "labels/test_algebra.py"): [
        (
            "np.isnan(labels).any(axis=0)",
            "np.isnan(labels).all(axis=0)",
            "TestOrJoin::test_neutral_and_absorbing_elements",
        ),
        (
            "np.where((labels == 1).any(axis=0), 1.0, unknown)",
            "labels.max(axis=0)",
            "TestOrJoin::test_monotone_and_least_upper_bound",
        ),
        (
            "np.where((labels == 1).any(axis=0), 1.0, unknown)",
            "np.fmax.reduce(labels, axis=0)",
            "TestOrJoin::test_kleene_table",
        ),
        (
            "(labels == 1).any(axis=0)",
            "(labels[0] == 1)",
            "TestOrJoin::test_commutative_associative_idempotent",
        ),
        (
            "(labels == 1).any(axis=0)",
            "((labels == 1).mean(axis=0) > 0.4)",
            "TestOrJoin::test_commutative_associative_idempotent",
        ),
        (
            "(labels == 1).any(axis=0)",
            "((labels == 1).sum(axis=0) % 2 == 1)",
            "TestOrJoin::test_equals_maximum_without_unknowns",
        ),
        (
            "(labels == 1).any(axis=0)",
            "(labels == 1).any(axis=tuple(range(labels.ndim - 1)))",
            "TestOrJoin::test_batches_are_joined_clip_by_clip",
        ),
        (
            "np.where(weight == 0, second, np.where(weight == 1, first, mixed))",
            "mixed",
            "TestMixup::test_unknown_stays_unknown_unless_its_weight_is_zero",
        ),
        (
            "(1 - weight).astype(dtype)",
            "(1 - weight**2).astype(dtype)",
            "TestMixup::test_class_sums_and_range",
        ),
        (
            "weight.astype(dtype) * first",
            "weight.astype(dtype) * second",
            "TestMixup::test_swapping_clips_and_weights",
        ),
        ("batch[::-1]", "np.roll(batch, 1, axis=0)", "TestMixup::test_dorfer_pairing"),
        ("batch[::2], batch[1::2]", "batch[:pairs], batch[pairs:]", "TestMixup::test_dinkel_pairing"),
        ("return batch.copy()", "batch = batch[: 2 * pairs]", "TestMixup::test_dinkel_pairing"),
        (
            "rng.beta(alpha, alpha, size=n)",
            "rng.uniform(size=n)",
            "TestMixup::test_weights_are_beta_distributed",
        ),
        ("gains / 20.0", "gains / 10.0", "TestGains::test_amplitude_decibels"),
        (
            "rng.normal(0.0, sigma, size=n)",
            "rng.normal(0.0, sigma**0.5, size=n)",
            "TestGains::test_standard_deviation_and_independence",
        ),
        (
            "rng.normal(0.0, sigma, size=n)",
            "np.full(n, rng.normal(0.0, sigma))",
            "TestGains::test_standard_deviation_and_independence",
        ),
    ],
    ("labels/clap", "labels/test_clap.py"): [
        ("np.exp(scale * (", "np.exp((", "TestSoftmax::test_original_similarity"),
        (
            "(competitors - competitors.max(axis=1, keepdims=True))",
            "competitors",
            "TestSoftmax::test_large_scales_do_not_overflow",
        ),
        (
            "(competitors - competitors.max(axis=1, keepdims=True))",
            "(competitors - competitors**2)",
            "TestSoftmax::test_shift_invariant",
        ),
        (
            "weights.sum(axis=1, keepdims=True)",
            "weights.sum(axis=0, keepdims=True)",
            "TestSoftmax::test_rows_are_distributions",
        ),
        (
            "weights.sum(axis=1, keepdims=True)",
            "weights[:, : cosines.shape[1]].sum(axis=1, keepdims=True)",
            "TestSoftmax::test_background_takes_its_share",
        ),
        ("float = 0.2,", "float = 0.1,", "TestLabels::test_at_most_four_labels_and_the_best_among_them"),
        (
            "(scores > thresholds)",
            "(scores >= thresholds)",
            "TestLabels::test_exactly_at_the_threshold_is_no_label",
        ),
        (
            "np.where(unknown, np.nan, (scores",
            "np.where(False, np.nan, (scores",
            "TestLabels::test_thresholds_by_class",
        ),
        ("spread = 1.4826 * ", "spread = ", "TestRobustZScores::test_recovers_normal_deviations"),
        (
            "np.median(np.abs(deviation))",
            "np.mean(np.abs(deviation))",
            "TestRobustZScores::test_few_outliers_hardly_move_the_others",
        ),
        (
            "column[known] - np.median(column[known])",
            "column[known] - np.abs(np.median(column[known]))",
            "TestRobustZScores::test_affine_invariance_and_unknowns",
        ),
        (
            "np.where(deviation == 0, 0.0, deviation / spread)",
            "deviation / spread",
            "TestRobustZScores::test_constant_class",
        ),
    ],
    ("labels/correction", "labels/test_correction.py"): [
        ("(p > 0.5)", "(p >= 0.5)", "TestCorrectLabels::test_truth_table"),
        ("(p > 0.5)", "(p >= 0.5)", "TestCorrectLabels::test_threshold_one_half_follows_the_teacher"),
        ("(p < 0.5)", "(p <= 0.5)", "TestCorrectLabels::test_recorded_truth_table"),
        ("score > 1.0 - T", "score >= 1.0 - T", "TestCorrectLabels::test_pandas_oracle"),
        (
            "score > 1.0 - T",
            "score >= 1.0 - T",
            "TestCorrectLabels::test_threshold_zero_corrects_nothing_and_masks_every_contradiction",
        ),
        ("score < T, 0.0", "score <= T, 0.0", "TestCorrectLabels::test_truth_table"),
        ('"closed" else np.less', '"none" else np.less', "TestCorrectLabels::test_monotone_in_the_score"),
        (
            '"closed" else np.less',
            '"closed" else np.less_equal',
            "TestCorrectLabels::test_the_printed_equations_are_not_monotone",
        ),
        ("if fp:", "if not fp:", "TestCorrectLabels::test_fn_variants_only_raise_and_only_negatives"),
        (
            "(y == 0) & (p > 0.5)",
            "(y != 1) & (p > 0.5)",
            "TestCorrectLabels::test_unknown_labels_and_scores_change_nothing",
        ),
        (
            "(y == 1) & (p < 0.5)",
            "(y != 0) & (p < 0.5)",
            "TestCorrectLabels::test_unknown_labels_and_scores_change_nothing",
        ),
        ("(y == 1) & (p < 0.5)", "(y == 1) & (p > 0.5)", "TestCorrectLabels::test_idempotent"),
        ("(p < 0.5)", "(p < 0.4)", "TestCorrectLabels::test_complement_duality"),
        (
            "np.nan if mask else 0.0",
            "np.nan if mask else 1.0",
            "TestCorrectLabels::test_masking_only_replaces_kept_labels",
        ),
        (
            "score > 1.0 - T",
            "score > 0.5 + T",
            "TestCorrectLabels::test_growing_threshold_moves_masked_to_corrected",
        ),
        ("(y == 1) & (p < 0.5)", "(y == 1)", "TestCorrectLabels::test_agreeing_teacher_is_the_identity"),
        ('in_range(T, "T", 0.0, 0.5)', "T", "TestCorrectLabels::test_threshold_out_of_range"),
        ("corrected = y.copy()", "corrected = y", "test_no_rule_modifies_its_arguments"),
        (
            "p[chosen[:, c], c]",
            "p[chosen[:, c], c - 1]",
            "test_every_rule_follows_permutations_of_clips_and_classes",
        ),
        (
            "(y == 0) & ~np.isnan(p)",
            "~np.isnan(p)",
            "TestPercentile::test_unknowns_and_positives_do_not_count",
        ),
        ("q=1.0 - q", "q=q", "TestPercentile::test_pandas_oracle"),
        (
            "q=1.0 - q",
            "q=(1.0 - q) ** 2",
            "TestPercentile::test_at_most_the_fraction_of_distinct_scores_rounded_up",
        ),
        ("(p > thresholds)", "(p >= thresholds)", "TestPercentile::test_fraction_zero_flags_nothing"),
        ("(p > thresholds)", "(p >= thresholds)", "TestPercentile::test_equal_scores_flag_nothing"),
        ("(p > thresholds)", "(p < thresholds)", "TestPercentile::test_flags_are_the_highest_scores"),
        (
            "flags = (y == 0)",
            "flags = (y != 1)",
            "TestPercentile::test_only_scored_negatives_change_and_both_variants_flag_the_same",
        ),
        ("flags = (y == 0)", "flags = (p > 0.5) & (y == 0)", "TestPercentile::test_confidence_plays_no_part"),
        (
            "if chosen[:, c].any() else np.nan",
            "if chosen[:, c].any() else 0.0",
            "TestPercentile::test_class_without_negatives_is_left_alone",
        ),
        (
            "if chosen[:, c].any() else np.nan",
            "if chosen[:, c].any() else 0.0",
            "TestMeanThreshold::test_class_without_scored_positives_is_left_alone",
        ),
        (
            "(y == 1) & ~np.isnan(p)",
            "(y >= 0) & ~np.isnan(p)",
            "TestMeanThreshold::test_thresholds_are_the_statistics_of_the_positives",
        ),
        ("q=0.10", "q=0.90", "TestMeanThreshold::test_thresholds_are_the_statistics_of_the_positives"),
        ("(p > thresholds)", "(p >= thresholds)", "TestMeanThreshold::test_constant_score_changes_nothing"),
        (
            "np.clip(math.fsum(scores) / len(scores), scores.min(), scores.max())",
            "math.fsum(scores) / len(scores)",
            "TestMeanThreshold::test_mean_of_equal_scores_is_that_score",
        ),
        (
            "math.fsum(scores)",
            "np.sum(scores)",
            "TestMeanThreshold::test_the_order_of_clips_does_not_move_a_threshold",
        ),
        (
            "return flags & candidates",
            "return flags",
            "TestMeanThreshold::test_only_negative_candidates_above_the_threshold_become_positive",
        ),
        (
            "return flags & candidates",
            "return flags ^ candidates",
            "TestMeanThreshold::test_candidate_sets_unite",
        ),
        (
            "(p > thresholds)",
            "(np.abs(p - thresholds) < 0.2)",
            "TestMeanThreshold::test_monotone_in_the_score_for_fixed_thresholds",
        ),
        (
            "_STATISTICS[statistic])",
            "lambda scores: 1 - np.median(scores))",
            "TestMeanThreshold::test_idempotent_for_fixed_candidates",
        ),
        ("math.fsum(scores)", "sum(scores[1:])", "TestMeanThreshold::test_original_function_on_all_classes"),
    ],
    ("labels/_graph", "labels/test_ontology.py"): [
        ("closure[child] |= closure[parent]", "closure[child, parent] = True", "TestGraph::test_closure"),
        (
            "closure[child] |= closure[parent]",
            "closure[child] = closure[parent]; closure[child, child] = True",
            "TestGraph::test_closure",
        ),
        ('if node["id"] in position', "if False", "TestBadOntology::test_duplicate_id"),
        ("if child not in position", "if False", "TestBadOntology::test_unknown_child"),
        ("reversed(path[", "(path[", "TestBadOntology::test_cycle"),
        ("if closed < len(children)", "if False", "TestBadOntology::test_own_child"),
    ],
    ("labels/_tables", "labels/test_ontology.py"): [
        (
            "nonzero(np.isnan(y))",
            "nonzero(np.zeros(y.shape))",
            "TestParentExpand::test_kleene_or_over_everything_below",
        ),
        ("starts - first", "starts", "TestParentExpand::test_networkx"),
    ],
    ("labels/_tables", "labels/test_superclasses.py"): [
        (
            "nonzero(y == 1))] = 1.0",
            "nonzero((y == 1) & ~np.isnan(y).any()))] = 1.0",
            "test_super_class_is_the_kleene_or_of_its_members",
        ),
    ],
    ("labels/ontology", "labels/test_ontology.py"): [
        (
            "self.closure = ancestor_closure(self.children,",
            "self.closure = ancestor_closure("
            "[() if n.get('restrictions') else c for n, c in zip(nodes, self.children)],",
            "TestParentExpand::test_networkx",
        ),
        (
            "Table.from_matrix(self.closure)",
            "Table.from_matrix(edge_matrix(self.children) | np.eye(len(self), dtype=bool))",
            "TestParentExpand::test_closure_operator",
        ),
        (
            "Table.from_matrix(self.closure)",
            "Table.from_matrix(self.closure.T)",
            "TestParentExpand::test_upward_closed",
        ),
        (
            "Table.from_matrix(self.closure)",
            "Table.from_matrix(self.closure & ~np.eye(len(self), dtype=bool))",
            "TestParentExpand::test_every_label_reaches_a_root",
        ),
        (
            "above[self._strict.expand(rows, classes)] = True",
            "above[Table.from_matrix(edge_matrix(self.children)).expand(rows, classes)] = True",
            "TestChildrenMask::test_networkx",
        ),
        (
            "triggers = ~above[rows, classes]",
            "triggers = np.ones(len(rows), dtype=bool)",
            "TestChildrenMask::test_never_masks_an_expanded_label",
        ),
        (
            "triggers = ~above[rows, classes]",
            "triggers = ~above.any(axis=1)[rows]",
            "TestChildrenMask::test_a_label_that_triggers_masks_everything_below",
        ),
        (
            "triggers = ~above[rows, classes]",
            "triggers = above[rows, classes]",
            "TestChildrenMask::test_mask_of_a_union_lies_in_the_union_of_masks",
        ),
        (
            "triggers = ~above[rows, classes]",
            "triggers = np.ones(len(rows), dtype=bool)",
            "TestChildrenMask::test_adding_a_descendant_removes_the_mask_of_that_label",
        ),
        (
            "above[self._strict.expand(rows, classes)] = True",
            "above[Table.from_matrix(edge_matrix(self.children)).expand(rows, classes)] = True",
            "TestChildrenMask::test_triggers_of_the_expanded_labels_mask_the_same",
        ),
        (
            "Table.from_matrix(self.closure.T & ~np.eye(len(self), dtype=bool))",
            "Table.from_matrix(edge_matrix(self.children).T)",
            "TestChildrenMask::test_a_label_that_triggers_masks_everything_below",
        ),
        (
            "Table.from_matrix(self.closure.T & ~np.eye(len(self), dtype=bool))",
            "Table.from_matrix(self.closure.T)",
            "TestChildrenMask::test_leaves_alone_mask_nothing",
        ),
        (
            "rows, classes = nonzero(Y == 1)",
            "rows, classes = nonzero(Y != 0)",
            "TestChildrenMask::test_unknown_labels_trigger_nothing_and_are_never_settled_to_zero",
        ),
        (
            'node.get("restrictions") == ["abstract"]',
            '"abstract" in node.get("restrictions", [])',
            "TestCandidates::test_networkx",
        ),
        ("edge_matrix(children).T), 2", "ancestors.T), 2", "TestCandidates::test_networkx"),
        (
            "(Y[:, in_target] == 1)",
            "(Y[:, in_target] != 0)",
            "TestSplit::test_original_expanded_and_masked_labels_split_alike",
        ),
        (
            "self.closure[:, self.columns([root])[0]]",
            "self.closure[self.columns([root])[0]]",
            "TestSplit::test_base_and_target",
        ),
        (
            "type(self)(self._nodes + [",
            'type(self)([node | {"restrictions": []} for node in self._nodes] + [',
            "TestGraph::test_isolated_labels_give_and_get_nothing",
        ),
    ],
    ("labels/ontology", "labels/test_audioset.py"): [
        (
            "self.closure = ancestor_closure(self.children,",
            "self.closure = ancestor_closure("
            "[() if n.get('restrictions') else c for n, c in zip(nodes, self.children)],",
            "test_labels_per_clip",
        ),
        ('node.get("restrictions") == ["abstract"]', "False", "test_psla_label_enhancement"),
    ],
    ("labels/vocabulary", "labels/test_vocabulary.py"): [
        ("lifted[:, columns] = y", "lifted[:, np.sort(columns)] = y", "test_project_undoes_lift"),
        ("self.columns(ids)]\n", "np.sort(self.columns(ids))]\n", "test_project_and_lift"),
        ("if len(np.unique(columns))", "if False and len(columns)", "test_project_and_lift"),
        ('unknown == "raise"', "False", "test_unknown_labels"),
    ],
    ("labels/sparse", "labels/test_sparse.py"): [
        ("np.isnan(y[rows, columns])", "np.zeros(len(rows), dtype=bool)", "test_round_trip"),
        ("sorted(set(columns))", "sorted(columns)", "test_lists_of_positives"),
        ("slice(indptr[0], indptr[-1])", "slice(0, indptr[-1] - indptr[0])", "test_rows"),
        ("stop = max(start, stop)", "", "test_rows"),
        (
            "(c.start, c.stop), c)",
            "(c.start, c.stop), slice(0, c.stop - c.start))",
            "test_relabel_does_not_depend_on_the_chunk",
        ),
        ("max(len(self), 1)", "len(self)", "test_relabel_does_not_depend_on_the_chunk"),
    ],
    ("labels/superclasses", "labels/test_superclasses.py"): [
        ("enumerate(map(str.strip, fields))", "enumerate(fields)", "test_csv_as_people_write_it"),
        ("any(header[column : column + 1])", "column < len(header)", "test_bad_csv"),
        (
            "belongs[column[member], s] = True",
            "belongs[column[member], :] = True",
            "test_super_class_is_the_kleene_or_of_its_members",
        ),
        ('unknown == "raise"', "False", "test_members_without_column"),
    ],
    ("metrics/ranking", "metrics/test_ranking.py"): [
        ("hits / (hits + negatives", "hits / (1 + negatives", "TestAveragePrecision::test_golden"),
        (
            "hits = positives.mass_above(positives.scores, inclusive=True)",
            "hits = 1 + positives.mass_above(positives.scores, inclusive=False)",
            "TestAveragePrecision::test_golden",
        ),
        (
            "negatives.mass_above(positives.scores, inclusive=True))",
            "negatives.mass_above(positives.scores, inclusive=False))",
            "TestAveragePrecision::test_sklearn",
        ),
        (
            "np.average(precision, weights=positives.weight)",
            "np.average(precision)",
            "TestAveragePrecision::test_golden_weighted",
        ),
        (
            "            return undefined\n",
            "            return 0.0\n",
            "TestAveragePrecision::test_degenerate",
        ),
        (
            "above = negatives.mass_above(positives.scores, inclusive=False)",
            "above = negatives.mass_above(positives.scores, inclusive=True)",
            "TestRocAuc::test_golden",
        ),
        (
            "(above + not_below) / (2.0 * total), weights=positives.weight",
            "(above + not_below) / (2.0 * total)",
            "TestRocAuc::test_sklearn",
        ),
        (
            "if not (positives.scores.size and total)",
            "if not positives.scores.size",
            "TestRocAuc::test_one_sided_class_is_undefined",
        ),
        (
            "(members > 0) & (members < size)",
            "members > 0",
            "TestBalanceNegatives::test_mean_of_the_two_areas",
        ),
        ("(2.0 * members[mixed])", "members[mixed]", "TestBalanceNegatives::test_mean_of_the_two_areas"),
        (
            "(negative & explicit, negative & ~explicit)",
            "(negative & explicit,)",
            "TestBalanceNegatives::test_golden",
        ),
        ("np.sqrt(2.0) * np.array(z)", "np.array(z)", "TestDPrime::test_golden_grid"),
        ("np.copysign(np.inf, a - 0.5)", "np.nan", "TestDPrime::test_golden_grid"),
        ("d_prime(mean_over_classes(auc))", "mean_over_classes(d_prime(auc))", "TestRocAuc::test_golden"),
    ],
    ("metrics/detection", "metrics/test_detection.py"): [
        ("right = true_positive + true_negative", "right = true_positive", "TestAccuracy::test_golden"),
        ("+ beta**2 * false_negative", "+ beta * false_negative", "TestFScore::test_sklearn"),
        (
            "out=np.full(len(total), float(undefined))",
            "out=np.zeros(len(total))",
            "TestFScore::test_undefined_without_positives_and_detections",
        ),
        (
            "threshold = np.asarray(threshold, dtype=np.float64)",
            "threshold = np.asarray(threshold, dtype=np.float32)",
            "TestAccuracy::test_threshold_is_strict_and_compared_in_float64",
        ),
    ],
    ("metrics/clipwise", "metrics/test_clipwise.py"): [
        (
            "np.count_nonzero(at_or_above, axis=1)",
            "(np.count_nonzero(scores[clip] > scores[clip, label, None], axis=1) + 1)",
            "TestLwlrap::test_golden_ties",
        ),
        (
            "np.count_nonzero(at_or_above & positive[clip], axis=1)",
            "np.count_nonzero((scores[clip] > scores[clip, label, None]) & positive[clip], axis=1) + 1",
            "TestLwlrap::test_golden_ties",
        ),
        ("else weight[clips][clip]", "else weight[clip]", "TestLwlrap::test_many_clips"),
        (
            "scores, (positive, _) = p[clips], split_labels(y[clips])",
            "scores, (positive, _) = p[clips], split_labels(y[: _CLIPS_AT_A_TIME][: len(p[clips])])",
            "TestLwlrap::test_many_clips",
        ),
        (
            "scores, (positive, _) = p[clips], split_labels(y[clips])",
            "scores, positive = p[clips], y[clips] != 0",
            "TestLwlrap::test_unknown_counts_as_absent",
        ),
        ("share * precision, len(hits)", "precision, len(hits)", "TestLwlrap::test_sklearn"),
        ("missing.remove(guess)", "pass", "TestMapAtK::test_golden"),
        ("guesses[:k]", "guesses", "TestMapAtK::test_golden"),
        ("min(len(classes), k)", "len(classes)", "TestMapAtK::test_golden"),
        ("values[i] += hits / rank", "values[i] += 1 / rank", "TestMapAtK::test_golden"),
    ],
    ("metrics/averages", "metrics/test_ranking.py"): [
        ("values[~np.isnan(values)]", "np.nan_to_num(values)", "TestDPrime::test_averages"),
    ],
    ("metrics/_classwise", "metrics/test_ranking.py"): [
        (
            '"left" if inclusive else "right"',
            '"right" if inclusive else "left"',
            "TestAveragePrecision::test_golden",
        ),
        ("np.cumsum(weight[::-1])", "np.cumsum(weight)", "TestAveragePrecision::test_golden_weighted"),
        ("weight = weight[chosen][order]", "weight = weight[chosen]", "TestRocAuc::test_golden_weighted"),
        (
            "Ranking.of(scores, weight, self.negative[b])",
            "Ranking.of(scores, weight, ~self.positive[b])",
            "TestAveragePrecision::test_golden_unknown",
        ),
        (
            "scores = scores[chosen]",
            "scores = scores[chosen] if chosen.sum() < 9 else scores",
            "TestRocAuc::test_golden",
        ),
    ],
    ("metrics/_classwise", "metrics/test_classwise.py"): [
        (
            "            positive &= weight > 0\n",
            "",
            "TestEveryMetricOfClasses::test_unknown_label_is_a_dropped_row",
        ),
        (
            "            negative &= weight > 0\n",
            "",
            "TestEveryMetricOfClasses::test_nan_score_of_no_weight",
        ),
        (
            "np.isnan(scores) & (positive | negative)",
            "np.isnan(scores)",
            "TestEveryMetricOfClasses::test_nan_score",
        ),
        ("c = first + np", "c = np", "TestEveryMetricOfClasses::test_nan_score"),
        (
            "threshold[self.first : self.first + len(self.scores), None]",
            "threshold[: len(self.scores), None]",
            "TestEveryMetricOfClasses::test_many_thresholds",
        ),
        (
            "ClassBlock.cut(y, p, weight, first)",
            "ClassBlock.cut(y, p, weight, 0)",
            "TestEveryMetricOfClasses::test_many_classes",
        ),
        (
            "known + np.count_nonzero(np.isnan(y)) < y.size",
            "False",
            "TestEveryMetricOfClasses::test_refuses",
        ),
        (
            "range(0, len(matrix), 512)",
            "range(0, len(matrix) - 512, 512)",
            "TestEveryMetricOfClasses::test_many_clips",
        ),
        (
            "np.isfinite(weight) & (weight >= 0)",
            "np.isfinite(weight)",
            "TestEveryMetricOfClasses::test_refuses",
        ),
    ],
    ("metrics/_classwise", "metrics/test_detection.py"): [
        (
            "in (self.positive, self.negative)",
            "in (self.positive, ~self.positive)",
            "TestAccuracy::test_counts",
        ),
        (
            "self.scores > threshold",
            "self.scores >= threshold",
            "TestAccuracy::test_threshold_is_strict_and_compared_in_float64",
        ),
        ("np.sum(cell * self.weight, axis=1)", "np.sum(cell, axis=1)", "TestAccuracy::test_counts"),
    ],
    ("labels/evaluation", "labels/test_evaluation.py"): [
        (
            "(durations >= shortest)",
            "(durations > shortest)",
            "test_every_class_has_its_quota_or_all_there_are",
        ),
        (
            "(durations >= shortest)",
            "(durations >= 5)",
            "test_no_clip_twice_too_short_or_without_positives",
        ),
        ("(y == 1) &", "(y != 0) &", "test_no_clip_twice_too_short_or_without_positives"),
        (
            'np.argsort(positive.sum(axis=0), kind="stable")',
            "range(y.shape[1])",
            "test_positives_of_rare_classes_count_for_common_ones",
        ),
        (
            "quota - int(np.count_nonzero(positive[drawn, c]))",
            "quota",
            "test_positives_of_rare_classes_count_for_common_ones",
        ),
        (
            "min(missing, len(left))",
            "min(missing, len(left)) // 2",
            "test_every_class_has_its_quota_or_all_there_are",
        ),
        (
            "rng.choice(left, size=min(missing, len(left)), replace=False)",
            "left[:missing]",
            "test_all_clips_can_be_drawn",
        ),
    ],
    ("labels/strong", "labels/test_strong.py"): [
        ("np.ceil(share *", "np.floor(share *", "TestFrameEvents::test_definition"),
        ("np.minimum(length, frame)", "length", "TestFrameEvents::test_google"),
        ("np.minimum(length, frame)", "frame", "TestFrameEvents::test_google"),
        (
            "length = offset - onset",
            "length = np.minimum(offset, duration // frame * frame) - onset",
            "TestFrameEvents::test_length_is_not_cut_at_the_last_frame",
        ),
        ("(length > 0) & (first <= last)", "(first <= last)", "TestFrameEvents::test_boundaries"),
        ("astype(np.int64), 1)\n", "astype(np.int64), 0)\n", "TestFrameEvents::test_share_zero_is_touching"),
        (
            "np.minimum(last, n_frames - 1)",
            "np.minimum(last, n_frames - 2)",
            "TestFrameEvents::test_length_is_not_cut_at_the_last_frame",
        ),
        (
            "last = (offset - needed - start) // hop",
            "last = (offset - needed) // hop",
            "TestFrameEvents::test_one_frame_anywhere",
        ),
        (
            "(duration - start - frame) // hop + 1",
            "-((start - duration) // hop)",
            "TestFrameEvents::test_ten_frames_in_ten_seconds",
        ),
        (
            "first = -((start + frame - onset - needed) // hop)",
            "first = (onset + needed - start - frame) // hop",
            "TestFrameEvents::test_google",
        ),
        (
            "np.add.at(steps, (first[some], column[some]), 1)",
            "steps[first[some], column[some]] += 1",
            "TestFrameEvents::test_union_over_events",
        ),
        (
            "np.cumsum(steps[:n_frames], axis=0) > 0",
            "np.cumsum(steps[:n_frames], axis=0) == 1",
            "TestFrameEvents::test_union_over_events",
        ),
        (
            'hop = frame if hop is None else _milliseconds(hop, "hop")',
            "hop = frame",
            "TestFrameEvents::test_definition",
        ),
        ("np.rint(events.T * 1000)", "np.floor(events.T * 1000)", "TestFrameEvents::test_times_are_rounded"),
        (
            "np.ceil(share * np.minimum(length, frame))",
            "np.ceil(0.6 * np.minimum(length, frame))",
            "TestFrameEvents::test_cutting_never_loses",
        ),
        (
            "last = (offset - needed - start) // hop",
            "last = (offset - needed - start) // hop - (onset > 5000)",
            "TestFrameEvents::test_shift",
        ),
        (
            "last = (offset - needed - start) // hop",
            "last = (offset - needed - start - 1) // hop",
            "TestFrameEvents::test_real_events",
        ),
        (
            "needed = np.maximum(np.ceil(share * np.minimum(length, frame))",
            "needed = np.maximum(np.ceil(share * (np.minimum(length, frame) + 2))",
            "TestFrameEvents::test_event_within_the_frames_has_a_frame",
        ),
        (
            'column = _classes(classes, n_classes, "classes")',
            'column = _classes(classes, n_classes, "classes")[::-1]',
            "TestFrameEvents::test_classes",
        ),
        ("present.any(axis=0) & ~present", "~present", "TestNegatives::test_complementary"),
        (
            "labels[:, is_absent & ~has_event] = 0.0",
            "labels[:, is_absent] = 0.0",
            "TestNegatives::test_conflict_is_won_by_the_event",
        ),
        (
            "has_event[column[offset > onset]] = True",
            "has_event[:] = present.any(axis=0)",
            "TestNegatives::test_conflict_is_won_by_the_event",
        ),
        (
            "has_event[column[offset > onset]] = True",
            "has_event[column] = True",
            "TestNegatives::test_event_of_no_length_is_no_conflict",
        ),
        ("**columns, share=0.0)", "**columns)", "TestNegatives::test_guard"),
        (
            "labels[complementary_negatives(present)] = 0.0",
            "labels[~present] = 0.0",
            "TestNegatives::test_three_kinds",
        ),
        (
            "np.where(anywhere, 1.0, labels)",
            "np.where(anywhere, 1.0, 0.0)",
            "TestDiffuse::test_clip_level_or",
        ),
        ("(labels == 1).any(axis=0)", "(labels != 0).any(axis=0)", "TestDiffuse::test_clip_level_or"),
        ("rng.random(n) < ", "rng.random(n) <= 0.01 + ", "TestDrawStrong::test_pure"),
        ("rng.random(n) < ", "rng.random() < ", "TestDrawStrong::test_share"),
    ],
    ("labels/odds", "labels/test_odds.py"): [
        ("(a * d) / (b * c)", "(a * c) / (b * d)", "TestOddsRatio::test_transposition_and_inversion"),
        ("+ 1 / d)", ")", "TestOddsRatio::test_scipy"),
        (
            'in_range(confidence, "confidence", 0, 1, half_open=True) / 2',
            "0.475",
            "TestOddsRatio::test_confidence",
        ),
        ("cells + 0.5", "cells + 1.0", "TestOddsRatio::test_haldane"),
        (
            "for j in (1, 0)] for i in (1, 0)]",
            "for j in (0, 1)] for i in (1, 0)]",
            "TestContingency::test_counts",
        ),
        ("transpose(2, 3, 0, 1)", "transpose(2, 3, 1, 0)", "TestContingency::test_counts"),
        (
            "known = (~np.isnan(y)).sum(axis=0)",
            "known = np.full(y.shape[1], len(y))",
            "TestClassPriors::test_known_clips",
        ),
    ],
    ("labels/verification", "labels/test_verification.py"): [
        ("posterior >= in_range", "posterior > in_range", "TestVerify::test_threshold_is_inclusive"),
        (
            "threshold: float | None = 0.95",
            "threshold: float | None = 0.9",
            "TestVerify::test_float32_posterior_below_the_threshold",
        ),
        ("(probs.argmax(axis=1) == labels)", "True", "TestVerify::test_golden"),
        ("~verified & (probs", "(probs", "TestVerify::test_golden"),
        (" & ~np.isnan(probs).any(axis=1)", "", "TestVerify::test_definition"),
        ("np.lexsort((-posterior", "np.lexsort((posterior", "TestVerify::test_golden"),
        ("rank < cap", "rank <= cap", "TestVerify::test_laws"),
        ("first[np.searchsorted(classes, labels[candidates])]", "0", "TestVerify::test_golden"),
        ("accepted = verified.copy()", "accepted = np.zeros_like(verified)", "TestVerify::test_laws"),
        (
            "return labels.astype(np.int64), verified.astype(bool)",
            "return labels.astype(np.int64), verified",
            "TestVerify::test_arguments_stay",
        ),
        (
            "np.lexsort((-posterior[candidates], labels[candidates]))",
            "np.lexsort((-candidates, -posterior[candidates], labels[candidates]))",
            "TestVerify::test_ties_by_lower_index",
        ),
        ("length - excerpt + 1", "max(length - excerpt, 1)", "TestExcerpts::test_all_starts_are_drawn"),
        ("probs.mean(axis=0)", "probs[0]", "TestExcerpts::test_mean_does_not_depend_on_their_order"),
        ("np.argsort(appearance)", "range(len(classes))", "TestFolds::test_golden"),
        ("dealt += sizes[c]", "dealt += 1", "TestFolds::test_laws"),
        ('if leftovers == "balanced" else 0', "", "TestFolds::test_golden"),
        (
            "(first + np.arange(sizes[c])) % n_folds",
            "(first + np.arange(sizes[c]) // n_folds) % n_folds",
            "TestFolds::test_laws",
        ),
        (
            "for part in (verified, ~verified):",
            "for part in (verified | True,):",
            "TestFolds::test_verified_clips_do_not_move_with_the_others",
        ),
        (
            "n_folds, leftovers) if refold else folds",
            "n_folds, leftovers)",
            "TestFolds::test_frozen_on_official_flags",
        ),
        (
            "np.arange(n) % spec.shape[-1]",
            "np.minimum(np.arange(n), spec.shape[-1] - 1)",
            "TestFixLength::test_golden",
        ),
        ("np.arange(n) % spec.shape[-1]", "(np.arange(n) + n) % spec.shape[-1]", "TestFixLength::test_laws"),
    ],
    ("labels/pseudo", "labels/test_pseudo.py"): [
        ("np.minimum(starts + window, duration)", "starts + window", "TestWindows::test_golden"),
        ("np.ceil(duration / hop - 1e-9)", "np.floor(duration / hop)", "TestWindows::test_tile_the_clip"),
        (
            "np.ceil(duration / hop - 1e-9)",
            "np.ceil(duration / hop)",
            "TestWindows::test_quotient_just_above_an_integer",
        ),
        (
            "duration = round(duration, 1)",
            "duration = float(duration)",
            "TestWindows::test_duration_is_rounded_to_tenths",
        ),
        ("hop = window if hop is None else hop", "hop = window", "TestWindows::test_hop"),
        (
            "np.floor(np.asarray(windows",
            "np.ceil(np.asarray(windows",
            "TestWindows::test_samples_are_rounded_down",
        ),
        (
            "(n_samples - window) // hop + 1",
            "-((window - n_samples) // hop) + 1",
            "TestInferenceWindows::test_golden",
        ),
        (
            "row[: len(signal)] = signal",
            "row[len(row) - len(signal) :] = signal",
            "TestPadBatch::test_golden",
        ),
        (
            "else mix * teacher + (1 - mix) * weak",
            "else (1 - mix) * teacher + mix * weak",
            "TestSoftLabels::test_definition",
        ),
        ("teacher if mix == 1 else mix", "mix", "TestSoftLabels::test_definition"),
        ("np.where(np.isnan(teacher), weak, mixed)", "mixed", "TestSoftLabels::test_definition"),
        (
            "return teacher.copy()",
            "return (teacher > 0.5).astype(float)",
            "TestSoftLabels::test_teacher_alone",
        ),
        (
            "(p > threshold).sum(axis=1)",
            "(p >= threshold).sum(axis=1)",
            "TestLabelCounts::test_threshold_is_strict",
        ),
        ("minlength=p.shape[1] + 1", "minlength=0", "TestLabelCounts::test_counts"),
    ],
    ("testing/strategies", "testing/test_strategies.py"): [
        ("for to in (0.0, 1.0)", "for to in (0.0,)", "TestTeacherScores::test_boundaries"),
        ("0.5, 1.0 - threshold, 1.0}", "0.5, 1.0}", "TestTeacherScores::test_boundaries"),
        (
            "st.sampled_from(boundary_scores(threshold)) | st.floats(0, 1)",
            "st.floats(0, 1)",
            "TestTeacherScores::test_finds_a_broken_correction",
        ),
        ("order[place + 1 :], later", "order[place:], [*later, True]", "TestOntologies::test_readable"),
        ("order = draw(st.permutations(range(n)))", "order = list(range(n))", "TestOntologies::test_reach"),
        (
            "st.sampled_from([t for t in borders if 0 <= t <= end]) | st.integers(0, end)",
            "st.integers(0, end)",
            "TestEventLists::test_prefers_borders_and_middles_of_frames",
        ),
        ("sorted(event[:2])", "event[:2]", "TestEventLists::test_legal"),
        (
            "[0.0, 1.0, np.nan] if unknown",
            "[0.0, 1.0] if unknown",
            "TestLabelMatrices::test_finds_a_broken_or",
        ),
    ],
}
