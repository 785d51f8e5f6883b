#!/usr/bin/env bash
# Builds what a machine with a GPU needs to answer the questions of docs/cuda.md, without a toolchain there:
#
#   tests/gpu/kit.sh KIT [IMAGES [TEXTURES]]
#
# KIT becomes a folder with the programs, report.sh, and copies of IMAGES (a category in MVTec layout) and TEXTURES, PNG files as
# lossless WebP where cwebp is there: the same pixels in a third less. Without them report.sh trains on generated images.
# KIT.tar.xz is the same, packed: the kernels that all programs share are in it once.
# CAPABILITY is the GPU's compute capability (90: Hopper); TOOLKIT where cuda-toolchain puts the toolkit (target).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
if [ $# -lt 1 ]; then
    sed -n '2,9s/^# \{0,1\}//p' "$here/kit.sh"
    exit 2
fi
kit=$(realpath -m "$1")
images=${2:+$(realpath "$2")}
textures=${3:+$(realpath "$3")}
cd "$here/../.."
toolkit=${TOOLKIT:-target}
rm -rf "$kit/bin" "$kit/images" "$kit/textures"
mkdir -p "$kit/bin"
cargo xtask cuda-toolchain --capability "${CAPABILITY:-90}" --out "$toolkit"
. "$toolkit/cuda-env.sh"
# One command for all of them: with other packages cargo would build candle's kernels again.
CARGO_INCREMENTAL=0 cargo build --release --features cuda --target-dir "$toolkit/cuda-check" \
    -p flawforge -p xtask -p flawforge-ops -p flawforge-models \
    --bins --example conv_engines --example step_time --test cuda --test gpu \
    --message-format json-render-diagnostics > "$kit/built.json"
grep -o '"executable":"[^"]*"' "$kit/built.json" | cut -d'"' -f4 | while read -r program; do
    name=$(basename "$program")
    strip -o "$kit/bin/${name%-????????????????}" "$program" # of tests without cargo's number
done
rm "$kit/built.json"
cp "$here/report.sh" "$kit/"
lossless() { # FROM TO
    find "$1" -type f | while read -r file; do
        to="$2/${file#"$1"/}"
        mkdir -p "$(dirname "$to")"
        # Masks stay what they are.
        if [[ $file == *.png && $file != */ground_truth/* ]] && command -v cwebp > /dev/null; then
            cwebp -quiet -lossless -z 6 "$file" -o "${to%.png}.webp"
        else
            cp "$file" "$to"
        fi
    done
}
if [ -n "$images" ]; then
    lossless "$images" "$kit/images"
fi
if [ -n "$textures" ]; then
    lossless "$textures" "$kit/textures"
fi
tar -C "$kit" -c . | xz -T2 --lzma2=preset=3,dict=192MiB > "$kit.tar.xz"
du -h "$kit.tar.xz"
