#!/usr/bin/env bash
# Everything that docs/cuda.md asks a GPU, in the order of what is wanted most, one log each, and a page with the figures:
#
#   KIT/report.sh OUT [--python PYTHON] [--seconds N] [--small] [--only "tests step …"]
#
# PYTHON has PyTorch for CUDA, numpy and safetensors: then its libraries are used, and PyTorch is measured beside us. No work
# begins that is not expected to end within N seconds of the start (840); all together want about 2700. --small tries the script
# itself (on an emulated GPU: docs/cuda.md). KIT was made by kit.sh. Ends with 1 where a work failed.
set -uo pipefail
kit=$(cd "$(dirname "$0")" && pwd)
if [ $# -lt 1 ]; then
    sed -n '2,9s/^# \{0,1\}//p' "$kit/report.sh"
    exit 2
fi
mkdir -p "$1" || exit 1
out=$(cd "$1" && pwd)
shift
python= seconds=840 small= only=
while [ $# -gt 0 ]; do
    case $1 in
    --python) python=$2 && shift ;;
    --seconds) seconds=$2 && shift ;;
    --only) only=" $2 " && shift ;;
    --small) small=yes ;;
    *) echo "$1: not an option" >&2 && exit 2 ;;
    esac
    shift
done
bin=$kit/bin
if [ -n "$python" ]; then
    site=$("$python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])') || exit 1
    for folder in "$site"/nvidia/*/lib; do
        if [ -d "$folder" ]; then
            LD_LIBRARY_PATH=$folder${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
        fi
    done
    export LD_LIBRARY_PATH
fi
export FLAWFORGE_REQUIRE=gpu RUST_LOG=info
export FLAWFORGE_CONVOLUTIONS=${FLAWFORGE_CONVOLUTIONS:-$out/convolutions.txt}
began=$SECONDS
failed=0
page=$out/report.md
{
    echo "# What a GPU showed, $(date -u +%Y-%m-%d)"
    echo
    nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2> /dev/null || echo "without nvidia-smi"
    "$bin/flawforge" --version
} > "$page"

# work NAME EXPECTED-SECONDS PATTERN COMMAND…: runs it into NAME.log, and puts the lines that match on the page.
work() {
    local name=$1 expected=$2 pattern=$3
    shift 3
    if [ -n "$only" ] && [[ $only != *" $name "* ]]; then
        return
    fi
    local left=$((seconds - SECONDS + began))
    if [ "$expected" -gt "$left" ]; then
        printf '\n## %s\n\nleft out: %s s are left, it takes about %s\n' "$name" "$left" "$expected" >> "$page"
        return
    fi
    local start=$SECONDS
    timeout "$left" "$@" > "$out/$name.log" 2>&1
    local status=$?
    {
        printf '\n## %s\n\n`%s`\n\nended with %s after %s s\n\n```\n' "$name" "$(basename "$1") ${*:2}" "$status" $((SECONDS - start))
        grep -E "$pattern" "$out/$name.log" || tail -3 "$out/$name.log"
        echo '```'
    } >> "$page"
    echo "$name: $status after $((SECONDS - start)) s"
    [ "$status" -eq 0 ] || failed=1
}

# Which images: those of the kit, or generated ones.
images=(--demo gear) textures=()
if [ -d "$kit/images" ]; then
    images=("$kit/images")
fi
if [ -d "$kit/textures" ]; then
    textures=(--textures "$kit/textures")
fi
if [ -n "$small" ]; then
    sizes=(4 4 32 2 2 1)
    profile=smoke
    budget=(--profile smoke)
    long=(--profile smoke)
else
    sizes=(128 64 256 8 4 2)
    profile=gpu
    budget=()
    long=(--profile paper)
fi
# A checkpoint of the paper's networks is 1.2 GB: none while times are measured.
printf '[every]\ncheckpoint = 100000\npanel = 0\n' > "$out/every.toml"
every=(--config "$out/every.toml")
said='busy|memory|steps? in|error|F1|AUROC|false alarm|missed'

work tests-operators 60 '^test result|FAILED|panicked' "$bin/cuda" --test-threads 1
work tests-networks 60 '^test result|FAILED|panicked' "$bin/gpu" --test-threads 1
if [ -n "$python" ]; then
    for precision in bf16 tf32; do
        work "torch-$precision" 90 '\|' "$bin/xtask" compare torch --device cuda --python "$python" \
            --precision "$precision" --json "$out/torch-$precision.json"
    done
fi
for precision in bf16 tf32; do
    work "step-$precision" 20 '.' "$bin/step_time" "${sizes[@]}" "$precision" cuda
done
work forge 60 "$said" "$bin/flawforge" train "${images[@]}" ${textures[@]+"${textures[@]}"} --out "$out/forge" --method forge ${budget[@]+"${budget[@]}"}
work forge-scores 60 "$said" "$bin/flawforge" evaluate --run "$out/forge" "${images[@]}"
for method in lin-yan draem nsa patchcore; do
    work "$method" 170 "$said" "$bin/flawforge" train "${images[@]}" ${textures[@]+"${textures[@]}"} --out "$out/$method" --method "$method" --profile "$profile" "${every[@]}"
    work "$method-scores" 30 "$said" "$bin/flawforge" evaluate --run "$out/$method" "${images[@]}"
done
# Two cells at a time; what they take beside what was expected.
work two-cells 120 'room|takes|error|done|AUROC|\|' "$bin/xtask" reproduce-table2 --profile "$profile" --categories gear,connector \
    --methods draem --jobs 2 --out "$out/two-cells" "${every[@]}"
if [ -z "$small" ]; then
    work engines 60 '.' "$bin/conv_engines" bf16 # of the paper's size alone
fi
# The published schedule, as long as time is left: 700 epochs.
for method in lin-yan draem; do
    work "$method-paper" 600 "$said" "$bin/flawforge" train "${images[@]}" ${textures[@]+"${textures[@]}"} --out "$out/$method-paper" --method "$method" "${long[@]}" "${every[@]}"
    work "$method-paper-scores" 30 "$said" "$bin/flawforge" evaluate --run "$out/$method-paper" "${images[@]}"
done
cat "$page"
exit "$failed"
