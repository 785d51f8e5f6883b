#!/usr/bin/env bash
# Builds what a machine with a GPU needs to answer the questions of docs/cuda.md, without a toolchain there:
#
#   tests/gpu/kit.sh KIT [IMAGES [TEXTURES]]
#
# KIT becomes a folder with the programs, report.sh, and copies of IMAGES (a category in MVTec layout) and TEXTURES as lossless
# WebP, which load as the PNG do and are a third smaller; without them report.sh trains on generated images. KIT.tar.xz is the same,
# packed: the kernels that all programs share are in it once.
# CAPABILITY is the GPU's compute capability (90: Hopper); TOOLKIT where cuda-toolchain puts the toolkit (target).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
if [ $# -lt 1 ]; then
    sed -n '2,9s/^# \{0,1\}//p' "$here/kit.sh"
    exit 2
fi
toolkit=${TOOLKIT:-target}
mkdir -p "$1/bin"
kit=$(cd "$1" && pwd)
cargo xtask cuda-toolchain --capability "${CAPABILITY:-90}" --out "$toolkit"
. "$toolkit/cuda-env.sh"
# One command for all of them: with other packages cargo would build candle's kernels again.
CARGO_INCREMENTAL=0 cargo build --release --features cuda --target-dir "$toolkit/cuda-check" \
    -p flawforge -p xtask -p flawforge-ops -p flawforge-models \
    --bins --example conv_engines --example step_time --test cuda --test gpu \
    --message-format json-render-diagnostics > "$kit/built.json"
programs=$(grep -o '"executable":"[^"]*"' "$kit/built.json" | cut -d'"' -f4)
rm "$kit/built.json"
for program in $programs; do
    name=$(basename "$program")
    name=${name%-????????????????} # of tests, cargo's number
    strip -o "$kit/bin/$name" "$program"
done
cp "$here/report.sh" "$kit/"
lossless() { # FROM TO
    find "$1" -type f \( -name '*.png' -o -name '*.jpg' \) | while read -r file; do
        to="$2/${file#"$1"/}"
        mkdir -p "$(dirname "$to")"
        # Masks stay what they are.
        if [[ $file == */ground_truth/* ]] || ! command -v cwebp > /dev/null; then
            cp "$file" "$to"
        else
            cwebp -quiet -lossless -z 6 "$file" -o "${to%.*}.webp"
        fi
    done
}
if [ $# -ge 2 ]; then
    lossless "${2%/}" "$kit/images"
fi
if [ $# -ge 3 ]; then
    lossless "${3%/}" "$kit/textures"
fi
tar -C "$kit" -c . | xz -T2 --lzma2=preset=3,dict=192MiB > "$kit.tar.xz"
du -h "$kit.tar.xz"
