#!/usr/bin/env bash
# Makes the files of a release in target/release-files: the source, a tarball with the program, a Debian package, a container
# image, a software bill of materials (CycloneDX), a Homebrew formula, and SHA256SUMS. Builds for the machine on which it runs.
#
#     scripts/release.sh [--url URL] [--binary FILE] [--without image,sbom] [--fast]
#
# --url      where the files will be, for the Homebrew formula: https://example.org/orders/releases/v0.1.0
# --binary   a program that is built already; without it, the script builds one with all features, in the profile `release`
# --without  what to leave out, separated by commas
# --fast     compress the Debian package less, which takes a fifth of the time
#
# Needs git, GNU tar, binutils, dpkg-dev (Debian's shared libraries), buildah (as root) and Cargo. cargo-deb and cargo-cyclonedx
# are installed under the target folder.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { echo "error: $*" >&2; exit 1; }
step() { printf '\n== %s\n' "$*"; }

binary='' url='' without=',' options=(--no-build --no-strip)
while [ $# -gt 0 ]; do
  case $1 in
    --binary) binary=${2:?"--binary needs a file"}; shift ;;
    --url) url=${2:?"--url needs an address"}; shift ;;
    --without) without=,${2:?"--without needs a list"}, ; shift ;;
    --fast) options+=(--fast) ;;
    *) fail "unknown argument: $1" ;;
  esac
  shift
done
has() { [[ $without != *,$1,* ]]; }

target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
# Paths in Cargo.toml, which lists the content of the Debian package, begin with `target`.
files=$(realpath -m target/release-files)
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
[ -n "$version" ] || fail "Cargo.toml contains no version"
machine=$(uname -m)
name=orders-$version-$machine-linux
# The same commit makes the same archives.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
archive() { tar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner -c "$@" | gzip -n; }
tool() { # NAME VERSION
  local program=$target/tools/bin/$1
  [[ $("$program" "${1#cargo-}" --version 2>/dev/null || "$program" --version 2>/dev/null) == *"$2"* ]] ||
    CARGO_PROFILE_DEV_DEBUG=0 cargo install --debug --locked --quiet --root "$target/tools" "$1@$2" >&2
  echo "$program"
}

rm -rf "$files"
mkdir -p "$files/share/man1"

step "the program"
if [ -z "$binary" ]; then
  cargo build --locked --release --all-features --package orders
  binary=$target/release/orders
fi
strip -o "$files/orders" "$binary"
[[ $("$files/orders" --version) == "orders $version"* ]] || fail "$binary is not version $version"
"$files/orders" --version

step "man pages and completions"
"$files/orders" man --to "$files/share/man1"
"$files/orders" completions bash > "$files/share/orders.bash"
"$files/orders" completions zsh > "$files/share/_orders"
"$files/orders" completions fish > "$files/share/orders.fish"

step "the source"
git archive --format tar --prefix "orders-$version/" HEAD | gzip -n > "$files/orders-$version.tar.gz"

step "the tarball"
content=$files/$name
mkdir -p "$content/bin"
cp "$files/orders" "$content/bin/orders"
cp -r "$files/share" "$content/share"
cp -r README.md CHANGELOG.md LICENSE-MIT LICENSE-APACHE packaging/orders.toml packaging/systemd monitoring "$content/"
archive -C "$files" "$name" > "$files/$name.tar.gz"
rm -r "$content"

step "the Debian package"
deb=$(tool cargo-deb 3.8.0)
"$deb" deb "${options[@]}" --output "$files/"

if has sbom; then
  step "the software bill of materials"
  cyclonedx=$(tool cargo-cyclonedx 0.5.9)
  # It writes a file beside the manifest of each crate.
  bom=orders-$version.cdx
  find . -name "$bom.json" -not -path './target/*' -delete
  "$cyclonedx" cyclonedx --format json --spec-version 1.5 --all-features --override-filename "$bom" --quiet
  mv "$bom.json" "$files/$bom.json"
  find . -name "$bom.json" -not -path './target/*' -delete
fi

if has image; then
  step "the container image"
  # A storage of its own: the driver vfs needs no privileges for file systems, and no engine must run.
  storage=$target/buildah
  # Parts of the image that the build would take from a registry.
  parts=$target/image-parts
  rm -rf "$parts"
  mkdir -p "$parts/compiled/out"
  cp "$files/orders" "$parts/compiled/out/orders"
  packaging/container/make-rootfs "$parts/rootfs/rootfs"
  buildah --storage-driver vfs --root "$storage/root" --runroot "$storage/run" build --isolation chroot --format docker \
    --timestamp "$SOURCE_DATE_EPOCH" --build-context "compiled=$parts/compiled" --build-context "rootfs=$parts/rootfs" \
    --tag "orders:$version" --file packaging/container/Containerfile .
  buildah --storage-driver vfs --root "$storage/root" --runroot "$storage/run" push --quiet "orders:$version" \
    "docker-archive:$files/$name-image.tar:orders:$version"
  gzip -n "$files/$name-image.tar"
fi

step "the Homebrew formula"
sum=$(sha256sum "$files/orders-$version.tar.gz" | cut -d ' ' -f 1)
base=${url:-https://releases.invalid/orders/v$version}
sed -e "s|@URL@|$base/orders-$version.tar.gz|" -e "s|@HOMEPAGE@|${base%/releases/*}|" -e "s|@SHA256@|$sum|" \
  packaging/homebrew/orders.rb.in > "$files/orders.rb"
[ -n "$url" ] || echo "without --url, orders.rb has an address that does not exist"

rm -r "$files/share" "$files/orders"
(cd "$files" && sha256sum -- * > SHA256SUMS)
step "done"
cat "$files/SHA256SUMS"
