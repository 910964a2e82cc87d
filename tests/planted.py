"""Bugs to plant in the package, but for labels and metrics (planted_rules.py): see mutations.py."""

# module in acdref: [(source that occurs once, replacement), ...]
PLANTED = {
    "audio/decode": [
        ("sound.channels > MOST_CHANNELS", "sound.channels >= MOST_CHANNELS"),
        ("start, skip = start + hop,", "start, skip = start + size,"),
        ("(tally.decoded + i) / rate", "i / rate"),
        ("swing < _SILENT", "peak < _SILENT"),
        ('(half if x.dtype.kind == "u" else 0)', "0"),
        ("decoded + sound.samplerate / 100:", "decoded + sound.samplerate * 100:"),
        ("block[max(0, skip - before) : n]", "block[:n]"),
        ("if not _is_mp3(sound) or containers.has_length(view) else 0", ""),
        ("if tally.energy < _CANCELLED * tally.of_channels", "if tally.energy < 0"),
    ],
    "audio/containers": [
        ("begun = not is_first", "begun = True"),
        ("self.position >= _FAR - _TAG", "self.position >= _FAR"),
        ("claimed == 0 and more > 0 and not _chunks(fd, begin, more)", "claimed == 0 and more > 0"),
        ('start = _found(fd, b"OggS", contents)', "pass"),
        ("samples // 8 * bits // sr + padding", "samples // 8 * bits // sr"),
    ],
    "audio/ffmpeg": [
        ("os.killpg(self._process.pid, signal.SIGKILL)", "self._process.terminate()"),
        ("log.duration / 1000 and not log.video", "log.duration / 1000"),
        ("0.0 if self._estimated else 3600", "3600"),
        ('self._input &= not text.startswith("Output #")', "pass"),
        ("n * self.channels).reshape", "n).reshape"),
        ("for _ in range(3):", "for _ in range(2):"),
    ],
    "audio/resampling": [
        ("-(-n_in * up // down) - n_out", "n_in * up // down - n_out"),
        ("not np.isfinite(x).all()", "np.isnan(x).any()"),
        ("np.sinc(0.95 / most * n)", "np.sinc(1.05 / most * n)"),
        ("np.concatenate(first)[:_LEVEL]", "np.concatenate(first)"),
        ("yield part + offset if offset else part", "yield part"),
    ],
    "audio/segments": [
        ("            self._whole.move_to_end(path)\n", ""),
        ("        x.setflags(write=False)\n", ""),
        ("if position + len(block.samples) > start:", "if position > start:"),
    ],
    "augment/algorithm": [
        ("DRIVE = (0.0, 15.0)", "DRIVE = (0.0, 25.0)"),
        ("rng.integers(*BITS, endpoint=True)", "rng.integers(*BITS)"),
        ("rng.spawn(len(effects))", "[rng] * len(effects)"),
        ("lowest * (highest / lowest) ** rng.random()", "lowest + (highest - lowest) * rng.random()"),
    ],
    "augment/codecs": [
        ("min(1 - quality, _COARSEST)", "min(quality, _COARSEST)"),
        ("return y * (peak / np.float32(_PEAK))", "return y * peak"),
    ],
    "augment/distortion": [
        ("np.where(x > 0, soft_clip", "np.where(x < 0, soft_clip"),
        ("2 ** (bits - 1)", "2**bits"),
        ("-_checked(drive) / 20", "-_checked(drive) / 10"),
    ],
    "augment/level": [
        ("min(10.0 ** (dbfs / 20.0) / rms, 1.0)", "10.0 ** (dbfs / 20.0) / rms"),
    ],
    "augment/rooms": [
        ("10 ** (-ratio / 20)", "10 ** (ratio / 20)"),
        ("-3 * np.log(10) / decay", "-6 * np.log(10) / decay"),
    ],
    "augment/sound": [
        ("np.abs(x).max(initial=0) <= LOUDEST", "np.isfinite(x).all()"),
    ],
    "augment/spectrum": [
        ("    n = padded_length(len(x))\n", "    n = len(x)\n"),
        ("_falling(0.5 - np.log2(", "_falling(1.0 - np.log2("),
    ],
    "augment/speed": [
        ("change_tempo(x, tempo / ratio, sr)", "change_tempo(x, tempo, sr)"),
        ("turns = output * np.conj(before)", "turns = output * before"),
    ],
    "checkpoint": [
        ("if not np.isfinite(stored).all():", "if np.isnan(stored).any():"),
        ("config.classes != len(classes)", "config.classes < len(classes)"),
        ("len(set(classes)) < len(classes)", "False"),
        ("stream.tell() + size != there", "False"),
        ("math.prod(shape) != math.prod(shapes[name])", "False"),
        ("own[name] = stored.astype(a.dtype)", "own[name] = stored"),
        ('"dense" not in config', '"layers" not in config'),
        (
            'with replacing(path, CheckpointError) as temporary, open(temporary, "wb") as file:',
            'with open(path, "wb") as file:',
        ),
        ("n = min(count, shape[0] - start)", "n = count"),
    ],
    "clap/bpe": [
        ("before.rstrip(_SPACE)", 'before.rstrip(" ")'),
        ("key=len, reverse=True", "key=len"),
        ('not line.startswith("#version")', 'not line.startswith("#")'),
        ('not text.startswith(" ")', "text[0] not in _SPACE"),
    ],
    "clap/bundle": [
        ("filter(os.path.lexists, paths)", "filter(os.path.exists, paths)"),
        ("dict.fromkeys([precision_of(audio), *PRECISIONS])", "dict.fromkeys(PRECISIONS)"),
        ("220500 in (samples, *shape)", "220500 == samples"),
    ],
    "clap/frontends": [
        ("(i * (n - size) + (count - 1) // 2) // (count - 1)", "i * (n - size) // (count - 1)"),
        ("[: MOST_TOKENS - 2], end]", "[: MOST_TOKENS - 1], end]"),
        ("if len(ids) > MOST_TOKENS:", "if len(ids) >= MOST_TOKENS:"),
    ],
    "clap/graphs": [
        ("embeds.ndim != 2 or len(embeds) != count", "embeds.ndim != 2"),
        ("all(required <= (name in self.inputs)", "all((name in self.inputs)"),
    ],
    "clap/prompts": [
        ("classes.setdefault(name, []).append(words)", "classes[name] = [words]"),
        ('encoding="utf-8-sig"', 'encoding="utf-8"'),
        ("if self.model in (None, model):", "if True:"),
        ('line.partition("=")', 'line.rpartition("=")'),
    ],
    "clap/scores": [
        ("np.linalg.norm(e, axis=1, keepdims=True)", "np.linalg.norm(e, keepdims=True)"),
        ('self.meta["scale"] if scale is None else scale', 'self.meta["scale"] or scale'),
        (
            "clap_probabilities(self.cosines, scale, self.background_cosines)",
            "clap_probabilities(self.cosines, scale)",
        ),
    ],
    "clap/teach": [
        ("path in self.known and self.known[path][0] == mark[0]", "path in self.known"),
        ("return left / rate, rate", "return left * rate, rate"),
        (
            "range(n * (part - 1) // parts, n * part // parts)",
            "range(n // parts * (part - 1), n // parts * part)",
        ),
        ("        journal.remove()\n", ""),
    ],
    "clap/teacher": [
        ("        self._check_digest(bundle.text)\n", ""),
        ("            self._cache.save()\n", ""),
        ("np.mean([_unit(embeds[text], path) for", "np.mean([embeds[text] for"),
        ("if not scale > 0 or np.abs", "if np.abs"),
    ],
    "commands/_network": [
        ('entry.rstrip(b"\\r")', "entry.strip()"),
        ("                if path:\n", "                if True:\n"),
        ('held.removeprefix(b"\\xef\\xbb\\xbf")', "held"),
        ("nul or _CONTROL.search(held) or", "nul or"),
        ('not path.strip("./") and', "path == os.sep and not"),
    ],
    "commands/_output": [
        ("path in STDOUT or _DESCRIPTOR", "_DESCRIPTOR"),
        ("ending.lower() not in endings", "ending not in endings"),
        ("    refuse_inputs(path, *inputs)\n    if os.path.exists", "    if os.path.exists"),
        ("path = os.path.realpath(path)", "path = os.path.abspath(path)"),
        ("re.fullmatch(written,", "re.match(written,"),
    ],
    "commands/_options": [
        ("if not math.isfinite(number):", "if math.isinf(number):"),
        ('value.rpartition("=")', 'value.partition("=")'),
        ('names_in(value, ",")', 'value.split(",")'),
        ('value.startswith("@")', 'value.startswith("@@")'),
        ('Number(*bounds, "above" in about,', "Number(*bounds, False,"),
    ],
    "commands/_progress": [
        ("    except OSError:\n        discard(sys.stderr)", "    finally:\n        pass"),
        ("* self.batch / rate", "/ rate"),
        ("            raise KeyboardInterrupt\n", "            return\n"),
        ("            signal.signal(number, handler)\n", "            pass\n"),
        ("            kinds.pop()\n", "            pass\n"),
        ("if self.stop and (number == signal.SIGINT or", "if self.stop and (True or"),
    ],
    "commands/_teacher": [
        ('if rule != "softmax":', 'if rule == "cosine":'),
    ],
    "commands/_training": [
        ('options["mix_max"] > 2', 'options["mix_max"] >= 2'),
        ("context.default_map = PRESETS[name]", "pass"),
    ],
    "commands/augment": [
        ("    end(failures)\n", "    end(failures, False)\n"),
    ],
    "commands/evaluate": [
        ('open_dataset(manifest, where["root"], names, say)', 'open_dataset(manifest, where["root"])'),
        ("    end(result.failures)\n", "    end(result.failures and not result.clips)\n"),
        ("(*failures, *result.failures)", "result.failures"),
        ("superclasses.names.index(name) for name in names", "names.index(name) for name in names"),
        ("paths = tuple(map(recordings.file, range(len(recordings))))", "paths = recordings.paths"),
        ("_OF_MANIFEST if manifest is None else _OF_FSD50K", "_OF_MANIFEST"),
    ],
    "commands/export": [
        ('meta["classes"], front_end, licence)', 'meta["classes"], bool(front_end), licence)'),
        ('None if weights else "MIT"', '"MIT"'),
        ("front_end = form or front_end", "front_end = front_end or form"),
    ],
    "commands/predict": [
        ("end(tally.failed, tally.windows)", "end(tally.failed)"),
        ("threshold is None and top is None", "threshold is None"),
        ("_ENDINGS[os.path.splitext(out)[1].lower()]", '"csv"'),
        ("None if out in STDOUT else out", "out"),
    ],
    "commands/relabel": [
        ("if (out is None) != only_check:", "if out is None and not only_check:"),
        ('logit_scale=None if options["zero_shot"] else decision["scale"]', "logit_scale=None"),
    ],
    "commands/synth": [
        ("force=force", "force=True"),
    ],
    "commands/teach": [
        ("end(used < len(recordings), used)", "end(used < len(recordings))"),
        ("if count > 1)", "if count > 2)"),
        ('paths[0].lower().endswith((".csv", ".tsv"))', 'paths[0].endswith((".csv", ".tsv"))'),
        ("np.flatnonzero(scores.bytes >= 0)", "np.arange(len(recordings))"),
    ],
    "commands/train": [
        ("exceptions.Exit(130)", "exceptions.Exit(1)"),
        (".difference(FREE_OPTIONS)", ""),
    ],
    "commands/recipe/_common": [
        ("exceptions.Exit(130)", "exceptions.Exit(0)"),
        ('for f in fields if source(f.name).name == "DEFAULT"', "for f in fields"),
    ],
    "conform/clap": [
        ("TRUNCATIONS[truncation], PADDINGS[padding]", 'TRUNCATIONS[truncation], "pad"'),
        ("windows.mean(axis=0, dtype=np.float64)", "windows[0]"),
    ],
    "conform/comparing": [
        ("atol[path.stem] if isinstance(atol, dict)", "max(atol.values()) if isinstance(atol, dict)"),
        ("entry.keys() >= _ENTRY", "True"),
        ("except (ValueError, RecursionError)", "except ValueError"),
    ],
    "conform/formats": [
        ('{"guard": bool(guard)}', "{}"),
        ('"fp": bool(fp), "mask": bool(mask)', '"mask": bool(mask)'),
    ],
    "conform/labels": [
        ('BOUNDARIES = ("closed", "literal")', 'BOUNDARIES = ("literal", "closed")'),
        (
            "rules.correct_labels(y, p, T, bool(fp), bool(mask)",
            "rules.correct_labels(y, p, T, bool(fp), True",
        ),
    ],
    "conform/layers": [
        ("np.max(np.abs(a), initial=0)", "np.min(np.abs(a), initial=0)"),
    ],
    "conform/metrics": [
        ("metrics.average_precision(y, p, weight, undefined)", "metrics.average_precision(y, p)"),
        ("metrics.accuracy(y, p, threshold, weight)", "metrics.accuracy(y, p, 0.5, weight)"),
    ],
    "conform/networks": [
        (".max() < 1e-9", ".max() < 1e-3"),
        ("net.state[key] = moved", "_ = moved"),
    ],
    "conform/rules": [
        (
            "if _same(mistaken, outputs, rtol, atol):\n                continue",
            "if False:\n                continue",
        ),
        ("{**outputs, **one.outputs}", "outputs"),
        ("if wrong.keys() - told:", "if False:"),
        ("if len(names) > 1:", "if False:"),
        ("np.allclose(x, y, rtol, atol, equal_nan=True)", "np.allclose(x, y, 0, 0, equal_nan=True)"),
    ],
    "conform/sound": [
        ('"nothing was compressed": X,', '"nothing was compressed": compress(X),'),
    ],
    "conform/timing": [
        ('LEFTOVERS = ("balanced", "first")', 'LEFTOVERS = ("first", "balanced")'),
        ("rules.frame_events(share=share, **given)", "rules.frame_events(**given)"),
    ],
    "conform/training": [
        ("weight_decay / lr if free", "weight_decay if free"),
    ],
    "data/loader": [
        ("range(start * self.batch, steps * self.batch)", "range(start, steps * self.batch)"),
        ("if path not in self._reported:", "if self._reported is not None:"),
        ("            del os.environ[name]\n", "            pass\n"),
    ],
    "data/sampling": [
        ("[self.seed, epoch, index]", "[self.seed, index]"),
        ("round(v * (n - length)), length", "round(v * n), length"),
        ("(groups / groups.sum(axis=0)).mean(axis=1)", "(groups / groups.sum()).sum(axis=1)"),
        ("present = labels == 1", "present = labels != 0"),
        (
            "else min(round(SHORTEST_SECONDS * self.clips.sr), longest)",
            "else round(SHORTEST_SECONDS * self.clips.sr)",
        ),
    ],
    "errors": [
        ("super().__init__(str(path), cause)", 'super().__init__(f"{path}: {cause}")'),
        ('return f"{self.path}: {self.cause}"', "return self.cause"),
    ],
    "evaluate": [
        ("self.priors[self.positives > 0]", "self.priors"),
        (
            '("explicit", ~explicit), ("complementary", explicit)',
            '("explicit", explicit), ("complementary", ~explicit)',
        ),
        ("fnmatchcase(path, pattern)", "pattern in path"),
        ("metrics.accuracy(y, p, threshold)", "metrics.accuracy(y, p)"),
    ],
    "features/compressed": [
        ("POWER_FLOOR = 1e-12", "POWER_FLOOR = 1e-6"),
        ("return max(0, 1 + (n - FRAME) // HOP)", "return 1 + (n - FRAME) // HOP"),
        ("x.shape[-1] < FRAME", "x.shape[-1] <= FRAME"),
    ],
    "features/fourier": [
        ("2 * np.pi / n * np.arange(n)", "2 * np.pi / (n - 1) * np.arange(n)"),
    ],
    "features/front_ends": [
        ("if self.steps(few) >= steps:", "if self.steps(few) > steps:"),
        ("x.shape[0] * x.shape[1] * self.hop", "x.shape[1] * self.hop"),
        ("x = without_offset(x)\n", "x = np.float32(x)\n"),
        ("np.subtract(x, x.mean(dtype=np.float64), dtype=np.float64)", "(x - np.float32(x.mean()))"),
    ],
    "features/mel": [
        ("2 / (corners[2:] - corners[:-2])", "1 / (corners[2:] - corners[:-2])"),
        ("len(x) <= half:", "len(x) < half:"),
        ('mode="reflect"', 'mode="edge"'),
    ],
    "features/papers": [
        ("levels.max() - 99", "levels.max() - 80"),
        ("mel.max() - np.float32(120)", "np.float32(-120)"),
        ("np.hanning(1024)", "hann(1024)"),
    ],
    "files": [
        ("output == given or os.path.samefile(output, given)", "output == given"),
        ("            temporary.unlink()\n", "            pass\n"),
        ("value if math.isfinite(value) else None", "None if value != value else value"),
        (".{os.getpid()}.tmp", ".tmp"),
        ("os.fstat(file.fileno()), os.lstat(path)", "os.fstat(file.fileno()), os.fstat(file.fileno())"),
        ("                _sync(temporary)\n", ""),
        ("            _lock(descriptor, folder)\n", "            pass\n"),
        ("if found and not _alive(int(found[1])):", "if found:"),
    ],
    "fit": [
        ('job.keep == "last" or score > self.best', 'job.keep == "last" or score >= self.best'),
        ('"loss": -row.get("val_loss", np.nan)', '"loss": row.get("val_loss", np.nan)'),
        ('"AUC": row.get("val_AUC")', '"AUC": row.get("val_mAP")'),
        ("len(scores) > patience + int", "len(scores) >= patience + int"),
        (
            "self.epoch, self.step, self.loss_sum = self.epoch + 1, 0, 0.0",
            "self.epoch, self.step = self.epoch + 1, 0",
        ),
        ('"plateau": job.plateau, ', ""),
        ("            checkpoint.load(self.job.best)  # complains", "            pass  # complains"),
        ("            if not self.observer.should_stop():\n                raise\n", ""),
        ('if meta.get("options", self.job.options) != self.job.options:', "if False:"),
        ("        if backend != ours:\n", "        if False:\n"),
        ("np.random.default_rng([job.seed, epoch, step])", "np.random.default_rng([job.seed, step])"),
        ('tuple(meta["classes"]) == tuple(classes)', 'len(meta["classes"]) == len(classes)'),
    ],
    "info": [
        ('get_threads() if name == "numba" else 1', "get_threads()"),
        ('macs.pop("total")', 'macs["total"]'),
    ],
    "listen": [
        (".T[::-1]", ".T"),
        ("zlib.crc32(kind + data)", "zlib.crc32(data)"),
        ("html.escape(title)", "title"),
        ("np.random.default_rng([seed, k])", "np.random.default_rng(seed)"),
    ],
    "losses": [
        ("(y * (np.log(totals) - z)).sum() / divisor", "(y * (np.log(totals) - z)).sum() / max(y.size, 1)"),
        ("divisor = max(len(y), 1)", "divisor = max(len(logits), 1)"),
        ('"unmasked": max(known.sum(), 1)', '"unmasked": max(y.size, 1)'),
        ("_LOG_FLOOR = -100.0", "_LOG_FLOOR = -1000.0"),
        ("y.ndim != 2 or y.shape != logits.shape", "y.shape != logits.shape"),
    ],
    "optim": [
        ("if self.waited > self.patience:", "if self.waited >= self.patience:"),
        ("self.best, self.waited = score, 0", "self.best = score"),
        ("(step + 1) / warmup", "step / warmup"),
        ("1 - self.lr * self.weight_decay", "1 - self.weight_decay"),
        ("self.values = {name: np.array(a) for name, a in arrays.items()}", "self.values = dict(arrays)"),
        ("constant else 1 - (epoch - constant + 1) / (", "constant else 1 - (epoch - constant) / ("),
    ],
    "options/__init__": [
        ('"above": operator.gt', '"above": operator.ge'),
        ("not math.isfinite(one)", "math.isinf(one)"),
    ],
    "options/augmentation": [
        ("self.level[0] > self.level[1]", "self.level[0] >= self.level[1]"),
    ],
    "options/labels": [
        ("at_most=0.5", "at_most=1"),
        ("mask = not self.no_mask", "mask = self.no_mask"),
    ],
    "options/recipes": [
        ('os.path.join(os.path.dirname(self.manifest), "events.tsv")', '"events.tsv"'),
        ('"Networks.", at_least=2', '"Networks.", at_least=1'),
        ("tune_lr: float = positive(2e-4,", "tune_lr: float = positive(1e-4,"),
        ("excerpts: int = count(25,", "excerpts: int = count(20,"),
    ],
    "options/training": [
        ("max(1, self.epoch_size // self.batch)", "self.epoch_size // self.batch"),
        ("lr: float = positive(3e-3,", "lr: float = positive(1e-3,"),
        ('"epochs": 1000,', '"epochs": 100,'),
        ('"sampling": "uniform",', ""),
        ('**given, "preset_name": name', '"preset_name": name, **given, **PRESETS.get(name, {})'),
    ],
    "predict/backend": [
        ('LOADING_PAYS if backend == "auto" and kernel.available()', "LOADING_PAYS if kernel.available()"),
        ("if not warm and self._seconds < COMPILING_PAYS:", "if self._seconds < COMPILING_PAYS:"),
    ],
    "predict/formats": [
        ("pair[1] >= threshold", "pair[1] > threshold"),
        ("key=lambda pair: -pair[1]", "key=lambda pair: pair[1]"),
        ("int(seconds * 10), 600", "round(seconds) * 10, 600"),
        ("threshold(window.end - window.start)", "threshold(window.end)"),
    ],
    "predict/score_set": [
        ('"window": window, "hop": hop, **key', '"window": window, **key'),
        ("                    now = None\n", ""),
        ("digest.update(name.encode() + array.tobytes())", "digest.update(name.encode())"),
    ],
    "predict/scoring": [
        ("front.window(samples, round(WINDOW * front.rate))", "front.window(samples, 3200)"),
        ("if seconds < audio.SHORT", "if seconds <= audio.SHORT"),
        ("axis=0, weights=seconds)", "axis=0)"),
        ("window, hop, report)", "window, None, report)"),
    ],
    "predict/tagger": [
        ("tag_threshold(self.seconds)", "0.5"),
        ("            said = len(notes)\n", ""),
        ("if score >= threshold}", "if score > threshold}"),
    ],
    "predict/tagging": [
        ("if path is None and not unlisted:", "if path is None:"),
        ("yield Failure(found, error.cause)", "yield Failure(found, str(error))"),
    ],
    "recipes/events": [
        ("self.times[:, 1] > self.times[:, 0]", "self.times[:, 1] >= self.times[:, 0]"),
    ],
    "recipes/features": [
        ("            data.truncate(size * ends[-1])\n", "            pass\n"),
        ("zlib.crc32(data.read(size * int(steps))) == checksum", "len(data.read(size * int(steps))) > 0"),
        ("np.diff(self.ends) > 0", "np.diff(self.ends) >= 0"),
        ("round(most * front.rate)", "round(most * front.hop)"),
        (
            "audio.resample(prepare(without_offset(x), rate), rate, front.rate, level=None)",
            "prepare(audio.resample(without_offset(x), rate, front.rate, level=None), front.rate)",
        ),
        ("prepare(without_offset(x), rate)", "prepare(x, rate)"),
    ],
    "recipes/made_up": [
        ("rng.integers(1, classes, len(wrong))", "rng.integers(0, classes, len(wrong))"),
    ],
    "recipes/parts": [
        ('checkpoint.load(best)[1]["epoch"] - 1]', 'checkpoint.load(best)[1]["epoch"] - 2]'),
        ("        if root == self.root:\n", "        if root:\n"),
        ("key[name] = key[name] and sha256(key[name])", "key[name] = key[name]"),
        (
            "train.measurable(open_dataset(options.val, options.root, classes))",
            "open_dataset(options.val, options.root, classes)",
        ),
    ],
    "recipes/pseudo_strong": [
        ("weights=[len(cut) for cut in cuts]", "weights=None"),
        ("options.level * level[places] / 20", "options.level * level[places] / 10"),
        ('student(f"weak-{window:g}s", window, 0.0)', 'student(f"weak-{window:g}s", CLIP_SECONDS, 0.0)'),
        ("own.max(axis=0)", "own.mean(axis=0)"),
        ("share[MANY + 1 :].sum()", "share[MANY:].sum()"),
        ("if equal else options.batch_windows", "if not equal else options.batch_windows"),
        ('"keep": "mAP", "patience"', '"keep": "last", "patience"'),
        ("held = [self.parts(recordings, lesson.x)[1]", "held = [self.parts(recordings, lesson.x)[0]"),
        ("for part in (~held, held)]", "for part in (~held | held, held)]"),
        ('{"annotator": "annotator", "psl"', '{"annotator": "weak", "psl"'),
        ("sum(axis=1) == 1).all()", "sum(axis=1) == 1).any()"),
        ("self.front, rate, options = front or recipe.front,", "self.front, rate, options = recipe.front,"),
    ],
    "recipes/relabel_transfer": [
        ('usable = features.Features(before["features"]).usable', "usable = True"),
        ("lr * options.decay**epoch", "lr * options.decay**step"),
        ('"keep": "mAP"', '"keep": "last"'),
        (
            'lesson = _TransferLesson(self, "target", labels, before)\n        values',
            'lesson = _TransferLesson(self, "target", "ol", before)\n        values',
        ),
        ("self.labels[self.parts[part]], p)", "np.nan_to_num(self.labels[self.parts[part]]), p)"),
        (
            'values = np.load(self.folder(before, "embeddings", base)',
            'values = np.load(self.folder(before, "embeddings", self.options.base[0])',
        ),
        ("default_rng(self.options.seed).permutation(members)", "default_rng(0).permutation(members)"),
    ],
    "recipes/self_correct": [
        ('data.training("student", "labels")', 'data.training("student")'),
    ],
    "recipes/self_verify": [
        ("(self.folds != fold)", "(self.folds == fold)"),
        ("np.flatnonzero(chosen & ~self.verified)", "np.flatnonzero(chosen)"),
        ("min(list(found)[1:] or found,", "max(list(found)[1:] or found,"),
        ("list(found)[1:] or found", "found"),
        ('keep="loss"', 'keep="last"'),
        ("self.recipe.verified & (self.folds == fold)", "self.folds == fold"),
        ("self._logits(net, first + usable)", "self._logits(net, usable)"),
        ("x[fix_length(np.arange(len(x)), self.recipe.clip_steps)]", "x[: self.recipe.excerpt_steps]"),
        ("~self.recipe.verified & (self.folds >= 0)", "self.folds >= 0"),
        ('json.loads(report.read_text("utf-8"))["weights"], TEST', "report.parent.name, TEST"),
        ("if first and options.alpha:", "if options.alpha:"),
        ("linear(epoch, epochs, min(constant, epochs - 1))", "linear(epoch, epochs, 0)"),
        ("TRAINING_FRAMES * frame", "EXCERPT_SECONDS"),
        ("        if not first:\n            epochs", "        if False:\n            epochs"),
        ("/ _weights(fold))[0] for fold in folds]", "/ _weights(0))[0] for fold in folds]"),
        ("clip_silence),", "clip_silence, recipe.options.clip),"),
        ("if recordings != train.fingerprint(*self.manifests):", "if not recordings:"),
    ],
    "recipes/silence": [
        ("THRESHOLD**2 * window", "THRESHOLD * window"),
        ("sound_starts(x[::-1], sr)]", "sound_starts(x, sr)]"),
    ],
    "recipes/stages": [
        ("not in (None, _digest(state))", "not in (None,)"),
        ('            raise ValueError("changed")\n', "            pass\n"),
        ('if state.get("made_from") != made:', 'if "made_from" not in state:'),
        ("if sha256(folder / name) != digest:", "if not (folder / name).exists():"),
        ("if before.get(name) != now.get(name)]", "if before.get(name, now.get(name)) != now.get(name)]"),
    ],
    "recipes/strong": [
        ("p.mean(axis=0)", "p.max(axis=0)"),
        ("np.isnan(given) & ~tagged, np.nan, present", "np.isnan(given), np.nan, present"),
        ("starts = [round(k * FRAME", "starts = [round(k * SPAN"),
        ("return np.setdiff1d(usable, held), ", "return usable, "),
        ("left = known[len(held) :]", "left = known"),
        ('row["val_AUC"] > best[0]["AUC"]', 'row["loss"] < best[0]["loss"]'),
        ('{"validate": validate, "keep": "AUC"}', '{"validate": validate, "keep": "last"}'),
        ("self.size = len(weak) if tuning or not mu else len(strong)", "self.size = len(weak)"),
        (
            'network("strong-part", "strong", ALL_STRONG)',
            'network("strong-part", "strong", options.mu_strong)',
        ),
        ('network("diffuse-part", "diffuse", ALL_STRONG)', 'network("diffuse-part", "strong", ALL_STRONG)'),
    ],
    "recipes/unlabelled": [
        (', "decision": dataclasses.asdict(decision)', ""),
    ],
    "relabel/job": [
        ("if offset > onset}", "if offset >= onset}"),
        ('hop = self.steps.frame.get("hop") or length', "hop = length"),
        ("q = 1.0 - self.steps.percentile", "q = self.steps.percentile"),
        ("(self.score_column < 0).all()", "(self.score_column < 0).any()"),
        ("int((job.score_column >= 0).sum())", "len(job.score_column)"),
        ('"mean_threshold", 1)', '"mean_threshold", 0)'),
    ],
    "relabel/report": [
        ('"masked": nan_b & ~nan_a', '"masked": nan_b'),
        ('"removed": (a == 1) & (b == 0)', '"removed": (a == 1) & (b != 1)'),
    ],
    "relabel/steps": [
        ('step.get("mask", True) for', 'step.get("mask", False) for'),
    ],
    "synth/blocks": [
        ("min(1.0, duration / (attack + release))", "1.0"),
        ("2 * (f - centre) / bandwidth", "(f - centre) / bandwidth"),
    ],
    "synth/dataset": [
        ("np.random.default_rng([seed, index])", "np.random.default_rng(seed + index)"),
        ("{start:.3f}", "{start:.1f}"),
        ('    (directory / "manifest.csv").unlink(missing_ok=True)\n', ""),
    ],
    "synth/kinds": [
        (
            "to_peak(synth.filtered(x, lambda f: high_pass(f, 20)))",
            "synth.filtered(x, lambda f: high_pass(f, 20))",
        ),
    ],
    "synth/music": [
        ('style["scale"][step] / 12', 'style["scale"][step] / 10'),
    ],
    "synth/scenes": [
        ("(start + last) / sr", "(start + duration) / sr"),
        ("    events.sort(key=lambda event: (event.start, event.name))\n", ""),
    ],
    "synth/soundscapes": [
        ("*= ramp[::-1]", "*= ramp"),
        ("np.random.default_rng([seed, count])", "np.random.default_rng()"),
    ],
    "tables/columns": [
        ("position.get(id, position.get(name, -1))", "position.get(id, -1)"),
        ("lookup[name] = None if name in lookup else column", "lookup[name] = column"),
        ("if id is None or len(first) not in (2, 3):", "if True:"),
    ],
    "tables/journal": [
        ("damaged |= not self._take(line, place)", "self._take(line, place)"),
        ("line == self._frame(text) + text + b", "line.endswith(text + b"),
        ("if found[3] == self._sum(int(found[1]), text):", "if text.startswith(b'{'):"),
        ("key=self._key.digest()", "key=b''"),
        ("monotonic() - self._synced <= SYNC_SECONDS", "monotonic() - self._synced <= 10 * SYNC_SECONDS"),
        ("name in self._places and self._stamps[name] == stamp", "name in self._places"),
        ("            if not self._head.startswith(head):\n", "            if head:\n"),
    ],
    "tables/fsd50k": [
        ('"val": ("dev", 200, 8.0)', '"val": ("dev", 200, 5.0)'),
        ("active = np.flatnonzero((y == 1).any(axis=1))", "active = range(len(y))"),
        ("np.random.default_rng(seed)", "np.random.default_rng(0)"),
        ("return frames / rate", "return frames / 16000"),
        ("map(fsd50k_name, labels)", "labels"),
        ('unknown="ignore"', 'unknown="raise"'),
    ],
    "tables/label_files": [
        ('display.replace(", and ", ", ")', "display"),
        ("if end < start:", "if end <= start:"),
        ("return os.path.normpath(clip.id)", "return clip.id"),
        ('header.index("classes") + 1', 'header.index("classes")'),
        ("sorted(frames.items())", "frames.items()"),
        ("            row[:] = np.nan\n", "            row[:] = 0.0\n"),
        ("(self.lines or {}).get(label, self.line)", "self.line"),
        ("if number == 0 and set(fields)", "if number == 0 or set(fields)"),
        ('f"{self.prefix}{fields[fold].strip()}/{path}"', "path"),
        ("return fields if self.in_order else", "return fields if True else"),
    ],
    "tables/manifest": [
        (
            '~(self._matches("fold", fold) & self._matches("split", split))',
            '~self._matches("fold", fold) & ~self._matches("split", split)',
        ),
        ('text == "1" for text', "bool(text) for text"),
        ("if set(found) <= set(ACD_CLASSES)", "if set(found) & set(ACD_CLASSES)"),
    ],
    "tables/rows": [
        ('encoding="utf-8-sig"', 'encoding="utf-8"'),
        (
            "self.line, last = last + 1, self._before + reader.line_num",
            "self.line = last = self._before + reader.line_num",
        ),
        ("self.line, now = last + 1,", "self.line, now = reader.line_num,"),
        ("name.replace('\"', '\"\"')", "name"),
    ],
    "tables/scores": [
        ("(scores >= 0) & (scores <= 1) | np", "(scores >= 0) | np"),
        ("np.array(seconds) if all(duration > 0 for duration in seconds) else np.ones", "np.ones"),
        ('fields[column] or "nan"', 'fields[column] or "0"'),
        ("repr(float(score))", 'f"{score:.6f}"'),
    ],
    "tables/walk": [
        ("os.path.splitext(name)[1].lower() in", "os.path.splitext(name)[1] in"),
        ("        seen.add(real[parent])\n", ""),
        ("return hidden or not _is_within(target, real_root)", "return True"),
        ("if _is_within(real_root, target):", "if target == real_root:"),
    ],
    "tables/statistics": [
        ("np.minimum(k + 1, last)", "k"),
    ],
    "fast/attention": [
        ("self.mean * self.inverse * self.gamma", "self.mean * self.inverse"),
    ],
    "fast/inference": [
        ("scale = np.exp(largest - largest.max(0))", "scale = np.exp(largest)"),
        ("np.ascontiguousarray(mean.T).reshape(1, -1)", "np.ascontiguousarray(mean).reshape(1, -1)"),
    ],
    "fast/layers": [
        ('(0, 1) if name.endswith("pointwise") else (1,)', "(1,)"),
    ],
    "fast/norm": [
        ("var * (total / max(total - 1, 1))", "var"),
        ("mean = (counts * means).sum(0) / total", "mean = means.mean(0)"),
    ],
    "fast/tasks": [
        ("array.size < size or array.dtype != dtype", "array.size < size"),
        ("(clip, start, min(start + ROWS, rows))", "(clip, start, start + ROWS)"),
    ],
    "matmul": [
        ("_VECTOR if m == 1 or n == 1 else _MATRIX", "_MATRIX"),
    ],
    "nets/acdnet": [
        ("2 * bins * window * frames", "bins * window * frames"),
        (
            "frames = frames * block.pool[0] + 2 * block.dilation",
            "frames = frames * block.pool[0] + block.dilation",
        ),
        ("Block(64, 1, (2, 2), 32)", "Block(64, 1, (2, 2), 16)"),
    ],
    "nets/conv1d_net": [
        ("last.plain(self, y)", "last.inference(self)(y)"),
        ("stride: int = 3", "stride: int = 2"),
        ("Conv1DLayer(256, 9, 1)", "Conv1DLayer(256, 9)"),
        ("norm_last: bool = False", "norm_last: bool = True"),
    ],
    "nets/layers": [
        ("np.sqrt(2 / fan_in)", "np.sqrt(1 / fan_in)"),
        ("dx += dy\n        return dx", "return dx"),
        ("x.swapaxes(1, 2)).reshape(len(x), -1)", "x).reshape(len(x), -1)"),
        ("window += (layer.span[0] - 1) * stride", "window += layer.span[0] * stride"),
        ("vectors = 2 + self.bias +", "vectors = 1 + self.bias +"),
    ],
    "nets/mobilenet": [
        ("if stride == (1, 1) and before == after", "if stride == (1, 1)"),
        ("(stage.stride,) * 2 if j == 1 else (1, 1)", "(stage.stride,) * 2"),
    ],
    "nets/network": [
        ("max(4, round(channels * width))", "max(1, int(channels * width))"),
        ('"softmax" else sigmoid(logits)', '"logits" else sigmoid(logits)'),
    ],
    "nets/onnx": [
        ("weight.transpose(3, 2, 0, 1)", "weight.transpose(3, 2, 1, 0)"),
        ("if not difference <= TOLERANCE:", "if difference > TOLERANCE:"),
        ("else front.fewest(net.min_frames)", "else net.min_frames * front.hop"),
        ('from_array(np.asarray(value, dtype, order="C")', "from_array(np.ascontiguousarray(value, dtype)"),
        ("for _ in range(2):  # the second", "for _ in range(1):  # the second"),
        ("signal, graph.integers(1), keepdims=1))", "signal, graph.integers(0, 1), keepdims=1))"),
        ('graph.add("Max", samples, graph.integers(wanted))', "graph.integers(wanted)"),
        ("graph.integers(wanted - 1)), samples)", "graph.integers(0)), samples)"),
        ("waves.real, waves.imag])", "waves.real, -waves.imag])"),
    ],
    "nets/registry": [
        ("for key, a in given.items() if key not in new", "for key, a in given.items() if key in own"),
        ("if not width > 0:", "if width < 0:"),
    ],
    "nets/resnet": [
        ("row.macs * frames", "row.macs"),
        ("gamma=0.0),", "gamma=1.0),"),
        ("same = before == after and stride == (1, 1)", "same = before == after"),
    ],
    "nets/vgg": [
        (
            "VGGLayer(8 * n, pool=(2, 1), dropout=0.3),\n        VGGLayer(8 * n, padding=0",
            "VGGLayer(8 * n, pool=(2, 1), dropout=0.3),\n        VGGLayer(8 * n, padding=1",
        ),
        ('output: str = "softmax"', 'output: str = "sigmoid"'),
    ],
    "ops/activation": [
        ("np.where((y > 0) & (y < 6), dy, 0)", "np.where(y > 0, dy, 0)"),
        ("np.where(y > 0, dy, dy * (y + 1))", "np.where(y > 0, dy, dy * y)"),
        ("dy.dtype.type(1 / (1 - rate))", "dy.dtype.type(1 - rate)"),
        (
            "rng.random(x.shape, np.float32) >= np.float32(rate)",
            "rng.random(x.shape, np.float32) < np.float32(rate)",
        ),
    ],
    "ops/attention": [
        ("dv = np.where(v > 0, dmixed * context, 0)", "dv = dmixed * context"),
        ("k = softmax_positions(_project", "k = softmax_channels(_project"),
    ],
    "ops/conv2d": [
        (
            "(size + 2 * padding - dilation * (taps - 1) - 1) // stride + 1",
            "(size + 2 * padding - dilation * (taps - 1)) // stride",
        ),
        ("start = max(0, -(first // stride))", "start = max(0, -first // stride)"),
        (
            "padding=(dt * (kt - 1) - pt, df * (kf - 1) - pf)",
            "padding=(dt * (kt - 1) - pf, df * (kf - 1) - pt)",
        ),
        (
            "first, last = max(0, -g), min(block, bins - f, width - g)  # of",
            "first, last = max(0, -g), min(block, width - g)  # of",
        ),
    ],
    "ops/kernel": [
        ('[*package.glob("ops/*.py"), *package.glob("fast/*.py")]', '[*package.glob("ops/*.py")]'),
        ('os.environ.get("XDG_CACHE_HOME") or Path', 'os.environ.get("XDG_CACHE") or Path'),
        ("(stat.S_IWGRP | stat.S_IWOTH)", "stat.S_IWOTH"),
        ("status.st_uid not in (os.geteuid(), 0)", "False"),
        ("            if _open_to_others(one):\n", "            if False:\n"),
        ("    if kind not in _told:\n", "    if True:\n"),
        ('_tell("disabled", f"{_DISABLED}: NumPy does the work")', "pass"),
    ],
    "ops/kernel_cache": [
        ("if found != _sum(name, content):", "if False:"),
        ("    return hashlib.blake2b(name.encode() + ", "    return hashlib.blake2b("),
        ("self._cache_path = os.path.join(folder", "self._cache_path = os.path.join(os.devnull"),
        ("        except Exception as error:", "        except MemoryError as error:"),
    ],
    "ops/layout": [
        ("0, whole(a.shape[axis]) - a.shape[axis]", "whole(a.shape[axis]) - a.shape[axis], 0"),
    ],
    "ops/norm": [
        ("unbiased = var * (count / max(count - 1, 1))", "unbiased = var"),
        ("var[i] = (variances + (means - mean[i]) ** 2).mean()", "var[i] = variances.mean()"),
        ("a * dbeta / count - b * mean", "a * dbeta / count + b * mean"),
        ("flat[0].copy()", "np.zeros_like(flat[0])"),
    ],
    "ops/pointwise": [
        ("        dx += matmul(dy, weight.T)\n", "        dx[...] = matmul(dy, weight.T)\n"),
    ],
    "ops/pooling": [
        ("(other > best) | (np.isnan(other) & ~np.isnan(best))", "other > best"),
        ("larger = (other > best) | (", "larger = (other >= best) | ("),
        ("np.expand_dims(dy / count, axes)", "np.expand_dims(dy, axes)"),
    ],
    "ops/softmax": [
        ("np.exp(x - x.max(1, keepdims=True))", "np.exp(x)"),
        ("y * (dy - (dy * y).sum(-1, keepdims=True))", "y * (dy - dy.sum(-1, keepdims=True))"),
    ],
    "ops/threads": [
        ('getattr(_inside, "task", False)', "False"),
        ("            raise error\n", "            return\n"),
        ("if not 1 <= count <= 1024:", "if not 0 <= count <= 1024:"),
    ],
    "testing/strategies": [
        ("{0.0, float(threshold), 0.5, 1.0 - threshold, 1.0}", "{0.0, float(threshold), 0.5, 1.0}"),
        ("sorted(event[:2]) for event", "event[:2] for event"),
        ("unique=True, max_size=2)", "unique=True, max_size=0)"),
    ],
    "train": [
        ('FREE_OPTIONS = ("workers",)', 'FREE_OPTIONS = ("workers", "seed")'),
        ("            digest.update(manifest.labels.tobytes())\n", ""),
        ("epoch * steps + step, total", "step, total"),
        ("manifest = manifest.without(fold=options.val_fold)", "manifest = manifest.where()"),
        ("return options.lr * plateau.scale", "return options.lr"),
        ('{"train", "val"} <= set(manifest.split or ())', '{"train", "val"} == set(manifest.split or ())'),
    ],
}
