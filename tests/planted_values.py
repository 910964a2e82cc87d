"""Other values than the papers print, each with the test of test_printed_values.py that must notice."""

# module in acdref: [(source that occurs once, replacement, test that must fail), ...]
PLANTED = {
    "clap/prompts": [
        ('"cat meow"', '"a cat"', "test_classes_and_prompts"),
    ],
    "data/sampling": [
        ("SHORTEST_SECONDS = 5.0", "SHORTEST_SECONDS = 4.0", "test_sequences_of_acdnet"),
        ("rng.integers(1, self.mix_max, endpoint=True)", "self.mix_max", "test_number_of_sources"),
        ("mix_sigma: float = 2.0", "mix_sigma: float = 2.0**0.5", "test_levels_of_sources"),
    ],
    "features/compressed": [
        ("SAMPLE_RATE = 16000", "SAMPLE_RATE = 22050", "test_features_of_acdnet"),
        ("FRAME = 512", "FRAME = 400", "test_features_of_acdnet"),
        ("HOP = 256", "HOP = 160", "test_features_of_acdnet"),
        ("EXPONENT = 0.3", "EXPONENT = 0.5", "test_features_of_acdnet"),
    ],
    "features/front_ends": [
        ("a_weighted_mel, 32000, 192", "a_weighted_mel, 44100, 192", "test_spectrograms_of_dorfer_widmer"),
        ("log_filterbank, 32000, 128", "log_filterbank, 32000, 192", "test_spectrograms_of_dorfer_widmer"),
        ("log_mel_patches, 16000", "log_mel_patches, 22050", "test_patches_of_hershey"),
    ],
    "features/papers": [
        (
            "levels.max() - 99) + a_weighting",
            "levels.max() - 99) + 0 * a_weighting",
            "test_spectrograms_of_dorfer_widmer",
        ),
        ("hann(1024), 192)", "hann(1024), 256)", "test_spectrograms_of_dorfer_widmer"),
        ("x), 512), hann(1024)", "x), 1024), hann(2048)", "test_spectrograms_of_dorfer_widmer"),
        ("np.hanning(1024), 128)", "np.hanning(1024), 192)", "test_spectrograms_of_dorfer_widmer"),
        ("(32000, 1024, 128, 0,", "(32000, 1024, 64, 0,", "test_spectrograms_of_dorfer_widmer"),
        ("440 * 2 ** (steps / 26)", "440 * 2 ** (steps / 24)", "test_spectrograms_of_dorfer_widmer"),
        ("PATCH_FRAMES = 96", "PATCH_FRAMES = 100", "test_patches_of_hershey"),
        ("hann(400), 160, n_fft", "hann(480), 160, n_fft", "test_patches_of_hershey"),
        ("(16000, 512, 64, 125,", "(16000, 512, 80, 125,", "test_patches_of_hershey"),
    ],
    "fit": [
        (
            "AdamW(net.params, weight_decay=job.weight_decay)",
            "AdamW(net.params, weight_decay=0.0)",
            "test_loss_and_optimiser_of_acdnet",
        ),
        ("weight_decay: float = 0.0", "weight_decay: float = 0.01", "test_training_of_dorfer_widmer"),
    ],
    "labels/algebra": [
        ("(labels == 1).any(axis=0), 1.0", "(labels == 1).all(axis=0), 1.0", "test_equation_3"),
        ("(1 - weight).astype(dtype) * second", "weight.astype(dtype) * second", "test_equations_1_and_2"),
    ],
    "labels/clap": [
        ("threshold: float = 0.2", "threshold: float = 0.25", "test_labels_by_clap"),
    ],
    "labels/correction": [
        ("p: ArrayLike, T: float = 0.05", "p: ArrayLike, T: float = 0.1", "test_correction_of_labels"),
        ("score > 1.0 - T, 1.0", "score > 1.0 - 2 * T, 1.0", "test_equations_4_to_7"),
        ("score < T, 0.0", "score < T / 2, 0.0", "test_equations_4_to_7"),
        ("(y == 0) & (p > 0.5)", "(y == 0) & (p > 0.6)", "test_equations_4_to_7"),
        ("(y == 1) & (p < 0.5)", "(y == 1) & (p < 0.4)", "test_equations_4_to_7"),
        (
            "percentile_thresholds(y, p, q), 1.0)",
            "percentile_thresholds(y, p, q), 0.0)",
            "test_rows_of_table_2",
        ),
        ("positive_thresholds(y, p, statistic), 1.0", "np.ones(y.shape[1]), 1.0", "test_rows_of_table_2"),
    ],
    "labels/evaluation": [
        ("quota: int = 200", "quota: int = 100", "test_evaluation_sets"),
        ("shortest: float = 8.0", "shortest: float = 5.0", "test_evaluation_sets"),
        ("durations >= shortest", "durations > shortest", "test_evaluation_sets"),
    ],
    "labels/odds": [
        ("(a * d) / (b * c)", "(a * b) / (c * d)", "test_odds_ratio_by_hand"),
    ],
    "labels/ontology": [
        (
            "triggers = ~above[rows, classes]",
            "triggers = rows >= 0",
            "test_labellings_of_grzywalski_botteldooren",
        ),
        (
            "Table.from_matrix(self.closure)\n",
            "Table.from_matrix(edge_matrix(self.children) | np.eye(len(self), dtype=bool))\n",
            "test_labellings_of_grzywalski_botteldooren",
        ),
        (
            "== 1).any(axis=1)\n        return RootSplit",
            "== 1).all(axis=1)\n        return RootSplit",
            "test_split_of_grzywalski_botteldooren",
        ),
    ],
    "labels/strong": [
        ("share: float = 0.5", "share: float = 0.6", "test_frames_of_hershey"),
        ("np.minimum(length, frame)", "frame", "test_frames_of_hershey"),
        ("present.any(axis=0) & ~present", "~present", "test_negatives_of_hershey"),
        ("np.where(anywhere, 1.0, labels)", "labels", "test_diffuse_labels_of_hershey"),
        ("rng.random(n) < in_range", "rng.random(n) > in_range", "test_mixture_of_hershey"),
    ],
    "labels/verification": [
        ("excerpt: int = 384", "excerpt: int = 256", "test_excerpts_of_dorfer_widmer"),
        ("n: int = 25", "n: int = 20", "test_verification_of_dorfer_widmer"),
        ("length - excerpt + 1", "length - excerpt", "test_excerpts_of_dorfer_widmer"),
        (
            "threshold: float | None = 0.95",
            "threshold: float | None = 0.9",
            "test_conditions_of_dorfer_widmer",
        ),
        ("cap: int | None = 40", "cap: int | None = 50", "test_conditions_of_dorfer_widmer"),
        ("n: int = 3000", "n: int = 2000", "test_excerpts_of_dorfer_widmer"),
        ("probs.mean(axis=0)", "np.median(probs, axis=0) ** 2", "test_equation_1_of_dorfer_widmer"),
        (
            "for part in (verified, ~verified)",
            "for part in (verified | True,)",
            "test_verification_of_dorfer_widmer",
        ),
    ],
    "losses": [
        ("np.maximum(z, 0) - z * y", "np.maximum(z, 0) + z * y", "test_loss_of_dinkel"),
        ("(p - y) ** 2, 2 * (p - y)", "np.abs(p - y), np.sign(p - y)", "test_losses_of_masked_labels"),
    ],
    "metrics/clipwise": [
        ("np.count_nonzero(at_or_above, axis=1)", "len(y[0])", "test_lwlrap_by_hand"),
        ("values[i] += hits / rank", "values[i] += 1 / 2**rank", "test_map_at_3_by_hand"),
    ],
    "metrics/ranking": [
        ("np.sqrt(2.0) * np.array(z)", "2.0 * np.array(z)", "test_d_prime_by_hand"),
        ("precision = hits / (hits +", "precision = hits / (2 * hits +", "test_average_precision_by_hand"),
    ],
    "nets/acdnet": [
        ("Block(32, 2, (2, 2))", "Block(48, 2, (2, 2))", "test_blocks_of_acdnet"),
        ("Block(128, 2, (2, 2))", "Block(128, 1, (2, 2))", "test_blocks_of_acdnet"),
        ("Block(64, 1, (1, 2), 32)", "Block(64, 1, (1, 2))", "test_blocks_of_acdnet"),
        ("Block(256, 1, (1, 2), 128)", "Block(256, 1, (2, 2), 128)", "test_end_of_acdnet"),
        ("stem: int = 16", "stem: int = 24", "test_counts_of_acdnet"),
        ("classes: int = 11", "classes: int = 10", "test_end_of_acdnet"),
    ],
    "nets/network": [
        ('if self.output == "softmax" else', "if True else", "test_acdnet_asks_each_class_by_itself"),
    ],
    "nets/conv1d_net": [
        ("Conv1DLayer(96, 14)", "Conv1DLayer(64, 14)", "test_table_2_of_grzywalski_botteldooren"),
        ("Conv1DLayer(128, 12)", "Conv1DLayer(128, 11)", "test_table_2_of_grzywalski_botteldooren"),
        ("Conv1DLayer(256, 9, 1)", "Conv1DLayer(256, 9)", "test_table_2_of_grzywalski_botteldooren"),
        ("= (256, 128)", "= (128, 128)", "test_table_2_of_grzywalski_botteldooren"),
    ],
    "nets/mobilenet": [
        ("InvertedStage(6, 64, 4, 2)", "InvertedStage(6, 64, 4, 1)", "test_mobilenet_of_dinkel"),
    ],
    "nets/resnet": [
        ("BottleneckStage(6, 256)", "BottleneckStage(23, 256)", "test_resnet_of_hershey"),
    ],
    "nets/vgg": [
        ("TRAINING_FRAMES = 384", "TRAINING_FRAMES = 256", "test_excerpts_of_dorfer_widmer"),
        ("CLIP_FRAMES = 3000", "CLIP_FRAMES = 2000", "test_excerpts_of_dorfer_widmer"),
        (
            "VGGLayer(n, size=5, stride=2, padding=2)",
            "VGGLayer(n, stride=2)",
            "test_table_1_of_dorfer_widmer",
        ),
        (
            "VGGLayer(8 * n, padding=0, dropout=0.5)",
            "VGGLayer(8 * n, dropout=0.5)",
            "test_table_1_of_dorfer_widmer",
        ),
        (
            "VGGLayer(2 * n, pool=(2, 2), dropout=0.3)",
            "VGGLayer(2 * n, pool=(2, 2))",
            "test_table_1_of_dorfer_widmer",
        ),
        ("VGGLayer(6 * n, dropout=0.3)", "VGGLayer(5 * n, dropout=0.3)", "test_count_of_dorfer_widmer"),
        ("vgg_layers(64)", "vgg_layers(48)", "test_count_of_dorfer_widmer"),
        ("classes: int = 41", "classes: int = 80", "test_table_1_of_dorfer_widmer"),
        ('output: str = "softmax"', 'output: str = "sigmoid"', "test_table_1_of_dorfer_widmer"),
    ],
    "optim": [
        ("self.waited > self.patience", "self.waited >= self.patience", "test_training_of_acdnet"),
        ("factor: float = 0.5)", "factor: float = 0.1)", "test_training_of_acdnet"),
    ],
    "options/labels": [
        ("\nWINDOW = 10.0", "\nWINDOW = 5.0", "test_sequences_of_acdnet"),
        ('"This is a sound of {}"', '"This is {}"', "test_classes_and_prompts"),
        ('        0.2, "A label is 1', '        0.3, "A label is 1', "test_labels_by_clap"),
        (
            '        0.05,\n        "the teacher',
            '        0.1,\n        "the teacher',
            "test_correction_of_labels",
        ),
        ('option_of("percentile", 0.05,', 'option_of("percentile", 0.1,', "test_correction_of_labels"),
        ('option_of("frame", 0.96,', 'option_of("frame", 1.0,', "test_frames_of_hershey"),
    ],
    "options/recipes": [
        ("lr: float = positive(1e-3, quick=0.002)", "lr: float = positive(1e-2)", "test_training_of_hershey"),
        ("lr: float = positive(1e-3, quick=0.003)", "lr: float = positive(1e-2)", "test_training_of_dinkel"),
        ("folds: int = option(4,", "folds: int = option(5,", "test_verification_of_dorfer_widmer"),
        ("epochs: int = count(500,", "epochs: int = count(400,", "test_training_of_dorfer_widmer"),
        ("constant: int = amount(100,", "constant: int = amount(50,", "test_training_of_dorfer_widmer"),
        ("alpha: float = amount(0.3,", "alpha: float = amount(0.2,", "test_training_of_dorfer_widmer"),
        ("rounds: int = amount(10,", "rounds: int = amount(7,", "test_training_of_dorfer_widmer"),
        ('count(30, "In each round."', 'count(40, "In each round."', "test_training_of_dorfer_widmer"),
        (
            "tune_constant: int = amount(5,",
            "tune_constant: int = amount(0,",
            "test_training_of_dorfer_widmer",
        ),
        (
            "tune_lr: float = positive(2e-4,",
            "tune_lr: float = positive(1e-3,",
            "test_training_of_dorfer_widmer",
        ),
        ("batch: int = count(100,", "batch: int = count(64,", "test_training_of_dorfer_widmer"),
        ("excerpts: int = count(25,", "excerpts: int = count(10,", "test_verification_of_dorfer_widmer"),
        ("        0.95,\n", "        0.9,\n", "test_conditions_of_dorfer_widmer"),
        ("cap: int | None = amount(40,", "cap: int | None = amount(50,", "test_conditions_of_dorfer_widmer"),
        (
            "decay: float = positive(0.987,",
            "decay: float = positive(0.98,",
            "test_training_of_grzywalski_botteldooren",
        ),
        ("batch: int = count(24)", "batch: int = count(32)", "test_training_of_grzywalski_botteldooren"),
        ('count(100, "Of base', 'count(50, "Of base', "test_training_of_grzywalski_botteldooren"),
        (
            'LABELLINGS, "Labelling of the target set',
            'LABELLINGS[:2], "Labelling of the target set',
            "test_conditions_of_grzywalski_botteldooren",
        ),
        (
            "hidden: int = count(256,",
            "hidden: int = count(128,",
            "test_perceptron_of_grzywalski_botteldooren",
        ),
        ('("annotator", "psl")', '("fresh", "psl")', "test_transfer_of_dinkel"),
        ("(0.8,)", "(0.5,)", "test_mixture_of_hershey"),
        ("(0.7,)", "(0.5,)", "test_mixture_of_hershey"),
        ("(10.0, 5.0, 2.0)", "(10.0, 5.0, 1.0)", "test_windows_of_dinkel"),
    ],
    "options/training": [
        ('"epoch_size": 10_000', '"epoch_size": 1_000', "test_training_of_acdnet"),
        ('"lr": 1e-4', '"lr": 1e-3', "test_training_of_acdnet"),
        ('"schedule": "plateau"', '"schedule": "cosine"', "test_training_of_acdnet"),
        ('"seconds": (10.0,)', '"seconds": (5.0,)', "test_sequences_of_acdnet"),
        ('"fill": "concatenate"', '"fill": "repeat"', "test_sequences_of_acdnet"),
        ("patience: int = amount(150,", "patience: int = amount(15,", "test_training_of_acdnet"),
        ("mix_max: int = count(2,", "mix_max: int = count(3,", "test_sequences_of_acdnet"),
    ],
    "recipes/parts": [
        ("batches, bce, rate", "batches, sum, rate", "test_learning_of_hershey_and_dinkel"),
    ],
    "recipes/pseudo_strong": [
        ("MANY = 4", "MANY = 5", "test_label_counts_of_dinkel"),
    ],
    "recipes/relabel_transfer": [
        (
            '{"train": 0.8, "val": 0.1, "test": 0.1}',
            '{"train": 0.7, "val": 0.1, "test": 0.2}',
            "test_parts_of_grzywalski_botteldooren",
        ),
    ],
    "recipes/silence": [
        ("PEAK = 10 ** (-0.1 / 20)", "PEAK = 10 ** (-1 / 20)", "test_preparation_of_dorfer_widmer"),
    ],
    "recipes/strong": [
        ("FRAME = 0.96", "FRAME = 1.0", "test_frames_of_hershey"),
    ],
    "tables/fsd50k": [
        ('("dev", 200, 8.0)', '("dev", 200, 5.0)', "test_evaluation_sets"),
        ('("eval", 140, 5.0)', '("eval", 200, 5.0)', "test_evaluation_sets"),
    ],
    "train": [
        ("        loss=bce,", "        loss=bce_probabilities,", "test_loss_and_optimiser_of_acdnet"),
    ],
    "tables/manifest": [
        ('"voice", "music", "cat", "dog"', '"voice", "music", "dog", "cat"', "test_classes_and_prompts"),
    ],
}
