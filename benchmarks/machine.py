"""What every benchmark says of the machine that it ran on; and what the machine can do at best.

    python benchmarks/machine.py [--rounds 5] [--threads 1,2] [--json FILE]

prints its peak of fused multiply-adds in float32 (a loop that keeps everything in registers), and how fast it
reads and copies arrays far larger than its caches.  Needs Numba.
"""

import argparse
import ctypes
import json
import os
import platform
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path


def describe(*packages):
    """Processor, cores, Python, versions of `packages`, date, load and kernels, for a benchmark's JSON.

    Says so on stderr when the machine is busy with other things: the figures will not be worth much.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    if load is not None and load > cores / 2:
        print(f"this machine is busy: its load is {load:.1f}, with {cores} cores", file=sys.stderr)
    return {
        "processor": processor(),
        "cores": cores,
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in packages},
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "load": load,
        "kernels": _kernels(),
    }


def _kernels():
    """Whether acdref's kernels are "cached" where they are kept, or what follows compiles them: "fresh"."""
    try:
        from acdref.ops.kernel import cache_directory
    except ImportError:
        return None
    folder = cache_directory()
    return "fresh" if folder is None or next(folder.rglob("*.nbc"), None) is None else "cached"


def processor():
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()


def _version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


FLOATS = 64 << 20  # of an array that no cache holds: 256 MB


def peaks(threads, seconds=0.2):
    """What `threads` threads reach together.

    Returns
    -------
    dict
        ``gflops`` (a multiply-add counts as two), ``read_gbs`` and ``copy_gbs`` (bytes read and bytes written
        both count); best of a few tries, which together take about so many seconds each.
    """
    import numba
    import numpy as np

    fma, flops = _fma_loop()
    source, target = (np.full(FLOATS, i, np.float32) for i in range(2))  # written, so that it has its memory
    parts = [slice(FLOATS * i // threads, FLOATS * (i + 1) // threads) for i in range(threads)]

    @numba.njit(nogil=True, fastmath=True)
    def total(x):
        s = np.float32(0)
        for i in range(x.size):
            s += x[i]
        return s

    total(source[:1])
    loops = 1_000_000
    with ThreadPoolExecutor(threads) as pool:

        def best(task):
            """The shortest time in which all threads have done their part."""
            times = []
            while sum(times) < seconds or len(times) < 3:
                start = time.perf_counter()
                list(pool.map(task, range(threads)))
                times.append(time.perf_counter() - start)
            return min(times)

        return {
            "gflops": threads * loops * flops / best(lambda i: fma(loops, 0.5, 0.5)) / 1e9,
            "read_gbs": source.nbytes / best(lambda i: total(source[parts[i]])) / 1e9,
            "copy_gbs": 2
            * source.nbytes
            / best(lambda i: np.copyto(target[parts[i]], source[parts[i]]))
            / 1e9,
        }


def peaks_apart(threads):
    """:func:`peaks` in a process of its own; None where that fails, as it does without Numba."""
    code = f"import json, machine; print(json.dumps(machine.peaks({threads})))"
    place = Path(__file__).resolve().parent
    done = subprocess.run([sys.executable, "-c", code], cwd=place, capture_output=True, text=True)
    if done.returncode:
        print(f"peaks are not measured: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return None
    found = json.loads(done.stdout)
    print(
        f"{threads} threads: {found['gflops']:.0f} GFLOP/s, {found['read_gbs']:.1f} GB/s at best",
        file=sys.stderr,
    )
    return found


def _fma_loop():
    """A function (loops, a, b) that does nothing but multiply-adds, and how many operations a loop has.

    Written in LLVM's language: twelve independent sums of vectors, enough for two units of four cycles, few
    enough for sixteen registers.
    """
    from llvmlite import binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    features = binding.get_host_cpu_features()
    lanes = 16 if features.get("avx512f") else 8 if features.get("avx2") else 4
    sums = range(12)
    kind = f"<{lanes} x float>"
    lines = [
        f"declare {kind} @llvm.fma.v{lanes}f32({kind}, {kind}, {kind})",
        "define float @fma(i64 %loops, float %a, float %b) {",
        "entry:",
        f"  %a0 = insertelement {kind} undef, float %a, i32 0",
        f"  %b0 = insertelement {kind} undef, float %b, i32 0",
        f"  %va = shufflevector {kind} %a0, {kind} undef, <{lanes} x i32> zeroinitializer",
        f"  %vb = shufflevector {kind} %b0, {kind} undef, <{lanes} x i32> zeroinitializer",
        "  br label %loop",
        "loop:",
        "  %i = phi i64 [0, %entry], [%next, %loop]",
        *(f"  %s{k} = phi {kind} [%vb, %entry], [%t{k}, %loop]" for k in sums),
        *(f"  %t{k} = call {kind} @llvm.fma.v{lanes}f32({kind} %s{k}, {kind} %va, {kind} %vb)" for k in sums),
        "  %next = add i64 %i, 1",
        "  %more = icmp slt i64 %next, %loops",
        "  br i1 %more, label %loop, label %done",
        "done:",
        f"  %r0 = fadd {kind} %t0, %t0",
        *(f"  %r{k} = fadd {kind} %r{k - 1}, %t{k}" for k in sums if k),
        f"  %r = extractelement {kind} %r11, i32 0",
        "  ret float %r",
        "}",
    ]
    target = binding.Target.from_default_triple().create_target_machine(
        cpu=binding.get_host_cpu_name(), features=features.flatten(), opt=2
    )
    module = binding.parse_assembly("\n".join(lines))
    engine = binding.create_mcjit_compiler(module, target)
    engine.finalize_object()
    function = ctypes.CFUNCTYPE(ctypes.c_float, ctypes.c_int64, ctypes.c_float, ctypes.c_float)(
        engine.get_function_address("fma")
    )
    function.engine = engine  # which owns the code
    return function, 2 * lanes * len(sums)


def main():
    from report import Table, spread

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    columns = {
        "machine": "{what}",
        "threads": "{threads}",
        "median": "{median:.1f}",
        "least": "{least:.1f}",
        "most": "{most:.1f}",
    }
    table = Table(columns, describe("numba"), rounds=arguments.rounds)
    for threads in map(int, arguments.threads.split(",")):
        rounds = [peaks(threads) for _ in range(arguments.rounds)]
        for key, what in (("gflops", "FMA, GFLOP/s"), ("read_gbs", "read, GB/s"), ("copy_gbs", "copy, GB/s")):
            table.add(what=what, threads=threads, **spread([found[key] for found in rounds]))
    if arguments.json:
        table.write(arguments.json)


if __name__ == "__main__":
    main()
