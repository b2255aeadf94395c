#!/usr/bin/env bash
# What a limiter adds to a plain axum app: crates, and seconds of a clean debug build.
#
#   benches/dependencies.sh                       # every row
#   benches/dependencies.sh default tls           # some rows
#   ROUNDS=1 benches/dependencies.sh default      # faster, but less reliable
#
# Each row is a separate app in a temporary folder. It is built from nothing ROUNDS times (3), in turn with the plain app. The
# medians are compared. Downloads come first and are not measured. Nothing else should run at the same time.
set -euo pipefail
repository=$(cd "$(dirname "$0")/.." && pwd)
rounds=${ROUNDS:-3}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
unset CARGO_TARGET_DIR CARGO_BUILD_TARGET_DIR

all=(memory default tls upstash metrics tower_governor)
rows=("$@")
[ ${#rows[@]} -gt 0 ] || rows=("${all[@]}")

# What a row adds to the manifest, and the layer of its app.
dependency() {
  local rateguard="rateguard = { path = \"$repository/rateguard\""
  case $1 in
    plain) ;;
    memory) echo "$rateguard, default-features = false }" ;;
    default) echo "$rateguard }" ;;
    tower_governor) echo 'tower_governor = "0.8"' ;;
    *)
      grep -q "^$1 = " "$repository/rateguard/Cargo.toml" || { echo "unknown row $1; the rows are ${all[*]}" >&2; exit 2; }
      echo "$rateguard, features = [\"$1\"] }"
      ;;
  esac
}
layer() {
  case $1 in
    plain) ;;
    tower_governor) echo '.layer(tower_governor::GovernorLayer::new(
            tower_governor::governor::GovernorConfigBuilder::default().per_second(1).burst_size(5).finish().unwrap(),
        ))' ;;
    memory) echo '.layer(rateguard::RateLimitLayer::new(rateguard::RateGuard::memory()))' ;;
    *) echo '.layer(rateguard::RateLimitLayer::new(rateguard::RateGuard::from_env().unwrap()))' ;;
  esac
}

prepare() {
  local app="$folder/$1"
  mkdir -p "$app/src"
  cat >"$app/Cargo.toml" <<MANIFEST
[package]
name = "app"
version = "0.0.0"
edition = "2024"
[workspace]
[dependencies]
axum = "0.8"
tokio = { version = "1", features = ["macros", "net", "rt-multi-thread"] }
$(dependency "$1")
MANIFEST
  local attribute=''
  case $1 in plain | tower_governor) ;; *) attribute='#[rateguard::rate_limit(limit = 5, window = 60)]' ;; esac
  cat >"$app/src/main.rs" <<PROGRAM
use std::net::SocketAddr;

$attribute
async fn hello() -> &'static str {
    "hello"
}

#[tokio::main]
async fn main() {
    let app = axum::Router::new().route("/", axum::routing::get(hello))
        $(layer "$1");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await.unwrap();
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await.unwrap();
}
PROGRAM
  # The versions that the workspace is tested with. Crates that it does not have are added.
  cp "$repository/Cargo.lock" "$app/Cargo.lock"
  (cd "$app" && cargo fetch --quiet)
}

crates() {
  (cd "$folder/$1" && cargo tree --offline --edges normal --prefix none --format '{p}' | sed 's/ (.*//' | sort -u | grep -vc '^app ')
}

build() {
  rm -rf "$folder/$1/target"
  local start end
  start=$(date +%s%N)
  (cd "$folder/$1" && cargo build --offline --quiet)
  end=$(date +%s%N)
  echo $(((end - start) / 1000000))
}

median() { sort -n | sed -n "$(((rounds + 1) / 2))p"; }
seconds() { printf '%d.%d' $(($1 / 1000)) $((($1 % 1000) / 100)); }

prepare plain
plain_crates=$(crates plain)
echo "$(rustc --version), $(nproc) processors; the plain app has $plain_crates crates"
echo
echo "| app | crates added | seconds added | seconds, of which the plain app |"
echo "|---|---|---|---|"
for row in "${rows[@]}"; do
  prepare "$row"
  : >"$folder/plain.times"
  : >"$folder/row.times"
  for _ in $(seq "$rounds"); do
    build plain >>"$folder/plain.times"
    build "$row" >>"$folder/row.times"
  done
  plain=$(median <"$folder/plain.times")
  with=$(median <"$folder/row.times")
  echo "| $row | $(($(crates "$row") - plain_crates)) | $(seconds $((with - plain))) | $(seconds "$with"), $(seconds "$plain") |"
  rm -rf "$folder/$row"
done
