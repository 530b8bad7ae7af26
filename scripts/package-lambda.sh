#!/usr/bin/env bash
# Packages the program as a Lambda function. The same package serves every role: a function's handler names its role.
#
#     scripts/package-lambda.sh                      for this machine's architecture
#     scripts/package-lambda.sh --arm64              for Graviton
#     scripts/package-lambda.sh --x86-64
#     scripts/package-lambda.sh --profile dev        builds faster, for tests; other arguments go to `cargo lambda build`
#
# The package is lambda/orders/bootstrap.zip in the target folder. The script needs Rust, and Python 3 with venv. It
# installs cargo-lambda and Zig from PyPI into the target folder. Zig can link for both architectures and for the
# glibc version of Lambda. Later runs need no network if the crates and Rust's standard library for the architecture
# are installed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() { echo "error: $*" >&2; exit 1; }

cargo_lambda=1.9.2
zig=0.17.1
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
tools=$target/cargo-lambda-$cargo_lambda-zig-$zig
package=$target/lambda/orders/bootstrap.zip

case $(uname -m) in
aarch64 | arm64) architecture=aarch64 ;;
*) architecture=x86_64 ;;
esac
profile=lambda
arguments=()
while [[ $# -gt 0 ]]; do
    case $1 in
    --arm64) architecture=aarch64 ;;
    --x86-64) architecture=x86_64 ;;
    --target | --target=*) fail "use --arm64 or --x86-64: Lambda supports no other target" ;;
    --profile) profile=${2:?--profile needs a name}; shift ;;
    --profile=*) profile=${1#*=} ;;
    *) arguments+=("$1") ;;
    esac
    shift
done
triple=$architecture-unknown-linux-gnu

command -v cargo >/dev/null || fail "cargo is missing: install Rust 1.95 or newer (https://rustup.rs)"
has_std() { [[ -d $("${RUSTC:-rustc}" --print target-libdir --target "$triple" 2>/dev/null) ]]; }
if ! has_std && [[ -z ${RUSTC:-} ]] && command -v rustup >/dev/null; then
    echo "adding Rust's standard library for $triple" >&2
    rustup target add "$triple" >&2 || true
fi
has_std || fail "Rust's standard library for $triple is missing: run \`rustup target add $triple\`, or set RUSTC to a compiler that has it"

if [[ ! -e $tools/complete ]]; then
    python3 -c 'import ensurepip, venv' 2>/dev/null \
        || fail "python3 with venv is missing, which installs cargo-lambda and Zig (Debian: apt-get install python3 python3-venv)"
    echo "installing cargo-lambda $cargo_lambda and Zig $zig in $tools" >&2
    python3 -m venv --clear "$tools"
    "$tools/bin/python" -m pip install --quiet --disable-pip-version-check "cargo-lambda==$cargo_lambda" "ziglang==$zig"
    touch "$tools/complete"
fi
# These tools must come first in the PATH, because cargo-lambda finds Zig through the first python3 in the PATH.
PATH=$tools/bin:$PATH

# cargo-lambda need not check the target, because has_std above already checked it with the compiler in use.
# cargo-lambda's own optimizations are disabled: they would make a panic abort the process, and our profile already
# contains all optimizations that we want.
cargo lambda build --profile "$profile" --disable-optimizations --locked --no-default-features --features aws \
    --skip-target-check --target "$triple.2.34" --lambda-dir "$target/lambda" --output-format zip ${arguments[@]+"${arguments[@]}"}

echo "$package: $triple, $(($(wc -c <"$package") / 1024)) KiB"
