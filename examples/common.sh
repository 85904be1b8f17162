# SPDX-License-Identifier: Apache-2.0
# What the examples' scripts have in common; each begins with `. common.sh` and `begin "$@"`.
#
#   run [--fast] [DIR]     DIR is made, and stays; without it the files are in a temporary directory that goes at the end.
#                          --fast: minutes become seconds, for automatic tests.
#   ESTUARY_BIN            where estuary and estuary-agent are, directories with colons between; otherwise they are
#                          looked for in PATH, and then in this tree's build/.
set -euo pipefail

here=$(cd "${BASH_SOURCE[1]%/*}" && pwd)
example=${here##*/}
running=()
n=0
fast='' keep=''
[ -t 1 ] && bold=$'\033[1m' plain=$'\033[0m' || bold='' plain=''

fail() { printf '%s: step %d: %s\n' "$example" "$n" "$1" >&2; exit 1; }
step() { n=$((n + 1)); printf '\n%s%d. %s%s\n' "$bold" "$n" "$1" "$plain"; }
note() { printf '   (%s)\n' "$1"; }
# Show a line as somebody types it, then run it.
typed() { printf '%s$ %s%s\n' "$bold" "$1" "$plain"; eval "$1"; }
# The same for a line that has to fail; what it says is in $refused.
fails() {
	printf '%s$ %s%s\n' "$bold" "$1" "$plain"
	if refused=$(eval "$1" 2>&1); then
		fail "this should have failed"
	fi
	printf '%s\n' "$refused"
}

stop_all() {
	local one

	# What config apply has started below the prefix; others it leaves alone.
	if [ -d "$ESTUARY_PREFIX/run/aziot" ]; then
		estuary-agent system stop >/dev/null 2>&1 || true
	fi
	for one in "${running[@]}"; do
		kill "$one" 2>/dev/null && wait "$one" 2>/dev/null || true
	done
	running=()
}

finish() {
	local status=$? log

	trap - EXIT
	stop_all
	for log in "$work"/*.log "$ESTUARY_PREFIX"/var/log/aziot/*.log; do
		[ $status -ne 0 ] && [ -f "$log" ] || continue
		printf '\n--- %s ---\n' "${log##*/}" >&2
		tail -n 30 "$log" >&2
	done
	[ -n "$keep" ] || rm -rf "$work"
	exit $status
}

# Read the words of the command line, find the programs, make the directory.
begin() {
	local build=$here/../../build

	while [ $# -ne 0 ]; do
		case $1 in
		--fast) fast=yes ;;
		-*) printf 'Usage: %s [--fast] [DIR]\n' "$0" >&2; exit 64 ;;
		*) keep=$1 ;;
		esac
		shift
	done
	if [ -n "${ESTUARY_BIN:-}" ]; then
		PATH="$ESTUARY_BIN:$PATH"
	elif ! command -v estuary >/dev/null; then
		PATH="$build/src/cli:$build/src/device/agent:$PATH"
	fi
	command -v estuary >/dev/null && command -v estuary-agent >/dev/null ||
		{ printf '%s: no estuary and estuary-agent: run make, or set ESTUARY_BIN\n' "$example" >&2; exit 69; }
	if [ -n "$keep" ]; then
		mkdir -p "$keep"
		[ -z "$(ls -A "$keep")" ] || { printf '%s: %s is not empty\n' "$example" "$keep" >&2; exit 73; }
		work=$(cd "$keep" && pwd)
	else
		work=$(mktemp -d "${TMPDIR:-/tmp}/$example.XXXXXX")
	fi
	trap finish EXIT
	export PATH ESTUARY_DIR="$work/server" ESTUARY_PREFIX="$work/device"
	# The names that the documents call the command by.
	mkdir "$work/bin"
	ln -s "$(command -v estuary-agent)" "$work/bin/iotedge"
	ln -s "$(command -v estuary-agent)" "$work/bin/aziotctl"
	PATH="$work/bin:$PATH"
	cd "$work"
}

# appears FILE TEXT PID: wait until a line with TEXT stands in a file that a process of ours writes.
appears() {
	local i

	for i in $(seq 600); do
		! grep -qs -- "$2" "$1" || return 0
		kill -0 "$3" 2>/dev/null || fail "${1##*/}: the process ended early"
		sleep 0.1
	done
	fail "${1##*/}: no '$2' within a minute"
}

# until_true WHAT COMMAND...: wait until it is so, two minutes at most.
until_true() {
	local what=$1 i

	shift
	for i in $(seq 600); do
		! "$@" >/dev/null 2>&1 || return 0
		sleep 0.2
	done
	fail "waited two minutes for $what"
}

# A server on free ports: quickstart with the words given; $url is where devices come.
server() {
	printf '%s$ estuary quickstart%s &%s\n' "$bold" "${*:+ $*}" "$plain"
	estuary quickstart "$@" --device-port 0 --operator-port 0 --public-port 0 >"$work/quickstart.out" 2>"$work/quickstart.log" &
	running+=($!)
	appears "$work/quickstart.out" '^Estuary serves' "${running[-1]}"
	cat "$work/quickstart.out"
	[ ! -s "$work/quickstart.log" ] || grep -v '^making ' "$work/quickstart.log" || true
	note 'ports are free ones here; quickstart.json names them'
	url=$(said est_url)
	port=${url#https://*:} port=${port%%/*}
}
# A member of quickstart.json.
said() { jq -r --arg k "$1" '.[$k]' "$ESTUARY_DIR/quickstart.json"; }

# service NAME [COMMAND...]: start a service of the device, COMMAND before it (setpriv and the like); its process is ${pid[NAME]}.
declare -A pid
service() {
	local name=$1 begun i

	shift
	printf '%s$ %s &%s\n' "$bold" "${*:+$* }estuary-agent $name" "$plain"
	touch "$work/$name.log"
	begun=$(grep -c 'Starting server' "$work/$name.log" || true)
	"$@" estuary-agent "$name" >>"$work/$name.log" 2>&1 &
	pid[$name]=$!
	running+=($!)
	for i in $(seq 600); do
		[ "$(grep -c 'Starting server' "$work/$name.log")" -le "$begun" ] || return 0
		kill -0 "${pid[$name]}" 2>/dev/null || break
		sleep 0.1
	done
	fail "$name does not start"
}

# Stop a service again.
stop() {
	local gone=${pid[$1]} i

	printf '%s$ kill %s%s\n' "$bold" "$1" "$plain"
	kill "$gone"
	wait "$gone" || true
	for i in "${!running[@]}"; do
		[ "${running[i]}" != "$gone" ] || unset "running[$i]"
	done
}

# The end of every example.
summary() {
	printf '\n%s%s: done%s\n' "$bold" "$example" "$plain"
	printf '   %s\n' "$@"
	[ -z "$keep" ] || printf '   the files stay in %s\n' "$work"
}
